//! Parsing: any text is accepted or refused, and what is said of an accepted one is true.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mcp_braid::wire::glimpse::readable_id;
use mcp_braid::wire::members::{member, members, string};
use mcp_braid::wire::message::{BadMessage, Caps, Head, Message, Outcome, Params, Span, Text, batch};
use mcp_braid::wire::splice::{Splice, splice};
use serde_json::value::RawValue;

fuzz_target!(|input: &[u8]| {
    let text = Bytes::copy_from_slice(input);
    let server = Message::parse_server(text.clone());
    let client = Message::parse_client(text.clone(), Caps { depth_max: 16, elements_max: 64 });
    if let Some(Ok(elements)) = batch(&text, 4) {
        assert!(!elements.is_empty() && elements.len() <= 4);
        assert!(elements.iter().all(|element| is_json(element)));
        assert!(server.is_err());
    }
    match (server, client) {
        (Ok(server), Ok(client)) => {
            assert_eq!(server.head(), client.head());
            accepted(&server);
        }
        (Ok(server), Err(bad)) => {
            // Only the caps tell the two apart.
            assert_eq!(bad.code(), -32600);
            assert!(bad.id.is_none() || bad.id == server.id());
            accepted(&server);
        }
        (Err(bad), Err(_)) => refused(input, &bad),
        (Err(bad), Ok(_)) => panic!("a client may not say what a server may not: {bad}"),
    }
});

fn accepted(message: &Message) {
    let text = message.str(Span { start: 0, end: message.text().len() as u32 });
    assert!(text.starts_with('{') && text.ends_with('}') && is_json(message.text()));
    let mut spans = Vec::new();
    match message.head() {
        Head::Request { id, method, params } => {
            assert_eq!(message.id().expect("a valid id").as_str(), message.str(*id));
            assert_eq!(member(text, "id"), Some(message.str(*id)));
            spans.push(*id);
            check_method(message, method, &mut spans);
            check_params(message, params, &mut spans);
        }
        Head::Notification { method, params } => {
            assert!(message.id().is_none() && member(text, "id").is_none());
            check_method(message, method, &mut spans);
            check_params(message, params, &mut spans);
        }
        Head::Response { id, outcome } => {
            spans.extend(*id);
            match outcome {
                Outcome::Result { value, places } => {
                    assert!(id.is_some());
                    assert_eq!(member(text, "result"), Some(message.str(*value)));
                    for uri in places.uris.iter().chain(&places.next_cursor) {
                        assert!(value.start < uri.span().start && uri.span().end < value.end);
                        check_text(message, uri, &mut spans);
                    }
                }
                Outcome::Error { value, uri, .. } => {
                    assert_eq!(member(text, "error"), Some(message.str(*value)));
                    if let Some(uri) = uri {
                        check_text(message, uri, &mut spans);
                    }
                }
            }
        }
    }
    for span in &spans {
        assert!(is_json(message.str(*span).as_bytes()), "{span:?}");
        assert_eq!(message.slice(*span), message.str(*span));
    }
    check_splice(message, spans);
}

fn check_method(message: &Message, method: &Text, spans: &mut Vec<Span>) {
    assert_eq!(message.method(), Some(method.as_str(message)));
    check_text(message, method, spans);
}

fn check_params(message: &Message, params: &Params, spans: &mut Vec<Span>) {
    let text = message.str(Span { start: 0, end: message.text().len() as u32 });
    let object = params.object.or(params.null).map(|span| message.str(span));
    assert_eq!(member(text, "params"), object);
    let in_params = |key| object.and_then(|object| member(object, key));
    for (key, found) in [("name", &params.name), ("uri", &params.uri), ("cursor", &params.cursor)] {
        if let Some(found) = found {
            assert_eq!(in_params(key), Some(message.str(found.span())));
            check_text(message, found, spans);
        }
    }
    for (key, found) in [
        ("requestId", params.request_id),
        ("progressToken", params.progress_token),
        ("progress", params.progress),
        ("_meta", params.meta.as_ref().map(|meta| meta.object).or(params.meta_null)),
    ] {
        assert_eq!(in_params(key), found.map(|span| message.str(span)));
    }
    if let Some(meta) = &params.meta {
        let in_meta = |key| member(message.str(meta.object), key);
        assert_eq!(in_meta("progressToken"), meta.progress_token.map(|span| message.str(span)));
        spans.extend(meta.progress_token);
    }
    // No member may stand twice where routing looks.
    for object in [Some(text), params.object.map(|span| message.str(span))].into_iter().flatten() {
        let members = members(object).expect("an object");
        let mut keys: Vec<_> = members.iter().filter_map(|member| string(member.key_raw)).collect();
        keys.sort();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]));
    }
    // What a member is added to stays a message, unless that makes a rival of a key that was none.
    let lower = text.to_lowercase();
    let rival = params.meta.is_none() && params.meta_null.is_none() && lower.contains("_meta");
    if !rival && !text.contains("x-fuzz") && !text.contains('\\') && text.is_ascii() {
        let edit = message.meta_member("\"x-fuzz\"", "[1]");
        let more = Message::parse_server(splice(message.text(), &mut [edit])).expect("still a message");
        let meta = more.params().and_then(|params| params.meta.as_ref()).expect("a meta");
        assert_eq!(member(more.str(meta.object), "x-fuzz"), Some("[1]"));
    }
}

/// A text says what an independent reader takes it for.
fn check_text(message: &Message, text: &Text, spans: &mut Vec<Span>) {
    let said: String = serde_json::from_str(message.str(text.span())).expect("a string");
    assert_eq!(text.as_str(message), said);
    spans.push(text.span());
}

/// Replacing every span by itself is the identity; replacing by a mark changes nothing else.
fn check_splice(message: &Message, mut spans: Vec<Span>) {
    spans.sort();
    spans.dedup();
    let (mut same, mut marked) = (Splice::new(message), Splice::new(message));
    let (mut want, mut at) = (Vec::new(), 0);
    for span in spans.iter().rev() {
        same = same.replace(*span, message.slice(*span));
        marked = marked.replace(*span, "#");
    }
    for span in &spans {
        want.extend_from_slice(&message.text()[at..span.start as usize]);
        want.push(b'#');
        at = span.end as usize;
    }
    want.extend_from_slice(&message.text()[at..]);
    assert_eq!(same.finish(), message.text());
    assert_eq!(marked.finish(), want);
}

fn refused(input: &[u8], bad: &BadMessage) {
    assert_eq!(bad.code() == -32700, !is_json(input), "{bad}");
    if let Some(id) = &bad.id {
        // It stands in the text as it is, and names one request only.
        assert!(input.windows(id.as_str().len()).any(|part| *part == *id.as_str().as_bytes()));
        if is_json(input) && input.first() == Some(&b'{') {
            let text = std::str::from_utf8(input).expect("UTF-8");
            assert_eq!(member(text, "id"), Some(id.as_str()));
        }
    }
    let _ = readable_id(input);
    let line = bad.fault().render(bad.id.as_ref());
    assert!(Message::parse_server(line).is_ok());
}

fn is_json(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| serde_json::from_str::<&RawValue>(text).is_ok())
}
