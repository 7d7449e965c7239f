//! Whether a server does without a handshake: it is asked what it is, and its answer is read.
//!
//! 2026-07-28, basic/transports, Backward Compatibility. Owns the question and what each answer to it means; what is done
//! then, and how long is waited, others decide. Over HTTP the carrier reads what a status says before anybody reads this.

use super::clock::Clock;
use super::exchange::Exchange;
use super::frame::Freight;
use super::link::Greeting;
use super::standing::{Standing, with_meta};
use super::stream::{Posting, Stream, ours};
use super::subject::{Setting, Subject};
use crate::mcp::capabilities::Capabilities;
use crate::mcp::revision::Revision;
use crate::wire::fault::Fault;
use crate::wire::members::{elements, member, string};
use crate::wire::message::{Head, Message, Outcome, SERVER_INFO_KEY};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// What an answer says.
pub(super) enum Discovered {
    /// It does, and this is what it is.
    Stateless(Box<Greeting>),
    /// It does, and speaks our revision, though it did not take this question.
    Again,
    /// It does, but speaks no revision of ours: these.
    Foreign(String),
    /// It needs one, or has never heard of this.
    Handshake,
}

/// Asks. The question is on its way when this returns.
pub(super) fn ask(stream: &Arc<Stream>, standing: &Standing, patience: Duration) -> Result<Exchange, Fault> {
    let params = with_meta("{}", &standing.own());
    let clock = Clock::plain(patience);
    let posting = Posting::ours(Freight::Probe, clock.next());
    let posted = stream.post(posting, |id| ours(id, "server/discover", &params).into())?;
    let subject = Subject::ours("server/discover", Setting::Start, patience);
    // One that needs a handshake knows nothing of it, so there is nothing to cancel.
    Ok(Exchange::new(stream.clone(), posted, Arc::default(), clock, None, subject).never_cancelled())
}

/// Reads the answer.
pub(super) fn read(answer: &Message) -> Discovered {
    read_or(answer, || Discovered::Handshake)
}

/// Reads the answer of a server of which whoever carried it has seen that it does: that it does not tell what it is does
/// not matter then, for it knows how to say so.
pub(super) fn read_of_stateless(answer: &Message) -> Discovered {
    let untold = || {
        Discovered::Stateless(Box::new(Greeting {
            revision: Revision::MODERN,
            capabilities: Capabilities::ASSUMED,
            instructions: None,
            info: None,
        }))
    };
    read_or(answer, untold)
}

/// `refused`: what an error says that is not of that era alone.
fn read_or(answer: &Message, refused: impl FnOnce() -> Discovered) -> Discovered {
    let Head::Response { outcome, .. } = answer.head() else { return Discovered::Handshake };
    match outcome {
        Outcome::Result { value, .. } => discovered(answer.str(*value)),
        Outcome::Error { value, code: Some(UNSUPPORTED_VERSION), .. } => {
            let supported = member(answer.str(*value), "data").and_then(|data| member(data, "supported"));
            match supported.and_then(elements).is_some_and(|all| all.iter().any(|it| names_ours(it))) {
                true => Discovered::Again,
                false => foreign(supported),
            }
        }
        Outcome::Error { .. } => refused(),
    }
}

fn discovered(result: &str) -> Discovered {
    let Some(versions) = member(result, "supportedVersions").and_then(elements) else {
        return Discovered::Handshake;
    };
    if !versions.iter().any(|version| names_ours(version)) {
        return foreign(member(result, "supportedVersions"));
    }
    let own = |key| member(result, "_meta").and_then(|meta| member(meta, key));
    Discovered::Stateless(Box::new(Greeting {
        revision: Revision::MODERN,
        capabilities: member(result, "capabilities").map(Capabilities::read).unwrap_or_default(),
        instructions: member(result, "instructions").and_then(string).map(Cow::into_owned),
        info: own(SERVER_INFO_KEY).or_else(|| member(result, "serverInfo")).map(str::to_owned),
    }))
}

/// A server that knows of this and supports only revisions with a handshake is greeted with one.
fn foreign(versions: Option<&str>) -> Discovered {
    let versions = versions.and_then(elements).unwrap_or_default();
    let known = |version: &&str| string(version).and_then(|name| Revision::parse(&name)).is_some();
    if versions.iter().any(known) {
        return Discovered::Handshake;
    }
    let said: Vec<_> = versions.iter().filter_map(|version| string(version)).take(SAID_MAX).collect();
    Discovered::Foreign(said.join(", "))
}

fn names_ours(version: &str) -> bool {
    string(version).is_some_and(|name| name == Revision::MODERN.as_str())
}

const UNSUPPORTED_VERSION: i64 = -32022;
/// Revisions that we name in a sentence.
const SAID_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn answer(text: &str) -> Message {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,{text}}}"#);
        Message::parse_server(Bytes::from(text)).unwrap()
    }

    fn said(text: &str) -> Discovered {
        read(&answer(text))
    }

    #[test]
    fn what_a_server_is_stands_in_its_answer() {
        let answer = said(
            r#""result":{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"instructions":"x","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"n"}}}"#,
        );
        let Discovered::Stateless(greeting) = answer else { panic!("it is stateless") };
        assert!(greeting.capabilities.tools && !greeting.capabilities.prompts);
        assert_eq!(greeting.instructions.as_deref(), Some("x"));
        assert_eq!(greeting.info.as_deref(), Some(r#"{"name":"n"}"#));
    }

    #[test]
    fn any_error_but_of_that_era_means_a_handshake() {
        for error in [
            r#"{"code":-32601,"message":"x"}"#,
            r#"{"code":-32602,"message":"x"}"#,
            r#"{"code":-32600,"message":"x"}"#,
            r#"{"message":"x"}"#,
            r#"{"code":-32022,"message":"x","data":{"supported":["2025-11-25"]}}"#,
        ] {
            assert!(matches!(said(&format!(r#""error":{error}"#)), Discovered::Handshake), "{error}");
        }
        assert!(matches!(said(r#""result":{}"#), Discovered::Handshake));
        let refusal = answer(r#""error":{"code":-32601}"#);
        assert!(matches!(read_of_stateless(&refusal), Discovered::Stateless(_)));
    }

    #[test]
    fn a_server_that_speaks_our_revision_is_asked_again() {
        let error = r#""error":{"code":-32022,"data":{"supported":["2026-07-28"],"requested":"2026-07-28"}}"#;
        assert!(matches!(said(error), Discovered::Again));
        assert!(matches!(read_of_stateless(&answer(error)), Discovered::Again));
    }

    #[test]
    fn a_server_of_a_later_revision_alone_is_not_greeted() {
        let Discovered::Foreign(names) =
            said(r#""error":{"code":-32022,"data":{"supported":["2027-01-01","2028-01-01"]}}"#)
        else {
            panic!("it is foreign")
        };
        assert_eq!(names, "2027-01-01, 2028-01-01");
        assert!(matches!(said(r#""error":{"code":-32022}"#), Discovered::Foreign(_)));
    }
}
