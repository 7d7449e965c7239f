//! One message between the two eras: with `initialize`, and without (2026-07-28).
//!
//! What the one settles once per session, the other says in each message. Owns how a request is made to stand by itself
//! and how that is taken away again, what a result says of itself, what a result that asks for more holds, and which
//! codes of errors cross. It decides neither when nor for whom.

use super::fit::Edits;
use super::method::{Method, Want};
use super::revision::Revision;
use crate::wire::members::{Member, each, elements, member, members, quote, string};
use crate::wire::message::{
    CAPABILITIES_KEY, CLIENT_INFO_KEY, LOG_LEVEL_KEY, Message, Meta, SERVER_INFO_KEY, Span, VERSION_KEY,
};
use crate::wire::splice::New;
use bytes::Bytes;
use std::borrow::Cow;

/// What a request to a modern server says of its client, as JSON.
#[derive(Debug, Clone)]
pub struct Standing<'a> {
    pub info: &'a str,
    /// A ClientCapabilities object.
    pub capabilities: &'a str,
    /// Without quotes.
    pub log_level: Option<&'a str>,
    /// Members of ours, each `,"key":value`.
    pub more: &'a str,
}

impl Standing<'_> {
    /// The members as they stand first in `_meta`.
    pub fn members(&self) -> String {
        let level = self.log_level.map(|level| [",\"", LOG_LEVEL_KEY, "\":\"", level, "\""].concat());
        let parts = [
            ["\"", VERSION_KEY, "\":\"", Revision::MODERN.as_str()],
            ["\",\"", CLIENT_INFO_KEY, "\":", self.info],
            [",\"", CAPABILITIES_KEY, "\":", self.capabilities],
            [level.as_deref().unwrap_or_default(), "", "", self.more],
        ];
        parts.as_flattened().concat()
    }
}

/// Whether a `_meta` says anything that only a request that stands by itself says.
pub fn stands(meta: &Meta) -> bool {
    meta.has_version
        || meta.client_info.is_some()
        || meta.client_capabilities.is_some()
        || meta.log_level.is_some()
}

/// The edit that gives a request's `_meta` these members, in place of any that say the same. `first`: `"key":value`
/// members, separated by commas; `keys`: those of them that are not of its client.
pub fn restated(message: &Message, first: &str, keys: &[&str]) -> (Span, New<'static>) {
    let meta = message.params().and_then(|params| params.meta.as_ref());
    let Some(meta) = meta else {
        // One member of which the rest is the value: so it goes in as one.
        let (key, value) = first.split_once(':').unwrap_or((first, "null"));
        return message.meta_member(key, value);
    };
    let text = with_others(first, message.str(meta.object), keys).unwrap_or_else(|| format!("{{{first}}}"));
    (meta.object, New::from(text))
}

/// The edit that takes from a request what only a modern server reads; `None`: there is nothing. `more`: members to put in
/// its place, and `keys` theirs.
pub fn unstated(message: &Message, more: &str, keys: &[&str]) -> Option<(Span, New<'static>)> {
    let meta = message.params()?.meta.as_ref().filter(|meta| stands(meta))?;
    Some((meta.object, New::from(with_others(more, message.str(meta.object), keys)?)))
}

/// A `_meta` of these members, and of those that any server reads in the one before; but for `keys`, which are said anew.
fn with_others(first: &str, meta: &str, keys: &[&str]) -> Option<String> {
    let mut text = String::with_capacity(first.len() + meta.len() + 1);
    text.push('{');
    text.push_str(first);
    for member in members(meta)? {
        if is_standing(&member) || keys.contains(&member.key.as_ref()) {
            continue;
        }
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(member.key_raw);
        text.push(':');
        text.push_str(member.value);
    }
    text.push('}');
    Some(text)
}

fn is_standing(member: &Member<'_>) -> bool {
    [VERSION_KEY, CLIENT_INFO_KEY, CAPABILITIES_KEY, LOG_LEVEL_KEY].contains(&member.key.as_ref())
}

/// The edits that make a result one of ours for a modern client: it says what it is, who answers, and, where that is asked
/// for, how long it holds and that nobody else may keep it. What it says already stays, but who answers is us, and what
/// one principal was told is no other's. `None`: it is no object.
pub fn presented(message: &Message, result: Span, method: Method, info: &str) -> Option<Vec<(Span, Bytes)>> {
    let text = message.str(result);
    let all = members(text)?;
    let whole = message.str(Span { start: 0, end: message.text().len() as u32 });
    let has = |key: &str| all.iter().any(|member| member.key == key);
    let mut first = String::new();
    let mut add = |member: String| {
        first.push_str(&member);
        first.push(',');
    };
    if !has("resultType") {
        add(r#""resultType":"complete""#.to_owned());
    }
    let is_read = method == Method::ResourcesRead && !is_input_required(&all);
    if is_read && !has("ttlMs") {
        add(r#""ttlMs":0"#.to_owned());
    }
    if is_read && !has("cacheScope") {
        add(r#""cacheScope":"private""#.to_owned());
    }
    if !has("_meta") {
        add(format!(r#""_meta":{{"{SERVER_INFO_KEY}":{info}}}"#));
    }
    let mut edits = Vec::new();
    let mut put = |part: &str, new: String| {
        edits.extend(Span::of(whole, part).map(|span| (span, Bytes::from(new))));
    };
    for member in &all {
        match member.key.as_ref() {
            "_meta" => put(member.value, introduced(member.value, info)),
            "cacheScope" if is_read && member.value != r#""private""# => {
                put(member.value, r#""private""#.to_owned());
            }
            "ttlMs" if is_read && !is_time(member.value) => put(member.value, "0".to_owned()),
            _ => {}
        }
    }
    if !first.is_empty() {
        if all.is_empty() {
            first.pop();
        }
        let at = result.start.saturating_add(1);
        edits.push((Span { start: at, end: at }, Bytes::from(first)));
    }
    Some(edits)
}

fn is_input_required(result: &[Member<'_>]) -> bool {
    let says = |member: &&Member<'_>| member.key == "resultType";
    result.iter().find(says).and_then(|member| string(member.value)).as_deref() == Some("input_required")
}

fn is_time(ttl: &str) -> bool {
    !ttl.is_empty() && ttl.bytes().all(|byte| byte.is_ascii_digit())
}

/// A `_meta` of a result that says who answers.
fn introduced(meta: &str, info: &str) -> String {
    let own = members(meta).unwrap_or_default();
    let rest = own.iter().filter(|member| member.key != SERVER_INFO_KEY);
    let rest: String = rest.map(|member| format!(",{}:{}", member.key_raw, member.value)).collect();
    format!(r#"{{"{SERVER_INFO_KEY}":{info}{rest}}}"#)
}

/// The result of a modern server for a client of the handshake: without what the result says of itself, and with
/// structured content that such a client takes, an object. `None`: it fits as it is.
pub fn bared(result: &str) -> Option<String> {
    let all = members(result)?;
    let mut edits = Edits::new(result);
    let only_introduces = |meta: &str| {
        members(meta).is_some_and(|own| !own.is_empty() && own.iter().all(|it| it.key == SERVER_INFO_KEY))
    };
    edits.remove(&all, |member| match member.key.as_ref() {
        "resultType" | "ttlMs" | "cacheScope" => true,
        "_meta" => only_introduces(member.value),
        _ => false,
    });
    for member in &all {
        match member.key.as_ref() {
            "structuredContent" if !member.value.starts_with('{') && member.value != "null" => {
                edits.replace(member.value, format!(r#"{{"result":{}}}"#, member.value));
            }
            "_meta" if !only_introduces(member.value) => {
                let own = members(member.value).unwrap_or_default();
                edits.remove(&own, |member| member.key == SERVER_INFO_KEY);
            }
            _ => {}
        }
    }
    edits.finish()
}

/// What a result asks for before the request can be answered (2026-07-28, basic/patterns/mrtr).
#[derive(Debug, PartialEq, Eq)]
pub struct InputRequired<'a> {
    pub requests: Vec<InputRequest<'a>>,
    /// As it stands.
    pub state: Option<&'a str>,
}

/// One thing that is asked for. `params` is JSON, and may be missing.
#[derive(Debug, PartialEq, Eq)]
pub struct InputRequest<'a> {
    /// As it stands.
    pub key: &'a str,
    pub want: Want,
    pub method: &'a str,
    pub params: Option<&'a str>,
}

/// Reads a result that asks for more. `None`: it asks for nothing, or for what nobody knows.
pub fn input_required(result: &str) -> Option<InputRequired<'_>> {
    let state = member(result, "requestState").filter(|state| state.starts_with('"'));
    let requests = match member(result, "inputRequests") {
        None | Some("null") => Vec::new(),
        Some(requests) => {
            let mut read = Vec::new();
            for request in members(requests)? {
                let method = member(request.value, "method")?;
                let Method::Ask(want) = Method::parse(string(method)?.as_ref()) else { return None };
                let params = member(request.value, "params").filter(|params| params.starts_with('{'));
                read.push(InputRequest { key: request.key_raw, want, method, params });
            }
            read
        }
    };
    (state.is_some() || !requests.is_empty()).then_some(InputRequired { requests, state })
}

/// The params of what a server of the handshake asks, as one entry of `inputRequests`; all that belongs to a request of
/// its own is left out, and the id by which a page's end would be told: nothing carries that.
pub fn input_request(method: &str, params: &str) -> String {
    let method = quote(method);
    let Some(all) = members(params) else { return format!(r#"{{"method":{method}}}"#) };
    let mut edits = Edits::new(params);
    edits.remove(&all, |member| matches!(member.key.as_ref(), "elicitationId" | "task"));
    for meta in all.iter().filter(|member| member.key == "_meta") {
        let own = members(meta.value).unwrap_or_default();
        edits.remove(&own, |member| member.key == "progressToken");
    }
    let params = edits.finish().map_or(Cow::Borrowed(params), Cow::Owned);
    format!(r#"{{"method":{method},"params":{params}}}"#)
}

/// The requests for a client in an error that sends it to URLs first (2025-11-25, URLElicitationRequired), as the entries of
/// `inputRequests`. `error`: the error object.
pub fn required_pages(error: &str) -> Vec<String> {
    let mut pages = Vec::new();
    for data in each(error, "data") {
        for all in each(data, "elicitations") {
            pages.extend(
                elements(all)
                    .unwrap_or_default()
                    .iter()
                    .map(|page| input_request("elicitation/create", page)),
            );
        }
    }
    pages
}

/// The code of an error as a modern client may read it; codes that the revision took back have another
/// (2026-07-28, basic/index, Error Codes).
pub fn modern_code(code: i64) -> i64 {
    match code {
        NOT_FOUND | URL_REQUIRED => INVALID_PARAMS,
        other => other,
    }
}

/// Whether an error with this code is between a server and us, or has a code that nobody may use: its client hears that
/// something is wrong there, and not what.
pub fn is_between_us(code: i64) -> bool {
    matches!(code, -32099..=-32020) && !matches!(code, CAPABILITY_MISSING | URL_REQUIRED)
}

const INVALID_PARAMS: i64 = -32602;
const CAPABILITY_MISSING: i64 = -32021;
/// Resource not found, before 2026-07-28.
const NOT_FOUND: i64 = -32002;
const URL_REQUIRED: i64 = -32042;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::caps::Caps;
    use crate::wire::splice::splice;

    fn message(text: &str) -> Message {
        Message::parse_client(Bytes::copy_from_slice(text.as_bytes()), Caps::default()).unwrap()
    }

    fn edited(text: &str, edit: impl Fn(&Message) -> Option<(Span, New<'static>)>) -> String {
        let message = message(text);
        let mut edits: Vec<_> = edit(&message).into_iter().collect();
        String::from_utf8(splice(message.text(), &mut edits).into()).unwrap()
    }

    const STANDING: Standing<'static> =
        Standing { info: r#"{"name":"c","version":"1"}"#, capabilities: "{}", log_level: None, more: "" };

    #[test]
    fn a_request_is_made_to_stand_by_itself_and_back() {
        let first = STANDING.members();
        let standing = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"_meta":{{{first}}},"name":"x"}}}}"#
        );
        let plain = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}"#;
        assert_eq!(edited(plain, |message| Some(restated(message, &first, &[]))), standing);
        assert_eq!(
            edited(&standing, |message| unstated(message, "", &[])),
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{},"name":"x"}}"#
        );
        assert_eq!(edited(plain, |message| unstated(message, "", &[])), plain);
    }

    #[test]
    fn what_else_is_in_meta_stays() {
        let text = r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{ "a" : 1.0,"io.modelcontextprotocol/clientInfo":{},"progressToken":"t","b":[ ]}}}"#;
        assert_eq!(
            edited(text, |message| Some(restated(message, r#""x":1,"progressToken":7"#, &["progressToken"]))),
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"x":1,"progressToken":7,"a":1.0,"b":[ ]}}}"#
        );
        assert_eq!(
            edited(text, |message| unstated(message, r#""y":2"#, &[])),
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"y":2,"a":1.0,"progressToken":"t","b":[ ]}}}"#
        );
    }

    fn shown(method: Method, result: &str) -> String {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
        let message = Message::parse_server(Bytes::from(text)).unwrap();
        let crate::wire::message::Head::Response {
            outcome: crate::wire::message::Outcome::Result { value, .. },
            ..
        } = message.head()
        else {
            panic!("{result}")
        };
        let mut edits = presented(&message, *value, method, r#"{"name":"b"}"#).unwrap();
        let text = String::from_utf8(splice(message.text(), &mut edits).into()).unwrap();
        text.strip_prefix(r#"{"jsonrpc":"2.0","id":1,"result":"#)
            .unwrap()
            .strip_suffix('}')
            .unwrap()
            .to_owned()
    }

    #[test]
    fn a_result_says_what_it_is_once() {
        const OURS: &str = r#""_meta":{"io.modelcontextprotocol/serverInfo":{"name":"b"}}"#;
        assert_eq!(
            shown(Method::ToolsCall, r#"{"content":[]}"#),
            format!(r#"{{"resultType":"complete",{OURS},"content":[]}}"#)
        );
        assert_eq!(shown(Method::Complete, "{ }"), format!(r#"{{"resultType":"complete",{OURS} }}"#));
        assert_eq!(
            shown(Method::ResourcesRead, r#"{"contents":[]}"#),
            format!(r#"{{"resultType":"complete","ttlMs":0,"cacheScope":"private",{OURS},"contents":[]}}"#)
        );
        assert_eq!(
            shown(Method::ToolsCall, r#"{"resultType":"complete"}"#),
            format!(r#"{{{OURS},"resultType":"complete"}}"#)
        );
    }

    #[test]
    fn a_result_for_a_modern_client_says_who_answers() {
        const OURS: &str = r#""io.modelcontextprotocol/serverInfo":{"name":"b"}"#;
        assert_eq!(
            shown(Method::ToolsCall, r#"{ "content":[ 1.0 ]}"#),
            format!(r#"{{"resultType":"complete","_meta":{{{OURS}}}, "content":[ 1.0 ]}}"#)
        );
        assert_eq!(
            shown(Method::Complete, "{}"),
            format!(r#"{{"resultType":"complete","_meta":{{{OURS}}}}}"#)
        );
        assert_eq!(
            shown(
                Method::ToolsCall,
                r#"{"_meta":{"a":1.0,"io.modelcontextprotocol/serverInfo":{"name":"x"}},"resultType":"complete"}"#
            ),
            format!(r#"{{"_meta":{{{OURS},"a":1.0}},"resultType":"complete"}}"#)
        );
        assert_eq!(
            shown(Method::ResourcesRead, r#"{"_meta":null,"contents":[]}"#),
            format!(
                r#"{{"resultType":"complete","ttlMs":0,"cacheScope":"private","_meta":{{{OURS}}},"contents":[]}}"#
            )
        );
    }

    #[test]
    fn what_a_read_says_of_its_time_passes_and_is_nobody_elses() {
        let read = |hints: &str| {
            let shown =
                shown(Method::ResourcesRead, &format!(r#"{{"resultType":"complete",{hints},"_meta":{{}}}}"#));
            shown.split(r#","_meta""#).next().unwrap().to_owned()
        };
        assert_eq!(
            read(r#""ttlMs":60000,"cacheScope":"public""#),
            r#"{"resultType":"complete","ttlMs":60000,"cacheScope":"private""#
        );
        assert_eq!(
            read(r#""ttlMs":-1,"cacheScope":"private""#),
            r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private""#
        );
        let asks =
            shown(Method::ResourcesRead, r#"{"resultType":"input_required","requestState":"s","_meta":{}}"#);
        assert!(!asks.contains("ttlMs"), "{asks}");
    }

    #[test]
    fn a_result_for_the_handshake_says_nothing_of_itself() {
        assert_eq!(
            bared(r#"{"resultType":"complete","content":[ 1.0 ],"ttlMs":1,"_meta":{"io.modelcontextprotocol/serverInfo":{},"k":1},"cacheScope":"public"}"#).unwrap(),
            r#"{"content":[ 1.0 ],"_meta":{"k":1}}"#
        );
        assert_eq!(bared(r#"{"resultType":"complete","ttlMs":1}"#).unwrap(), "{}");
        assert_eq!(
            bared(r#"{"content":[],"_meta":{"io.modelcontextprotocol/serverInfo":{}}}"#).unwrap(),
            r#"{"content":[]}"#
        );
        assert_eq!(bared(r#"{"content":[]}"#), None);
        assert_eq!(
            bared(r#"{"structuredContent":[1],"content":[]}"#).unwrap(),
            r#"{"structuredContent":{"result":[1]},"content":[]}"#
        );
    }

    #[test]
    fn what_a_result_asks_for_is_read() {
        let asks = input_required(
            r#"{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"},"b":{"method":"elicitation/create","params":{"message":"?"}}},"requestState":"s\u00e9"}"#,
        )
        .unwrap();
        assert_eq!(asks.state, Some(r#""s\u00e9""#));
        assert_eq!(
            (asks.requests[0].key, asks.requests[0].want, asks.requests[0].params),
            ("\"a\"", Want::Roots, None)
        );
        assert_eq!(asks.requests[1].params, Some(r#"{"message":"?"}"#));
        assert!(input_required(r#"{"inputRequests":{}}"#).is_none());
        assert!(input_required(r#"{"inputRequests":{"a":{"method":"tools/call"}}}"#).is_none());
    }

    #[test]
    fn an_ask_becomes_an_entry_without_what_belongs_to_its_request() {
        assert_eq!(
            input_request(
                "elicitation/create",
                r#"{"mode":"url","elicitationId":"e","url":"x:y","_meta":{"progressToken":1,"k":2},"message":"?"}"#
            ),
            r#"{"method":"elicitation/create","params":{"mode":"url","url":"x:y","_meta":{"k":2},"message":"?"}}"#
        );
        assert_eq!(input_request("roots/list", ""), r#"{"method":"roots/list"}"#);
    }
}
