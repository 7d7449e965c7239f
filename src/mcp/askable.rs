//! What a client can be asked by a server: for its roots, its model, or an answer of its person.
//!
//! Reads the `capabilities` that a client sent with `initialize`, once; says what its servers are told of
//! them, and whether it may be asked one thing. Only what was declared may be asked (2025-11-25,
//! basic/lifecycle, operation). It knows nothing of who asks or who is meant.

use super::method::{Method, Want};
use super::revision::Revision;
use crate::wire::fault::Fault;
use crate::wire::members::{Member, member, members, string};
use crate::wire::message::Message;

/// What one client can be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Askable {
    pub roots: bool,
    pub sampling: bool,
    /// Its model may use tools that the server brings along.
    pub sampling_tools: bool,
    /// Its person may be asked to fill in a form,
    pub form: bool,
    /// or to go to a URL.
    pub url: bool,
    /// It shows what servers bring along for that (the extension MCP Apps).
    pub ui: bool,
    /// It takes a task for an answer (2026-07-28, the extension tasks).
    pub tasks: bool,
}

impl Askable {
    /// What the servers of a shared link are told: all that Braid can carry, for whichever client it may be.
    /// Nothing of changes of roots, since they are not one client's.
    pub const SHARED: &str = r#"{"roots":{},"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}},"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]}}}"#;

    /// Reads a `capabilities` object. What the client's revision has no word for is not read, and what is no
    /// object declares nothing, so that a server is refused rather than a client surprised.
    pub fn read(capabilities: &str, revision: Revision) -> Self {
        let roots = declared(capabilities, "roots");
        let sampling = declared(capabilities, "sampling");
        let elicitation = declared(capabilities, "elicitation").filter(|_| revision >= Revision::V2025_06_18);
        let latest = revision >= Revision::V2025_11_25;
        let has = |object: Option<&str>, key| latest && object.and_then(|it| declared(it, key)).is_some();
        let url = has(elicitation, "url");
        Self {
            roots: roots.is_some(),
            sampling: sampling.is_some(),
            sampling_tools: has(sampling, "tools"),
            // An empty object means forms (2025-11-25, client/elicitation, capabilities), and so does one that
            // names no mode that we know.
            form: elicitation.is_some() && (!url || has(elicitation, "form")),
            url,
            ui: declared(capabilities, "extensions").and_then(|all| declared(all, UI)).is_some(),
            tasks: revision.is_modern()
                && declared(capabilities, "extensions").and_then(|all| declared(all, TASKS)).is_some(),
        }
    }

    /// What a server of this client alone is told: of the client's own `capabilities` the members that can be
    /// asked for, and the extensions that pass through us, as they stand and in their order. Others are left out, since
    /// Braid does not carry them.
    pub fn told(&self, capabilities: &str) -> String {
        let known = members(capabilities).unwrap_or_default();
        let told = known.iter().filter_map(|known| {
            let Member { key, key_raw, value } = known;
            let asked = match key.as_ref() {
                "roots" => self.roots,
                "sampling" => self.sampling,
                "elicitation" => self.form || self.url,
                "extensions" => return Some(format!("{key_raw}:{}", self.carried(value)?)),
                _ => false,
            };
            (asked && declared(capabilities, key).is_some()).then(|| format!("{key_raw}:{value}"))
        });
        let told: Vec<String> = told.collect();
        format!("{{{}}}", told.join(","))
    }

    /// Of an object of extensions those that we carry for this client; `None`: there is none of them.
    fn carried(&self, extensions: &str) -> Option<String> {
        let named = members(extensions)?;
        let is_carried = |name: &str| name == UI || (name == TASKS && self.tasks);
        let named = named.iter().filter(|named| is_carried(&named.key));
        let carried: Vec<String> = named.map(|named| format!("{}:{}", named.key_raw, named.value)).collect();
        (!carried.is_empty()).then(|| format!("{{{}}}", carried.join(",")))
    }

    /// Whether it has all of these members of a ClientCapabilities object, and there is one.
    pub fn has(&self, capabilities: &[Member<'_>]) -> bool {
        let has = |needed: &Member<'_>| {
            let inner = |key| member(needed.value, key).is_some();
            match needed.key.as_ref() {
                "roots" => self.roots,
                "sampling" => self.sampling && (self.sampling_tools || !inner("tools")),
                "elicitation" => {
                    (self.form || !inner("form")) && (self.url || !inner("url")) && (self.form || self.url)
                }
                "extensions" => members(needed.value).is_some_and(|named| {
                    let has = |name: &str| (name == TASKS && self.tasks) || (name == UI && self.ui);
                    !named.is_empty() && named.iter().all(|named| has(&named.key))
                }),
                _ => false,
            }
        };
        !capabilities.is_empty() && capabilities.iter().all(has)
    }

    /// Why the client cannot be asked this; `None`: it can.
    pub fn refusal(&self, ask: &Message) -> Option<Fault> {
        let method = ask.method().unwrap_or_default();
        let undeclared = |what: &str| {
            Some(Fault::plain(
                -32601,
                format!("method not found: {method}; the client did not declare `{what}`"),
            ))
        };
        let Method::Ask(want) = Method::parse(method) else { return Some(Fault::method_not_found(method)) };
        match want {
            Want::Roots if self.roots => None,
            Want::Roots => undeclared("roots"),
            Want::Sampling if self.sampling => self.no_tools(ask),
            Want::Sampling => undeclared("sampling"),
            Want::Elicitation if self.form || self.url => self.no_mode(ask),
            Want::Elicitation => undeclared("elicitation"),
        }
    }

    /// Tools without the word for them are an error (2025-11-25, schema, CreateMessageRequestParams).
    fn no_tools(&self, ask: &Message) -> Option<Fault> {
        let with = ["tools", "toolChoice"].into_iter().find(|key| param(ask, key).is_some());
        let with = with.filter(|_| !self.sampling_tools)?;
        let text = format!("`params.{with}` needs `sampling.tools`, which the client did not declare");
        Some(Fault::invalid_params(text))
    }

    /// An undeclared mode is refused with -32602 (2025-11-25, client/elicitation, error handling).
    fn no_mode(&self, ask: &Message) -> Option<Fault> {
        let mode = param(ask, "mode");
        let (needed, declared) = match mode.map(string) {
            None => ("form", self.form),
            Some(Some(mode)) if mode == "form" => ("form", self.form),
            Some(Some(mode)) if mode == "url" => ("url", self.url),
            Some(_) => return Some(Fault::invalid_params("`params.mode` must be `form` or `url`")),
        };
        let text =
            format!("the mode `{needed}` needs `elicitation.{needed}`, which the client did not declare");
        (!declared).then(|| Fault::invalid_params(text))
    }
}

/// An extension that needs nothing of us but that we pass it on.
pub const UI: &str = "io.modelcontextprotocol/ui";
/// One that we carry between two who both do without a handshake: ids of tasks are others on either side.
pub const TASKS: &str = "io.modelcontextprotocol/tasks";

/// A member that is an object.
fn declared<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    member(object, key).filter(|value| value.starts_with('{'))
}

/// A member of the params that says something. None stands there twice: such a message is refused.
fn param<'a>(ask: &'a Message, key: &str) -> Option<&'a str> {
    member(ask.str(ask.params()?.object?), key).filter(|value| *value != "null")
}

#[cfg(test)]
mod tests {
    use super::Revision::*;
    use super::*;
    use bytes::Bytes;

    fn read(capabilities: &str) -> Askable {
        Askable::read(capabilities, Revision::LATEST)
    }

    /// The code with which a client that declared this refuses that.
    fn code(askable: &Askable, method: &str, params: &str) -> Option<i32> {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        askable.refusal(&Message::parse_server(Bytes::from(text)).unwrap()).map(|fault| fault.code)
    }

    fn everything() -> Askable {
        Askable {
            roots: true,
            sampling: true,
            sampling_tools: true,
            form: true,
            url: true,
            ui: true,
            tasks: false,
        }
    }

    #[test]
    fn what_a_client_declared_is_read() {
        assert_eq!(read(Askable::SHARED), everything());
        let roots = Askable { roots: true, ..Askable::default() };
        assert_eq!(read(r#"{"roots":{"listChanged":false}}"#), roots);
        assert_eq!(read(r#"{"roots":{"listChanged":true}}"#), roots);
        assert_eq!(read(r#"{"sampling":{"context":{}}}"#), Askable { sampling: true, ..Askable::default() });
    }

    #[test]
    fn elicitation_without_a_mode_means_forms() {
        let modes = |elicitation: &str| {
            let read = read(&format!(r#"{{"elicitation":{elicitation}}}"#));
            (read.form, read.url)
        };
        assert_eq!(modes("{}"), (true, false));
        assert_eq!(modes(r#"{"applyDefaults":true}"#), (true, false));
        assert_eq!(modes(r#"{"form":{}}"#), (true, false));
        assert_eq!(modes(r#"{"url":{}}"#), (false, true));
        assert_eq!(modes(r#"{"url":{},"form":{}}"#), (true, true));
        assert_eq!(modes(r#"{"url":null}"#), (true, false));
        assert_eq!(modes("null"), (false, false));
    }

    #[test]
    fn a_revision_declares_what_it_has_words_for() {
        let all = everything();
        let forms = Askable { sampling_tools: false, url: false, ..all };
        let none = Askable { form: false, ..forms };
        for (revision, askable) in
            [(V2024_11_05, &none), (V2025_03_26, &none), (V2025_06_18, &forms), (V2025_11_25, &all)]
        {
            assert_eq!(&Askable::read(Askable::SHARED, revision), askable, "{revision}");
        }
    }

    #[test]
    fn nonsense_declares_nothing() {
        for capabilities in [
            "",
            "[]",
            "null",
            r#"{"roots":null,"sampling":false,"elicitation":true}"#,
            r#"{"roots":[],"sampling":"yes","elicitation":1}"#,
            r#"{"roots":{},"roots":{}}"#,
        ] {
            assert_eq!(read(capabilities), Askable::default(), "{capabilities}");
            assert_eq!(read(capabilities).told(capabilities), "{}");
            assert_eq!(everything().told(capabilities), "{}");
        }
    }

    #[test]
    fn a_server_is_told_what_the_client_wrote() {
        let said = r#"{"tasks":{"list":{}}, "s\u0061mpling" : {"x": 1.0},"experimental":{},
            "elicitation":{"form" :{}},"extensions":{"x/y":{},"io.modelcontextprotocol/ui":{"a":1.0}},"roots":{"listChanged":true}}"#;
        assert_eq!(
            read(said).told(said),
            r#"{"s\u0061mpling":{"x": 1.0},"elicitation":{"form" :{}},"extensions":{"io.modelcontextprotocol/ui":{"a":1.0}},"roots":{"listChanged":true}}"#
        );
        let old = Askable::read(said, V2025_03_26);
        assert_eq!(
            old.told(said),
            r#"{"s\u0061mpling":{"x": 1.0},"extensions":{"io.modelcontextprotocol/ui":{"a":1.0}},"roots":{"listChanged":true}}"#
        );
    }

    #[test]
    fn what_a_server_needs_is_there_or_is_not() {
        let has = |askable: &Askable, needed: &str| askable.has(&members(needed).unwrap());
        let form = read(r#"{"elicitation":{}}"#);
        assert!(has(&form, r#"{"elicitation":{}}"#) && has(&form, r#"{"elicitation":{"form":{}}}"#));
        for lacking in
            [r#"{"elicitation":{"url":{}}}"#, r#"{"roots":{}}"#, r#"{"elicitation":{},"x":{}}"#, "{}"]
        {
            assert!(!has(&form, lacking), "{lacking}");
        }
        assert!(has(&everything(), r#"{"sampling":{"tools":{}},"roots":{}}"#));
    }

    #[test]
    fn tasks_are_for_those_without_a_handshake() {
        let said = r#"{"extensions":{"io.modelcontextprotocol/tasks":{},"x/y":{}}}"#;
        assert_eq!(read(said).told(said), "{}");
        let modern = Askable::read(said, V2026_07_28);
        assert!(modern.tasks);
        assert_eq!(modern.told(said), r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#);
    }

    #[test]
    fn only_what_was_declared_may_be_asked() {
        let (all, none) = (everything(), Askable::default());
        for (method, params) in [
            ("roots/list", "{}"),
            ("sampling/createMessage", r#"{"messages":[],"maxTokens":1,"tools":[],"toolChoice":{}}"#),
            ("elicitation/create", r#"{"message":"?","requestedSchema":{}}"#),
            ("elicitation/create", r#"{"mode":"form","message":"?","requestedSchema":{}}"#),
            ("elicitation/create", r#"{"mode":"url","message":"?","url":"x:y","elicitationId":"1"}"#),
        ] {
            assert_eq!(code(&all, method, params), None, "{params}");
            assert_eq!(code(&none, method, params), Some(-32601), "{params}");
        }
        for method in ["tools/call", "tasks/get", "ping", "notifications/message"] {
            assert_eq!(code(&all, method, "{}"), Some(-32601));
        }
    }

    #[test]
    fn an_ask_for_more_than_was_declared_has_wrong_params() {
        let sampling = read(r#"{"sampling":{}}"#);
        assert_eq!(code(&sampling, "sampling/createMessage", r#"{"tools":null}"#), None);
        for params in [r#"{"tools":[]}"#, r#"{"toolChoice":{"mode":"none"}}"#] {
            assert_eq!(code(&sampling, "sampling/createMessage", params), Some(-32602), "{params}");
        }
        let (form, url) = (read(r#"{"elicitation":{}}"#), read(r#"{"elicitation":{"url":{}}}"#));
        for (askable, params, refused) in [
            (&form, r#"{"mode":"url"}"#, Some(-32602)),
            (&form, r#"{"mode":null}"#, None),
            (&form, r#"{"mode":"voice"}"#, Some(-32602)),
            (&form, r#"{"mode":7}"#, Some(-32602)),
            (&url, r#"{"mode":"\u0075rl"}"#, None),
            (&url, r#"{"mode":"form"}"#, Some(-32602)),
            (&url, "{}", Some(-32602)),
        ] {
            assert_eq!(code(askable, "elicitation/create", params), refused, "{params}");
        }
    }
}
