//! A result that is longer than whoever reads it wants it, cut where that is.
//!
//! Text is cut between two letters, and says behind the cut what is missing and what to do. What cannot be cut, such as a
//! picture, is there as a whole or not at all. All else stays as it was written. What of a result must fit a schema is never
//! cut into: structured content that is too long is left out, and the result then says that it is an error, because a
//! client holds every other against the schema. It decides nothing of what is too long.

use crate::wire::members::{first_elements, member, quote, string};
use crate::wire::message::Span;
use crate::wire::prefix::{Measured, measured};
use crate::wire::splice::{member_cut, splice};
use bytes::Bytes;

/// How long a result may be.
#[derive(Debug, Clone, Copy)]
pub struct Cap<'a> {
    /// Of text, what it says in UTF-8; of all else, how it is written.
    pub bytes_max: usize,
    /// Where that is written.
    pub setting: &'a str,
}

/// What becomes of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Whole,
    /// Of the literal at this place within it only so much stays.
    Cut(Span),
    Out,
}

/// The items of a result, as far as they are looked at, and what becomes of each.
struct Items<'a> {
    items: Vec<(&'a str, Fate)>,
    /// Bytes that are left out, and of all.
    out: usize,
    whole: usize,
}

/// The result of a tool, cut; `None`: it fits, or it is none that can be cut.
pub fn called(result: &str, cap: Cap<'_>) -> Option<Bytes> {
    if result.len() <= cap.bytes_max {
        return None;
    }
    let content = member(result, "content");
    let items = content.and_then(|content| Items::of(content, cap.bytes_max, block_text));
    let structured = member(result, "structuredContent").filter(|it| it.len() > cap.bytes_max);
    let cut = items.as_ref().filter(|items| items.out > 0);
    if cut.is_none() && structured.is_none() {
        return None;
    }
    let note = note(cut, structured, cap);
    let mark = format!(r#"{{"type":"text","text":{}}}"#, quote(&note));
    let mut edits: Vec<(Span, Bytes)> = Vec::new();
    // What stands in the place of structured content.
    let mut instead = Vec::new();
    match (content.and_then(|content| Span::of(result, content)), &items) {
        (Some(place), Some(items)) => edits.push((place, items.text(&note, &mark))),
        (Some(_), None) => {}
        (None, _) => instead.push(format!(r#""content":[{mark}]"#)),
    }
    if let Some(structured) = structured {
        match member(result, "isError").and_then(|is_error| Span::of(result, is_error)) {
            Some(place) => edits.push((place, Bytes::from_static(b"true"))),
            None => instead.push(r#""isError":true"#.to_owned()),
        }
        let place = member_place(result, structured)?;
        edits.push(match instead.is_empty() {
            true => (member_cut(result.as_bytes(), place.start, place.end), Bytes::new()),
            false => (place, Bytes::from(instead.join(","))),
        });
    }
    Some(splice(result.as_bytes(), &mut edits))
}

/// What a resource holds, cut; `None`: it fits, or it is none that can be cut. What a client shows as a page is nothing
/// any more if it is cut, and is not.
pub fn read(result: &str, cap: Cap<'_>) -> Option<Bytes> {
    if result.len() <= cap.bytes_max {
        return None;
    }
    let contents = member(result, "contents")?;
    let items = Items::of(contents, cap.bytes_max, contents_text).filter(|items| items.out > 0)?;
    let uri = items.items.iter().find_map(|(item, _)| member(item, "uri")).filter(|uri| uri.starts_with('"'));
    let note = note(Some(&items), None, cap);
    let mark =
        format!(r#"{{"uri":{},"mimeType":"text/plain","text":{}}}"#, uri.unwrap_or("\"\""), quote(&note));
    let place = Span::of(result, contents)?;
    Some(splice(result.as_bytes(), &mut [(place, items.text(&note, &mark))]))
}

impl<'a> Items<'a> {
    /// `text`: the literal of an item that may be cut. `None`: it is no array.
    fn of(array: &'a str, bytes_max: usize, text: fn(&'a str) -> Option<&'a str>) -> Option<Self> {
        let (found, rest) = first_elements(array, ITEMS_MAX)?;
        let mut items = Self { items: Vec::with_capacity(found.len()), out: 0, whole: 0 };
        let (mut left, mut is_cut) = (bytes_max, false);
        for item in found {
            let literal = text(item).filter(|_| !is_cut);
            let Measured { end, fits, whole } = match literal {
                Some(literal) => measured(literal, left),
                None => Measured { end: 0, fits: 0, whole: item.len() },
            };
            let fate = match literal.and_then(|literal| Span::of(item, literal)) {
                _ if !is_cut && whole <= left => Fate::Whole,
                Some(Span { start, end: close }) => {
                    is_cut = true;
                    Fate::Cut(Span { start: start + end as u32, end: close })
                }
                None => Fate::Out,
            };
            items.whole += whole;
            match fate {
                Fate::Whole => left -= whole,
                Fate::Cut(_) => items.out += whole - fits,
                Fate::Out => items.out += whole,
            }
            items.items.push((item, fate));
        }
        // A bracket is all that should come.
        let rest = rest.trim_start().strip_prefix(',').map(str::len).unwrap_or_default();
        items.out += rest;
        items.whole += rest;
        Some(items)
    }

    /// The array with what stays. The note stands behind the text that was cut, or else in an item of its own: `mark`.
    fn text(&self, note: &str, mark: &str) -> Bytes {
        let mut text = String::from("[");
        let mut is_noted = false;
        let mut put = |item: &[&str]| {
            if text.len() > 1 {
                text.push(',');
            }
            item.iter().for_each(|piece| text.push_str(piece));
        };
        for (item, fate) in &self.items {
            match fate {
                Fate::Whole => put(&[item]),
                Fate::Cut(gone) => {
                    let head = item.get(..gone.start as usize).unwrap_or_default();
                    let tail = item.get(gone.end as usize..).unwrap_or_default();
                    let note = quote(&format!("\n{note}"));
                    // It goes on in the literal that was begun.
                    put(&[head, note.get(1..).unwrap_or_default(), tail]);
                    is_noted = true;
                }
                Fate::Out => {}
            }
        }
        if !is_noted {
            put(&[mark]);
        }
        text.push(']');
        text.into()
    }
}

/// What is said to whoever reads it, most often a model.
fn note(cut: Option<&Items<'_>>, structured: Option<&str>, cap: Cap<'_>) -> String {
    let mut said = Vec::new();
    if let Some(Items { out, whole, .. }) = cut {
        said.push(format!("{out} of {whole} bytes of this result are left out"));
    }
    if let Some(structured) = structured {
        let bytes = structured.len();
        said.push(format!(
            "its structured content of {bytes} bytes is left out, and it is marked as an error for that alone"
        ));
    }
    format!(
        "[braid: {}, because `{}` is {} bytes. Ask for less, such as a page, a range or a filter; to get more at once, the setting must be raised.]",
        said.join("; "),
        cap.setting,
        cap.bytes_max
    )
}

/// The text of a block of content, or of the resource in it.
fn block_text(block: &str) -> Option<&str> {
    match string(member(block, "type")?)?.as_ref() {
        "text" => member(block, "text"),
        "resource" => member(block, "resource")
            .and_then(contents_text)
            .filter(|literal| Span::of(block, literal).is_some()),
        _ => None,
    }
    .filter(|literal| literal.starts_with('"'))
}

/// The text of a resource, unless it is a page of an app.
fn contents_text(contents: &str) -> Option<&str> {
    let uri = member(contents, "uri").and_then(string).unwrap_or_default();
    let is_page = uri.get(..3).is_some_and(|scheme| scheme.eq_ignore_ascii_case("ui:"));
    member(contents, "text").filter(|literal| !is_page && literal.starts_with('"'))
}

/// Where the member with this value stands, from its key to its end.
fn member_place(object: &str, value: &str) -> Option<Span> {
    let place = Span::of(object, value)?;
    let before = object.get(..place.start as usize)?.trim_end().strip_suffix(':')?.trim_end();
    // The key has no quote in it: it says a name that is known.
    let key = before.strip_suffix('"')?.rfind('"')?;
    Some(Span { start: key as u32, end: place.end })
}

/// Items of one result that are looked at; of one that is too long no more are kept.
const ITEMS_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SETTING: &str = "servers.s.max_result";

    fn cap(bytes_max: usize) -> Cap<'static> {
        Cap { bytes_max, setting: SETTING }
    }

    fn text(bytes: Option<Bytes>) -> Option<String> {
        bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// The result with its note shortened to what it is about.
    fn shown(result: &str, bytes_max: usize) -> Option<String> {
        let text = text(called(result, cap(bytes_max)))?;
        let because = format!(
            ", because `{SETTING}` is {bytes_max} bytes. Ask for less, such as a page, a range or a filter; to get more at once, the setting must be raised.]"
        );
        Some(text.replace(&because, "]").replace(" bytes of this result are left out", ""))
    }

    #[test]
    fn what_fits_passes_as_it_is() {
        for result in [
            r#"{"content":[{"type":"text","text":"0123456789"}]}"#,
            r#"{"content":[]}"#,
            "{}",
            r#"{"content":7,"x":"0123456789"}"#,
            "7",
        ] {
            assert_eq!(called(result, cap(10)), None, "{result}");
        }
        assert_eq!(
            called(
                r#"{"content":[{"type":"text","text":"\u00e9\n\ud83d\ude00abc"}],"structuredContent":{}}"#,
                cap(10)
            ),
            None
        );
    }

    #[test]
    fn text_is_cut_between_two_letters_and_all_else_is_as_it_was() {
        let result = r#"{ "_meta" : {"n":1.0} ,"content":[ {"annotations":{},"text":"aé漢😀\n\u00e9z","type":"text","x":[1]} ],"isError" : false}"#;
        for (bytes_max, kept, out) in [
            (0, "", 14),
            (1, "a", 13),
            (2, "a", 13),
            (3, "aé", 11),
            (6, "aé漢", 8),
            (9, "aé漢", 8),
            (10, "aé漢😀", 4),
            (11, r"aé漢😀\n", 3),
            (12, r"aé漢😀\n", 3),
            (13, r"aé漢😀\n\u00e9", 1),
        ] {
            assert_eq!(
                shown(result, bytes_max).unwrap(),
                format!(
                    r#"{{ "_meta" : {{"n":1.0}} ,"content":[{{"annotations":{{}},"text":"{kept}\n[braid: {out} of 14]","type":"text","x":[1]}}],"isError" : false}}"#
                ),
                "{bytes_max}"
            );
        }
        assert_eq!(shown(result, 14), None);
    }

    #[test]
    fn the_cap_is_for_all_items_together_and_nothing_comes_behind_the_cut() {
        let result = r#"{"content":[{"type":"text","text":"12345"},{"type":"text","text":"67890"},{"type":"text","text":""},{"type":"resource_link","uri":"a:b"}]}"#;
        assert_eq!(
            shown(result, 7).unwrap(),
            r#"{"content":[{"type":"text","text":"12345"},{"type":"text","text":"67\n[braid: 64 of 71]"}]}"#
        );
        // At the last item: it is no text, and left out as a whole.
        assert_eq!(
            shown(result, 45).unwrap(),
            r#"{"content":[{"type":"text","text":"12345"},{"type":"text","text":"67890"},{"type":"text","text":""},{"type":"text","text":"[braid: 36 of 46]"}]}"#
        );
        assert_eq!(shown(result, 46), None);
        let last = r#"{"content":[{"type":"text","text":"12345"},{"type":"text","text":"6789é"}]}"#;
        assert_eq!(
            shown(last, 10).unwrap(),
            r#"{"content":[{"type":"text","text":"12345"},{"type":"text","text":"6789\n[braid: 2 of 11]"}]}"#
        );
    }

    #[test]
    fn what_cannot_be_cut_is_there_or_is_not() {
        let picture = format!(r#"{{"type":"image","data":"{}","mimeType":"image/png"}}"#, "A".repeat(100));
        let result = format!(r#"{{"content":[{picture},{{"type":"text","text":"small"}},{picture}]}}"#);
        assert_eq!(
            shown(&result, 50).unwrap(),
            format!(
                r#"{{"content":[{{"type":"text","text":"small"}},{{"type":"text","text":"[braid: {} of {}]"}}]}}"#,
                2 * picture.len(),
                2 * picture.len() + 5
            )
        );
        // A resource's text is cut, a page of an app is not.
        let held = |uri: &str| {
            format!(
                r#"{{"content":[{{"type":"resource","resource":{{"uri":"{uri}","text":"{}"}}}}]}}"#,
                "b".repeat(30)
            )
        };
        assert_eq!(
            shown(&held("a:b"), 4).unwrap(),
            r#"{"content":[{"type":"resource","resource":{"uri":"a:b","text":"bbbb\n[braid: 26 of 30]"}}]}"#
        );
        assert!(
            shown(&held("UI://x"), 4).unwrap().starts_with(r#"{"content":[{"type":"text","text":"[braid: "#)
        );
    }

    #[test]
    fn structured_content_is_whole_or_left_out_and_then_nobody_holds_the_result_against_a_schema() {
        let left = r#"[braid: its structured content of 24 bytes is left out, and it is marked as an error for that alone]"#;
        let mark = format!(r#"{{"type":"text","text":"{left}"}}"#);
        for (result, expected) in [
            (
                r#"{"content":[{"type":"text","text":"ab"}],"structuredContent":{"k":"0123456789012345"},"x":1}"#,
                format!(r#"{{"content":[{{"type":"text","text":"ab"}},{mark}],"isError":true,"x":1}}"#),
            ),
            (
                r#"{ "structured\u0043ontent" : {"k":"0123456789012345"} , "isError":false,"content":[]}"#,
                format!(r#"{{  "isError":true,"content":[{mark}]}}"#),
            ),
            (
                r#"{"structuredContent":{"k":"0123456789012345"}}"#,
                format!(r#"{{"content":[{mark}],"isError":true}}"#),
            ),
        ] {
            assert_eq!(shown(result, 10).unwrap(), expected, "{result}");
            serde_json::from_str::<serde::de::IgnoredAny>(&text(called(result, cap(10))).unwrap()).unwrap();
        }
        let both = r#"{"content":[{"type":"text","text":"0123456789"}],"structuredContent":{"k":1}}"#;
        assert_eq!(
            shown(both, 7).unwrap(),
            r#"{"content":[{"type":"text","text":"0123456\n[braid: 3 of 10]"}],"structuredContent":{"k":1}}"#
        );
    }

    #[test]
    fn a_resource_is_cut_as_a_result_is() {
        let result = r#"{"contents":[{"uri":"a:b","mimeType":"text/x","text":"0123456789"},{"uri":"a:c","blob":"AAAA"}],"ttlMs":5}"#;
        let cut = text(read(result, cap(4))).unwrap();
        assert!(
            cut.starts_with(
                r#"{"contents":[{"uri":"a:b","mimeType":"text/x","text":"0123\n[braid: 33 of 37 bytes"#
            ),
            "{cut}"
        );
        assert!(cut.ends_with(r#"raised.]"}],"ttlMs":5}"#), "{cut}");
        let blob = format!(r#"{{"contents":[{{"uri":"a:c","blob":"{}"}}]}}"#, "A".repeat(99));
        let cut = text(read(&blob, cap(4))).unwrap();
        assert!(
            cut.starts_with(r#"{"contents":[{"uri":"a:c","mimeType":"text/plain","text":"[braid: "#),
            "{cut}"
        );
        let page = format!(r#"{{"contents":[{{"uri":"ui://a","text":"{}"}}]}}"#, "A".repeat(99));
        assert!(text(read(&page, cap(4))).is_none_or(|cut| !cut.contains("AAAA")), "whole or not at all");
    }

    #[test]
    fn a_result_of_any_number_of_items_is_looked_at_in_part() {
        let items = vec![r#"{"type":"text","text":"x"}"#; ITEMS_MAX + 10].join(",");
        let result = format!(r#"{{"content":[{items}]}}"#);
        let cut = text(called(&result, cap(ITEMS_MAX * 2))).unwrap();
        assert_eq!(cut.matches(r#""x"}"#).count(), ITEMS_MAX);
        assert!(cut.contains("bytes of this result are left out"));
    }

    #[test]
    fn what_has_an_odd_shape_passes_or_is_cut_and_stays_json() {
        for content in [
            r#"[{"type":"text","text":"0123456789","text":"0123456789"}]"#,
            r#"[{"type":"text","text":7},{"type":"text"},"0123456789",null]"#,
            r#"[[["0123456789"]]]"#,
            r#"{"type":"text","text":"0123456789"}"#,
            r#""0123456789""#,
            "null",
        ] {
            let result = format!(r#"{{"content":{content},"more":"0123456789"}}"#);
            if let Some(cut) = text(called(&result, cap(4))) {
                serde_json::from_str::<serde::de::IgnoredAny>(&cut).unwrap();
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_cut_is_json_and_no_longer_than_it_may_be(
            texts in proptest::collection::vec(any::<String>(), 0..5),
            bytes_max in 0_usize..64,
        ) {
            let items: Vec<_> = texts.iter().map(|text| format!(r#"{{"type":"text","text":{}}}"#, quote(text))).collect();
            let result = format!(r#"{{"content":[{}]}}"#, items.join(","));
            let whole: usize = texts.iter().map(String::len).sum();
            match text(called(&result, cap(bytes_max))) {
                None => prop_assert!(whole <= bytes_max),
                Some(cut) => {
                    prop_assert!(whole > bytes_max);
                    let content = member(&cut, "content").unwrap();
                    let (items, rest) = first_elements(content, 99).unwrap();
                    prop_assert_eq!(rest, "]");
                    let said: String = items.iter().filter_map(|item| string(member(item, "text").unwrap())).collect();
                    let (kept, _) = said.split_once("\n[braid: ").unwrap();
                    prop_assert!(kept.len() <= bytes_max && texts.concat().starts_with(kept));
                }
            }
        }
    }
}
