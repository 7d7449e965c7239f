//! JSON as it is walked over: members are met in the order in which they stand, and what nobody asks for is skipped.
//!
//! Owns where in a text it stands. It builds nothing, unescapes nothing and checks no more than it has to: both ends here
//! write names and tags without escapes, and what cannot be walked is `None`.

/// A place in a text.
#[derive(Debug, Clone)]
pub struct Walk<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// An object. For each member its name, without quotes; `each` must pass the value, and says by `None` that it wants no
    /// more.
    pub fn object(&mut self, mut each: impl FnMut(&mut Self, &'a [u8]) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.take(b'}').is_some() {
            return Some(());
        }
        loop {
            let name = self.string()?;
            self.take(b':')?;
            each(self, name)?;
            if self.take(b',').is_none() {
                return self.take(b'}');
            }
        }
    }

    /// An array; `each` must pass the element.
    pub fn array(&mut self, mut each: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(b'[')?;
        if self.take(b']').is_some() {
            return Some(());
        }
        loop {
            each(self)?;
            if self.take(b',').is_none() {
                return self.take(b']');
            }
        }
    }

    /// A string as it stands between its quotes.
    pub fn string(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let start = self.at;
        loop {
            let rest = self.text.get(self.at..)?;
            let found = memchr::memchr2(b'"', b'\\', rest)?;
            let end = self.at + found;
            if self.text.get(end) == Some(&b'"') {
                self.at = end + 1;
                return self.text.get(start..end);
            }
            self.at = end + 2;
        }
    }

    /// Any value, as it stands.
    pub fn value(&mut self) -> Option<&'a [u8]> {
        let first = self.peek()?;
        let start = self.at;
        match first {
            b'"' => {
                self.string()?;
            }
            b'{' | b'[' => self.pass_nest()?,
            _ => self.pass_plain(),
        }
        self.text.get(start..self.at).filter(|text| !text.is_empty())
    }

    /// The next byte that is no white space.
    pub fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.text.get(self.at) {
            if !byte.is_ascii_whitespace() {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn pass_nest(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.text.get(self.at)? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }

    fn pass_plain(&mut self) {
        while let Some(byte) = self.text.get(self.at) {
            if matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace() {
                return;
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Option<Vec<(String, String)>> {
        let mut found = Vec::new();
        Walk::new(text.as_bytes()).object(|walk, name| {
            let value = walk.value()?;
            let words = [name, value].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            let [name, value] = words;
            found.push((name, value));
            Some(())
        })?;
        Some(found)
    }

    #[test]
    fn members_come_in_their_order_and_as_they_stand() {
        let text = r#" { "a" : 1.50 , "b":"x\"}\\", "c":[{"d":"]"},[]] ,"e":null}"#;
        let found = members(text).unwrap();
        let expected = [("a", "1.50"), ("b", r#""x\"}\\""#), ("c", r#"[{"d":"]"},[]]"#), ("e", "null")];
        let expected: Vec<_> = expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_cut_off_is_none() {
        let text = r#"{"a":{"b":["c\"",{}]},"d":1}"#;
        for end in 0..text.len() {
            assert_eq!(members(&text[..end]), None, "{}", &text[..end]);
        }
        assert!(members(text).is_some());
        assert_eq!(members("{}"), Some(Vec::new()));
    }

    #[test]
    fn a_stray_end_is_none() {
        assert_eq!(members(r#"{"a":}"#), None);
        assert_eq!(members(r#"{"a":]"#), None);
        assert_eq!(members("]"), None);
    }
}
