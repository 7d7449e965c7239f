//! Where the few members stand that a relay needs, found without reading the rest.
//!
//! It knows strings and depth, so an `id` inside of arguments is not taken for the message's. It takes for granted
//! that the text is JSON: nothing here says what is wrong with it.

use std::ops::Range;

use memchr::memchr2;

/// What a client sent.
pub(crate) struct Request {
    /// The id as it is written, quotes included. None of a notification.
    pub(crate) id: Option<Range<usize>>,
    /// `params.name`, without its quotes.
    pub(crate) name: Option<Range<usize>>,
    /// What has no method is an answer to what we never asked.
    pub(crate) has_method: bool,
}

/// What a server sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A response; the span is its id's.
    Response(Range<usize>),
    /// A notification.
    Notice,
    /// A request, or no message at all.
    Other,
    /// The text ends too early to know.
    Unfinished,
}

/// Reads no further than to the name, if the id and the method stand before it.
pub(crate) fn request(text: &[u8]) -> Option<Request> {
    let mut found = Request { id: None, name: None, has_method: false };
    let mut members = Members::at(text, 0)?;
    while let Some((key, value)) = members.next() {
        match key {
            b"id" => found.id = Some(value..value_end(text, value)?),
            b"method" => found.has_method = true,
            b"params" => {
                if let Some(name) = member(text, value, b"name").filter(|at| text[*at] == b'"') {
                    found.name = Some(name + 1..string_end(text, name)? - 1);
                    if found.id.is_some() && found.has_method {
                        return Some(found);
                    }
                }
            }
            _ => {}
        }
    }
    members.ended.then_some(found)
}

/// Reads no further than to `result` or `error`, if the id stands before it.
pub(crate) fn heard(text: &[u8]) -> Heard {
    let Some(mut members) = Members::at(text, 0) else { return Heard::Other };
    let (mut id, mut response, mut method) = (None, false, false);
    while let Some((key, value)) = members.next() {
        match key {
            b"id" => {
                let Some(end) = value_end(text, value).filter(|end| *end < text.len()) else {
                    return Heard::Unfinished;
                };
                id = Some(value..end);
            }
            b"result" | b"error" => response = true,
            b"method" => method = true,
            _ => {}
        }
        if let (true, Some(id)) = (response, &id) {
            return Heard::Response(id.clone());
        }
    }
    match (members.ended, method, id) {
        (false, ..) => Heard::Unfinished,
        (true, true, None) => Heard::Notice,
        (true, ..) => Heard::Other,
    }
}

/// Where the value of `wanted` begins in the object at `at`.
fn member(text: &[u8], at: usize, wanted: &[u8]) -> Option<usize> {
    let mut members = Members::at(text, at)?;
    while let Some((key, value)) = members.next() {
        if key == wanted {
            return Some(value);
        }
    }
    None
}

/// The members of one object: keys, and where their values begin. A value is skipped only when the next is asked for.
struct Members<'t> {
    text: &'t [u8],
    at: usize,
    /// Whether `at` is a value's first byte.
    on_value: bool,
    /// Whether the object's end was seen.
    ended: bool,
}

impl<'t> Members<'t> {
    fn at(text: &'t [u8], at: usize) -> Option<Self> {
        let at = blank_end(text, at);
        (text.get(at) == Some(&b'{')).then_some(Self { text, at: at + 1, on_value: false, ended: false })
    }

    fn next(&mut self) -> Option<(&'t [u8], usize)> {
        if self.on_value {
            self.at = value_end(self.text, self.at)?;
        }
        let mut key = blank_end(self.text, self.at);
        if self.text.get(key) == Some(&b',') {
            key = blank_end(self.text, key + 1);
        }
        if self.text.get(key)? != &b'"' {
            self.ended = self.text[key] == b'}';
            return None;
        }
        let key_end = string_end(self.text, key)?;
        let colon = blank_end(self.text, key_end);
        let value = blank_end(self.text, colon + 1);
        self.text.get(value)?;
        (self.at, self.on_value) = (value, true);
        Some((&self.text[key + 1..key_end - 1], value))
    }
}

fn blank_end(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// The place behind the value that begins at `at`.
fn value_end(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => string_end(text, at),
        b'{' | b'[' => nest_end(text, at),
        _ => {
            let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
            Some(text[at..].iter().position(ends).map_or(text.len(), |length| at + length))
        }
    }
}

/// The place behind the string whose first quote is at `at`.
fn string_end(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

fn nest_end(text: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0usize;
    loop {
        match text.get(at)? {
            b'"' => {
                at = string_end(text, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Appends `text` with other words in some places; these must not overlap, and their order does not matter.
pub(crate) fn splice<const N: usize>(into: &mut Vec<u8>, text: &[u8], mut edits: [(Range<usize>, &[u8]); N]) {
    edits.sort_unstable_by_key(|(span, _)| span.start);
    let mut at = 0;
    for (span, words) in edits {
        into.extend_from_slice(&text[at..span.start]);
        into.extend_from_slice(words);
        at = span.end;
    }
    into.extend_from_slice(&text[at..]);
}

/// A number as JSON, on the stack.
pub(crate) struct Digits {
    text: [u8; 20],
    from: usize,
}

impl Digits {
    pub(crate) fn of(mut number: u64) -> Self {
        let mut digits = Self { text: [b'0'; 20], from: 20 };
        loop {
            digits.from -= 1;
            digits.text[digits.from] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return digits;
            }
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text[self.from..]
    }
}

pub(crate) fn number(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(text: &str) -> Option<&str> {
        request(text.as_bytes()).expect("a message").id.map(|span| &text[span])
    }

    #[test]
    fn an_id_of_arguments_is_not_the_messages() {
        let text =
            r#"{"params":{"arguments":{"id":1,"name":"no"},"name":"a__b"}, "method":"m" , "id" : "x\"}" }"#;
        assert_eq!(id_of(text), Some(r#""x\"}""#));
        let name = request(text.as_bytes()).and_then(|found| found.name).expect("a name");
        assert_eq!(&text[name], "a__b");
    }

    #[test]
    fn a_notification_has_no_id() {
        assert_eq!(id_of(r#"{"method":"n","params":{"id":3}}"#), None);
        assert_eq!(heard(br#"{"method":"n","params":{"id":3}}"#), Heard::Notice);
    }

    #[test]
    fn a_response_is_known_by_its_result_wherever_the_id_stands() {
        for text in [r#"{"id":12,"result":{"id":5"#, r#"{"result":{"id":5,"x":["]}"]},"id":12}"#] {
            let at = text.find("12").expect("it is there");
            assert_eq!(heard(text.as_bytes()), Heard::Response(at..at + 2));
        }
        assert_eq!(heard(br#"{"id":12,"method":"ping"}"#), Heard::Other);
        assert_eq!(heard(br#"{"jsonrpc":"2.0","id":12"#), Heard::Unfinished);
    }

    #[test]
    fn edits_may_come_in_any_order() {
        let mut spliced = Vec::new();
        splice(&mut spliced, b"0123456789", [(7..8, b"seven"), (2..4, b"")]);
        assert_eq!(spliced, b"01456seven89");
        assert_eq!(Digits::of(0).as_bytes(), b"0");
        assert_eq!(Digits::of(1870).as_bytes(), b"1870");
    }
}
