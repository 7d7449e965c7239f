//! The result of `braid call`, `read` and `prompt`, as a terminal shows it.
//!
//! Text is shown as text, with what could steer the terminal made visible; bytes are only counted. What has a shape
//! that we do not know is shown as JSON, so that nothing is left out. `--format json` does not pass through here.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::indented::indented;
use super::printable;

/// The text of a result of `tools/call`, `resources/read` or `prompts/get`, told apart by their members. It ends
/// without a line end.
pub fn text(result_json: &str) -> String {
    let parts = match parse::<Shape<'_>>(result_json) {
        Some(Shape { content, structured: Some(structured), is_error, .. }) => {
            called(content.unwrap_or_default(), Some(structured), is_error)
        }
        Some(Shape { content: Some(blocks), is_error, .. }) => called(blocks, None, is_error),
        Some(Shape { contents: Some(contents), .. }) => {
            let heading = if contents.len() > 1 { Heading::Uri } else { Heading::None };
            contents.iter().map(|raw| resource(raw, heading)).collect()
        }
        Some(Shape { messages: Some(messages), description, .. }) => prompted(description, messages),
        Some(_) | None => vec![json(result_json)],
    };
    let lines: Vec<_> = parts.iter().map(|part| part.trim_end_matches('\n')).collect();
    lines.join("\n")
}

/// What the three results have, all of it optional: a server may leave out anything.
#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(borrow)]
    content: Option<Vec<&'a RawValue>>,
    #[serde(borrow, rename = "structuredContent")]
    structured: Option<&'a RawValue>,
    #[serde(rename = "isError")]
    is_error: Option<bool>,
    #[serde(borrow)]
    contents: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    messages: Option<Vec<&'a RawValue>>,
    description: Option<String>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    data: Option<String>,
    #[serde(rename = "mimeType")]
    mime_type: Option<String>,
    uri: Option<String>,
    name: Option<String>,
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Resource {
    uri: String,
    #[serde(rename = "mimeType")]
    mime_type: Option<String>,
    text: Option<String>,
    blob: Option<String>,
}

#[derive(Deserialize)]
struct Message<'a> {
    role: String,
    #[serde(borrow)]
    content: &'a RawValue,
}

#[derive(Clone, Copy)]
enum Heading {
    Uri,
    None,
}

/// Structured content stands as text as well, where a server follows 2025-11-25, server/tools; once is enough.
fn called(blocks: Vec<&RawValue>, structured: Option<&RawValue>, is_error: Option<bool>) -> Vec<String> {
    let says_it =
        blocks.iter().any(|raw| parse::<Block<'_>>(raw.get()).is_some_and(|block| block.kind == "text"));
    let mark = (is_error == Some(true)).then(|| "✗ the tool reports an error".to_owned());
    let structured = structured.filter(|_| !says_it).map(|raw| json(raw.get()));
    mark.into_iter().chain(blocks.into_iter().map(block)).chain(structured).collect()
}

fn prompted(description: Option<String>, messages: Vec<&RawValue>) -> Vec<String> {
    let description = description.map(|text| printable::text(&text).into_owned());
    let messages = messages.into_iter().map(|raw| match parse::<Message<'_>>(raw.get()) {
        Some(message) => format!("{}: {}", printable::line(&message.role), block(message.content)),
        None => json(raw.get()),
    });
    description.into_iter().chain(messages).collect()
}

fn block(raw: &RawValue) -> String {
    let Some(block) = parse::<Block<'_>>(raw.get()) else { return json(raw.get()) };
    let kind = block.kind.as_str();
    match (kind, &block) {
        ("text", Block { text: Some(text), .. }) => printable::text(text).into_owned(),
        ("image" | "audio", Block { data: Some(data), mime_type, .. }) => {
            bytes(mime_type.as_deref().unwrap_or(kind), data)
        }
        ("resource_link", Block { uri: Some(uri), name, .. }) => match name {
            Some(name) => format!("{} — {}", printable::line(uri), printable::line(name)),
            None => printable::line(uri).into_owned(),
        },
        ("resource", Block { resource: Some(inner), .. }) => resource(inner, Heading::Uri),
        _ => json(raw.get()),
    }
}

fn resource(raw: &RawValue, heading: Heading) -> String {
    let Some(resource) = parse::<Resource>(raw.get()) else { return json(raw.get()) };
    let shown = match (&resource.text, &resource.blob) {
        (Some(text), None) => printable::text(text).into_owned(),
        (None, Some(blob)) => bytes(resource.mime_type.as_deref().unwrap_or("blob"), blob),
        (None, None) | (Some(_), Some(_)) => return json(raw.get()),
    };
    match heading {
        Heading::Uri => format!("{}:\n{shown}", printable::line(&resource.uri)),
        Heading::None => shown,
    }
}

fn bytes(kind: &str, base64: &str) -> String {
    let letters = base64.bytes().filter(|letter| !letter.is_ascii_whitespace() && *letter != b'=').count();
    let kind = printable::line(kind);
    match letters * 3 / 4 {
        1 => format!("[{kind}, 1 byte]"),
        count => format!("[{kind}, {count} bytes]"),
    }
}

fn json(raw: &str) -> String {
    match serde_json::from_str::<&RawValue>(raw) {
        Ok(json) => printable::text(&indented(json.get())).into_owned(),
        Err(_) => printable::text(raw).into_owned(),
    }
}

/// A derived struct would also accept an array, member by member.
fn parse<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    serde_json::from_str(json).ok().filter(|_| json.trim_start().starts_with('{'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shows(result: &str, lines: &[&str]) {
        assert_eq!(text(result), lines.join("\n"), "{result}");
    }

    #[test]
    fn blocks_are_shown_by_their_kind() {
        shows(
            r#"{"content":[
                {"type":"text","text":"two\nlines\n"},
                {"type":"image","data":"aGVsbG8=","mimeType":"image/png"},
                {"type":"audio","data":"YQ=="},
                {"type":"resource_link","uri":"note://tea","name":"tea"},
                {"type":"resource_link","uri":"note://x"},
                {"type":"resource","resource":{"uri":"note://a","text":"inside"}},
                {"type":"resource","resource":{"uri":"note://b","mimeType":"a/b","blob":"aGVs\nbG8gdA=="}}
            ]}"#,
            &[
                "two",
                "lines",
                "[image/png, 5 bytes]",
                "[audio, 1 byte]",
                "note://tea — tea",
                "note://x",
                "note://a:",
                "inside",
                "note://b:",
                "[a/b, 7 bytes]",
            ],
        );
    }

    #[test]
    fn structured_content_is_shown_where_no_text_says_it() {
        let structured = r#""structuredContent":{"sum":5,"a":1.0}"#;
        shows(&format!(r#"{{"content":[{{"type":"text","text":"five"}}],{structured}}}"#), &["five"]);
        let pretty = ["{", "  \"sum\": 5,", "  \"a\": 1.0", "}"];
        shows(&format!(r#"{{"content":[],{structured}}}"#), &pretty);
        shows(&format!("{{{structured}}}"), &pretty);
    }

    #[test]
    fn an_error_of_the_tool_is_marked() {
        shows(
            r#"{"isError":true,"content":[{"type":"text","text":"no wood"}]}"#,
            &["✗ the tool reports an error", "no wood"],
        );
        shows(r#"{"isError":true,"content":[]}"#, &["✗ the tool reports an error"]);
        shows(r#"{"isError":false,"content":[]}"#, &[""]);
    }

    #[test]
    fn one_resource_is_its_text_and_several_have_headings() {
        shows(r#"{"contents":[{"uri":"a:1","text":"x\n"}]}"#, &["x"]);
        shows(
            r#"{"contents":[{"uri":"a:1","mimeType":"image/png","blob":"aGVsbG8="}]}"#,
            &["[image/png, 5 bytes]"],
        );
        shows(
            r#"{"contents":[{"uri":"a:1","text":"x"},{"uri":"a:2","blob":""}]}"#,
            &["a:1:", "x", "a:2:", "[blob, 0 bytes]"],
        );
    }

    #[test]
    fn messages_say_who_speaks() {
        shows(
            r#"{"description":"A plan","messages":[
                {"role":"user","content":{"type":"text","text":"Plan."}},
                {"role":"assistant","content":{"type":"image","data":"","mimeType":"image/png"}}
            ]}"#,
            &["A plan", "user: Plan.", "assistant: [image/png, 0 bytes]"],
        );
    }

    #[test]
    fn nothing_steers_the_terminal() {
        let shown = text(
            r#"{"content":[
                {"type":"text","text":"\u001b[2J\u0007"},
                {"type":"image","data":"","mimeType":"\u001b]0;x\n"},
                {"type":"resource_link","uri":"\u001b","name":"\u009b"},
                {"type":"\u001b","text":"x"}
            ],"x":"y"}"#,
        );
        assert!(shown.chars().all(|letter| !letter.is_control() || letter == '\n'), "{shown:?}");
        assert!(text("{\"content\":[{\"type\":\"\u{9b}\"}]}").contains("\\u{9b}"));
    }

    #[test]
    fn what_we_do_not_know_is_shown_as_json() {
        shows(r#"{"task":{"taskId":"7"}}"#, &["{", "  \"task\": {", "    \"taskId\": \"7\"", "  }", "}"]);
        shows(
            r#"{"content":[{"type":"hologram","n":1.0}]}"#,
            &["{", "  \"type\": \"hologram\",", "  \"n\": 1.0", "}"],
        );
        shows(
            r#"{"content":[7,{"type":"text"},{"type":"image"}]}"#,
            &["7", "{", "  \"type\": \"text\"", "}", "{", "  \"type\": \"image\"", "}"],
        );
        for result in ["7", "[]", "\"x\"", "null", "[[],null,null,null,null,null]", "{}", r#"{"content":7}"#]
        {
            assert!(!text(result).is_empty());
        }
        shows("not json", &["not json"]);
    }

    proptest::proptest! {
        #[test]
        fn any_result_is_shown_and_steers_nothing(word in ".{0,20}", kind in "text|image|resource|resource_link|x") {
            let word = serde_json::to_string(&word).unwrap();
            let block = format!(
                r#"{{"type":"{kind}","text":{word},"data":{word},"uri":{word},"name":{word},"resource":{{"uri":{word},"blob":{word}}}}}"#
            );
            for result in [
                word.clone(),
                format!(r#"{{"content":[{block},{word}]}}"#),
                format!(r#"{{"contents":[{block},{word}]}}"#),
                format!(r#"{{"messages":[{{"role":{word},"content":{block}}}],"description":{word}}}"#),
            ] {
                let shown = text(&result);
                assert!(shown.chars().all(|letter| !letter.is_control() || matches!(letter, '\n' | '\t')));
            }
        }
    }
}
