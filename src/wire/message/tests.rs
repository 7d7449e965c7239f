use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::wire::lines::one_line;
use crate::wire::members::quote;
use crate::wire::splice::{Splice, splice};

fn client(text: &str) -> Result<Message, BadMessage> {
    Message::parse_client(Bytes::copy_from_slice(text.as_bytes()), Caps::default())
}

fn server(text: &str) -> Result<Message, BadMessage> {
    Message::parse_server(Bytes::copy_from_slice(text.as_bytes()))
}

fn accepted(text: &str) -> Message {
    let message = client(text).unwrap_or_else(|bad| panic!("{bad}: {text}"));
    let twin = server(text).unwrap_or_else(|bad| panic!("{bad}: {text}"));
    assert_eq!(message.head(), twin.head());
    message
}

/// Refused from either side for the same reason, with this id in the answer.
#[track_caller]
fn refused(text: &str, kind: BadKind, id: Option<&str>) {
    for bad in [client(text), server(text)] {
        let bad = bad.expect_err(text);
        assert_eq!((bad.kind, bad.id.as_ref().map(Id::as_str)), (kind, id), "{text}");
    }
}

fn params(message: &Message) -> &Params {
    message.params().unwrap()
}

fn said<'a>(message: &'a Message, text: &'a Option<Text>) -> Option<&'a str> {
    text.as_ref().map(|text| text.as_str(message))
}

#[test]
fn the_places_that_matter_are_found() {
    let message = accepted(
        r#" { "jsonrpc" : "2.0", "id" : "a", "method":"tools\/call" , "params" : { "name":"x", "arguments":{"name":1},"_meta" : { "progressToken" : 1.50, "dev.braid/hop":[1], "io.modelcontextprotocol/protocolVersion":"2026-07-28" } } , "x-new":true } "#,
    );
    let Head::Request { id, method, params } = message.head() else { panic!("{:?}", message.head()) };
    assert_eq!(message.str(*id), "\"a\"");
    assert_eq!((method.as_str(&message), message.method()), ("tools/call", Some("tools/call")));
    assert_eq!(message.str(method.span()), r#""tools\/call""#);
    assert_eq!(said(&message, &params.name), Some("x"));
    let meta = params.meta.as_ref().unwrap();
    assert!(message.str(params.object.unwrap()).starts_with(r#"{ "name":"x""#));
    assert!(message.str(params.object.unwrap()).ends_with(r#""2026-07-28" } }"#));
    assert!(message.str(meta.object).starts_with(r#"{ "progressToken""#));
    assert!(message.str(meta.object).ends_with(r#""2026-07-28" }"#));
    assert_eq!(meta.progress_token.map(|span| message.str(span)), Some("1.50"));
    assert_eq!(meta.hop.map(|span| message.str(span)), Some("[1]"));
    assert_eq!(said(&message, &meta.protocol_version), Some("2026-07-28"));
    assert_eq!(message.id().unwrap().as_str(), "\"a\"");
}

#[test]
fn every_member_of_params_has_its_place() {
    let message = accepted(
        r#"{"jsonrpc":"2.0","method":"m","params":{"_meta":{},"uri":"a:\/\/b","cursor":"c","level":"debug","ref":{"type":"ref/prompt","name":"n","uri":"u"},"requestId":"7","progressToken":8,"progress":0.5}}"#,
    );
    let params = params(&message);
    assert_eq!(said(&message, &params.uri), Some("a://b"));
    assert_eq!(said(&message, &params.cursor), Some("c"));
    assert_eq!(said(&message, &params.level), Some("debug"));
    let reference = params.reference.as_ref().unwrap();
    assert_eq!((said(&message, &reference.name), said(&message, &reference.uri)), (Some("n"), Some("u")));
    let raw = |span: Option<Span>| message.str(span.unwrap());
    assert_eq!(
        (raw(params.request_id), raw(params.progress_token), raw(params.progress)),
        ("\"7\"", "8", "0.5")
    );
    assert_eq!(message.str(params.meta.as_ref().unwrap().object), "{}");
}

#[test]
fn a_member_of_another_type_counts_as_missing() {
    for odd in ["1", "null", "{}", r#""\ud800""#, "[\"x\"]", "1e999"] {
        let message = accepted(&format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"name":{odd},"uri":{odd},"ref":{odd}}}}}"#
        ));
        let params = params(&message);
        assert_eq!((&params.name, &params.uri), (&None, &None), "{odd}");
        assert!(params.reference.as_ref().is_none_or(|found| *found == Reference::default()), "{odd}");
    }
}

#[test]
fn params_may_be_missing_or_null() {
    let none = accepted(r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#);
    assert_eq!(params(&none), &Params::default());
    let null = accepted(r#"{"jsonrpc":"2.0","id":1,"method":"m","params": null}"#);
    assert_eq!((params(&null).object, null.str(params(&null).null.unwrap())), (None, "null"));
    let null = accepted(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta": null}}"#);
    assert_eq!((params(&null).meta.is_none(), null.str(params(&null).meta_null.unwrap())), (true, "null"));
    for odd in ["[]", "1", "\"\\ud800\"", "true", "1e999"] {
        refused(
            &format!(r#"{{"jsonrpc":"2.0","method":"m","params":{odd},"id":1}}"#),
            BadKind::Params,
            Some("1"),
        );
        refused(
            &format!(r#"{{"jsonrpc":"2.0","method":"m","params":{{"_meta":{odd}}},"id":1}}"#),
            BadKind::Params,
            Some("1"),
        );
    }
}

/// R-03: what kind of message it is follows from which members are there, null or not.
#[test]
fn kinds_are_told_apart_by_shape() {
    #[derive(Debug, PartialEq)]
    enum Kind {
        Request,
        Notification,
        Result,
        Error,
        Bad,
    }
    let ids =
        [None, Some("1"), Some("\"a\""), Some("null"), Some("1.0"), Some("1.5"), Some("true"), Some("{}")];
    let methods = [None, Some("\"m\""), Some("null"), Some("1"), Some("{}")];
    let values = [None, Some("null"), Some("{}"), Some("1e999"), Some("\"\\ud800\""), Some("[]")];
    for id in ids {
        for method in methods {
            for result in values {
                for error in values {
                    let mut text = String::from(r#"{"jsonrpc":"2.0""#);
                    for (key, value) in [("id", id), ("method", method), ("result", result), ("error", error)]
                    {
                        if let Some(value) = value {
                            write!(text, ",\"{key}\":{value}").unwrap();
                        }
                    }
                    text.push('}');
                    let answers = matches!(id, Some("1" | "\"a\"" | "1.0" | "1.5"));
                    let want = match (method, result, error) {
                        (Some("\"m\""), None, None) => match id {
                            None => Kind::Notification,
                            Some("1" | "\"a\"") => Kind::Request,
                            Some(_) => Kind::Bad,
                        },
                        (None, Some(_), None) if answers => Kind::Result,
                        (None, None, Some(_)) if answers || matches!(id, None | Some("null")) => Kind::Error,
                        _ => Kind::Bad,
                    };
                    let got = match server(&text).map(|message| message.head().clone()) {
                        Ok(Head::Request { .. }) => Kind::Request,
                        Ok(Head::Notification { .. }) => Kind::Notification,
                        Ok(Head::Response { outcome: Outcome::Result { .. }, .. }) => Kind::Result,
                        Ok(Head::Response { outcome: Outcome::Error { .. }, .. }) => Kind::Error,
                        Err(bad) => {
                            assert_eq!(bad.code(), -32600, "{text}");
                            assert_eq!(
                                bad.response,
                                method.is_none() && (result.is_some() || error.is_some())
                            );
                            Kind::Bad
                        }
                    };
                    assert_eq!(got, want, "{text}");
                    assert_eq!(client(&text).is_ok(), got != Kind::Bad, "{text}");
                }
            }
        }
    }
}

/// R-09: what is no valid id is refused without one.
#[test]
fn an_id_that_is_none_is_not_echoed() {
    let long = format!("\"{}\"", "x".repeat(1025));
    let digits = "1".repeat(65);
    for id in ["null", "1.0", "1e3", "true", "{}", "[]", long.as_str(), digits.as_str()] {
        refused(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#), BadKind::Id, None);
    }
}

#[test]
fn an_error_may_have_lost_its_id() {
    for text in [
        r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700}}"#,
    ] {
        let message = accepted(text);
        assert!(matches!(
            message.head(),
            Head::Response { id: None, outcome: Outcome::Error { code: Some(-32700), .. } }
        ));
        assert_eq!(message.id(), None);
    }
}

#[test]
fn an_error_tells_its_code_and_uri() {
    let message =
        accepted(r#"{"jsonrpc":"2.0","id":1,"error": {"code":-32002,"message":"","data":{"uri":"a:\/b"}} }"#);
    let Head::Response { outcome: Outcome::Error { value, code, uri }, .. } = message.head() else {
        panic!("{:?}", message.head())
    };
    assert!(message.str(*value).starts_with("{\"code\"") && message.str(*value).ends_with("}}"));
    assert_eq!((*code, said(&message, uri)), (Some(-32002), Some("a:/b")));
    for odd in ["\"oops\"", "{}", "[{\"code\":1}]", r#"{"code":"1","data":[{"uri":"x"}]}"#, r#"{"code":1.5}"#]
    {
        let message = accepted(&format!(r#"{{"jsonrpc":"2.0","id":1,"error":{odd}}}"#));
        let Head::Response { outcome: Outcome::Error { value, code, uri }, .. } = message.head() else {
            panic!("{:?}", message.head())
        };
        assert_eq!((message.str(*value), *code, uri), (odd, None, &None));
    }
}

#[test]
fn the_version_is_two() {
    for version in ["\"1.0\"", "2.0", "null", "\"2\"", "[\"2.0\"]"] {
        refused(&format!(r#"{{"jsonrpc":{version},"id":1,"method":"m"}}"#), BadKind::Version, Some("1"));
    }
    refused(r#"{"id":1,"method":"m"}"#, BadKind::Version, Some("1"));
    accepted(r#"{"jsonrpc":"2\u002e0","id":1,"method":"m"}"#);
}

/// F-07, at each of the three levels, whatever the name, however it is spelt.
#[test]
fn a_member_twice_is_refused() {
    for text in [
        r#"{"jsonrpc":"2.0","method":"m","method":"m","id":1}"#,
        r#"{"jsonrpc":"2.0","jsonrpc":"2.0","method":"m","id":1}"#,
        r#"{ "jsonrpc":"2.0","method":"m","id":1,"jsonrpc":"2.0"}"#,
        r#"{"jsonrpc":"2.0","method":"m","id":1,"\u006asonrpc":"2.0"}"#,
        r#"{"jsonrpc":"2.0","x":1,"\u0078":1,"method":"m","id":1}"#,
        r#"{"jsonrpc":"2.0","method":"m","params":{"name":"a","na\u006de":"b"},"id":1}"#,
        r#"{"jsonrpc":"2.0","method":"m","params":{"\/":1,"\u002f":1},"id":1}"#,
        r#"{"jsonrpc":"2.0","method":"m","params":{"\ud800":1,"\uD800":1},"id":1}"#,
        r#"{"jsonrpc":"2.0","method":"m","params":{"":1,"":1},"id":1}"#,
        r#"{"jsonrpc":"2.0","method":"m","params":{"_meta":{"x":1,"x":1}},"id":1}"#,
        r#"{"jsonrpc":"2.0","method":"m","params":{"_meta":{},"_meta":{}},"id":1}"#,
        r#"{"jsonrpc":"2.0","method":"m","params":{"ref":{"name":"a","name":"b"}},"id":1}"#,
        r#"{"jsonrpc":"2.0","method":"m","params":{},"params":null,"id":1}"#,
        r#"{"jsonrpc":"2.0","result":{},"result":{},"id":1}"#,
    ] {
        refused(text, BadKind::Duplicate, Some("1"));
    }
    refused(r#"{"jsonrpc":"2.0","id":1,"method":"m","id":1}"#, BadKind::Duplicate, None);
    accepted(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"arguments":{"a":1,"a":2},"":1,"\u0061":1}}"#);
    accepted(r#"{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":2,"content":[],"content":[]}}"#);
}

#[test]
fn a_member_twice_among_many_is_refused() {
    let many = |last: &str| {
        let mut params: String = (0..40).map(|n| format!("\"k{n}\":{n},")).collect();
        write!(params, "\"{last}\":0").unwrap();
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{{params}}}}}"#)
    };
    accepted(&many("k40"));
    for n in 0..40 {
        refused(&many(&format!("k{n}")), BadKind::Duplicate, Some("1"));
        refused(&many(&format!("\\u006b{n}")), BadKind::Duplicate, Some("1"));
    }
}

/// F-08.
#[test]
fn a_variant_beside_the_real_key_is_refused() {
    for (real, variant) in [
        ("name", "Name"),
        ("name", "NAME"),
        ("name", "n\\u0041me"),
        ("uri", "ur\u{131}"),
        ("cursor", "cur\u{17f}or"),
        ("progressToken", "progressto\u{212a}en"),
        ("progressToken", "progre\u{df}Token"),
        ("requestId", "requestID"),
        ("ref", "Ref"),
    ] {
        for members in [format!(r#""{real}":1,"{variant}":2"#), format!(r#""{variant}":2,"{real}":1"#)] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{{members}}}}}"#);
            refused(&text, BadKind::Variant, Some("1"));
        }
        accepted(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"{variant}":2}}}}"#));
    }
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"m","Method":"n"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"m","paramſ":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"Error":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progresstoken":1,"progressToken":1}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":1},"_Meta":{}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"ref":{"name":"a","Name":"b"}}}"#,
    ] {
        refused(text, BadKind::Variant, Some("1"));
    }
    refused(r#"{"jsonrpc":"2.0","Id":1,"method":"m"}"#, BadKind::Variant, None);
}

/// F-06.
#[test]
fn keys_and_methods_end_at_their_bounds() {
    let method = |len: usize| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#, "m".repeat(len));
    accepted(&method(METHOD_BYTES_MAX));
    refused(&method(METHOD_BYTES_MAX + 1), BadKind::Method, Some("1"));
    let key = |len: usize, place: &str| {
        let key = format!("\"{}\":1", "k".repeat(len));
        let members = match place {
            "message" => key,
            "params" => format!(r#""params":{{{key}}}"#),
            _ => format!(r#""params":{{"_meta":{{{key}}}}}"#),
        };
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m",{members}}}"#)
    };
    for place in ["message", "params", "_meta"] {
        accepted(&key(KEY_BYTES_MAX, place));
        refused(&key(KEY_BYTES_MAX + 1, place), BadKind::Keys, Some("1"));
    }
    let members = |count: usize| {
        let members: Vec<_> = (0..count).map(|n| format!("\"{n}\":1")).collect();
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{{}}}}}"#, members.join(","))
    };
    accepted(&members(MEMBERS_MAX));
    refused(&members(MEMBERS_MAX + 1), BadKind::Keys, Some("1"));
}

#[test]
fn a_token_ends_at_its_bound() {
    let token = |raw: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"_meta":{{"progressToken":{raw}}}}}}}"#)
    };
    for raw in ["1", "-1.5e300", "null", "\"\"", "\"\\ud800\""] {
        accepted(&token(raw));
    }
    accepted(&token(&format!("\"{}\"", "t".repeat(TOKEN_BYTES_MAX))));
    refused(&token(&format!("\"{}\"", "t".repeat(TOKEN_BYTES_MAX + 1))), BadKind::Token, Some("1"));
    for raw in ["{}", "[1]", "true"] {
        refused(&token(raw), BadKind::Token, Some("1"));
    }
}

#[test]
fn a_client_is_bounded_in_depth_and_values_and_a_server_is_not() {
    let deep = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 2), "]".repeat(depth - 2));
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"arguments":{open}{close}}}}}"#)
    };
    assert!(client(&deep(127)).is_ok());
    let bad = client(&deep(128)).unwrap_err();
    assert_eq!((bad.kind, bad.code(), bad.id.unwrap().as_str()), (BadKind::Depth, -32600, "1"));
    assert!(server(&deep(1_000_000)).is_ok());

    let wide = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"arguments":[{}1]}}}}"#,
        "1,".repeat(100_000)
    );
    assert_eq!(client(&wide).unwrap_err().kind, BadKind::Elements);
    assert!(server(&wide).is_ok());

    for result in ["{}", "[]"] {
        let (open, close) = result.split_at(1);
        let inner = if open == "{" { "{\"content\":".repeat(1_000_000) } else { "[".repeat(1_000_000) };
        let value = format!("{inner}1{}", close.repeat(1_000_000));
        let message =
            server(&format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":{value},"x":1}}}}"#)).unwrap();
        assert!(matches!(
            message.head(),
            Head::Response { outcome: Outcome::Result { places, .. }, .. } if places.uris.is_empty()
        ));
    }
}

#[test]
fn what_is_no_json_is_a_parse_error() {
    for (text, id) in [
        ("", None),
        ("   ", None),
        ("hello", None),
        ("[1,", None),
        ("{", None),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m""#, Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m"}}"#, Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m"}{}"#, Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m",}"#, Some("1")),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"x\":\"\n\"}", Some("1")),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"x\":\0}", Some("1")),
        ("{\"id\":\"a\",\"x\":\"\0\"}", Some("\"a\"")),
        ("\u{feff}{}", None),
        (r#"{"id":1,"x":01}"#, Some("1")),
        (r#"{"id":1,"x":"\x"}"#, Some("1")),
    ] {
        refused(text, BadKind::Syntax, id);
        assert_eq!(client(text).unwrap_err().code(), -32700);
    }
    for text in ["1", "null", "\"{}\"", "true", "\"\\ud800\"", "1e999"] {
        refused(text, BadKind::Object, None);
    }
    refused(r#"[{"jsonrpc":"2.0","id":1,"method":"m"}]"#, BadKind::Batch, None);
}

/// F-03: the bytes are checked as a whole, in members that nobody reads as well.
#[test]
fn what_is_not_utf8_is_a_parse_error_of_its_own_request() {
    let text = Bytes::from_static(b"{\"jsonrpc\":\"2.0\",\"x\":\"\xff\",\"id\":7,\"result\":{}}");
    let bad = Message::parse_server(text).unwrap_err();
    assert_eq!((bad.kind, bad.code(), bad.response), (BadKind::Encoding, -32700, true));
    assert_eq!(bad.call, Some(crate::wire::id::CallId(7)));
}

#[test]
fn a_broken_answer_tells_which_call_it_ends() {
    let bad = server(r#"{"jsonrpc":"2.0","id":7.0,"result":{},"error":{}}"#).unwrap_err();
    assert_eq!((bad.id.as_ref(), bad.call), (None, Some(crate::wire::id::CallId(7))));
    let bad = server(r#"{"jsonrpc":"2.0","id":7,"method":1}"#).unwrap_err();
    assert_eq!((bad.call, bad.response), (None, false));
}

/// R-10.
#[test]
fn what_nobody_edits_survives_byte_for_byte() {
    let text = r#"{"z":1,"jsonrpc":"2.0","id":18446744073709551616,"method":"tools/call","params":{"name":"a_b","arguments":{"n":12345678901234567890123,"f":1.0000000000000000001,"e":1e400,"s":"\ud800\/","d":1,"d":2}},"a":[]}"#;
    let message = accepted(text);
    assert_eq!(message.text(), text);
    let name = params(&message).name.as_ref().unwrap().span();
    let out = Splice::new(&message).replace(name, "\"b\"").finish();
    assert_eq!(out, text.replace("\"a_b\"", "\"b\""));
}

#[test]
fn a_message_is_a_slice_of_what_it_came_in() {
    let buffer = Bytes::from_static(b"  {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}\r\n");
    let message = Message::parse_server(buffer.clone()).unwrap();
    assert_eq!(message.text().as_ptr(), buffer[2..].as_ptr());
    assert!(message.text().ends_with(b"}"));
    let Head::Request { id, .. } = message.head() else { panic!() };
    assert_eq!(message.slice(*id), "1");
    let outside = Span { start: 5, end: 5000 };
    assert_eq!((message.slice(outside).len(), message.str(outside)), (0, ""));
}

fn places(result: &str) -> (Vec<String>, Option<String>) {
    let message = accepted(&format!(r#"{{"jsonrpc":"2.0","result": {result} ,"id":1}}"#));
    let Head::Response { outcome: Outcome::Result { value, places }, .. } = message.head() else {
        panic!("{:?}", message.head())
    };
    assert_eq!(message.str(*value), result);
    let spans: Vec<_> = places.uris.iter().map(Text::span).collect();
    assert!(spans.is_sorted(), "{result}");
    for uri in &places.uris {
        assert_eq!(
            crate::wire::members::string(message.str(uri.span())).as_deref(),
            Some(uri.as_str(&message))
        );
    }
    (
        places.uris.iter().map(|uri| uri.as_str(&message).to_owned()).collect(),
        said(&message, &places.next_cursor).map(str::to_owned),
    )
}

#[test]
fn every_place_that_names_a_resource_is_found() {
    let uris = |result: &str| places(result).0;
    assert_eq!(
        uris(
            r#"{"content":[{"type":"text","text":"x","uri":"no"},{"uri":"a:\/\/1","type":"resource_link","name":"n"},{"type":"resource","resource":{"uri":"a://2","text":""},"uri":"no"},{"resource":{"uri":"a://3"},"type":"resource"}]}"#
        ),
        ["a://1", "a://2", "a://3"]
    );
    assert_eq!(
        uris(r#"{"contents":[{"uri":"a"},{"text":"","uri":"b"},{"resource":{"uri":"no"}}]}"#),
        ["a", "b"]
    );
    assert_eq!(
        uris(
            r#"{"messages":[{"role":"user","content":{"type":"resource_link","uri":"a"}},{"content":[{"type":"resource","resource":{"uri":"b"}}]}]}"#
        ),
        ["a", "b"]
    );
    assert_eq!(
        uris(
            r#"{"role":"user","content":{"type":"tool_result","content":[{"type":"resource_link","uri":"a"},{"type":"tool_result","content":{"type":"resource_link","uri":"b"}}]}}"#
        ),
        ["a", "b"]
    );
    assert_eq!(
        places(r#"{"resources":[{"uri":"no"}],"nextCursor":"c\n"}"#),
        (vec![], Some("c\n".to_owned()))
    );
}

#[test]
fn nothing_else_of_a_result_is_a_place() {
    for result in [
        "null",
        "7",
        "1e999",
        r#""\ud800""#,
        "[]",
        r#"[{"content":[{"type":"resource_link","uri":"no"}]}]"#,
        r#"{"content":"text","contents":null,"messages":1e999,"nextCursor":null}"#,
        r#"{"content":[1e999,{"type":"other","uri":"no"}]}"#,
        r#"{"content":["\ud800"],"contents":[[{"uri":"no"}],null,1,true,"s",-1,1.5]}"#,
        r#"{"content":[{"type":"image","resource":{"uri":"no"}},{"uri":"no"},{"type":"other","uri":"no","content":[{"type":"resource_link","uri":"no"}]}]}"#,
        r#"{"content":[{"type":"resource_link","uri":null},{"type":"resource","resource":"x"},{"type":1,"uri":"no"}]}"#,
        r#"{"structuredContent":{"content":[{"type":"resource_link","uri":"no"}]}}"#,
        r#"{"Content":[{"type":"resource_link","uri":"no"}]}"#,
        r#"{"content":[{"type":"resource_link","uri":"a","uri":"b"}]}"#,
        r#"{"contents":[{"uri":"a"}],"contents":[{"uri":"b"}]}"#,
    ] {
        assert_eq!(places(result), (vec![], None), "{result}");
    }
}

#[test]
fn a_result_with_too_many_places_has_none() {
    let result = |count: usize| format!("{{\"contents\":[{}]}}", vec!["{\"uri\":\"\"}"; count].join(","));
    let places = |count: usize| {
        let message = server(&format!(r#"{{"jsonrpc":"2.0","id":1,"result":{}}}"#, result(count))).unwrap();
        match message.head() {
            Head::Response { outcome: Outcome::Result { places, .. }, .. } => places.uris.len(),
            Head::Request { .. } | Head::Notification { .. } | Head::Response { .. } => panic!("no result"),
        }
    };
    assert_eq!((places(PLACES_MAX), places(PLACES_MAX + 1)), (PLACES_MAX, 0));
}

#[test]
fn a_meta_member_fits_any_message() {
    for (members, after) in [
        ("", r#""params":{"_meta":{"k":1}},"#),
        (r#","params":null"#, r#","params":{"_meta":{"k":1}}"#),
        (r#","params":{}"#, r#","params":{"_meta":{"k":1}}"#),
        (r#","params":{"a":1}"#, r#","params":{"_meta":{"k":1},"a":1}"#),
        (r#","params":{"_meta":null}"#, r#","params":{"_meta":{"k":1}}"#),
        (r#","params":{"_meta": {} }"#, r#","params":{"_meta": {"k":1} }"#),
        (r#","params":{"_meta":{"a":1}}"#, r#","params":{"_meta":{"k":1,"a":1}}"#),
    ] {
        let message = accepted(&format!(r#"{{"jsonrpc":"2.0","method":"m"{members}}}"#));
        let edit = message.meta_member("\"k\"", "1");
        let out = splice(message.text(), &mut [edit]);
        let want = match members {
            "" => format!(r#"{{{after}"jsonrpc":"2.0","method":"m"}}"#),
            _ => format!(r#"{{"jsonrpc":"2.0","method":"m"{after}}}"#),
        };
        assert_eq!(out, want);
        accepted(std::str::from_utf8(&out).unwrap());
    }
}

/// F-05, the attack of newline smuggling: as sent, line two would be a message nobody checked.
#[test]
fn a_long_answer_is_given_another_id_where_it_stands() {
    let long = "x".repeat(LONG_BYTES_MIN);
    let answer = |first: bool, id: &str| match first {
        true => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"a":"{long}"}}}}"#),
        false => format!(r#"{{"result":{{"a":"{long}"}},"jsonrpc":"2.0","id":{id}}}"#),
    };
    for (lead, first, new, stays) in [
        (ROOM_BYTES, true, "7", true),
        (ROOM_BYTES, true, "\"a-long-id-of-a-client\"", true),
        (ROOM_BYTES, false, "\"a-long-id-of-a-client\"", true),
        (0, true, "7", true),
        (0, false, "7", true),
        (0, true, "12345", false),
        (ROOM_BYTES + 1, true, "7", true),
        (ROOM_BYTES + 1, true, "12345", false),
    ] {
        let mut came = bytes::BytesMut::with_capacity(lead + 2 * LONG_BYTES_MIN / 10 * 6);
        came.resize(lead, b' ');
        came.extend_from_slice(answer(first, "1234").as_bytes());
        let came = came.freeze();
        let place = came.as_ptr_range();
        let message = Message::parse_server(came).unwrap();
        let Head::Response { id: Some(id), .. } = *message.head() else { panic!("no response") };
        let changed = Box::new(message).replaced(id, new.as_bytes());
        assert!(changed == answer(first, new));
        assert_eq!(place.contains(&changed.as_ptr()), stays, "{lead} {first} {new}");
    }
    // Not where anybody else has it.
    let came = Bytes::from(answer(true, "1234"));
    let message = Message::parse_server(came.clone()).unwrap();
    let Head::Response { id: Some(id), .. } = *message.head() else { panic!("no response") };
    assert!(Box::new(message).replaced(id, b"7") == answer(true, "7"));
    assert!(came == answer(true, "1234"));
}

#[test]
fn what_holds_no_line_break_is_known_to() {
    for (text, is_on_one_line) in [
        (r#"{"jsonrpc":"2.0","id":1,"result":{"a":[1,"\n",{}]}}"#, true),
        (r#"{ "jsonrpc" : "2.0" , "id" : 1 , "result" : { "a" : [ 1 , "\r" ] } }"#, true),
        ("\r\n {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n", true),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\n}}", false),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":[[\r]]}}", false),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}\n}", false),
        ("{\n\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", false),
    ] {
        assert_eq!(server(text).unwrap().is_on_one_line(), is_on_one_line, "{text:?}");
    }
}

#[test]
fn a_smuggled_message_stays_inside_its_line() {
    let text = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"ok\",\"arguments\":{\"a\":\n{\"jsonrpc\":\"2.0\",\"id\":99,\"method\":\"tools/call\",\"params\":{\"name\":\"FORBIDDEN\"}}\n}}}";
    let message = accepted(text);
    let line = one_line(message.text().clone());
    assert_eq!(memchr::memchr2(b'\n', b'\r', &line), None);
    assert_eq!(Message::parse_server(line).unwrap().head(), message.head());
}

/// A message as its pieces, so that white space of any kind can stand between all of them.
fn pieces() -> impl Strategy<Value = Vec<String>> {
    let string = prop_oneof![
        "[a-zäあ\u{2028}/]{0,6}".prop_map(|text| quote(&text)),
        Just(r#""\ud800\/""#.to_owned()),
        Just(r#""\n\r{}\",[""#.to_owned()),
    ];
    let number = prop_oneof![Just("1e400".to_owned()), "-?[1-9][0-9]{0,30}(\\.[0-9]{1,9})?"];
    let leaf = prop_oneof![string.clone(), number, Just("null".to_owned())].prop_map(|text| vec![text]);
    let value = leaf.prop_recursive(4, 24, 4, move |inner| {
        let array = prop::collection::vec(inner.clone(), 0..4).prop_map(|items| {
            let items: Vec<_> = items.into_iter().map(|item| (None, item)).collect();
            enclose("[", items, "]")
        });
        let object = prop::collection::vec(inner, 0..4).prop_map(|items| {
            let named = items.into_iter().enumerate().map(|(n, item)| (Some(format!("\"k{n}\"")), item));
            enclose("{", named.collect(), "}")
        });
        prop_oneof![array, object]
    });
    let raw_id = prop_oneof!["\"[a-z]{0,4}\"", "-?[1-9][0-9]{0,60}"];
    let member = |key: &str, value: Vec<String>| (Some(quote(key)), value);
    let one = |text: &str| vec![text.to_owned()];
    let params =
        (string, value.clone(), prop::option::of(value.clone())).prop_map(move |(name, arguments, meta)| {
            let mut params = vec![member("name", vec![name]), member("arguments", arguments)];
            if let Some(value) = meta {
                params.push(member("_meta", enclose("{", vec![member("x", value)], "}")));
            }
            enclose("{", params, "}")
        });
    (0..3u8, raw_id, params, value, any::<prop::sample::Index>()).prop_map(
        move |(kind, id, params, value, turn)| {
            let mut members = vec![member("jsonrpc", one("\"2.0\""))];
            if kind != 1 {
                members.push(member("id", vec![id]));
            }
            if kind == 2 {
                members.push(member("result", value));
            } else {
                members.push(member("method", one("\"tools\\/call\"")));
                members.push(member("params", params));
                members.push(member("extra", value));
            }
            let turn = turn.index(members.len());
            members.rotate_left(turn);
            enclose("{", members, "}")
        },
    )
}

fn enclose(open: &str, items: Vec<(Option<String>, Vec<String>)>, close: &str) -> Vec<String> {
    let mut out = vec![open.to_owned()];
    for (n, (key, value)) in items.into_iter().enumerate() {
        if n > 0 {
            out.push(",".to_owned());
        }
        if let Some(key) = key {
            out.extend([key, ":".to_owned()]);
        }
        out.extend(value);
    }
    out.push(close.to_owned());
    out
}

fn laid_out(pieces: &[String], spaces: &[&str]) -> String {
    let mut spaces = spaces.iter().cycle();
    let mut text = String::new();
    for piece in pieces {
        text.push_str(piece);
        text.push_str(spaces.next().unwrap_or(&""));
    }
    text
}

proptest! {
    #[test]
    fn white_space_changes_nothing_and_stays_on_the_line(
        pieces in pieces(),
        spaces in prop::collection::vec(prop::sample::select(vec!["", " ", "\n", "\r", "\r\n", "\t\n\n "]), 1..9),
    ) {
        let plain = accepted(&pieces.concat());
        let message = accepted(&laid_out(&pieces, &spaces));
        let line = one_line(message.text().clone());
        prop_assert_eq!(memchr::memchr2(b'\n', b'\r', &line), None);
        prop_assert_eq!(line.len(), message.text().len());
        prop_assert!(!message.is_on_one_line() || line == message.text());
        let again = Message::parse_server(line).unwrap();
        prop_assert_eq!(again.head(), message.head());
        prop_assert_eq!(message.id(), plain.id());
        prop_assert_eq!(message.method(), plain.method());
        if let (Some(a), Some(b)) = (message.params(), plain.params()) {
            prop_assert_eq!(said(&message, &a.name), said(&plain, &b.name));
            let object = message.str(a.object.unwrap());
            prop_assert_eq!((object.as_bytes().first(), object.as_bytes().last()), (Some(&b'{'), Some(&b'}')));
            if let (Some(a), Some(b)) = (&a.meta, &b.meta) {
                let squeezed = |text: &str| text.replace([' ', '\n', '\r', '\t'], "");
                prop_assert_eq!(squeezed(message.str(a.object)), squeezed(plain.str(b.object)));
            }
        }
    }

    #[test]
    fn a_broken_text_is_refused_and_harms_nobody(pieces in pieces(), cut in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = pieces.concat().into_bytes();
        let cut = cut.index(text.len());
        text[cut] = byte;
        let text = Bytes::from(text);
        let _ = Message::parse_client(text.clone(), Caps::default());
        let _ = Message::parse_server(text.clone());
        prop_assert!(Message::parse_server(text.slice(..cut)).is_err());
    }
}

#[test]
fn places_in_messages_to_a_model_are_found_where_they_stand() {
    let message = accepted(
        r#"{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{"uri":"no","content":{"type":"resource_link","uri":"no"},"messages": [{"role":"user","content":[{"type":"text","text":"a:0"},{"type":"tool_result","content":[{"type":"resource_link","uri":"a:1"}]}]},{"content":{"uri":"a:2","type":"resource_link"}},{"content":{"type":"resource","resource":{"uri":"a:3"}}}]}}"#,
    );
    let params = message.str(message.params().unwrap().object.unwrap());
    let messages = crate::wire::members::member(params, "messages").unwrap();
    let places = Places::of_messages(&message, messages);
    let said: Vec<_> =
        places.uris.iter().map(|uri| (uri.as_str(&message), message.str(uri.span()))).collect();
    assert_eq!(said, [("a:1", r#""a:1""#), ("a:2", r#""a:2""#), ("a:3", r#""a:3""#)]);
    for odd in ["{}", "7", r#"[{"content":"a"}]"#, "[", ""] {
        assert_eq!(Places::of_messages(&message, odd), Places::default());
    }
}
