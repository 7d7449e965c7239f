//! Lines from a client, none longer than a bound.
//!
//! Owns the read buffer. A line over the bound is skipped to its end without being kept, so that the next one is
//! still heard. Blank lines are nobody's message and are passed over.

use std::io::{BufRead, BufReader, Read};

pub(super) enum Line {
    /// Without its line end.
    Whole(Vec<u8>),
    TooLong,
}

pub(super) struct Lines<R> {
    input: BufReader<R>,
    line_bytes_max: usize,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R, line_bytes_max: usize) -> Self {
        Self { input: BufReader::new(input), line_bytes_max }
    }

    /// The next line that has something in it. `None` once the input has ended or broken: a client that is gone
    /// has nothing more to say either way.
    pub(super) fn next_line(&mut self) -> Option<Line> {
        loop {
            match self.raw()? {
                Line::Whole(line) if line.iter().all(u8::is_ascii_whitespace) => {}
                line @ (Line::Whole(_) | Line::TooLong) => return Some(line),
            }
        }
    }

    fn raw(&mut self) -> Option<Line> {
        let mut line = Vec::new();
        let mut long = false;
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => return None,
            };
            let end = memchr::memchr(b'\n', buffer);
            let piece = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
            long |= line.len() + piece.len() > self.line_bytes_max;
            if !long {
                line.extend_from_slice(piece);
            }
            let ended = buffer.is_empty();
            let consumed = piece.len() + usize::from(end.is_some());
            self.input.consume(consumed);
            if ended && line.is_empty() && !long {
                return None;
            }
            if ended || end.is_some() {
                return Some(if long { Line::TooLong } else { Line::Whole(line) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &'static [u8], line_bytes_max: usize) -> Vec<Option<String>> {
        let mut lines = Lines::new(input, line_bytes_max);
        std::iter::from_fn(|| lines.next_line())
            .map(|line| match line {
                Line::Whole(line) => Some(String::from_utf8(line).unwrap()),
                Line::TooLong => None,
            })
            .collect()
    }

    #[test]
    fn a_line_over_the_bound_is_skipped_to_its_end() {
        assert_eq!(read(b"abc\nabcd\nab\nabcde", 3), [Some("abc".into()), None, Some("ab".into()), None]);
    }

    #[test]
    fn blank_lines_are_nobodys_message() {
        assert_eq!(read(b"\n  \r\na\n\n", 9), [Some("a".to_owned())]);
    }

    #[test]
    fn the_last_line_needs_no_line_end() {
        assert_eq!(read(b"a\nb", 9), [Some("a".to_owned()), Some("b".to_owned())]);
    }
}
