//! Results, list items and notes fitted to what the client's revision knows.
//!
//! A server may have agreed on a later revision than its client. What the client's revision has no word for
//! is said in older words, or dropped where the rest says the same. Members that are merely unknown there
//! pass: no schema forbids them. Whatever is not converted stays as it is, byte by byte.
//!
//! To be called after URIs were mapped, since a link's URI ends up in text that nobody maps.

mod ask;

pub use ask::fit_ask;

use std::borrow::Cow;

use bytes::Bytes;
use memchr::memmem;

use super::method::Method;
use super::revision::Revision;
use crate::wire::members::{Member, elements, member, members, quote, string};
use crate::wire::message::Span;
use crate::wire::splice::splice;

/// The result of a request with this method, for a client of revision `to`. `None`: it fits as it is.
///
/// A text that is no JSON object fits too: it is not for this place to refuse it.
pub fn fit_result(method: Method, result_json: &str, to: Revision) -> Option<String> {
    if to > Revision::V2025_03_26 || !mentions_later_words(result_json, to) {
        return None;
    }
    if method == Method::ToolsCall {
        fit_tool_result(result_json, to)
    } else if method == Method::PromptsGet {
        fit_prompt(result_json, to)
    } else {
        None
    }
}

/// One item of the list that this method asks for, for a client of revision `to`, from a server that is spoken to in `of`.
/// `None`: it fits as it is.
///
/// Only tools ever need fitting: a client without structured results must not be told of an `outputSchema`,
/// since what it describes is dropped from the results; what a server of 2026-07-28 describes may be no object, which
/// it must be before that; and 2026-07-28 has no `execution`.
pub fn fit_item(list_method: &str, item_json: &str, to: Revision, of: Option<Revision>) -> Option<String> {
    if list_method != "tools/list" {
        return None;
    }
    match to {
        Revision::V2024_11_05 | Revision::V2025_03_26 => without(item_json, "outputSchema"),
        Revision::V2025_06_18 | Revision::V2025_11_25 => {
            of.filter(|of| of.is_modern()).and_then(|_| fit_output_schema(item_json))
        }
        Revision::V2026_07_28 => without(item_json, "execution"),
    }
}

/// A tool whose structured results are no objects, for a client that takes nothing else (2025-11-25, schema, Tool): the
/// schema is that of an object around them, as `era::bared` puts one around each. Where it would not hold there
/// word by word, or says of no one type, the tool loses it.
fn fit_output_schema(tool: &str) -> Option<String> {
    let all = members(tool)?;
    let schema = all.iter().find(|member| member.key == "outputSchema")?.value;
    let kind = member(schema, "type").and_then(string);
    match kind.as_deref() {
        Some("object") => None,
        // A result that is null is left so.
        Some("null") => without(tool, "outputSchema"),
        // A reference counts from the root.
        Some(_)
            if !["$ref", "$dynamicRef", "$recursiveRef", "\\u"].iter().any(|word| schema.contains(word)) =>
        {
            let mut edits = Edits::new(tool);
            let around =
                format!(r#"{{"type":"object","properties":{{"result":{schema}}},"required":["result"]}}"#);
            edits.replace(schema, around);
            edits.finish()
        }
        Some(_) | None => without(tool, "outputSchema"),
    }
}

/// The params of a notification, for a client of revision `to`. `None`: they fit as they are.
pub fn fit_note(method: &str, params_json: &str, to: Revision) -> Option<String> {
    if to > Revision::V2024_11_05 || method != "notifications/progress" {
        return None;
    }
    without(params_json, "message")
}

/// False if nothing needs conversion; costs one pass that builds nothing. Escapes may spell any word.
fn mentions_later_words(json: &str, to: Revision) -> bool {
    let words: &[&str] = match to {
        Revision::V2024_11_05 => &["structuredContent", "resource_link", "audio", "\\u"],
        Revision::V2025_03_26 => &["structuredContent", "resource_link", "\\u"],
        Revision::V2025_06_18 | Revision::V2025_11_25 | Revision::V2026_07_28 => &[],
    };
    words.iter().any(|word| memmem::find(json.as_bytes(), word.as_bytes()).is_some())
}

fn fit_tool_result(result: &str, to: Revision) -> Option<String> {
    let members = members(result)?;
    let mut edits = Edits::new(result);
    let mut content = None;
    let mut structured = None;
    for member in &members {
        match member.key.as_ref() {
            "content" => content = Some(Content::fit(member.value, to, &mut edits)),
            "structuredContent" if member.value != "null" => structured = Some(member),
            _ => {}
        }
    }
    let is_structured = |member: &Member<'_>| member.key == "structuredContent";
    let Some(structured) = structured.filter(|_| content.as_ref().is_none_or(|content| !content.says)) else {
        edits.remove(&members, is_structured);
        return edits.finish();
    };
    // Servers should say in text as well what they say structured (2025-06-18, server/tools, Structured
    // Content). This one said it nowhere else, and an older client sees nothing else.
    let text = text_block(structured.value);
    match content {
        Some(content) => {
            edits.remove(&members, is_structured);
            edits.insert(content.end, if content.is_empty { text } else { format!(",{text}") });
        }
        None => {
            edits.remove(&members, |member| is_structured(member) && !std::ptr::eq(member, structured));
            edits.replace(structured.key_raw, "\"content\"".to_owned());
            edits.replace(structured.value, format!("[{text}]"));
        }
    }
    edits.finish()
}

fn fit_prompt(result: &str, to: Revision) -> Option<String> {
    let mut edits = Edits::new(result);
    for messages in members(result)?.iter().filter(|member| member.key == "messages") {
        for message in elements(messages.value).unwrap_or_default() {
            for content in
                members(message).unwrap_or_default().iter().filter(|member| member.key == "content")
            {
                if let Some(block) = fit_block(content.value, to, 1) {
                    edits.replace(content.value, block);
                }
            }
        }
    }
    edits.finish()
}

/// The content of a tool's result, after its blocks were fitted.
struct Content<'a> {
    /// What comes after the last block.
    end: &'a str,
    is_empty: bool,
    /// There is more in it than links.
    says: bool,
}

impl<'a> Content<'a> {
    fn fit(array: &'a str, to: Revision, edits: &mut Edits<'a>) -> Self {
        let blocks = elements(array);
        // To content that is no list nothing can be added; it is left to the client.
        let mut says = blocks.is_none();
        let blocks = blocks.unwrap_or_default();
        for (place, block) in blocks.iter().enumerate() {
            says |= matches!(kind(block).as_deref(), Some("text" | "image" | "audio" | "resource"));
            if let Some(fitted) = fit_block(block, to, place + 1) {
                edits.replace(block, fitted);
            }
        }
        let end = array.get(array.len().saturating_sub(1)..).unwrap_or_default();
        Self { end, is_empty: blocks.is_empty(), says }
    }
}

/// `place` counts from 1 and tells the sounds of one result apart.
fn fit_block(block: &str, to: Revision, place: usize) -> Option<String> {
    match (kind(block)?.as_ref(), to) {
        ("resource_link", Revision::V2024_11_05 | Revision::V2025_03_26) => Some(link_as_text(block)),
        ("audio", Revision::V2024_11_05) => Some(sound_as_resource(block, place)),
        _ => None,
    }
}

/// What a client needs to know of a resource in order to read it: name, URI, type, and a line about it.
fn link_as_text(block: &str) -> String {
    const SAID: [&str; 8] = ["type", "uri", "name", "title", "description", "mimeType", "size", "icons"];
    let members = members(block).unwrap_or_default();
    let said = |key: &str| value(&members, key).and_then(string).filter(|said| !said.is_empty());
    let uri = said("uri").unwrap_or_default();
    let mut text = match said("title").or_else(|| said("name")) {
        Some(name) if name != uri => format!("{name}: {uri}"),
        _ => uri.into_owned(),
    };
    if let Some(kind) = said("mimeType") {
        text += &format!(" ({kind})");
    }
    if let Some(description) = said("description") {
        text += &format!("\n{description}");
    }
    format!("{{\"type\":\"text\",\"text\":{}{}}}", quote(&text), rest(&members, &SAID))
}

/// Sound as an embedded resource, which 2024-11-05 knows. Its URI is a label: a resource must have one.
fn sound_as_resource(block: &str, place: usize) -> String {
    const SAID: [&str; 3] = ["type", "data", "mimeType"];
    let members = members(block).unwrap_or_default();
    let Some(data) = value(&members, "data") else {
        return format!("{{\"type\":\"text\",\"text\":\"(sound without data)\"{}}}", rest(&members, &SAID));
    };
    let kind = value(&members, "mimeType").map(|kind| format!("\"mimeType\":{kind},")).unwrap_or_default();
    format!(
        "{{\"type\":\"resource\",\"resource\":{{\"uri\":\"audio:{place}\",{kind}\"blob\":{data}}}{}}}",
        rest(&members, &SAID)
    )
}

fn text_block(text: &str) -> String {
    format!("{{\"type\":\"text\",\"text\":{}}}", quote(text))
}

/// A content block's type.
fn kind(block: &str) -> Option<Cow<'_, str>> {
    string(value(&members(block)?, "type")?)
}

/// The member that a reader takes who lets the last of several win, as JavaScript does.
fn value<'a>(members: &[Member<'a>], key: &str) -> Option<&'a str> {
    members.iter().rev().find(|member| member.key == key).map(|member| member.value)
}

/// All members but those, as text that follows another member.
fn rest(members: &[Member<'_>], but: &[&str]) -> String {
    let kept = members.iter().filter(|member| !but.contains(&member.key.as_ref()));
    kept.map(|member| format!(",{}:{}", member.key_raw, member.value)).collect()
}

/// The object without a member. `None` if it is none, or has none such.
fn without(object: &str, key: &str) -> Option<String> {
    let mut edits = Edits::new(object);
    edits.remove(&members(object)?, |member| member.key == key);
    edits.finish()
}

/// Replacements of parts of one text; the rest is copied.
pub(super) struct Edits<'a> {
    text: &'a str,
    /// Never overlapping.
    made: Vec<(Span, Bytes)>,
}

impl<'a> Edits<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, made: Vec::new() }
    }

    /// `part` is a part of the text, not an equal text elsewhere.
    pub(super) fn replace(&mut self, part: &str, new: String) {
        let start = self.start(part);
        self.put(start, start + part.len(), new);
    }

    /// Puts `new` before `part`.
    fn insert(&mut self, part: &str, new: String) {
        let start = self.start(part);
        self.put(start, start, new);
    }

    /// Removes members of one object, each with one of the commas beside it.
    pub(super) fn remove(&mut self, members: &[Member<'_>], unwanted: impl Fn(&Member<'_>) -> bool) {
        // A member goes with the comma after it, except that those at the end go with the one before them.
        let kept = members.iter().rposition(|member| !unwanted(member));
        for (place, pair) in members.windows(2).enumerate() {
            let [member, next] = pair else { continue };
            if unwanted(member) && kept.is_some_and(|kept| place < kept) {
                self.put(self.start(member.key_raw), self.start(next.key_raw), String::new());
            }
        }
        let (Some(first), Some(last)) = (members.first(), members.last()) else { return };
        if !unwanted(last) {
            return;
        }
        let start = match kept.and_then(|kept| members.get(kept)) {
            Some(kept) => self.start(kept.value) + kept.value.len(),
            None => self.start(first.key_raw),
        };
        self.put(start, self.start(last.value) + last.value.len(), String::new());
    }

    /// `None` if there is nothing to change.
    pub(super) fn finish(mut self) -> Option<String> {
        if self.made.is_empty() {
            return None;
        }
        String::from_utf8(splice(self.text.as_bytes(), &mut self.made).into()).ok()
    }

    fn put(&mut self, start: usize, end: usize, new: String) {
        // A message is shorter than 4 GiB long before it comes here: `wire` refuses longer ones.
        if let (Ok(start), Ok(end)) = (start.try_into(), end.try_into()) {
            self.made.push((Span { start, end }, new.into()));
        }
    }

    fn start(&self, part: &str) -> usize {
        part.as_ptr().addr().saturating_sub(self.text.as_ptr().addr())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Revision::*;
    use super::*;

    fn call(result: &str, to: Revision) -> String {
        fit_result(Method::ToolsCall, result, to).unwrap_or_else(|| result.to_owned())
    }

    #[test]
    fn a_revision_that_knows_everything_gets_everything_as_it_is() {
        let result = r#"{"content":[{"type":"audio","data":"QQ==","mimeType":"audio/wav"},
            {"type":"resource_link","uri":"a:b","name":"n"}],"structuredContent":{"a":1}}"#;
        for to in [V2025_06_18, V2025_11_25] {
            assert_eq!(fit_result(Method::ToolsCall, result, to), None);
            let tool = r#"{"name":"a","outputSchema":{"type":"object"}}"#;
            assert_eq!(fit_item("tools/list", tool, to, Some(V2026_07_28)), None);
            assert_eq!(fit_note("notifications/progress", r#"{"message":"x"}"#, to), None);
        }
    }

    #[test]
    fn what_every_revision_knows_stays_as_it_is() {
        for result in [
            r#"{"content":[{"type":"text","text":"resource_link"},{"type":"image","data":"","mimeType":"x"}]}"#,
            r#"{"content":[],"isError":true,"title":"audio"}"#,
            r#"{"content":[{"type":"text","text":"\u0061"}]}"#,
            r#"{"content":"resource_link"}"#,
            r#"{"content":{"type":"resource_link"}}"#,
            r#"["resource_link"]"#,
            "resource_link",
            "",
        ] {
            assert_eq!(fit_result(Method::ToolsCall, result, V2024_11_05), None, "{result}");
            assert_eq!(fit_result(Method::PromptsGet, result, V2024_11_05), None, "{result}");
        }
        let read = r#"{"contents":[{"uri":"a:b","mimeType":"audio/wav","blob":"QQ=="}]}"#;
        assert_eq!(fit_result(Method::ResourcesRead, read, V2024_11_05), None);
    }

    #[test]
    fn sound_becomes_an_embedded_resource_for_2024() {
        let result = r#"{"content":[ {"annotations":{"priority":1.0}, "type":"audio","data":"QQ\u003d\u003d","mimeType":"audio/wav","x":[1, 2]} ,{"type":"text","text":"a"}],"y":1e2}"#;
        assert_eq!(
            call(result, V2024_11_05),
            r#"{"content":[ {"type":"resource","resource":{"uri":"audio:1","mimeType":"audio/wav","blob":"QQ\u003d\u003d"},"annotations":{"priority":1.0},"x":[1, 2]} ,{"type":"text","text":"a"}],"y":1e2}"#
        );
        assert_eq!(fit_result(Method::ToolsCall, result, V2025_03_26), None);
        assert_eq!(
            call(r#"{"content":[{"type":"audio"}]}"#, V2024_11_05),
            r#"{"content":[{"type":"text","text":"(sound without data)"}]}"#
        );
    }

    #[test]
    fn a_link_becomes_text_with_its_uri_until_2025_03() {
        let result = r#"{"content":[{"type":"resource_link","uri":"files+file:///r.pdf","name":"r.pdf","title":"The \"report\"","mimeType":"application/pdf","description":"Of the year","size":12,"_meta":{"k":1}}]}"#;
        for to in [V2024_11_05, V2025_03_26] {
            assert_eq!(
                call(result, to),
                r#"{"content":[{"type":"text","text":"The \"report\": files+file:///r.pdf (application/pdf)\nOf the year","_meta":{"k":1}}]}"#
            );
        }
        assert_eq!(
            call(r#"{"content":[{"type":"resource\u005flink","uri":"a:b"}]}"#, V2025_03_26),
            r#"{"content":[{"type":"text","text":"a:b"}]}"#
        );
    }

    #[test]
    fn structured_content_is_dropped_where_text_says_it_too() {
        for (result, expected) in [
            (
                r#"{"content":[{"type":"text","text":"{}"}],"structuredContent":{"a":1.0},"isError":false}"#,
                r#"{"content":[{"type":"text","text":"{}"}],"isError":false}"#,
            ),
            (
                r#"{"structuredContent":{"a":1.0}, "content":[{"type":"text","text":"{}"}]}"#,
                r#"{"content":[{"type":"text","text":"{}"}]}"#,
            ),
            (
                r#"{"content":[{"type":"text","text":"{}"}] , "structuredContent":{} , "structuredContent":{} }"#,
                r#"{"content":[{"type":"text","text":"{}"}] }"#,
            ),
            (r#"{"content":[],"structuredContent":null}"#, r#"{"content":[]}"#),
            (r#"{"structuredContent":null}"#, "{}"),
            (r#"{"content":"x","structuredContent":{}}"#, r#"{"content":"x"}"#),
        ] {
            assert_eq!(call(result, V2025_03_26), expected);
        }
    }

    #[test]
    fn structured_content_becomes_text_where_nothing_else_says_it() {
        for (result, expected) in [
            (
                r#"{"content":[],"structuredContent":{"a": 1.0}}"#,
                r#"{"content":[{"type":"text","text":"{\"a\": 1.0}"}]}"#,
            ),
            (
                r#"{"a":1,"structuredContent":[1],"b":2}"#,
                r#"{"a":1,"content":[{"type":"text","text":"[1]"}],"b":2}"#,
            ),
            (
                r#"{"structuredContent":[0],"structuredContent":[1]}"#,
                r#"{"content":[{"type":"text","text":"[1]"}]}"#,
            ),
        ] {
            assert_eq!(call(result, V2025_03_26), expected);
        }
    }

    #[test]
    fn a_picture_says_enough() {
        assert_eq!(
            call(
                r#"{"structuredContent":{"a":1},"content":[{"type":"image","data":"","mimeType":"x"} ],"b":2}"#,
                V2025_03_26
            ),
            r#"{"content":[{"type":"image","data":"","mimeType":"x"} ],"b":2}"#
        );
    }

    #[test]
    fn a_link_alone_does_not_say_what_is_structured() {
        assert_eq!(
            call(
                r#"{"content":[{"type":"resource_link","uri":"a:b","name":"a:b"}],"structuredContent":{}}"#,
                V2025_03_26
            ),
            r#"{"content":[{"type":"text","text":"a:b"},{"type":"text","text":"{}"}]}"#
        );
    }

    #[test]
    fn a_prompts_messages_are_fitted_one_by_one() {
        let result = r#"{"messages":[{"role":"user","content":{"type":"text","text":"x"}}, {"content":{"type":"audio","data":"QQ==","mimeType":"audio/wav"},"role":"user"},{"role":"user","content":{"type":"resource_link","uri":"a:b","name":"n"}}]}"#;
        assert_eq!(
            fit_result(Method::PromptsGet, result, V2024_11_05).unwrap(),
            r#"{"messages":[{"role":"user","content":{"type":"text","text":"x"}}, {"content":{"type":"resource","resource":{"uri":"audio:1","mimeType":"audio/wav","blob":"QQ=="}},"role":"user"},{"role":"user","content":{"type":"text","text":"n: a:b"}}]}"#
        );
    }

    #[test]
    fn results_that_are_no_objects_are_described_as_they_come() {
        let object = |inner: &str| {
            format!(r#"{{"type":"object","properties":{{"result":{inner}}},"required":["result"]}}"#)
        };
        let list = r#"{"items":{"type":"object"}, "type":"array"}"#;
        for (schema, fitted) in [
            (list, Some(object(list))),
            (r#"{"type":"number"}"#, Some(object(r#"{"type":"number"}"#))),
            (r##"{"type":"array","items":{"$ref":"#/$defs/a"},"$defs":{"a":{}}}"##, None),
            (r##"{"type":"array","items":{"\u0024ref":"#"}}"##, None),
            (r#"{"type":["array","object"]}"#, None),
            (r#"{"type":"null"}"#, None),
            (r#"{"anyOf":[{"type":"object"}]}"#, None),
            ("{}", None),
        ] {
            let tool = format!(r#"{{"name":"a","outputSchema":{schema},"x":1.0}}"#);
            let fitted = match fitted {
                Some(fitted) => tool.replace(schema, &fitted),
                None => r#"{"name":"a","x":1.0}"#.to_owned(),
            };
            for to in [V2025_06_18, V2025_11_25] {
                let fit = |of| fit_item("tools/list", &tool, to, of);
                assert_eq!(fit(Some(V2026_07_28)).as_ref(), Some(&fitted), "{tool}");
                assert_eq!(fit(Some(V2025_11_25)), None, "{tool}");
            }
            assert_eq!(fit_item("tools/list", &tool, V2026_07_28, Some(V2026_07_28)), None);
        }
    }

    #[test]
    fn a_tool_loses_its_output_schema_and_nothing_else() {
        let tool = r#"{"name":"a","title":"A","inputSchema":{"type":"object"},"outputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}"#;
        assert_eq!(
            fit_item("tools/list", tool, V2025_03_26, Some(V2025_11_25)).unwrap(),
            r#"{"name":"a","title":"A","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}"#
        );
        assert_eq!(
            fit_item("tools/list", r#"{"name":"outputSchema"}"#, V2024_11_05, Some(V2025_11_25)),
            None
        );
        assert_eq!(fit_item("prompts/list", tool, V2024_11_05, Some(V2025_11_25)), None);
    }

    #[test]
    fn a_progress_note_loses_its_message_for_2024() {
        let params = r#"{"progressToken":7,"progress":1.50,"message":"half"}"#;
        assert_eq!(
            fit_note("notifications/progress", params, V2024_11_05).unwrap(),
            r#"{"progressToken":7,"progress":1.50}"#
        );
        assert_eq!(fit_note("notifications/progress", params, V2025_03_26), None);
        assert_eq!(fit_note("notifications/message", params, V2024_11_05), None);
    }

    fn json_text() -> impl Strategy<Value = String> {
        let kind = prop_oneof![
            Just("text"),
            Just("audio"),
            Just("resource_link"),
            Just("r\\u0065source_link"),
            Just("image")
        ];
        let member = prop_oneof![
            4 => kind.prop_map(|kind| format!("\"type\":\"{kind}\"")),
            1 => Just("\"data\" : \"QQ==\"".to_owned()),
            1 => Just("\"uri\":\"a:\\u00e9\\ud800\"".to_owned()),
            1 => Just("\"name\":1.0".to_owned()),
        ];
        let block =
            prop::collection::vec(member, 0..4).prop_map(|members| format!("{{{}}}", members.join(" , ")));
        let content =
            prop::collection::vec(block, 0..4).prop_map(|blocks| format!("[{} ]", blocks.join(",")));
        let outer = prop_oneof![
            3 => content.prop_map(|content| format!("\"content\": {content}")),
            2 => Just("\"structuredContent\" :{\"a\":[1]}".to_owned()),
            1 => Just("\"structuredContent\":null".to_owned()),
            1 => Just("\"other\":12345678901234567890.50".to_owned()),
        ];
        prop::collection::vec(outer, 0..5).prop_map(|members| format!("{{ {} }}", members.join(" ,")))
    }

    proptest! {
        #[test]
        fn what_was_fitted_is_json_and_fits(result in json_text(), old in any::<bool>()) {
            let to = if old { V2024_11_05 } else { V2025_03_26 };
            if let Some(fitted) = fit_result(Method::ToolsCall, &result, to) {
                prop_assert!(members(&fitted).is_some(), "{}", fitted);
                prop_assert_eq!(fit_result(Method::ToolsCall, &fitted, to), None);
                let count = |text: &str| text.matches("12345678901234567890.50").count();
                prop_assert_eq!(count(&result), count(&fitted));
            }
        }

        #[test]
        fn no_text_is_too_odd(text in any::<String>()) {
            for method in [Method::ToolsCall, Method::PromptsGet] {
                let _ = fit_result(method, &format!("resource_link{text}"), V2024_11_05);
                let _ = fit_result(method, &text, V2024_11_05);
            }
            let _ = fit_item("tools/list", &text, V2024_11_05, Some(V2025_11_25));
            let _ = fit_note("notifications/progress", &text, V2024_11_05);
        }
    }
}
