//! Lines on stdin and stdout.
//!
//! Owns the one buffer that is read into and the one that is written from: whatever came with one read is answered with one
//! write. It reads and writes by turns, so a client that writes without reading stands still, as it would with many servers.

use super::delays::Delays;
use super::server::{Outcome, Server};
use bytes::BytesMut;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;

/// Serves until stdin ends or nobody reads stdout.
pub fn serve(server: &Server) -> io::Result<()> {
    // Not those of `std`: they copy, and they lock.
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let delays = Delays::start(output.try_clone()?);
    let mut room = vec![0_u8; ROOM_BYTES];
    let mut held = 0;
    let mut out = BytesMut::with_capacity(ROOM_BYTES);
    loop {
        if held == room.len() {
            room.resize(room.len() * 2, 0);
        }
        let read = input.read(room.get_mut(held..).unwrap_or_default())?;
        if read == 0 {
            return Ok(());
        }
        held += read;
        let lines = room.get(..held).unwrap_or_default();
        let done = answer(server, lines, held - read, &mut out, &delays);
        room.copy_within(done..held, 0);
        held -= done;
        match output.write_all(&out) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
        out.clear();
    }
}

/// Answers the lines that are whole, and says where they end. Up to `seen` there is no end of a line.
fn answer(server: &Server, text: &[u8], seen: usize, out: &mut BytesMut, delays: &Delays) -> usize {
    let mut start = 0;
    let fresh = text.get(seen..).unwrap_or_default();
    for end in memchr::memchr_iter(b'\n', fresh) {
        let end = seen + end;
        let line = text.get(start..end).unwrap_or_default();
        start = end + 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let before = out.len();
        let Outcome::Said { after, .. } = server.answer(line, out, b"", b"\n") else { continue };
        if !after.is_zero() {
            delays.put(after, out.split_off(before));
        }
    }
    start
}

/// As much as a pipe holds.
const ROOM_BYTES: usize = 64 * 1024;
