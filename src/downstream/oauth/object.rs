//! A JSON object that says nothing twice.
//!
//! Readers disagree about which of two members counts, so a token with two is read by one as another's: it is no object
//! here (RFC 7515, 4; RFC 7519, 4). Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::wire::members::{elements, members, string};

/// Its members by name, each as it stands.
#[derive(Debug)]
pub(super) struct Object(BTreeMap<String, String>);

/// A member is of another kind than its reader must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Odd;

impl Object {
    /// `None`: it is no object, or one with two members of one name.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let mut all = BTreeMap::new();
        for member in members(str::from_utf8(text).ok()?)? {
            if all.insert(member.key.into_owned(), member.value.to_owned()).is_some() {
                return None;
            }
        }
        Some(Self(all))
    }

    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<Cow<'_, str>>, Odd> {
        self.raw(name).map(|raw| string(raw).ok_or(Odd)).transpose()
    }

    /// Seconds since 1970 (RFC 7519, 2, NumericDate).
    pub(super) fn seconds(&self, name: &str) -> Result<Option<f64>, Odd> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        let seconds: f64 = raw.parse().map_err(|_| Odd)?;
        (0.0..SECONDS_MAX).contains(&seconds).then_some(Some(seconds)).ok_or(Odd)
    }

    /// A list of texts, or one alone in place of it.
    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<Cow<'_, str>>>, Odd> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        let each = match string(raw) {
            Some(one) => vec![one],
            None => {
                let all = elements(raw).ok_or(Odd)?.into_iter().map(string);
                all.collect::<Option<Vec<_>>>().ok_or(Odd)?
            }
        };
        Ok(Some(each))
    }
}

/// Nobody means a later year than 5138, and a clock can hold it.
const SECONDS_MAX: f64 = 1e11;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_twice_is_not_said() {
        for text in [
            r#"{"iss":"a","iss":"b"}"#,
            r#"{"iss":"a","\u0069ss":"a"}"#,
            "[]",
            "7",
            "",
            "{",
            r#"{"a":1}x"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
        ] {
            assert!(Object::read(text.as_bytes()).is_none(), "{text}");
        }
        assert!(Object::read(b"{\"a\":\"\xff\"}").is_none());
        assert!(Object::read(br#" {"a":{"b":1,"b":2}} "#).is_some(), "what lies deeper is nobody's");
    }

    #[test]
    fn members_are_of_their_kind_or_odd() {
        let text = r#"{"t":"a\u00e9","n":17.5,"big":1e99,"minus":-1,"l":["x","y"],"one":"z","mixed":["x",1],"null":null}"#;
        let object = Object::read(text.as_bytes()).unwrap();
        assert_eq!(object.text("t"), Ok(Some("aé".into())));
        assert_eq!(object.text("none"), Ok(None));
        assert_eq!(object.seconds("n"), Ok(Some(17.5)));
        assert_eq!(object.texts("l"), Ok(Some(vec!["x".into(), "y".into()])));
        assert_eq!(object.texts("one"), Ok(Some(vec!["z".into()])));
        for name in ["n", "l", "null"] {
            assert_eq!(object.text(name), Err(Odd), "{name}");
        }
        for name in ["t", "big", "minus", "null", "l"] {
            assert_eq!(object.seconds(name), Err(Odd), "{name}");
        }
        for name in ["mixed", "n", "null"] {
            assert_eq!(object.texts(name), Err(Odd), "{name}");
        }
    }
}
