//! What a server asks of a client, and what belongs to it, in the client's terms.
//!
//! Owns which places of an ask change: whose question it is stands before it, URIs and ids are the client's,
//! and a server gets no context of others. It decides neither whom to ask nor whether; progress tokens and
//! ids of requests are their owners' affair. Every edit is a span of the message and its replacement.

use super::look::Look;
use super::uris::UriMap;
use crate::mcp::method::{Method, Want};
use crate::wire::members::{each, elements, member, members, prepend, quote, requote, string};
use crate::wire::message::{Head, Message, Outcome, Places, Span};
use bytes::Bytes;

/// The edits that put a server's ask into its client's terms, nothing else.
///
/// `label`: what the server is called where a person reads it. `None`: there is only the one.
pub fn in_clients_terms(ask: &Message, want: Want, uris: &UriMap, label: Option<&str>) -> Vec<(Span, Bytes)> {
    let mut edits = Edits { message: ask, made: Vec::new() };
    let Some(params) = ask.params().and_then(|params| params.object) else { return Vec::new() };
    match want {
        Want::Elicitation => edits.question(ask.str(params), uris, label),
        Want::Sampling => edits.completion(ask.str(params), uris),
        Want::Roots => {}
    }
    edits.made
}

/// The same for `notifications/elicitation/complete`.
pub fn completed_in_clients_terms(note: &Message, uris: &UriMap) -> Vec<(Span, Bytes)> {
    let mut edits = Edits { message: note, made: Vec::new() };
    if let Some(params) = note.params().and_then(|params| params.object) {
        edits.ids(note.str(params), uris);
    }
    edits.made
}

/// The same for `notifications/resources/updated`.
pub fn updated_in_clients_terms(note: &Message, uris: &UriMap) -> Vec<(Span, Bytes)> {
    let mut edits = Edits { message: note, made: Vec::new() };
    if let Some(uri) = note.params().and_then(|params| params.uri.as_ref()) {
        let own = uri.as_str(note);
        edits.resay(note.str(uri.span()), own, &uris.expose(own));
    }
    edits.made
}

/// The same for an error that asks the client to go to URLs before it tries again. `error` is the span of
/// the response's error; no other code than this one has anything to change (2025-11-25, schema,
/// URLElicitationRequiredError).
pub fn required_in_clients_terms(
    response: &Message,
    error: Span,
    uris: &UriMap,
    label: Option<&str>,
) -> Vec<(Span, Bytes)> {
    let mut edits = Edits { message: response, made: Vec::new() };
    let Head::Response { outcome: Outcome::Error { code: Some(URL_REQUIRED), .. }, .. } = response.head()
    else {
        return Vec::new();
    };
    // A member that stands twice may be read either way, so that both are edited.
    for data in each(response.str(error), "data") {
        for elicitations in each(data, "elicitations") {
            for elicitation in elements(elicitations).unwrap_or_default() {
                edits.question(elicitation, uris, label);
            }
        }
    }
    edits.made
}

/// The same for a result that asks the client for more before the request can be answered (2026-07-28,
/// basic/patterns/mrtr). `result` is the span of the response's result.
pub fn input_in_clients_terms(
    response: &Message,
    result: Span,
    uris: &UriMap,
    label: Option<&str>,
) -> Vec<(Span, Bytes)> {
    let mut edits = Edits { message: response, made: Vec::new() };
    for requests in each(response.str(result), "inputRequests") {
        for request in members(requests).unwrap_or_default() {
            let method = member(request.value, "method").and_then(string);
            let Some(params) = member(request.value, "params") else { continue };
            match method.as_deref().map(Method::parse) {
                Some(Method::Ask(Want::Elicitation)) => edits.question(params, uris, label),
                Some(Method::Ask(Want::Sampling)) => edits.completion(params, uris),
                Some(_) | None => {}
            }
        }
    }
    edits.made
}

/// The same for a result that is a task or says how one is (2026-07-28, the extension tasks): its id, what it wants to
/// know, and what came of it. `expose`: what the client calls a task.
pub fn task_in_clients_terms(
    response: &Message,
    result: Span,
    look: &Look,
    expose: impl Fn(&str) -> String,
) -> Vec<(Span, Bytes)> {
    let text = response.str(result);
    let mut edits = input_in_clients_terms(response, result, &look.uris, look.label.as_deref());
    let mut more = Edits { message: response, made: Vec::new() };
    for id in each(text, "taskId") {
        if let Some(own) = string(id) {
            more.put(id, quote(&expose(&own)));
        }
    }
    for done in each(text, "result").filter(|done| done.starts_with('{')) {
        // It is what the call would have answered with: the places in it are found as they are there.
        let alone = Message::parse_server(format!(r#"{{"jsonrpc":"2.0","id":0,"result":{done}}}"#).into());
        let Ok(alone) = alone else { continue };
        let Head::Response { outcome: Outcome::Result { value, places }, .. } = alone.head() else {
            continue;
        };
        for place in &places.uris {
            let (own, span) = (place.as_str(&alone), place.span());
            let (from, to) = (span.start.saturating_sub(value.start), span.end.saturating_sub(value.start));
            if let Some(raw) = done.get(from as usize..to as usize) {
                more.resay(raw, own, &look.uris.expose(own));
            }
        }
    }
    edits.append(&mut more.made);
    edits
}

/// The code of URLElicitationRequired, in 2025-11-25 alone.
pub const URL_REQUIRED: i64 = -32042;

struct Edits<'a> {
    message: &'a Message,
    made: Vec<(Span, Bytes)>,
}

impl<'a> Edits<'a> {
    /// A question to a person. It says first whose it is, because the client's own window cannot (2025-11-25,
    /// client/elicitation, safe URL handling and security considerations).
    fn question(&mut self, question: &'a str, uris: &UriMap, label: Option<&str>) {
        for message in each(question, "message").filter(|message| message.starts_with('"')) {
            if let Some(label) = label {
                self.put(message, prepend(message, &format!("[{label}] ")));
            }
        }
        self.ids(question, uris);
    }

    fn ids(&mut self, params: &'a str, uris: &UriMap) {
        for id in each(params, "elicitationId") {
            if let Some(own) = string(id) {
                self.resay(id, &own, &uris.expose_id(&own));
            }
        }
    }

    /// A request for a completion by the client's model.
    fn completion(&mut self, params: &'a str, uris: &UriMap) {
        // The client would take us, with all our servers, for "this server".
        let context = member(params, "includeContext").filter(|context| *context != "null");
        if let Some(context) = context.filter(|context| string(context).as_deref() != Some("none")) {
            self.put(context, "\"none\"".to_owned());
        }
        let Some(messages) = member(params, "messages") else { return };
        for place in &Places::of_messages(self.message, messages).uris {
            let own = place.as_str(self.message);
            self.resay(self.message.str(place.span()), own, &uris.expose(own));
        }
    }

    /// The literal `raw`, which says `own`, is to say `exposed`.
    fn resay(&mut self, raw: &str, own: &str, exposed: &str) {
        if own != exposed {
            self.put(raw, requote(raw, own, exposed));
        }
    }

    /// `part` is a slice of the message's text.
    fn put(&mut self, part: &str, new: String) {
        let whole = Span { start: 0, end: self.message.text().len() as u32 };
        if let Some(span) = Span::of(self.message.str(whole), part) {
            self.made.push((span, new.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Names, Prefix, Uris};
    use crate::mcp::method::Method;
    use crate::routing::names::NamePlan;
    use crate::wire::splice::splice;
    use proptest::prelude::*;

    fn map() -> UriMap {
        let plan = NamePlan::new(&Names::default(), &[("Srv", &Prefix::Key, Uris::Prefixed)]);
        UriMap::new(&plan.servers()[0])
    }

    fn message(text: &str) -> Message {
        Message::parse_server(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    /// The edits of a request with this method; one that is no ask is never handed in.
    fn edits(message: &Message, method: &str, label: &str) -> Vec<(Span, Bytes)> {
        let Method::Ask(want) = Method::parse(method) else { return Vec::new() };
        in_clients_terms(message, want, &map(), Some(label))
    }

    fn edited(message: &Message, mut edits: Vec<(Span, Bytes)>) -> String {
        String::from_utf8(splice(message.text(), &mut edits).into()).unwrap()
    }

    fn ask(method: &str, params: &str) -> String {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":"#);
        let message = message(&format!("{text}{params}}}"));
        let edits = edits(&message, method, "Srv \"1\"");
        let edited = edited(&message, edits);
        edited.strip_prefix(&text).and_then(|rest| rest.strip_suffix('}')).unwrap().to_owned()
    }

    #[test]
    fn a_question_says_whose_it_is() {
        for (params, wanted) in [
            (
                r#"{ "message" : "caf\u00e9 \/","requestedSchema":{"message":"no"},"x":1.0}"#,
                r#"{ "message" : "[Srv \"1\"] caf\u00e9 \/","requestedSchema":{"message":"no"},"x":1.0}"#,
            ),
            (r#"{"message":"\ud800"}"#, r#"{"message":"[Srv \"1\"] \ud800"}"#),
            (r#"{"mess\u0061ge":""}"#, r#"{"mess\u0061ge":"[Srv \"1\"] "}"#),
            (r#"{"message":7,"_meta":{"progressToken":1}}"#, r#"{"message":7,"_meta":{"progressToken":1}}"#),
            ("{}", "{}"),
        ] {
            assert_eq!(ask("elicitation/create", params), wanted);
        }
    }

    #[test]
    fn without_a_label_a_question_is_left_as_it_is() {
        let message = message(
            r#"{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"message":"m","elicitationId":"i"}}"#,
        );
        assert_eq!(in_clients_terms(&message, Want::Elicitation, &UriMap::default(), None), []);
    }

    #[test]
    fn the_id_of_an_elicitation_is_its_servers_wherever_it_stands() {
        let asked =
            ask("elicitation/create", r#"{"mode":"url","url":"https://a:1","elicitationId":"\u0037"}"#);
        assert_eq!(asked, r#"{"mode":"url","url":"https://a:1","elicitationId":"srv:\u0037"}"#);
        let text = r#"{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"7","y":0}}"#;
        let note = message(text);
        let completed = edited(&note, completed_in_clients_terms(&note, &map()));
        assert_eq!(completed, text.replace(r#""7""#, r#""srv:7""#));
    }

    #[test]
    fn an_error_that_asks_for_urls_says_whose_they_are() {
        let text = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32042,"message":"m","data":{"elicitations":[{"mode":"url","message":"a","url":"https://b","elicitationId":"1"}, 7,{"message":"c","message":"d"}],"message":"m"}}}"#;
        let required = |text: &str| {
            let response = message(text);
            let Head::Response { outcome: Outcome::Error { value, .. }, .. } = response.head() else {
                panic!("no error")
            };
            edited(&response, required_in_clients_terms(&response, *value, &map(), Some("s")))
        };
        let wanted = text
            .replace(r#""message":"a""#, r#""message":"[s] a""#)
            .replace(r#""elicitationId":"1""#, r#""elicitationId":"srv:1""#)
            .replace(r#""message":"c","message":"d""#, r#""message":"[s] c","message":"[s] d""#);
        assert_eq!(required(text), wanted);
        let other = text.replace("-32042", "-32602");
        assert_eq!(required(&other), other);
        let odd =
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32042,"data":{"elicitations":{"message":"a"}}}}"#;
        assert_eq!(required(odd), odd);
    }

    #[test]
    fn what_a_result_asks_for_is_put_as_a_question_is() {
        let text = r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","requestState":"message","inputRequests":{"message":{"method":"elicitation/create","params":{"message":"m"}},"b":{"method":"sampling/createMessage","params":{"includeContext":"thisServer"}},"c":{"method":"roots/list"}}}}"#;
        let response = message(text);
        let Head::Response { outcome: Outcome::Result { value, .. }, .. } = response.head() else {
            panic!("no result")
        };
        let wanted =
            text.replace(r#"{"message":"m"}"#, r#"{"message":"[s] m"}"#).replace("thisServer", "none");
        let edits = input_in_clients_terms(&response, *value, &map(), Some("s"));
        assert_eq!(edited(&response, edits), wanted);
    }

    #[test]
    fn a_server_gets_no_context_of_the_others() {
        let context =
            |context: &str| ask("sampling/createMessage", &format!(r#"{{"includeContext":{context}}}"#));
        assert_eq!(context(r#""thisServer""#), r#"{"includeContext":"none"}"#);
        assert_eq!(context(r#""allServers""#), r#"{"includeContext":"none"}"#);
        assert_eq!(context("1"), r#"{"includeContext":"none"}"#);
        for kept in [r#""none""#, r#""n\u006fne""#, "null"] {
            assert_eq!(context(kept), format!(r#"{{"includeContext":{kept}}}"#));
        }
    }

    #[test]
    fn uris_for_a_model_are_the_clients() {
        let params = r#"{"messages":[{"role":"user","content":{"type":"resource_link","uri":"d:1"}},{"role":"user","content":[{"type":"tool_result","content":[{"type":"resource","resource":{"uri":"d:2","text":"d:2"}}]}]},{"role":"assistant","content":{"type":"tool_use","input":{"uri":"d:3"}}}],"systemPrompt":"d:4"}"#;
        let wanted = params
            .replace(r#""uri":"d:1""#, r#""uri":"srv+d:1""#)
            .replace(r#""uri":"d:2""#, r#""uri":"srv+d:2""#);
        assert_eq!(ask("sampling/createMessage", params), wanted);
        for odd in [r#"{"messages":7}"#, r#"{"messages":[{"content":7}]}"#, "{}"] {
            assert_eq!(ask("sampling/createMessage", odd), odd);
        }
    }

    #[test]
    fn an_update_names_the_clients_resource() {
        let text = r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"d:\/1","title":"d:1"}}"#;
        let note = message(text);
        let updated = edited(&note, updated_in_clients_terms(&note, &map()));
        assert_eq!(updated, text.replace(r#""d:\/1""#, r#""srv+d:\/1""#));
    }

    #[test]
    fn other_asks_pass_as_they_are() {
        let params = r#"{"message":"m","elicitationId":"i","messages":[{"content":{"type":"resource_link","uri":"d:1"}}]}"#;
        assert_eq!(ask("roots/list", params), params);
        assert_eq!(ask("tasks/get", params), params);
    }

    proptest! {
        /// Whatever a server writes, what comes out is the message that it was with whole literals replaced.
        #[test]
        fn what_is_edited_is_still_the_ask(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    r#""message":"m""#, r#""message":"\ud800""#, r#""elicitationId":"\n""#, r#""includeContext":"x""#,
                    r#""messages":[]"#, r#""messages":[{"content":{"uri":"a:b","type":"resource_link"}}]"#,
                    r#""messages":[{"content":[{"type":"resource","resource":{"uri":"a:\u0062"}}]}]"#, r#""x":[{}]"#,
                ]),
                0..5,
            ),
            elicits in any::<bool>(),
        ) {
            let method = if elicits { "elicitation/create" } else { "sampling/createMessage" };
            let params = parts.join(" , ");
            let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#);
            if let Ok(message) = Message::parse_server(Bytes::from(text)) {
                let edits = edits(&message, method, "l");
                for (span, _) in &edits {
                    prop_assert!(message.str(*span).starts_with('"') && message.str(*span).ends_with('"'));
                }
                let again = Message::parse_server(Bytes::from(edited(&message, edits))).unwrap();
                prop_assert_eq!(again.method(), message.method());
                prop_assert_eq!(again.id(), message.id());
            }
        }
    }
}
