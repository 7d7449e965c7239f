//! How deep and how wide a text may be. Whoever walks over it with a cursor counts on the way.

use crate::wire::cursor::{Cursor, Stop};

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
    /// Counts, and says which cap is passed first. A text that is no JSON gets the count of what stands before its flaw.
    pub fn check(self, text: &str) -> Result<(), Over> {
        match Cursor::new(text, Some(self)).skip() {
            Err(Stop::Over(over)) => Err(over),
            Ok(_) | Err(Stop::Syntax) => Ok(()),
        }
    }
}

impl Default for Caps {
    fn default() -> Self {
        Self { depth_max: 127, elements_max: 100_000 }
    }
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
