//! A place in a JSON text, and the ways on from it.
//!
//! Walks over values and builds nothing: who reads is told where keys and values stand, and passes over what it does not
//! want. Takes exactly what RFC 8259 calls JSON, at any depth without recursion of its own; bounds on depth and number of
//! values are counted on the way. What a string or a number means, others know.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use smallvec::SmallVec;
use std::fmt;

use crate::wire::caps::{Caps, Over};
use crate::wire::message::Span;

/// Where we are in a text of less than 4 GiB.
pub(super) struct Cursor<'a> {
    whole: &'a str,
    at: usize,
    depth: usize,
    depth_max: usize,
    elements: usize,
    elements_max: usize,
    /// White space other than blanks stood between tokens.
    breaks: bool,
    /// One bit for each container around what is passed over: it is an object.
    objects: SmallVec<[u64; 2]>,
}

/// Why there is no way on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// This is no JSON.
    Syntax,
    Over(Over),
}

pub(super) type Walk<T> = Result<T, Stop>;

/// A key of an object.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    /// Where it stands, quotes included.
    pub(super) span: Span,
    /// Between the quotes, as it stands.
    pub(super) raw: &'a [u8],
    /// That is not what it says.
    pub(super) escaped: bool,
    /// Of what stands between the quotes.
    pub(super) mark: Mark,
    /// The first byte of its value.
    pub(super) first: u8,
}

/// What tells most texts apart in one step: their length, and how they begin. Of texts as short as [`MARKED`] it tells all.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(u64);

/// A name that keys are compared with.
pub(super) struct Name {
    pub(super) text: &'static str,
    pub(super) mark: Mark,
}

impl Mark {
    pub(super) const fn of(text: &[u8]) -> Self {
        let (mut word, mut at) = ([0; WORD], 0);
        while at < MARKED && at < text.len() {
            word[at] = text[at];
            at += 1;
        }
        Self::new(word, text.len())
    }

    /// Of a text of which this is how it begins, whatever comes after it.
    #[inline]
    const fn new(word: [u8; WORD], length: usize) -> Self {
        let kept = if length < MARKED { length } else { MARKED };
        let length = if length < LENGTH_MAX { length } else { LENGTH_MAX } as u64;
        Self(u64::from_le_bytes(word) & ((1 << (8 * kept)) - 1) | length << (8 * MARKED))
    }

    /// The same of a text and of whatever differs from it only in the case of its letters; of some others too.
    pub(super) const fn folded(self) -> u64 {
        self.0 | repeated(b' ') >> 8
    }
}

impl Name {
    pub(super) const fn new(text: &'static str) -> Self {
        Self { text, mark: Mark::of(text.as_bytes()) }
    }
}

impl<'a> Key<'a> {
    /// Whether this is what it says.
    #[inline]
    pub(super) fn is(&self, name: &Name) -> bool {
        if self.escaped {
            return *self.says() == *name.text.as_bytes();
        }
        self.mark == name.mark && (name.text.len() <= MARKED || self.raw == name.text.as_bytes())
    }

    /// What it says. Bytes, because half a surrogate pair is no Unicode text and may still stand there.
    pub(super) fn says(&self) -> Cow<'a, [u8]> {
        if self.escaped { decoded(self.raw) } else { Cow::Borrowed(self.raw) }
    }
}

/// A string as it stands, quotes included.
#[derive(Clone, Copy)]
pub(super) struct Literal {
    pub(super) span: Span,
    pub(super) escaped: bool,
}

impl<'a> Cursor<'a> {
    /// At the first value of the text. `caps`: none, if the text passes on its bytes alone.
    pub(super) fn new(whole: &'a str, caps: Option<Caps>) -> Self {
        let free = Caps { depth_max: usize::MAX, elements_max: usize::MAX };
        let Caps { depth_max, elements_max } = caps.unwrap_or(free);
        let objects = SmallVec::new();
        let mut cursor =
            Self { whole, at: 0, depth: 0, depth_max, elements: 0, elements_max, breaks: false, objects };
        cursor.white();
        cursor
    }

    /// At the one value of any text; none, if that is too long for a place in it to be said.
    pub(super) fn over(text: &'a str) -> Option<Self> {
        u32::try_from(text.len()).ok().map(|_| Self::new(text, None))
    }

    /// At a value within the text.
    pub(super) fn at_place(whole: &'a str, start: u32) -> Self {
        let mut cursor = Self::new(whole, None);
        cursor.at = start as usize;
        cursor.white();
        cursor
    }

    pub(super) fn whole(&self) -> &'a str {
        self.whole
    }

    /// How many containers there are around this place.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// The first byte of what comes; 0 at the end.
    #[inline]
    pub(super) fn first(&self) -> u8 {
        self.whole.as_bytes().get(self.at).copied().unwrap_or_default()
    }

    /// Whether all that was passed by stands on one line for sure: within strings there is no raw line break.
    pub(super) fn is_on_one_line(&self) -> bool {
        !self.breaks
    }

    pub(super) fn at(&self) -> u32 {
        self.at as u32
    }

    /// From there to here.
    pub(super) fn since(&self, start: u32) -> Span {
        Span { start, end: self.at() }
    }

    /// Nothing but white space comes.
    pub(super) fn end(&mut self) -> Walk<()> {
        self.white();
        if self.at == self.whole.len() { Ok(()) } else { Err(Stop::Syntax) }
    }

    /// Passes over the value that comes.
    pub(super) fn skip(&mut self) -> Walk<Span> {
        let start = self.at();
        match self.first() {
            b'{' | b'[' => self.nested()?,
            b'"' => {
                self.element()?;
                self.literal()?;
            }
            _ => {
                self.element()?;
                self.scalar()?;
            }
        }
        Ok(self.since(start))
    }

    /// The same; where it stands, if it is a string.
    pub(super) fn string(&mut self) -> Walk<Option<Literal>> {
        if self.first() != b'"' {
            return self.skip().map(|_| None);
        }
        self.element()?;
        self.literal().map(Some)
    }

    /// The same, as it stands.
    pub(super) fn raw(&mut self) -> Walk<&'a str> {
        let span = self.skip()?;
        Ok(self.text(span))
    }

    /// Walks over the object that comes. `each` is at the value of its key, and must leave it behind.
    pub(super) fn object(&mut self, mut each: impl FnMut(&mut Self, Key<'a>) -> Walk<()>) -> Walk<()> {
        self.open(b'{')?;
        if self.ends(b'}') {
            return Ok(());
        }
        loop {
            let key = self.key()?;
            each(self, key)?;
            match self.after()? {
                b',' if self.first() == b'"' => {}
                b',' => self.white(),
                b'}' => break,
                _ => return Err(Stop::Syntax),
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Walks over the array that comes. `each` is at an element, and must leave it behind.
    pub(super) fn array(&mut self, mut each: impl FnMut(&mut Self) -> Walk<()>) -> Walk<()> {
        self.open(b'[')?;
        if self.ends(b']') {
            return Ok(());
        }
        loop {
            each(self)?;
            match self.after()? {
                b',' => self.white(),
                b']' => break,
                _ => return Err(Stop::Syntax),
            }
        }
        self.depth -= 1;
        Ok(())
    }

    pub(super) fn text(&self, span: Span) -> &'a str {
        self.whole.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    #[inline]
    fn white(&mut self) {
        while let byte @ (b' ' | b'\t' | b'\n' | b'\r') = self.first() {
            self.breaks |= byte != b' ';
            self.at += 1;
        }
    }

    /// One more value.
    fn element(&mut self) -> Walk<()> {
        self.elements += 1;
        if self.elements > self.elements_max { Err(Stop::Over(Over::Elements)) } else { Ok(()) }
    }

    fn open(&mut self, bracket: u8) -> Walk<()> {
        if self.first() != bracket {
            return Err(Stop::Syntax);
        }
        self.element()?;
        self.deeper()?;
        self.white();
        Ok(())
    }

    fn deeper(&mut self) -> Walk<()> {
        self.at += 1;
        self.depth += 1;
        if self.depth > self.depth_max { Err(Stop::Over(Over::Depth)) } else { Ok(()) }
    }

    /// Whether a container ends that has just been opened.
    fn ends(&mut self, bracket: u8) -> bool {
        let ends = self.first() == bracket;
        if ends {
            self.at += 1;
            self.depth -= 1;
        }
        ends
    }

    /// What follows a value.
    #[inline]
    fn after(&mut self) -> Walk<u8> {
        self.white();
        let byte = self.first();
        self.at += 1;
        Ok(byte)
    }

    /// A key, and on to its value.
    #[inline]
    fn key(&mut self) -> Walk<Key<'a>> {
        let (text, start) = (self.whole.as_bytes(), self.at);
        if self.first() == b'"' {
            let begins = text.get(start + 1..).and_then(|rest| rest.first_chunk::<WORD>());
            let end = plain_end(text, start + 1);
            // As most keys stand.
            if let (Some([b'"', b':', first, ..]), Some(raw)) = (text.get(end..), text.get(start + 1..end))
                && *first > b' '
                && let Some(begins) = begins
            {
                self.at = end + 2;
                let span = Span { start: start as u32, end: end as u32 + 1 };
                let mark = Mark::new(*begins, raw.len());
                return Ok(Key { span, raw, escaped: false, mark, first: *first });
            }
        }
        self.odd_key()
    }

    fn odd_key(&mut self) -> Walk<Key<'a>> {
        let Literal { span, escaped } = self.literal()?;
        self.colon()?;
        let raw =
            self.whole.as_bytes().get(span.start as usize + 1..span.end as usize - 1).unwrap_or_default();
        Ok(Key { span, raw, escaped, mark: Mark::of(raw), first: self.first() })
    }

    fn colon(&mut self) -> Walk<()> {
        self.white();
        if self.first() != b':' {
            return Err(Stop::Syntax);
        }
        self.at += 1;
        self.white();
        Ok(())
    }

    /// Passes over a container and all within it.
    fn nested(&mut self) -> Walk<()> {
        let floor = self.depth;
        loop {
            self.element()?;
            match self.first() {
                b'{' => {
                    self.enter(true)?;
                    if !self.ends(b'}') {
                        self.literal()?;
                        self.colon()?;
                        continue;
                    }
                }
                b'[' => {
                    self.enter(false)?;
                    if !self.ends(b']') {
                        continue;
                    }
                }
                b'"' => {
                    self.literal()?;
                }
                _ => self.scalar()?,
            }
            // A value is over, and perhaps some of those around it.
            loop {
                if self.depth == floor {
                    return Ok(());
                }
                match (self.after()?, self.in_object()) {
                    (b',', in_object) => {
                        self.white();
                        if in_object {
                            self.literal()?;
                            self.colon()?;
                        }
                        break;
                    }
                    (b'}', true) | (b']', false) => self.depth -= 1,
                    _ => return Err(Stop::Syntax),
                }
            }
        }
    }

    fn enter(&mut self, is_object: bool) -> Walk<()> {
        self.deeper()?;
        let (word, bit) = (self.depth / 64, 1u64 << (self.depth % 64));
        if word >= self.objects.len() {
            self.objects.resize(word + 1, 0);
        }
        if let Some(word) = self.objects.get_mut(word) {
            *word = if is_object { *word | bit } else { *word & !bit };
        }
        self.white();
        Ok(())
    }

    fn in_object(&self) -> bool {
        self.objects.get(self.depth / 64).is_some_and(|word| word & (1 << (self.depth % 64)) != 0)
    }

    /// Passes over a string.
    #[inline]
    fn literal(&mut self) -> Walk<Literal> {
        if self.first() != b'"' {
            return Err(Stop::Syntax);
        }
        let start = self.at();
        self.at = plain_end(self.whole.as_bytes(), self.at + 1);
        if self.first() == b'"' {
            self.at += 1;
            return Ok(Literal { span: self.since(start), escaped: false });
        }
        self.escaped(start)
    }

    /// The rest of a string that is not plain.
    #[cold]
    fn escaped(&mut self, start: u32) -> Walk<Literal> {
        loop {
            match self.first() {
                b'"' => {
                    self.at += 1;
                    return Ok(Literal { span: self.since(start), escaped: true });
                }
                b'\\' => self.escape()?,
                _ => return Err(Stop::Syntax),
            }
            self.at = plain_end(self.whole.as_bytes(), self.at);
        }
    }

    fn escape(&mut self) -> Walk<()> {
        let rest = self.whole.as_bytes().get(self.at + 1..).unwrap_or_default();
        self.at += match rest {
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            [b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) => 6,
            _ => return Err(Stop::Syntax),
        };
        Ok(())
    }

    fn scalar(&mut self) -> Walk<()> {
        let rest = self.whole.as_bytes().get(self.at..).unwrap_or_default();
        let length = match rest {
            [b'-' | b'0'..=b'9', ..] => number(rest).ok_or(Stop::Syntax)?,
            [b't', b'r', b'u', b'e', ..] | [b'n', b'u', b'l', b'l', ..] => 4,
            [b'f', b'a', b'l', b's', b'e', ..] => 5,
            _ => return Err(Stop::Syntax),
        };
        self.at += length;
        Ok(())
    }
}

/// How long the number is with which a text begins.
fn number(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    // As most numbers are.
    if let [b'1'..=b'9', ..] = text {
        let end = text.iter().position(|byte| !byte.is_ascii_digit());
        if let Some(end) = end.filter(|end| !matches!(text.get(*end), Some(b'.' | b'e' | b'E'))) {
            return Some(end);
        }
    }
    let first = usize::from(text.first() == Some(&b'-'));
    let mut at = match text.get(first)? {
        b'0' => first + 1,
        b'1'..=b'9' => digits(first),
        _ => return None,
    };
    if text.get(at) == Some(&b'.') {
        let end = digits(at + 1);
        if end == at + 1 {
            return None;
        }
        at = end;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let end = digits(at + 1 + sign);
        if end == at + 1 + sign {
            return None;
        }
        at = end;
    }
    Some(at)
}

/// Where the plain part of a string ends that goes on at `at`: at a quote, a backslash, a control character, or the end.
#[inline]
fn plain_end(text: &[u8], at: usize) -> usize {
    // Most strings are short,
    if let Some(word) = text.get(at..).and_then(|rest| rest.first_chunk::<WORD>()) {
        let found = ends(u64::from_le_bytes(*word));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
    }
    plain_end_beyond(text, at)
}

fn plain_end_beyond(text: &[u8], at: usize) -> usize {
    // and blocks pay for long ones only.
    let mut at = match end_in_words(text, at, SHORT / WORD) {
        Ok(end) => return end,
        Err(at) => at,
    };
    while let Some(block) = text.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>())
        && !has_end(block)
    {
        at += BLOCK;
    }
    end_in_words(text, at, BLOCK / WORD).unwrap_or_else(|at| {
        let rest = text.get(at..).unwrap_or_default();
        at + rest.iter().take_while(|byte| !is_end(**byte)).count()
    })
}

/// The same, if it ends in one of so many words; else, where the next begins.
#[inline]
fn end_in_words(text: &[u8], mut at: usize, words_max: usize) -> Result<usize, usize> {
    let mut rest = text.get(at..).unwrap_or_default();
    for _ in 0..words_max {
        let Some((word, more)) = rest.split_first_chunk::<WORD>() else { break };
        let found = ends(u64::from_le_bytes(*word));
        if found != 0 {
            return Ok(at + found.trailing_zeros() as usize / 8);
        }
        at += WORD;
        rest = more;
    }
    Err(at)
}

/// Whether a plain part ends in a block. Without a branch in it, so that many bytes are looked at with one instruction.
fn has_end(block: &[u8; BLOCK]) -> bool {
    // 0 for a control character and a quote, which are what is up to 0x20 once that one bit is turned, and for a backslash.
    let left = |byte: u8| (byte ^ 2).saturating_sub(0x20).min(byte ^ b'\\');
    block.iter().fold(u8::MAX, |least, byte| least.min(left(*byte))) == 0
}

/// Whether a text is a JSON string as a whole, and says what stands there.
pub(super) fn is_plain_string(text: &str) -> bool {
    match text.as_bytes() {
        [b'"', .., b'"'] => plain_end(text.as_bytes(), 1) == text.len() - 1,
        _ => false,
    }
}

fn is_end(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// Marks the bytes of a word at which a plain part ends. Only the lowest mark is to be relied on.
fn ends(word: u64) -> u64 {
    let control = word.wrapping_sub(repeated(0x20)) & !word & repeated(0x80);
    control | zeros(word ^ repeated(b'"')) | zeros(word ^ repeated(b'\\'))
}

fn zeros(word: u64) -> u64 {
    word.wrapping_sub(repeated(1)) & !word & repeated(0x80)
}

const fn repeated(byte: u8) -> u64 {
    u64::from_le_bytes([byte; WORD])
}

const WORD: usize = 8;
/// As many bytes of a text are in its mark, and no longer a length.
const MARKED: usize = WORD - 1;
const LENGTH_MAX: usize = u8::MAX as usize;
const BLOCK: usize = 128;
/// A string up to this is looked through word by word.
const SHORT: usize = 48;

/// What an escaped key says.
#[cold]
fn decoded(raw: &[u8]) -> Cow<'_, [u8]> {
    struct Says(Vec<u8>);
    impl<'de> Deserialize<'de> for Says {
        fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
            struct Bytes;
            impl Visitor<'_> for Bytes {
                type Value = Says;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a string")
                }
                fn visit_bytes<E: Error>(self, says: &[u8]) -> Result<Says, E> {
                    Ok(Says(says.to_vec()))
                }
            }
            reader.deserialize_bytes(Bytes)
        }
    }
    let literal = ["\"", std::str::from_utf8(raw).unwrap_or_default(), "\""].concat();
    serde_json::from_str::<Says>(&literal).map_or(Cow::Borrowed(raw), |says| Cow::Owned(says.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn is_json(text: &str) -> bool {
        let mut cursor = Cursor::new(text, None);
        cursor.skip().and_then(|_| cursor.end()).is_ok()
    }

    /// The same by the other way of walking.
    fn walks(cursor: &mut Cursor<'_>) -> Walk<()> {
        match cursor.first() {
            b'{' => cursor.object(|cursor, _| walks(cursor)),
            b'[' => cursor.array(walks),
            _ => cursor.skip().map(|_| ()),
        }
    }

    fn agrees(text: &str) {
        let theirs = serde_json::from_str::<&RawValue>(text).is_ok();
        assert_eq!(is_json(text), theirs, "{text:?}");
        let mut cursor = Cursor::new(text, None);
        assert_eq!(walks(&mut cursor).and_then(|()| cursor.end()).is_ok(), theirs, "{text:?}");
    }

    #[test]
    fn what_is_json_is_taken_and_nothing_else() {
        for text in [
            "0",
            "-0",
            "01",
            "-",
            "1.",
            "1.0",
            ".5",
            "1e5",
            "1E+5",
            "1e-",
            "1e",
            "--1",
            "+1",
            "1.5e3x",
            "0x1",
            "00",
            "true",
            "tru",
            "truex",
            "nul",
            "null",
            "fals",
            "false",
            "NaN",
            "Infinity",
            "",
            " ",
            "\"",
            "\"a\"",
            "\"\\\"",
            "\"\\n\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12aG\"",
            "\"\\u12aF\"",
            "\"\\ud800\"",
            "\"\n\"",
            "\"\u{1f}\"",
            "\"\u{7f}\"",
            "\"é😀\"",
            "[",
            "]",
            "[]",
            "[ ]",
            "[,]",
            "[1,]",
            "[1 2]",
            "[1,2]",
            "{}",
            "{ }",
            "{,}",
            "{1:2}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1}",
            "{\"a\" : [ {\"b\" :\n1 } ] , \"c\":2}\r\n\t ",
            "{\"a\":1]",
            "[1}",
            "{}{}",
            "[[[[]]]]",
            "[[[]]",
            "{\"a\":{\"b\":{}}}",
            "{\"a\":{\"b\":{}}",
            "\u{feff}1",
            "[1]x",
            "\"a\\",
            "\"a\\u",
            "\u{a0}1",
        ] {
            agrees(text);
        }
    }

    #[test]
    fn a_string_may_end_anywhere() {
        for length in 0..400 {
            for end in ["\"", "\\\"\"", "\u{1f}\"", "é\"", "", "\\"] {
                agrees(&format!("\"{}{end}", "x".repeat(length)));
            }
        }
    }

    #[test]
    fn a_block_ends_where_a_byte_does() {
        for byte in 0..=u8::MAX {
            for at in [0, 1, 16, BLOCK - 1] {
                let mut block = [b'x'; BLOCK];
                block[at] = byte;
                assert_eq!(has_end(&block), is_end(byte), "{byte}");
            }
        }
    }

    #[test]
    fn depth_costs_little_memory() {
        let deep = format!("{}{}", "[{\"a\":".repeat(500_000) + "1", "}]".repeat(500_000));
        assert!(is_json(&deep));
        assert!(!is_json(&deep[..deep.len() - 1]));
    }

    #[test]
    fn caps_hold_whichever_way_is_walked() {
        let over = |text: &str, depth_max, elements_max| {
            let caps = Some(Caps { depth_max, elements_max });
            let skipped = Cursor::new(text, caps).skip().map(|_| ());
            assert_eq!(walks(&mut Cursor::new(text, caps)), skipped);
            skipped
        };
        let text = "[[1,\"[[\"],{\"a\":[]},{}]";
        assert_eq!(over(text, 3, 7), Ok(()));
        assert_eq!(over(text, 2, 7), Err(Stop::Over(Over::Depth)));
        assert_eq!(over(text, 3, 6), Err(Stop::Over(Over::Elements)));
    }

    proptest! {
        #[test]
        fn nearly_json_is_judged_alike(text in r#"([\[\]{},:"\\ 019.eE+\-]|true|null|"a"|"\\u00|[\x00-\x20]|é){0,24}"#) {
            agrees(&text);
        }

        #[test]
        fn values_of_any_shape_are_judged_alike(text in value(), cut in any::<prop::sample::Index>()) {
            agrees(&text);
            let cut = cut.index(text.len());
            if text.is_char_boundary(cut) {
                agrees(&text[..cut]);
            }
        }
    }

    fn value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<f64>().prop_map(|number| number.to_string()),
            any::<i64>().prop_map(|number| number.to_string()),
            any::<String>().prop_map(|text| crate::wire::members::quote(&text)),
        ];
        leaf.prop_recursive(6, 60, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6)
                    .prop_map(|items| format!("[{}]", items.join(" ,"))),
                prop::collection::vec((any::<String>(), inner), 0..6).prop_map(|members| {
                    let members = members
                        .iter()
                        .map(|(key, value)| format!("{}:{value}", crate::wire::members::quote(key)));
                    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
                }),
            ]
        })
    }
}
