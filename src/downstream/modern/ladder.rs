//! What a request of 2026-07-28 must say of itself before anything is done for it.
//!
//! Pure: a message and the head that it came with, a decision out. Owns the order of the checks (2026-07-28,
//! basic/versioning, basic/transports/streamable-http, server validation): the revision, the head, the method, what
//! `_meta` says. What the arguments repeat in the head is known only with the tool.

use crate::mcp::era;
use crate::mcp::level::Level;
use crate::mcp::method::Method;
use crate::mcp::mirror::{Found, decode, named};
use crate::mcp::revision::Revision;
use crate::wire::fault::{self, Fault};
use crate::wire::id::Id;
use crate::wire::members::{quote, string};
use crate::wire::message::{Message, Meta, Params};
use memchr::memmem::Finder;

/// What the head of a POST says; over stdio there is none.
pub(crate) trait Head {
    /// A header by its name in lower case.
    fn header(&self, name: &str) -> Found<'_>;
}

/// A request that may be served.
#[derive(Debug)]
pub(crate) struct Fit {
    pub(crate) id: Id,
    pub(crate) method: Method,
    /// From which on it wants logs.
    pub(crate) level: Option<Level>,
}

/// Looks whether a text may hold a message that says which revision it is of: worth a closer look. Nobody who means it spells
/// that word with escapes.
#[derive(Debug)]
pub(crate) struct Claims(Finder<'static>);

impl Claims {
    pub(crate) fn may_be_in(&self, text: &[u8]) -> bool {
        self.0.find(text).is_some()
    }
}

impl Default for Claims {
    fn default() -> Self {
        Self(Finder::new(b"io.modelcontextprotocol"))
    }
}

/// Whether a message says by itself which revision it is of.
pub(crate) fn claims(message: &Message) -> bool {
    meta(message).is_some_and(|meta| meta.protocol_version.is_some())
}

/// Whether the `_meta` of a request that claims no revision says what only this one has words for.
pub(crate) fn stands_unclaimed(message: &Message) -> bool {
    meta(message).is_some_and(|meta| meta.protocol_version.is_none() && era::stands(meta))
}

/// Whether a method is one that only this revision has.
pub(crate) fn is_modern(method: Method) -> bool {
    matches!(method, Method::Discover | Method::Listen | Method::Task)
}

/// Climbs the ladder. `head`: what the POST said that it came with.
pub(crate) fn climb(message: &Message, head: Option<&impl Head>) -> Result<Fit, Fault> {
    let id = message.id().ok_or_else(|| Fault::invalid_request("a request must have an id"))?;
    revision(message, head)?;
    let name = message.method().unwrap_or_default();
    let method = Method::parse(name);
    if let Some(head) = head {
        same(METHOD, "method", head.header(METHOD), Some(name), Plain::AsItIs)?;
        let none = Params::default();
        if let Some((member, body)) = named(method, message.params().unwrap_or(&none)) {
            let body = body.map(|text| text.as_str(message));
            same(NAME, member, head.header(NAME), body, Plain::MayBeEncoded)?;
        }
    }
    if !is_served(method) {
        return Err(Fault::method_not_found(name));
    }
    let meta = meta(message);
    let declared = meta.and_then(|meta| meta.client_capabilities).map(|span| message.str(span));
    if !declared.is_some_and(|declared| declared.starts_with('{')) {
        return Err(missing("clientCapabilities"));
    }
    if declared.is_some_and(|declared| declared.len() > CAPABILITIES_BYTES_MAX) {
        let text = format!("`clientCapabilities` has more than {CAPABILITIES_BYTES_MAX} bytes");
        return Err(Fault::invalid_params(text));
    }
    let level = meta.and_then(|meta| meta.log_level).map(|span| message.str(span)).map(level).transpose()?;
    Ok(Fit { id, method, level })
}

/// What the client declared with this request.
pub(crate) fn capabilities(message: &Message) -> &str {
    meta(message).and_then(|meta| meta.client_capabilities).map(|span| message.str(span)).unwrap_or("{}")
}

/// The revision that a message is of must be there, the same in the head, and one that is spoken this way.
pub(crate) fn revision(message: &Message, head: Option<&impl Head>) -> Result<(), Fault> {
    let said = meta(message).and_then(|meta| meta.protocol_version.as_ref());
    let Some(said) = said.map(|said| said.as_str(message)) else { return Err(missing("protocolVersion")) };
    if let Some(head) = head {
        same(VERSION, "_meta protocolVersion", head.header(VERSION), Some(said), Plain::AsItIs)?;
    }
    match Revision::parse(said).is_some_and(Revision::is_modern) {
        true => Ok(()),
        false => {
            let ours = Revision::MODERN.as_str();
            let text =
                format!("the revision `{}` is not spoken without `initialize`; `{ours}` is", brief(said));
            let data = format!(r#"{{"supported":["{ours}"],"requested":{}}}"#, quote(said));
            Err(Fault::plain(UNSUPPORTED_VERSION, text).data(data))
        }
    }
}

/// The fault of a request that is of this revision by all but what it says of that itself.
pub(crate) fn unclaimed() -> Fault {
    missing("protocolVersion")
}

fn missing(what: &str) -> Fault {
    Fault::invalid_params(format!("`params._meta[\"io.modelcontextprotocol/{what}\"]` is missing"))
}

/// How a header's value stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plain {
    AsItIs,
    MayBeEncoded,
}

/// A header must say what a member of the body does; where the body says nothing, so must the head.
fn same(name: &str, member: &str, found: Found<'_>, body: Option<&str>, plain: Plain) -> Result<(), Fault> {
    let value = match (found, body) {
        (Found::Nothing, None) => return Ok(()),
        (Found::Nothing, Some(_)) => return Err(mismatch(format!("the header `{name}` is missing"))),
        (Found::Repeated, _) => return Err(mismatch(format!("the header `{name}` is there more than once"))),
        (Found::Odd, _) => return Err(mismatch(format!("the header `{name}` is no plain text"))),
        (Found::Once(value), _) => value,
    };
    let says = match plain {
        Plain::AsItIs => value.into(),
        Plain::MayBeEncoded => {
            decode(value).map_err(|why| mismatch(format!("the header `{name}`: {why}")))?
        }
    };
    match body == Some(&says) {
        true => Ok(()),
        false => Err(mismatch(format!("the header `{name}` does not match `{member}` of the body"))),
    }
}

/// The fault of a head that does not fit its body.
pub(crate) fn mismatch(text: impl Into<String>) -> Fault {
    Fault::plain(HEADER_MISMATCH, text)
}

/// Whether a client of this revision may ask this.
fn is_served(method: Method) -> bool {
    match method {
        Method::Discover
        | Method::Listen
        | Method::List(_)
        | Method::ToolsCall
        | Method::PromptsGet
        | Method::ResourcesRead
        | Method::Complete
        | Method::Task => true,
        Method::Initialize
        | Method::Initialized
        | Method::Ping
        | Method::SetLevel
        | Method::Subscribe
        | Method::Unsubscribe
        | Method::Ask(_)
        | Method::Cancelled
        | Method::Progress
        | Method::Log
        | Method::Updated
        | Method::RootsChanged
        | Method::ElicitationComplete
        | Method::ListChanged(_)
        | Method::Acknowledged
        | Method::Other => false,
    }
}

/// An unknown level is refused with -32602 (2026-07-28, server/utilities/logging, error handling).
fn level(raw: &str) -> Result<Level, Fault> {
    string(raw).and_then(|level| Level::parse(&level)).ok_or_else(|| {
        let known = Level::ALL.map(Level::as_str).join(", ");
        Fault::invalid_params(format!("`logLevel` must be one of {known}"))
    })
}

fn meta(message: &Message) -> Option<&Meta> {
    message.params()?.meta.as_ref()
}

/// A client's text within our sentence is no longer than a line.
fn brief(text: &str) -> &str {
    fault::brief(text, BRIEF_CHARS_MAX)
}

const VERSION: &str = "mcp-protocol-version";
const METHOD: &str = "mcp-method";
const NAME: &str = "mcp-name";
const HEADER_MISMATCH: i32 = -32020;
const UNSUPPORTED_VERSION: i32 = -32022;
/// The most that a request may declare of its client.
const CAPABILITIES_BYTES_MAX: usize = 64 * 1024;
const BRIEF_CHARS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::caps::Caps;
    use bytes::Bytes;

    impl Head for Vec<(&'static str, &'static str)> {
        fn header(&self, name: &str) -> Found<'_> {
            let mut all = self.iter().filter(|(key, _)| *key == name);
            match (all.next(), all.next()) {
                (None, _) => Found::Nothing,
                (Some((_, value)), None) => Found::Once(value),
                (Some(_), Some(_)) => Found::Repeated,
            }
        }
    }

    const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

    fn message(method: &str, params: &str) -> Message {
        let text = format!(r#"{{"jsonrpc":"2.0","id":"i","method":"{method}","params":{{{params}}}}}"#);
        Message::parse_client(Bytes::from(text), Caps::default()).unwrap()
    }

    fn over_stdio(method: &str, params: &str) -> Result<Fit, i32> {
        climb(&message(method, params), None::<&Vec<_>>).map_err(|fault| fault.code)
    }

    fn over_http(method: &str, params: &str, head: &[(&'static str, &'static str)]) -> Result<Fit, i32> {
        climb(&message(method, params), Some(&head.to_vec())).map_err(|fault| fault.code)
    }

    #[test]
    fn a_request_that_says_all_is_served() {
        for method in ["server/discover", "subscriptions/listen", "tools/list", "completion/complete"] {
            assert!(over_stdio(method, META).is_ok(), "{method}");
            // Names that nobody asks for are none.
            let head = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", method), ("mcp-name", "x")];
            assert!(over_http(method, META, &head).is_ok(), "{method}");
        }
    }

    #[test]
    fn each_missing_piece_has_its_code() {
        let version = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
        for (params, code) in [
            ("", -32602),
            (r#""_meta":{}"#, -32602),
            (r#""_meta":{"io.modelcontextprotocol/clientCapabilities":{}}"#, -32602),
            (version, -32602),
            (
                r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":[]}"#,
                -32602,
            ),
            (r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2025-11-25"}"#, -32022),
            (r#""_meta":{"io.modelcontextprotocol/protocolVersion":"v9"}"#, -32022),
        ] {
            assert_eq!(over_stdio("tools/list", params).err(), Some(code), "{params}");
        }
        for method in ["initialize", "ping", "logging/setLevel", "resources/subscribe", "tasks/list", "x"] {
            assert_eq!(over_stdio(method, META).err(), Some(-32601), "{method}");
        }
    }

    #[test]
    fn a_revision_that_is_not_spoken_is_named_with_ours() {
        let fault = revision(
            &message("x", r#""_meta":{"io.modelcontextprotocol/protocolVersion":"v9"}"#),
            None::<&Vec<_>>,
        );
        assert_eq!(fault.unwrap_err().data.unwrap(), r#"{"supported":["2026-07-28"],"requested":"v9"}"#);
    }

    #[test]
    fn a_head_must_say_what_the_body_does() {
        let call = format!(r#""name":"ä","uri":"a:b",{META}"#);
        let good = ("mcp-protocol-version", "2026-07-28");
        let method = ("mcp-method", "tools/call");
        assert!(over_http("tools/call", &call, &[good, method, ("mcp-name", "=?base64?w6Q=?=")]).is_ok());
        let read = [good, ("mcp-method", "resources/read"), ("mcp-name", "a:b")];
        assert!(over_http("resources/read", &call, &read).is_ok());
        for head in [
            &[][..],
            &[good, method],
            &[method, ("mcp-name", "=?base64?w6Q=?=")],
            &[good, ("mcp-name", "=?base64?w6Q=?=")],
            &[good, method, ("mcp-name", "=?base64?w6Q?=")],
            &[good, method, ("mcp-name", "a")],
            &[good, ("mcp-method", "TOOLS/CALL"), ("mcp-name", "=?base64?w6Q=?=")],
            &[good, method, ("mcp-name", "=?base64?w6Q=?="), ("mcp-name", "=?base64?w6Q=?=")],
            &[("mcp-protocol-version", "2025-11-25"), method, ("mcp-name", "=?base64?w6Q=?=")],
        ] {
            assert_eq!(over_http("tools/call", &call, head).err(), Some(-32020), "{head:?}");
        }
        // A revision that both name and nobody speaks is no mismatch; one that only the body names is.
        let odd = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"v9"}"#;
        assert_eq!(over_http("x", odd, &[("mcp-protocol-version", "v9")]).err(), Some(-32022));
        assert_eq!(over_http("x", odd, &[good]).err(), Some(-32020));
        assert_eq!(over_http("server/discover", "", &[good]).err(), Some(-32602));
    }

    #[test]
    fn a_level_is_one_of_eight() {
        let with = |level: &str| {
            let meta = META.replace(
                r#"Capabilities":{}"#,
                &format!(r#"Capabilities":{{}},"io.modelcontextprotocol/logLevel":{level}"#),
            );
            over_stdio("tools/list", &meta)
        };
        assert_eq!(with(r#""warning""#).unwrap().level, Some(Level::Warning));
        for level in [r#""warn""#, "7", "null"] {
            assert_eq!(with(level).err(), Some(-32602), "{level}");
        }
    }

    #[test]
    fn what_claims_nothing_is_told_from_what_does() {
        assert!(claims(&message("initialize", META)) && !claims(&message("initialize", "")));
        let may_be = Claims::default();
        assert!(may_be.may_be_in(message("x", META).text()) && !may_be.may_be_in(b"{}"));
    }
}
