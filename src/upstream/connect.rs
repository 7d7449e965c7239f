//! The handshake with a server: `initialize`, its answer, `notifications/initialized`.
//!
//! Straight-line code over a stream. It says of the client what it was given and of us what it must:
//! our name, and the mark by which a proxy that meets itself knows it.

use super::clock::Clock;
use super::exchange::{Exchange, Subject, words};
use super::frame::Freight;
use super::link::Greeting;
use super::stderr::escaped;
use super::stream::{Posting, Stream};
use crate::config::toml_key;
use crate::mcp::caller::Told;
use crate::mcp::capabilities::Capabilities;
use crate::mcp::revision::Revision;
use crate::wire::fault::{Fault, Reason};
use crate::wire::members::{member, quote, string};
use crate::wire::message::{HOP_KEY, Head, Outcome};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// How we introduce ourselves to every server.
#[derive(Debug, Clone)]
pub struct Introduction {
    pub name: Arc<str>,
    pub version: &'static str,
    /// Marks of the proxies that a message has passed on its way here, ours last.
    pub hops: Arc<str>,
}

/// Agrees with the server on a revision. The faults say what went wrong, not which server.
pub(super) async fn connect(
    stream: &Arc<Stream>,
    server: &Arc<str>,
    introduction: &Introduction,
    told: &Told,
    patience: Duration,
    start: Duration,
) -> Result<Greeting, Fault> {
    let request = |id| {
        Bytes::from(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"initialize","params":{{"protocolVersion":"{}","capabilities":{},"clientInfo":{{"name":{},"version":{}}},"_meta":{{"{HOP_KEY}":{}}}}}}}"#,
            told.revision.as_str(),
            told.capabilities,
            quote(&introduction.name),
            quote(introduction.version),
            quote(&introduction.hops),
        ))
    };
    let posted = stream.post(Posting::ours(Freight::Request), request)?;
    let setting = (format!("servers.{}.timeouts.start", toml_key(server)), words(start));
    let subject = Subject {
        server: server.clone(),
        what: "initialize".to_owned(),
        idle: setting.clone(),
        total: setting,
    };
    let exchange =
        Exchange::new(stream.clone(), posted, Arc::default(), Clock::plain(patience), None, subject)
            .never_cancelled();
    let response = exchange.response().await?;
    let Head::Response { outcome, .. } = response.head() else {
        return Err(refused("the answer to initialize is no response"));
    };
    let result = match outcome {
        Outcome::Result { value, .. } => response.str(*value),
        Outcome::Error { value, code, .. } => {
            let error = response.str(*value);
            let said = brief(&member(error, "message").and_then(string).unwrap_or_default());
            let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
            return Err(refused(format!("refused initialize: {said}{code}")));
        }
    };
    let greeting = read(result)?;
    stream.agree(greeting.revision);
    Ok(greeting)
}

fn read(result: &str) -> Result<Greeting, Fault> {
    let text = |key| member(result, key).and_then(string);
    let offered = text("protocolVersion").unwrap_or_default();
    let Some(revision) = Revision::parse(&offered) else {
        let ours = Revision::ALL.map(Revision::as_str).join(", ");
        return Err(refused(format!("speaks revision `{}`; we speak {ours}", brief(&offered))));
    };
    Ok(Greeting {
        revision,
        capabilities: member(result, "capabilities").map(Capabilities::read).unwrap_or_default(),
        instructions: text("instructions").map(std::borrow::Cow::into_owned),
        info: member(result, "serverInfo").map(str::to_owned),
    })
}

/// What a server says, within our sentence: on one line, and not for ever.
fn brief(said: &str) -> String {
    escaped(&said.chars().take(SAID_CHARS_MAX).collect::<String>())
}

const SAID_CHARS_MAX: usize = 500;

fn refused(why: impl Into<String>) -> Fault {
    Fault::ours(Reason::Unreachable, why)
}
