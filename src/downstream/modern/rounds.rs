//! What a client is asked in the answer to its request, and what it answers with the next (2026-07-28,
//! basic/patterns/mrtr).
//!
//! Owns the words of both. Who waits meanwhile, and for how long, is the hub's affair (`hub::parked`).

use crate::hub::parked::OpenCall;
use crate::mcp::askable::Askable;
use crate::mcp::era::{self, InputRequired};
use crate::upstream::ask::Ask;
use crate::wire::fault::{Fault, Reason};
use crate::wire::id::Id;
use crate::wire::members::{Member, member, members, quote, string};
use crate::wire::message::{Message, SERVER_INFO_KEY, Span};
use crate::wire::splice::{member_cut, splice};
use bytes::Bytes;
use std::fmt::Write as _;

/// The response that asks. `requests`: the members of `inputRequests`; `handle`: what to bring back.
pub(super) fn asking(
    id: &Id,
    info: &str,
    requests: impl Iterator<Item = (String, String)>,
    handle: &str,
) -> Bytes {
    let mut text = format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"input_required","_meta":{{"{SERVER_INFO_KEY}":{info}}},"inputRequests":{{"#
    );
    for (at, (key, request)) in requests.enumerate() {
        let comma = if at > 0 { "," } else { "" };
        write!(text, "{comma}{}:{request}", quote(&key)).unwrap_or_default();
    }
    write!(text, r#"}},"requestState":{}}}}}"#, quote(handle)).unwrap_or_default();
    text.into()
}

/// What a call's server wants, as entries of `inputRequests`.
pub(super) fn wanted(call: &OpenCall) -> Vec<(String, String)> {
    call.asks().filter_map(|(key, ask)| Some((key.to_owned(), entry(ask)?))).collect()
}

fn entry(ask: &Ask) -> Option<String> {
    // Its id is for nobody.
    let request = Message::parse_server(ask.text("0")).ok()?;
    let params = request.params().and_then(|params| params.object).map(|span| request.str(span));
    Some(era::input_request(request.method()?, params.unwrap_or_default()))
}

/// Hands what a client has brought to the asks that it answers. Keys that nobody asked for are ignored.
pub(super) fn answer(call: &mut OpenCall, request: &Message) {
    let brought = request.params().and_then(|params| params.input_responses).map(|(_, value)| value);
    let brought = brought.map(|span| request.str(span)).and_then(members).unwrap_or_default();
    for member in brought {
        // What is no result is no answer: it is asked for again.
        if !member.value.starts_with('{') {
            continue;
        }
        let text = format!(r#"{{"jsonrpc":"2.0","id":0,"result":{}}}"#, member.value);
        if let Ok(response) = Message::parse_server(text.into())
            && let Some(ask) = call.take_ask(&member.key)
        {
            ask.answer(&response);
        }
    }
}

/// Whoever did not go to a page is not sent there again. What it did not answer at all may be asked once more.
pub(super) fn refuse_declined(request: &Message) -> Result<(), Fault> {
    let brought = request.params().and_then(|params| params.input_responses).map(|(_, value)| value);
    let brought = brought.map(|span| request.str(span)).and_then(members).unwrap_or_default();
    let is_declined = |answer: &Member<'_>| {
        answer.value.starts_with('{')
            && member(answer.value, "action").and_then(string).as_deref() != Some("accept")
    };
    match brought.iter().any(is_declined) {
        true => {
            Err(Fault::ours(Reason::Refused, "its server cannot answer unless its client goes to a page"))
        }
        false => Ok(()),
    }
}

/// A response that asks, with a handle in the place of what its server gave its client to bring back.
pub(super) fn with_handle(response: &Bytes, handle: &str) -> Option<Bytes> {
    let text = std::str::from_utf8(response).ok()?;
    let state = member(member(text, "result")?, "requestState")?;
    Some(splice(response, &mut [(Span::of(text, state)?, Bytes::from(quote(handle)))]))
}

/// The same request with the state that its server gave.
pub(super) fn with_state(request: &Message, state: Bytes) -> Bytes {
    let place = request.params().and_then(|params| params.request_state.as_ref());
    match place.and_then(|(_, text)| text.as_ref()) {
        Some(text) => splice(request.text(), &mut [(text.span(), state)]),
        None => request.text().clone(),
    }
}

/// The same request as if it were the first time.
pub(super) fn without_rounds(request: &Message) -> Bytes {
    let params = request.params();
    let places: Vec<Span> = [
        params.and_then(|params| params.request_state.as_ref()).map(|(member, _)| *member),
        params.and_then(|params| params.input_responses).map(|(member, _)| member),
    ]
    .into_iter()
    .flatten()
    .collect();
    // One after the other: which comma goes with the second depends on the first.
    let mut text = request.text().clone();
    for place in places.iter().rev().collect::<std::collections::BTreeSet<_>>().into_iter().rev() {
        let cut = member_cut(&text, place.start, place.end);
        text = splice(&text, &mut [(cut, Bytes::new())]);
    }
    text
}

/// Whether an entry of `inputRequests` sends a client to a page, and this client goes to pages.
pub(super) fn is_page(entry: &str, askable: &Askable) -> bool {
    let params = member(entry, "params").filter(|params| params.starts_with('{')).unwrap_or("{}");
    let mode = member(params, "mode").and_then(string);
    let method = member(entry, "method").unwrap_or_default();
    mode.as_deref() == Some("url") && refusal(method, params, askable).is_none()
}

/// A server must not ask its client for what that did not declare.
pub(super) fn refuse_undeclared(asked: &InputRequired<'_>, askable: &Askable) -> Result<(), Fault> {
    for request in &asked.requests {
        if let Some(why) = refusal(request.method, request.params.unwrap_or("{}"), askable) {
            return Err(Fault::ours(Reason::Refused, format!("its server asks what it may not: {why}")));
        }
    }
    Ok(())
}

/// Why a client may not be asked this. Both are JSON as it stands, a string and an object.
fn refusal(method: &str, params: &str, askable: &Askable) -> Option<String> {
    let text = format!(r#"{{"jsonrpc":"2.0","id":0,"method":{method},"params":{params}}}"#);
    match Message::parse_server(text.into()) {
        Ok(ask) => askable.refusal(&ask).map(|fault| fault.text),
        Err(bad) => Some(bad.fault().text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::caps::Caps;

    fn request(params: &str) -> Message {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        Message::parse_client(text.into(), Caps::default()).unwrap()
    }

    fn params(text: &Bytes) -> String {
        let text = std::str::from_utf8(text).unwrap();
        let (_, params) = text.split_once(r#""params":"#).unwrap();
        params.strip_suffix('}').unwrap().to_owned()
    }

    #[test]
    fn a_request_is_made_again_without_its_rounds() {
        for (with, without) in [
            (r#"{"requestState":"s","inputResponses":{"a":{}}}"#, "{}"),
            (r#"{"inputResponses":{"a":{}},"requestState":"s"}"#, "{}"),
            (r#"{"name":"x","requestState":"s","inputResponses":{}}"#, r#"{"name":"x"}"#),
            (r#"{"requestState":"s", "name":"x","inputResponses":{},"z":1}"#, r#"{ "name":"x","z":1}"#),
            (r#"{"name":"x"}"#, r#"{"name":"x"}"#),
        ] {
            assert_eq!(params(&without_rounds(&request(with))), without);
        }
    }

    #[test]
    fn a_state_is_put_back_as_it_stood() {
        let request = request(r#"{"requestState" : "handle","name":"x"}"#);
        assert_eq!(
            params(&with_state(&request, Bytes::from_static(br#""s\u00e9\/""#))),
            r#"{"requestState" : "s\u00e9\/","name":"x"}"#
        );
    }

    #[test]
    fn only_what_is_a_page_sends_anybody_there() {
        let askable = |modes: &str| {
            Askable::read(&format!(r#"{{"elicitation":{modes}}}"#), crate::mcp::revision::Revision::MODERN)
        };
        let (both, forms) = (askable(r#"{"form":{},"url":{}}"#), askable("{}"));
        let page = r#"{"method":"elicitation/create","params":{"mode":"url","message":"m","url":"a:b"}}"#;
        assert!(is_page(page, &both) && !is_page(page, &forms));
        for other in [
            r#"{"method":"elicitation/create"}"#,
            r#"{"method":"elicitation/create","params":7}"#,
            r#"{"method":"elicitation/create","params":{"message":"m"}}"#,
            r#"{"method":"elicitation/create","params":{"mode":"form","message":"m"}}"#,
            r#"{"method":"elicitation/create","params":{"mode":["url"]}}"#,
        ] {
            assert!(!is_page(other, &both), "{other}");
        }
    }
}
