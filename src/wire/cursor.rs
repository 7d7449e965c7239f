//! A place in a JSON text, and the ways on from it.
//!
//! Walks over values and builds nothing: who reads is told where keys and values stand, and passes over what it does not
//! want. Takes exactly what RFC 8259 calls JSON, at any depth without recursion of its own; bounds on depth and number of
//! values are counted on the way. What a string or a number means, others know.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;

use crate::wire::caps::{Caps, Over};
use crate::wire::message::Span;

/// Where we are in a text of less than 4 GiB.
pub(super) struct Cursor<'a> {
    whole: &'a str,
    at: usize,
    depth: usize,
    depth_max: usize,
    /// As many values may still come.
    elements_left: usize,
    /// White space other than blanks stood between tokens.
    breaks: bool,
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
    whole: &'a str,
    /// Where it stands, quotes included.
    pub(super) span: Span,
    /// What stands there is not what it says.
    pub(super) escaped: bool,
    /// Of what it says.
    pub(super) mark: Mark,
}

/// A value that was passed over.
#[derive(Clone, Copy)]
pub(super) struct Value {
    /// Where it stands, quotes included.
    pub(super) span: Span,
    pub(super) sort: Sort,
}

/// What a value is, as far as it shows in passing over it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sort {
    /// A string that says what stands there.
    Plain,
    /// A string with escapes.
    Escaped,
    /// A number without fraction and exponent.
    Integer,
    /// Any other number.
    Number,
    /// `true`, `false` or `null`.
    Word,
    /// An object or an array.
    Container,
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
        Self::new(u64::from_le_bytes(word), text.len())
    }

    /// Of a text of which this is how it begins, whatever comes after it.
    #[inline]
    const fn new(word: u64, length: usize) -> Self {
        let kept = if length < MARKED { length } else { MARKED };
        let length = if length < LENGTH_MAX { length } else { LENGTH_MAX } as u64;
        Self(word & ((1 << (8 * kept)) - 1) | length << (8 * MARKED))
    }

    /// The same of a text and of whatever differs from it only in the case of its letters; of some others too.
    #[inline]
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
    pub(super) fn is(self, name: &Name) -> bool {
        self.mark == name.mark && (name.text.len() <= MARKED || *self.says() == *name.text.as_bytes())
    }

    /// What it says. Bytes, because half a surrogate pair is no Unicode text and may still stand there.
    #[inline]
    pub(super) fn says(self) -> Cow<'a, [u8]> {
        if self.escaped { decoded(self.raw()) } else { Cow::Borrowed(self.raw()) }
    }

    /// Between the quotes, as it stands.
    #[inline]
    pub(super) fn raw(self) -> &'a [u8] {
        let (start, end) = (self.span.start as usize + 1, self.span.end as usize);
        self.whole.as_bytes().get(start..end.saturating_sub(1)).unwrap_or_default()
    }

    /// Whether what it says has more bytes.
    #[inline]
    pub(super) fn is_longer_than(self, bytes: usize) -> bool {
        let quoted = self.span.end.saturating_sub(self.span.start);
        quoted as usize > bytes + 2 && self.says().len() > bytes
    }
}

impl<'a> Cursor<'a> {
    /// At the first value of the text. `caps`: none, if the text passes on its bytes alone.
    pub(super) fn new(whole: &'a str, caps: Option<Caps>) -> Self {
        let free = Caps { depth_max: usize::MAX, elements_max: usize::MAX };
        let Caps { depth_max, elements_max: elements_left } = caps.unwrap_or(free);
        let mut cursor = Self { whole, at: 0, depth: 0, depth_max, elements_left, breaks: false };
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

    #[inline]
    pub(super) fn at(&self) -> u32 {
        self.at as u32
    }

    /// From there to here.
    #[inline]
    pub(super) fn since(&self, start: u32) -> Span {
        Span { start, end: self.at() }
    }

    /// Nothing but white space comes.
    pub(super) fn end(&mut self) -> Walk<()> {
        self.white();
        if self.at == self.whole.len() { Ok(()) } else { Err(Stop::Syntax) }
    }

    /// Passes over the value that comes.
    #[inline]
    pub(super) fn skip(&mut self) -> Walk<Value> {
        let start = self.at();
        let sort = self.pass()?;
        Ok(Value { span: self.since(start), sort })
    }

    /// The same, for who knows where it stands.
    pub(super) fn pass(&mut self) -> Walk<Sort> {
        match self.first() {
            b'{' | b'[' => self.nested(),
            _ => self.leaf(),
        }
    }

    /// The same, as it stands.
    pub(super) fn raw(&mut self) -> Walk<&'a str> {
        let value = self.skip()?;
        Ok(self.text(value.span))
    }

    /// Walks over the object that comes. `each` is at the value of its key, and must leave it behind.
    #[inline]
    pub(super) fn object(&mut self, each: impl FnMut(&mut Self, Key<'a>) -> Walk<()>) -> Walk<()> {
        if self.open(b'{')? { Ok(()) } else { self.members(each) }
    }

    /// Whether an object comes that begins like this, to the comma behind a value; if so, on to what is next in it.
    #[inline]
    pub(super) fn opens(&mut self, beginning: &str, values: usize) -> bool {
        let rest = self.whole.as_bytes().get(self.at..).unwrap_or_default();
        let opens = rest.starts_with(beginning.as_bytes());
        let opens = opens && self.depth < self.depth_max && self.elements_left >= values;
        if opens {
            self.depth = self.depth.wrapping_add(1);
            self.elements_left = self.elements_left.wrapping_sub(values);
            self.on(beginning.len());
        }
        opens
    }

    /// The rest of an object, from one of its keys on.
    #[inline]
    pub(super) fn members(&mut self, mut each: impl FnMut(&mut Self, Key<'a>) -> Walk<()>) -> Walk<()> {
        loop {
            let key = self.key()?;
            each(self, key)?;
            if self.is_over(b'}')? {
                return Ok(());
            }
        }
    }

    /// Walks over the array that comes. `each` is at an element, and must leave it behind.
    #[inline]
    pub(super) fn array(&mut self, mut each: impl FnMut(&mut Self) -> Walk<()>) -> Walk<()> {
        if self.open(b'[')? {
            return Ok(());
        }
        loop {
            each(self)?;
            if self.is_over(b']')? {
                return Ok(());
            }
            self.white();
        }
    }

    #[inline]
    pub(super) fn text(&self, span: Span) -> &'a str {
        self.whole.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// So many bytes on, which are there: no place in a text is near the last number.
    #[inline]
    fn on(&mut self, bytes: usize) {
        self.at = self.at.wrapping_add(bytes);
    }

    #[inline]
    fn white(&mut self) {
        if self.first() <= b' ' {
            // Most of it is one blank.
            if self.first() == b' ' {
                self.on(1);
                if self.first() > b' ' {
                    return;
                }
            }
            self.blanks();
        }
    }

    #[inline(never)]
    fn blanks(&mut self) {
        let rest = self.whole.as_bytes().get(self.at..).unwrap_or_default();
        let mut breaks = false;
        let blanks = rest.iter().take_while(|byte| {
            breaks |= matches!(byte, b'\t' | b'\n' | b'\r');
            matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
        });
        self.at = self.at.wrapping_add(blanks.count());
        self.breaks |= breaks;
    }

    /// One more value.
    #[inline]
    fn element(&mut self) -> Walk<()> {
        self.elements_left = self.elements_left.checked_sub(1).ok_or(Stop::Over(Over::Elements))?;
        Ok(())
    }

    /// Into the container that comes, and whether it is empty and thus left behind.
    #[inline]
    pub(super) fn open(&mut self, bracket: u8) -> Walk<bool> {
        if self.first() != bracket {
            return Err(Stop::Syntax);
        }
        self.element()?;
        if self.depth >= self.depth_max {
            return Err(Stop::Over(Over::Depth));
        }
        self.depth = self.depth.wrapping_add(1);
        self.on(1);
        self.white();
        let is_empty = self.first() == closing(bracket);
        if is_empty {
            self.on(1);
            self.depth = self.depth.wrapping_sub(1);
        }
        Ok(is_empty)
    }

    /// Behind a value: whether the container that this bracket closes is over. If not, on to what is next in it.
    #[inline]
    fn is_over(&mut self, bracket: u8) -> Walk<bool> {
        self.white();
        let byte = self.first();
        self.on(1);
        if byte == b',' {
            return Ok(false);
        }
        if byte != bracket {
            return Err(Stop::Syntax);
        }
        self.depth = self.depth.wrapping_sub(1);
        Ok(true)
    }

    /// A key, and on to its value.
    #[inline(always)]
    fn key(&mut self) -> Walk<Key<'a>> {
        let (text, start) = (self.whole.as_bytes(), self.at);
        let begins = text.get(start..).and_then(|rest| rest.first_chunk::<{ 1 + WORD }>());
        if let Some([b'"', word @ ..]) = begins {
            let word = u64::from_le_bytes(*word);
            let begin = start.wrapping_add(1);
            let (end, mark) = match ends(word) {
                0 => {
                    let end = plain_end_beyond(text, begin.wrapping_add(WORD));
                    (end, Mark::new(word, end.wrapping_sub(begin)))
                }
                found => (begin.wrapping_add(place(found)), Mark::new(word, place(found))),
            };
            // As most keys stand.
            if let Some([b'"', b':', ..]) = text.get(end..) {
                self.at = end.wrapping_add(2);
                self.white();
                let span = Span { start: start as u32, end: end.wrapping_add(1) as u32 };
                return Ok(Key { whole: self.whole, span, escaped: false, mark });
            }
        }
        let span = Span { start: start as u32, end: start as u32 };
        let mut odd = Key { whole: self.whole, span, escaped: false, mark: Mark::new(0, 0) };
        self.odd_key(&mut odd)?;
        Ok(odd)
    }

    /// Any key, white space before it included.
    #[inline(never)]
    fn odd_key(&mut self, key: &mut Key<'a>) -> Walk<()> {
        self.white();
        key.span.start = self.at();
        key.escaped = self.literal()? == Sort::Escaped;
        key.span = self.since(key.span.start);
        key.mark = Mark::of(&key.says());
        self.colon()
    }

    /// Passes over a key, and on to its value.
    #[inline(always)]
    fn pass_key(&mut self) -> Walk<()> {
        if self.first() != b'"' {
            self.white();
        }
        self.literal()?;
        if self.first() == b':' {
            self.on(1);
            self.white();
            return Ok(());
        }
        self.colon()
    }

    fn colon(&mut self) -> Walk<()> {
        self.white();
        if self.first() != b':' {
            return Err(Stop::Syntax);
        }
        self.on(1);
        self.white();
        Ok(())
    }

    /// Passes over a container and all within it.
    #[inline(never)]
    fn nested(&mut self) -> Walk<Sort> {
        let mut around = Around::default();
        loop {
            match self.first() {
                bracket @ (b'{' | b'[') => {
                    if !self.open(bracket)? {
                        around.enter(bracket == b'{');
                        if bracket == b'{' {
                            self.pass_key()?;
                        }
                        continue;
                    }
                }
                _ => {
                    self.leaf()?;
                }
            }
            // A value is over, and perhaps some of those around it.
            loop {
                if around.depth == 0 {
                    return Ok(Sort::Container);
                }
                let in_object = around.in_object();
                if !self.is_over(if in_object { b'}' } else { b']' })? {
                    if in_object {
                        self.pass_key()?;
                    } else {
                        self.white();
                    }
                    break;
                }
                around.leave();
            }
        }
    }

    /// Passes over a value that holds no others.
    #[inline(always)]
    fn leaf(&mut self) -> Walk<Sort> {
        self.element()?;
        match self.first() {
            b'"' => self.literal(),
            b'-' | b'0'..=b'9' => self.number(),
            _ => self.word(),
        }
    }

    /// Passes over a string.
    #[inline]
    fn literal(&mut self) -> Walk<Sort> {
        if self.first() != b'"' {
            return Err(Stop::Syntax);
        }
        self.at = plain_end(self.whole.as_bytes(), self.at.wrapping_add(1));
        if self.first() == b'"' {
            self.on(1);
            return Ok(Sort::Plain);
        }
        self.escaped()
    }

    /// The rest of a string that is not plain.
    #[cold]
    #[inline(never)]
    fn escaped(&mut self) -> Walk<Sort> {
        loop {
            match self.first() {
                b'"' => {
                    self.on(1);
                    return Ok(Sort::Escaped);
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

    /// Passes over a number.
    #[inline]
    fn number(&mut self) -> Walk<Sort> {
        // As most numbers are.
        let first = self.first();
        let rest = self.whole.as_bytes().get(self.at.wrapping_add(1)..).unwrap_or_default();
        let digits = digits(rest);
        let is_usual = first > b'0' || (first == b'0' && digits == 0);
        if is_usual && !matches!(rest.get(digits), Some(b'.' | b'e' | b'E')) {
            self.on(digits.wrapping_add(1));
            return Ok(Sort::Integer);
        }
        self.odd_number()
    }

    #[inline(never)]
    fn odd_number(&mut self) -> Walk<Sort> {
        let rest = self.whole.as_bytes().get(self.at..).unwrap_or_default();
        let (length, sort) = number(rest).ok_or(Stop::Syntax)?;
        self.at += length;
        Ok(sort)
    }

    #[inline(never)]
    fn word(&mut self) -> Walk<Sort> {
        let rest = self.whole.as_bytes().get(self.at..).unwrap_or_default();
        self.at += match rest {
            [b't', b'r', b'u', b'e', ..] | [b'n', b'u', b'l', b'l', ..] => 4,
            [b'f', b'a', b'l', b's', b'e', ..] => 5,
            _ => return Err(Stop::Syntax),
        };
        Ok(Sort::Word)
    }
}

/// What the containers around a place are, however many.
#[derive(Default)]
struct Around {
    depth: usize,
    /// One bit for each of the inner ones, the innermost lowest: it is an object.
    objects: u64,
    /// The same of those further out, so many to the word.
    outer: Vec<u64>,
}

impl Around {
    #[inline]
    fn enter(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(BITS) {
            self.outer.push(self.objects);
        }
        self.depth = self.depth.wrapping_add(1);
        self.objects = self.objects << 1 | u64::from(is_object);
    }

    #[inline]
    fn leave(&mut self) {
        self.depth = self.depth.wrapping_sub(1);
        self.objects >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(BITS) {
            self.objects = self.outer.pop().unwrap_or_default();
        }
    }

    #[inline]
    fn in_object(&self) -> bool {
        self.objects & 1 != 0
    }
}

fn closing(bracket: u8) -> u8 {
    if bracket == b'{' { b'}' } else { b']' }
}

/// How long the number is with which a text begins, and of which sort.
fn number(text: &[u8]) -> Option<(usize, Sort)> {
    let some_digits = |from: usize| match digits(text.get(from..).unwrap_or_default()) {
        0 => None,
        count => Some(from + count),
    };
    let first = usize::from(text.first() == Some(&b'-'));
    let (mut at, mut sort) = match text.get(first)? {
        b'0' => (first + 1, Sort::Integer),
        _ => (some_digits(first)?, Sort::Integer),
    };
    if text.get(at) == Some(&b'.') {
        (at, sort) = (some_digits(at + 1)?, Sort::Number);
    }
    if let Some(b'e' | b'E') = text.get(at) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        (at, sort) = (some_digits(at + 1 + sign)?, Sort::Number);
    }
    Some((at, sort))
}

/// With how many digits a text begins.
#[inline]
fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Where the plain part of a string ends that goes on at `at`: at a quote, a backslash, a control character, or the end.
#[inline]
fn plain_end(text: &[u8], at: usize) -> usize {
    // Most strings are short,
    match text.get(at..).and_then(|rest| rest.first_chunk::<WORD>()) {
        Some(word) => match ends(u64::from_le_bytes(*word)) {
            0 => plain_end_beyond(text, at.wrapping_add(WORD)),
            found => at.wrapping_add(place(found)),
        },
        None => plain_end_beyond(text, at),
    }
}

#[inline(never)]
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
            return Ok(at.wrapping_add(place(found)));
        }
        at = at.wrapping_add(WORD);
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
#[inline]
fn ends(word: u64) -> u64 {
    // Control characters and a quote are what is up to 0x20 once that one bit is turned.
    let low = (word ^ repeated(2)).wrapping_sub(repeated(0x21));
    let backslash = (word ^ repeated(b'\\')).wrapping_sub(repeated(1));
    (low | backslash) & !word & repeated(0x80)
}

/// Which byte of its word the lowest mark is at.
#[inline]
fn place(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
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
/// As many containers are told apart by one word.
const BITS: usize = u64::BITS as usize;

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
    fn a_word_ends_where_its_first_byte_does() {
        for byte in 0..=u8::MAX {
            for at in 0..WORD {
                // What comes behind it is as close to it as can be.
                for behind in [b'x', b'!', b'#', b']', b'"', byte.wrapping_add(1)] {
                    let mut word = [b'x'; WORD];
                    word[at..].fill(behind);
                    word[at] = byte;
                    let first = word.iter().position(|byte| is_end(*byte));
                    let found = ends(u64::from_le_bytes(word));
                    assert_eq!((found != 0).then(|| place(found)), first, "{word:?}");
                }
            }
        }
    }

    #[test]
    fn what_was_passed_over_is_told() {
        for (text, sort) in [
            (r#""""#, Sort::Plain),
            (r#""plain, and longer than two words""#, Sort::Plain),
            (r#""\/""#, Sort::Escaped),
            ("0", Sort::Integer),
            ("-0", Sort::Integer),
            ("-12", Sort::Integer),
            ("12345678901234567890", Sort::Integer),
            ("1.0", Sort::Number),
            ("0e1", Sort::Number),
            ("-1E+5", Sort::Number),
            ("true", Sort::Word),
            ("false", Sort::Word),
            ("null", Sort::Word),
            ("{}", Sort::Container),
            ("[1]", Sort::Container),
        ] {
            let value = Cursor::new(text, None).skip().unwrap();
            assert_eq!((value.span.end as usize, value.sort), (text.len(), sort), "{text}");
        }
    }

    #[test]
    fn a_known_beginning_counts_as_what_it_holds() {
        let (text, beginning) = (r#"{"a":1,"b":[]}"#, r#"{"a":1,"#);
        let read = |depth_max, elements_max| {
            let mut cursor = Cursor::new(text, Some(Caps { depth_max, elements_max }));
            if !cursor.opens(beginning, 2) {
                return cursor.skip().map(|_| ());
            }
            cursor.members(|cursor, _| cursor.pass().map(|_| ())).and_then(|()| cursor.end())
        };
        for depth_max in 0..4 {
            for elements_max in 0..5 {
                let caps = Some(Caps { depth_max, elements_max });
                let skipped = Cursor::new(text, caps).skip().map(|_| ());
                assert_eq!(read(depth_max, elements_max), skipped, "{depth_max} {elements_max}");
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
