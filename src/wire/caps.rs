//! How deep and how wide a text may be, counted before anyone builds anything of it.
//!
//! Tight loops over the bytes. They do not validate: a text that is no JSON gets some count and is
//! refused by the parser afterwards.

/// How much structure a text may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caps {
    /// Objects and arrays inside one another, the outermost included. 127 is what serde_json's own
    /// trees take, and so what many servers take.
    pub depth_max: usize,
    /// Values in all, the outermost included.
    pub elements_max: usize,
}

/// Which cap a text is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    Depth,
    Elements,
}

impl Caps {
    /// Counts, and says which cap is passed first.
    pub fn check(self, text: &str) -> Result<(), Over> {
        let bytes = text.as_bytes();
        // Brackets and commas within strings count here too, so these are bounds from above. They are
        // many times cheaper than the exact count, and nearly every message is within them.
        let count = |byte| memchr::memchr_iter(byte, bytes).count();
        let opened = count(b'[') + count(b'{');
        if opened > self.depth_max {
            self.check_depth(bytes)?;
        }
        if 1 + opened + count(b',') > self.elements_max {
            self.check_elements(bytes)?;
        }
        Ok(())
    }

    fn check_depth(self, bytes: &[u8]) -> Result<(), Over> {
        let mut depth = 0usize;
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            match byte {
                b'"' => at = string_end(bytes, at),
                b'[' | b'{' => {
                    depth += 1;
                    if depth > self.depth_max {
                        return Err(Over::Depth);
                    }
                }
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        Ok(())
    }

    fn check_elements(self, bytes: &[u8]) -> Result<(), Over> {
        let mut elements = 1usize;
        // True right after an opening bracket: the next value, if there is one, has no comma before it.
        let mut fresh = false;
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => continue,
                b']' | b'}' => fresh = false,
                b',' => elements += 1,
                _ => {
                    elements += usize::from(fresh);
                    fresh = matches!(byte, b'[' | b'{');
                    if byte == b'"' {
                        at = string_end(bytes, at);
                    }
                }
            }
            if elements > self.elements_max {
                return Err(Over::Elements);
            }
        }
        Ok(())
    }
}

impl Default for Caps {
    fn default() -> Self {
        Self { depth_max: 127, elements_max: 100_000 }
    }
}

/// The index after the closing quote of the string whose first byte is at `at`, or the end of the text.
///
/// Eight bytes at a time by hand: most strings are too short for a search routine to pay.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ repeated(b'"')) | zeros(word ^ repeated(b'\\'));
        if found == 0 {
            at += 8;
            continue;
        }
        at += found.trailing_zeros() as usize / 8;
        match bytes.get(at) {
            Some(b'"') => return at + 1,
            _ => at += 2,
        }
    }
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn repeated(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The high bit of each byte that is zero. Only the lowest one set is to be relied on.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(repeated(1)) & !word & repeated(0x80)
}

#[cfg(test)]
#[expect(clippy::disallowed_types, reason = "the tree is the second opinion")]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn caps(depth_max: usize, elements_max: usize) -> Caps {
        Caps { depth_max, elements_max }
    }

    #[test]
    fn depth_ends_where_serde_json_ends() {
        for depth in [126, 127, 128, 129] {
            let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            assert_eq!(
                Caps::default().check(&text).is_ok(),
                serde_json::from_str::<Value>(&text).is_ok(),
                "{depth}"
            );
        }
    }

    #[test]
    fn brackets_within_strings_are_not_depth() {
        assert_eq!(caps(1, 2).check(r#"["[[[\"[[,,\\"]"#), Ok(()));
    }

    #[test]
    fn empty_containers_hold_nothing() {
        assert_eq!(caps(9, 4).check("[[], { } ,[\n]]"), Ok(()));
        assert_eq!(caps(9, 3).check("[[], { } ,[\n]]"), Err(Over::Elements));
    }

    #[test]
    fn broken_texts_end_the_count_too() {
        for text in ["", "\"", "\"\\", "]]]]", "[\"a\\\"", "{,,,}"] {
            let _ = Caps::default().check(text);
        }
    }

    fn count(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
            Value::Object(members) => 1 + members.values().map(count).sum::<usize>(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
        }
    }

    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
            Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        }
    }

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i32>().prop_map(Value::from),
            r#"([\[\]{}",\\]|.){0,20}"#.prop_map(Value::from)
        ];
        leaf.prop_recursive(5, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(".{0,3}", inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_count_is_the_trees_own(value in tree()) {
            let (elements, depth) = (count(&value), depth(&value));
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                prop_assert_eq!(caps(100, elements).check(&text), Ok(()));
                prop_assert_eq!(caps(100, elements - 1).check(&text), Err(Over::Elements));
                prop_assert_eq!(caps(depth, elements).check(&text), Ok(()));
                if depth > 0 {
                    prop_assert_eq!(caps(depth - 1, elements).check(&text), Err(Over::Depth));
                }
            }
        }
    }
}
