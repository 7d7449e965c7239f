//! The members of one object, or the elements of one array, as text and in order.
//!
//! For the few places that look further than a message's head, and for edits that add or drop members.
//! What lies inside a member stays text, however deep.

use std::borrow::Cow;

use bytes::Bytes;

use crate::wire::caps::Caps;
use crate::wire::cursor::{Cursor, is_plain_string};
use crate::wire::message::Span;

/// One member of an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member<'a> {
    /// What the key says. A key that is no Unicode text (it holds half a surrogate pair) stands here
    /// with its escapes.
    pub key: Cow<'a, str>,
    /// The key as it stands, quotes included.
    pub key_raw: &'a str,
    /// The value as it stands, without white space around it.
    pub value: &'a str,
}

/// The members of an object in order, repeated ones included. `None` if the text is no JSON object.
pub fn members(object: &str) -> Option<Vec<Member<'_>>> {
    let mut members = Vec::new();
    let mut cursor = Cursor::over(object)?;
    let walk = cursor.object(|cursor, key| {
        let raw = cursor.text(key.span);
        let plain = || Cow::Borrowed(inner(raw));
        let says = match key.says() {
            Cow::Borrowed(_) => plain(),
            Cow::Owned(says) => String::from_utf8(says).map_or_else(|_| plain(), Cow::Owned),
        };
        members.push(Member { key: says, key_raw: raw, value: cursor.raw()? });
        Ok(())
    });
    walk.and_then(|()| cursor.end()).ok()?;
    Some(members)
}

/// The elements of an array in order. `None` if the text is no JSON array.
pub fn elements(array: &str) -> Option<Vec<&str>> {
    let mut elements = Vec::new();
    let mut cursor = Cursor::over(array)?;
    let walk = cursor.array(|cursor| {
        elements.push(cursor.raw()?);
        Ok(())
    });
    walk.and_then(|()| cursor.end()).ok()?;
    Some(elements)
}

/// The first elements of an array, no more than so many, and what comes behind them, brackets and commas included.
/// `None` if the text is no JSON array.
pub fn first_elements(array: &str, elements_max: usize) -> Option<(Vec<&str>, &str)> {
    let (mut elements, mut end) = (Vec::new(), 0);
    let mut cursor = Cursor::over(array)?;
    let walk = cursor.array(|cursor| {
        let element = cursor.raw()?;
        if elements.len() < elements_max {
            elements.push(element);
            end = cursor.at() as usize;
        }
        Ok(())
    });
    walk.and_then(|()| cursor.end()).ok()?;
    Some((elements, array.get(end..).unwrap_or_default()))
}

/// The value of the one member with this key. `None` if the text is no object, or if the key is missing
/// or stands there twice: then nobody can say which of the two its reader will take.
pub fn member<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let (mut found, mut twice) = (None, false);
    let mut cursor = Cursor::over(object)?;
    let walk = cursor.object(|cursor, at| {
        let value = cursor.raw()?;
        if *at.says() == *key.as_bytes() {
            twice |= found.replace(value).is_some();
        }
        Ok(())
    });
    walk.and_then(|()| cursor.end()).ok()?;
    found.filter(|_| !twice)
}

/// Every value of a member, should it stand there more than once. None if the text is no object.
pub fn each<'a>(object: &'a str, key: &str) -> impl Iterator<Item = &'a str> {
    let found = members(object).unwrap_or_default().into_iter();
    found.filter(move |member| member.key == key).map(|member| member.value)
}

/// Whether a reader that folds case may take one key for the other.
pub fn folds_alike(one: &str, other: &str) -> bool {
    one == other || fold(one).eq(fold(other))
}

/// By way of upper case, because `ſ` and `ı` are lower case already and still become `S` and `I`; and to
/// lower case first, because `ẞ` is upper case already and becomes `SS` only by way of `ß`.
pub(super) fn fold(text: &str) -> impl Iterator<Item = char> {
    let lower = text.chars().flat_map(char::to_lowercase);
    lower.flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

/// What a JSON string says; borrowed unless it is escaped. `None` if the text is no JSON string, or one
/// that is no Unicode text.
pub fn string(raw: &str) -> Option<Cow<'_, str>> {
    if is_plain_string(raw) {
        return Some(Cow::Borrowed(inner(raw)));
    }
    if !raw.starts_with('"') {
        return None;
    }
    serde_json::from_str::<String>(raw).ok().map(Cow::Owned)
}

/// The JSON string that says `text`.
pub fn quote(text: &str) -> String {
    // A string always has a JSON form; the empty one stands in for an error that cannot happen.
    serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned())
}

/// The literal `raw`, which says `said`, changed to say `new`: what is only added in front or taken away there
/// leaves the rest as it was written, escapes and all.
#[inline(never)]
pub fn requote(raw: &str, said: &str, new: &str) -> String {
    if let Some(added) = new.strip_suffix(said) {
        return prepend(raw, added);
    }
    match front_cut(raw, said, new).and_then(|front| raw.get(1 + front.len()..)) {
        Some(rest) => ["\"", rest].concat(),
        None => quote(new),
    }
}

/// The edit by which the literal at `place` says `new` and not `said`: as [`requote`], and what is only taken away in
/// front is cut.
pub fn renamed(place: Span, raw: &str, said: &str, new: &str) -> (Span, Bytes) {
    let end = front_cut(raw, said, new)
        .and_then(|front| u32::try_from(1 + front.len()).ok())
        .map(|length| place.start + length);
    match end {
        Some(end) => (Span { start: place.start + 1, end }, Bytes::new()),
        None => (place, requote(raw, said, new).into()),
    }
}

/// What is to be taken away in front of the literal `raw`, which says `said`, so that it says `new`; if that is all, and
/// stands there as it is.
fn front_cut<'a>(raw: &str, said: &'a str, new: &str) -> Option<&'a str> {
    let front = said.strip_suffix(new).filter(|front| !front.contains(['\\', '"']))?;
    inner(raw).starts_with(front).then_some(front)
}

/// The literal `raw` with `front` before whatever it says, even if that is no Unicode text.
pub fn prepend(raw: &str, front: &str) -> String {
    let mut literal = quote(front);
    literal.pop();
    literal + raw.strip_prefix('"').unwrap_or("\"")
}

/// Whether a tree may be built of this text.
pub fn within_tree_caps(text: &str, caps: Caps) -> bool {
    caps.check(text).is_ok()
}

/// A raw JSON string without its quotes.
pub(super) fn inner(raw: &str) -> &str {
    raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_only_gains_or_loses_a_front_keeps_its_escapes() {
        assert_eq!(requote(r#""a:\/\/\u0062""#, "a://b", "s+a://b"), r#""s+a:\/\/\u0062""#);
        assert_eq!(requote(r#""s+a:\/\/b""#, "s+a://b", "a://b"), r#""a:\/\/b""#);
        assert_eq!(requote(r#""\u0073+a""#, "s+a", "a"), r#""a""#);
        assert_eq!(requote(r#""ui:\/\/x""#, "ui://x", "ui://s/x"), r#""ui://s/x""#);
        let (span, new) = renamed(Span { start: 9, end: 20 }, r#""s+a:\/\/b""#, "s+a://b", "a://b");
        assert_eq!((span, &*new), (Span { start: 10, end: 12 }, &b""[..]));
        let (span, new) = renamed(Span { start: 9, end: 20 }, r#""\u0073+a""#, "s+a", "a");
        assert_eq!((span, &*new), (Span { start: 9, end: 20 }, &br#""a""#[..]));
        assert_eq!(requote(r#""\"x""#, "\"x", "\"\"x"), r#""\"\"x""#);
    }

    #[test]
    fn a_front_is_put_before_anything_that_is_said() {
        assert_eq!(prepend(r#""\ud800\/""#, "a\"b "), r#""a\"b \ud800\/""#);
        assert_eq!(prepend("\"\"", ""), "\"\"");
    }

    #[test]
    fn members_come_in_order_and_as_text() {
        let found =
            members(" { \"a\" : 1.0 , \"n\\u0061\":[ 1,2 ],\"\\ud800\":null, \"a\":\"\\/\"}\n").unwrap();
        let plain: Vec<_> = found.iter().map(|m| (m.key.as_ref(), m.key_raw, m.value)).collect();
        assert_eq!(
            plain,
            [
                ("a", "\"a\"", "1.0"),
                ("na", "\"n\\u0061\"", "[ 1,2 ]"),
                ("\\ud800", "\"\\ud800\"", "null"),
                ("a", "\"a\"", "\"\\/\""),
            ]
        );
    }

    #[test]
    fn what_is_no_object_has_no_members() {
        for text in ["", "[]", "{", "{}{}", "{\"a\"}", "null", "{\"a\":1,}", "{1:2}"] {
            assert_eq!(members(text), None, "{text}");
        }
        assert_eq!(members("{}"), Some(vec![]));
    }

    #[test]
    fn elements_come_in_order_and_as_text() {
        assert_eq!(elements(" [1.0, {\"a\":1} ,\"\\ud800\"]"), Some(vec!["1.0", "{\"a\":1}", "\"\\ud800\""]));
        assert_eq!(elements("[]"), Some(vec![]));
        for text in ["", "{}", "[", "[1,]", "[][]"] {
            assert_eq!(elements(text), None, "{text}");
        }
    }

    #[test]
    fn the_first_elements_come_with_the_text_behind_them() {
        assert_eq!(first_elements("[1, [2] ,3 ]", 2), Some((vec!["1", "[2]"], " ,3 ]")));
        assert_eq!(first_elements("[1]", 2), Some((vec!["1"], "]")));
        assert_eq!(first_elements("[1]", 0), Some((vec![], "[1]")));
        assert_eq!(first_elements("[1,]", 0), None);
    }

    #[test]
    fn a_member_that_stands_twice_is_nobodys() {
        assert_eq!(member(r#"{"a":1,"b":2}"#, "b"), Some("2"));
        assert_eq!(member(r#"{"\u0062":2}"#, "b"), Some("2"));
        assert_eq!(member(r#"{"b":1,"b":2}"#, "b"), None);
        assert_eq!(member(r#"{"a":1}"#, "b"), None);
    }

    #[test]
    fn a_string_is_borrowed_unless_escaped() {
        assert!(matches!(string("\"tools/call\""), Some(Cow::Borrowed("tools/call"))));
        assert_eq!(string(r#""tools\/call""#).as_deref(), Some("tools/call"));
        assert_eq!(string(r#""\ud83d\ude00""#).as_deref(), Some("😀"));
        for raw in ["", "a", "\"", "\"a", "1", r#""\ud800""#, "\"\n\"", "\"a\"b\""] {
            assert_eq!(string(raw), None, "{raw}");
        }
    }

    #[test]
    fn depth_is_no_matter_to_members() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(members(&deep).unwrap().len(), 1);
        assert!(!within_tree_caps(&deep, Caps::default()));
    }

    proptest! {
        #[test]
        fn quoting_can_be_undone(text in any::<String>()) {
            let quoted = quote(&text);
            let said = string(&quoted);
            prop_assert_eq!(said.as_deref(), Some(text.as_str()));
            prop_assert_eq!(memchr::memchr2(b'\n', b'\r', quoted.as_bytes()), None);
        }
    }
}
