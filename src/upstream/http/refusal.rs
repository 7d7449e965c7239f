//! What it means that a server answers a request with a status that is no success.
//!
//! Pure. Says what a person reads, whether the call may have run, and what follows for the connection.

use super::super::echo::{REPEATED, repeats};
use super::super::oauth::shell_word;
use super::super::stderr::escaped;
use super::super::stream::Again;
use super::headers::{Credentials, Renewal};
use crate::config::codes::Code;
use crate::config::{Secret, toml_key};
use crate::wire::fault::{CallOutcome, Reason};
use crate::wire::id::CallId;
use crate::wire::members::{member, string};
use crate::wire::message::{Head, Message, Outcome};
use bytes::Bytes;
use http::StatusCode;

/// A request that a server did not take.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Goes on after the server's name.
    pub(super) why: String,
    pub(super) reason: Reason,
    pub(super) outcome: CallOutcome,
    pub(super) explain: Option<Code>,
    pub(super) verdict: Verdict,
}

/// What a refusal says about the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Stays,
    /// It is over, for all of its calls.
    Lost { again: Again, why: String },
}

/// The circumstances of a request.
pub(super) struct Request<'a> {
    pub(super) server: &'a str,
    pub(super) credentials: Credentials,
    /// It had the id of a session with it.
    pub(super) in_session: bool,
    /// What it was sent and nobody else may read.
    pub(super) sent: Vec<Secret>,
}

impl Refusal {
    /// `body`: the beginning of the answer's body.
    pub(super) fn new(request: &Request<'_>, status: StatusCode, body: &[u8]) -> Self {
        let said = match status.canonical_reason() {
            Some(words) => format!("{} {words}", status.as_u16()),
            None => status.as_u16().to_string(),
        };
        let setting = match request.credentials {
            Credentials::Made => "headers_command",
            Credentials::Written | Credentials::Login => "headers",
        };
        let headers = format!("servers.{}.{setting}", toml_key(request.server));
        let refused = |why: String| Self {
            why,
            reason: Reason::Unreachable,
            outcome: CallOutcome::NotSent,
            explain: Some(Code::CredentialsRefused),
            verdict: Verdict::Stays,
        };
        if status == StatusCode::UNAUTHORIZED && request.credentials == Credentials::Login {
            let login = format!("`braid login {}`", shell_word(request.server));
            let why = format!("answered {said}: it wants a login ({login}) or other credentials ({headers})");
            return Self { explain: Some(Code::LoginNeeded), ..refused(why) };
        }
        if status == StatusCode::UNAUTHORIZED {
            let why = format!("answered {said}: it wants other credentials ({headers})");
            return refused(why);
        }
        if status == StatusCode::FORBIDDEN {
            return refused(format!("answered {said}: these credentials may not do that ({headers})"));
        }
        if status == StatusCode::NOT_FOUND && request.in_session {
            // It must be begun anew (2025-11-25, basic/transports, Session Management).
            let why = "ended the session; it is begun anew, and the call was not carried out".to_owned();
            let verdict = Verdict::Lost { again: Again::AtOnce, why: "ended the session".to_owned() };
            return Self { reason: Reason::Gone, explain: None, verdict, ..refused(why) };
        }
        let excerpt = excerpt(body);
        let why = match excerpt.as_str() {
            "" => format!("answered {said}"),
            excerpt if repeats(excerpt, &request.sent) => {
                format!("answered {said}, {REPEATED}")
            }
            excerpt => format!("answered {said}: {}", escaped(excerpt)),
        };
        let reason = match status {
            StatusCode::TOO_MANY_REQUESTS => Reason::Rate,
            StatusCode::PAYLOAD_TOO_LARGE => Reason::TooLarge,
            StatusCode::SERVICE_UNAVAILABLE => Reason::Busy,
            status if status.is_server_error() => Reason::Gone,
            _ => Reason::Unreachable,
        };
        // A status tells nothing of what was done before it was chosen.
        let (outcome, explain) = (CallOutcome::Unknown, Some(Code::RemoteRefused));
        Self { why, reason, outcome, explain, verdict: Verdict::Stays }
    }

    /// A login that is refused, or cannot be had. `why`: goes on after the server's name.
    /// `wants_login`: a person could change that.
    pub(super) fn of_login(why: &str, wants_login: bool, is_alone: bool) -> Self {
        let again = Again::NotSooner;
        Self {
            why: why.to_owned(),
            reason: Reason::Unreachable,
            outcome: CallOutcome::NotSent,
            explain: wants_login.then_some(Code::LoginNeeded),
            // Others may be answered all the same.
            verdict: if is_alone { Verdict::Lost { again, why: why.to_owned() } } else { Verdict::Stays },
        }
    }

    /// A 401, and what came of making other credentials.
    pub(super) fn of_credentials(server: &str, renewal: &Renewal) -> Self {
        let request = Request { server, credentials: Credentials::Made, in_session: true, sent: Vec::new() };
        let refusal = Self::new(&request, StatusCode::UNAUTHORIZED, &[]);
        let setting = format!("servers.{}.headers_command", toml_key(server));
        match renewal {
            Renewal::Done => {
                let why = format!(
                    "answered 401 Unauthorized: its credentials were made anew ({setting}); try again"
                );
                Self { why, ..refusal }
            }
            Renewal::Failed(why) => Self {
                why: format!("answered 401 Unauthorized, and others could not be made: {why}"),
                ..refusal
            },
            Renewal::InVain => {
                let verdict = Verdict::Lost { again: Again::NotSooner, why: refusal.why.clone() };
                Self { verdict, ..refusal }
            }
            Renewal::None => refusal,
        }
    }
}

/// A body that is an error of the server's own.
struct OwnError {
    /// For which request, if it says so; `Some(None)`: for none of ours.
    call: Option<Option<CallId>>,
    code: Option<i64>,
}

fn own_error(body: &Bytes) -> Option<OwnError> {
    let message = Message::parse_server(body.clone()).ok()?;
    match message.head() {
        Head::Response { id, outcome: Outcome::Error { code, .. } } => {
            Some(OwnError { call: id.map(|id| CallId::read(message.str(id))), code: *code })
        }
        Head::Response { outcome: Outcome::Result { .. }, .. }
        | Head::Request { .. }
        | Head::Notification { .. } => None,
    }
}

/// Whether a body is the server's own error: for this call, or without saying for which.
pub(super) fn is_own_error(body: &Bytes, call: CallId) -> bool {
    own_error(body).is_some_and(|error| error.call.is_none_or(|named| named == Some(call)))
}

/// Whether a body is the server's error for this call and says so: then it has read the call.
pub(super) fn is_of_call(body: &Bytes, call: CallId) -> bool {
    own_error(body).is_some_and(|error| error.call == Some(Some(call)))
}

/// Whether a 404 in a session is the server's own answer to this call: there is no such method. Everything else says that
/// the session is not there any more, whatever its body.
pub(super) fn is_no_method(body: &Bytes, call: CallId) -> bool {
    is_of_call(body, call) && says_no_method(body)
}

/// The same of a notification, which an answer cannot name.
pub(super) fn says_no_method(body: &Bytes) -> bool {
    own_error(body).is_some_and(|error| error.code == Some(METHOD_NOT_FOUND))
}

/// Whether a refusal of `initialize` speaks of a server of the era without it (2026-07-28, Streamable HTTP, Backward
/// Compatibility): then it is no sign of a server older than Streamable HTTP.
pub(super) fn is_of_modern_server(status: StatusCode, body: &Bytes) -> bool {
    let code = own_error(body).and_then(|error| error.code);
    code.is_some_and(|code| {
        MODERN_CODES.contains(&code) || (status == StatusCode::NOT_FOUND && code == METHOD_NOT_FOUND)
    })
}

/// Whether a refused POST of `initialize` may mean HTTP+SSE (2025-11-25, basic/transports, Backwards Compatibility).
pub(super) fn may_be_older(status: StatusCode) -> bool {
    [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].contains(&status)
}

/// What a body says, not escaped yet, for within our sentence: the message of an error, or its beginning if it is plain text.
fn excerpt(body: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(body) else { return String::new() };
    let said = member(text, "error").and_then(|error| member(error, "message")).and_then(string);
    let said = match &said {
        Some(said) => said,
        None if text.trim_start().starts_with(['<', '{', '[']) => "",
        None => text.trim(),
    };
    said.chars().take(SAID_CHARS_MAX).collect()
}

/// HeaderMismatch, MissingRequiredClientCapability, UnsupportedProtocolVersion.
const MODERN_CODES: [i64; 3] = [-32020, -32021, -32022];
const METHOD_NOT_FOUND: i64 = -32601;
/// As much of a refusal's body is read.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024;
const SAID_CHARS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: StatusCode, body: &str) -> String {
        let sent = vec![Secret::new("Bearer s3cretword-1"), Secret::new("quer7word")];
        let request = Request { server: "far", credentials: Credentials::Written, in_session: false, sent };
        Refusal::new(&request, status, body.as_bytes()).why
    }

    #[test]
    fn c05_what_a_server_repeats_of_its_credentials_is_not_quoted() {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        for body in [
            "bad key s3cretword-1".to_owned(),
            r#"{"error":{"code":1,"message":"no s3cretword-1"}}"#.to_owned(),
            "GET /mcp?key=quer7word".to_owned(),
            // It is cut within the secret.
            format!("{}s3cretword-1", "x".repeat(SAID_CHARS_MAX - 9)),
        ] {
            let why = said(status, &body);
            assert_eq!(
                why, "answered 500 Internal Server Error, in words that repeat what it was sent",
                "{body}"
            );
        }
        assert_eq!(
            said(status, "out of \u{1b}luck"),
            "answered 500 Internal Server Error: out of \\u{1b}luck"
        );
    }
}
