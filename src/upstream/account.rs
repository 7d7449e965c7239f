//! The account of one call: opened before anything of it is sent, closed before anybody hears how it ended.
//!
//! Owns the half of the audit's line that is known at the beginning, and the spans of the call where calls are traced.
//! Whatever becomes of the call there is one line: one that is dropped unclosed has been cancelled. There is none where
//! nobody follows calls.

use super::audit::Audit;
use super::hearing::Hearing;
use super::link::Link;
use super::lookout::Lookout;
use super::stamp::stamp;
use super::tally::End;
#[cfg(feature = "otel")]
use super::trace::Traced;
use crate::mcp::caller::Caller;
use crate::wire::fault::{Fault, brief};
use crate::wire::hex::hex;
use crate::wire::id::CallId;
use crate::wire::members::{member, quote};
use crate::wire::message::Message;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::time::Instant;

/// The account of one call.
#[derive(Debug)]
pub struct Account {
    line: Option<Line>,
    #[cfg(feature = "otel")]
    traced: Option<Traced>,
    is_closed: bool,
}

/// Where a request leads.
#[derive(Debug, Clone, Copy)]
pub struct Leads<'a> {
    /// The server, if it leads to one or would.
    pub server: Option<&'a str>,
    /// What is asked for: as its server calls it, or, where that is not known, as the client does.
    pub item: Option<&'a str>,
    /// It was found in a list, and is not just a text of the client's.
    pub is_found: bool,
}

/// What is written down of one call, as far as it is known.
#[derive(Debug)]
struct Line {
    audit: Arc<Audit>,
    begun: Instant,
    text: String,
}

impl Account {
    /// The fault: it cannot be written down, and must be.
    #[inline]
    pub fn open(
        lookout: &Lookout,
        caller: &Caller,
        hearing: Hearing,
        request: &Message,
        leads: Leads<'_>,
    ) -> Result<Option<Box<Self>>, Fault> {
        // Most runs follow no calls.
        if !lookout.follows_calls() {
            return Ok(None);
        }
        Self::begin(lookout, caller, hearing, request, leads).map(Some)
    }

    #[cold]
    #[cfg_attr(not(feature = "otel"), expect(unused_variables, reason = "only a trace has a use for it"))]
    fn begin(
        lookout: &Lookout,
        caller: &Caller,
        hearing: Hearing,
        request: &Message,
        leads: Leads<'_>,
    ) -> Result<Box<Self>, Fault> {
        let mut account = Box::new(Self {
            line: None,
            #[cfg(feature = "otel")]
            traced: lookout.tracing().and_then(|tracing| tracing.begins(hearing, caller, request, leads)),
            is_closed: false,
        });
        match lookout.audit().map(|audit| Line::begin(audit, caller, request, leads)).transpose() {
            Ok(line) => account.line = line,
            Err(fault) => {
                account.closes(End::of(&fault), 0).ok();
                return Err(fault);
            }
        }
        Ok(account)
    }

    /// It is on its way to its server, by this link and under this id.
    #[cfg(feature = "otel")]
    pub(super) fn leaves(&mut self, link: &Link, id: CallId) {
        if let Some(traced) = &mut self.traced {
            traced.leaves(link, id);
        }
    }

    /// It is on its way to its server, by this link and under this id.
    #[cfg(not(feature = "otel"))]
    pub(super) fn leaves(&mut self, _: &Link, _: CallId) {}

    /// `bytes`: of the answer. The fault: it cannot be written down, and must be.
    pub fn close(mut self, end: End, bytes: usize) -> Result<(), Fault> {
        self.closes(end, bytes)
    }

    fn closes(&mut self, end: End, bytes: usize) -> Result<(), Fault> {
        if std::mem::replace(&mut self.is_closed, true) {
            return Ok(());
        }
        let written = self.line.take().map_or(Ok(()), |line| line.end(end, bytes));
        #[cfg(feature = "otel")]
        if let Some(traced) = self.traced.take() {
            // What cannot be written down is not what the client is told.
            traced.ends(end, written.as_ref().err().map(End::of));
        }
        written
    }
}

impl Line {
    fn begin(
        audit: &Arc<Audit>,
        caller: &Caller,
        request: &Message,
        leads: Leads<'_>,
    ) -> Result<Self, Fault> {
        audit.admits()?;
        let mut line = format!(
            r#"{{"time":"{}","principal":{},"client":{}"#,
            stamp(SystemTime::now()),
            quote(caller.principal.as_str()),
            caller.client.0,
        );
        let short = |text: &str| quote(brief(text, WORD_CHARS_MAX));
        let said = [("server", leads.server), ("method", request.method()), ("item", leads.item)];
        for (key, text) in said.into_iter().filter_map(|(key, text)| Some((key, text?))) {
            line.push_str(&format!(r#","{key}":{}"#, short(text)));
        }
        let params = request.params().and_then(|params| params.object).map(|span| request.str(span));
        if let Some(arguments) = params.and_then(|params| member(params, "arguments")) {
            let hash = hex(&Sha256::digest(arguments));
            line.push_str(&format!(r#","arguments_bytes":{},"arguments_sha256":"{hash}""#, arguments.len()));
        }
        Ok(Self { audit: audit.clone(), begun: Instant::now(), text: line })
    }

    fn end(mut self, end: End, bytes: usize) -> Result<(), Fault> {
        let outcome = match end {
            End::Fine => "ok",
            End::ToolError => "tool_error",
            End::Error(_) => "error",
            End::Fault(Some(reason), _) => reason.as_str(),
            End::Fault(None, _) => "refused",
            End::Cancelled => "cancelled",
        };
        let code = end.code().map(|code| format!(r#","code":{code}"#)).unwrap_or_default();
        let ms = self.begun.elapsed().as_secs_f64() * 1000.0;
        self.text.push_str(&format!(
            r#","outcome":"{outcome}"{code},"duration_ms":{ms:.3},"result_bytes":{bytes}}}"#
        ));
        self.audit.write(&self.text)
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.closes(End::Cancelled, 0).ok();
    }
}

const WORD_CHARS_MAX: usize = 1000;

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::super::lookout::Came;
    use super::*;
    use crate::mcp::caller::{ClientId, Principal};
    use crate::mcp::revision::Revision;
    use crate::wire::caps::Caps;

    #[tokio::test(start_paused = true)]
    async fn one_line_says_all_of_a_call_but_its_arguments() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        let lookout = Lookout::new(true);
        let caller = Caller {
            principal: Principal::local(),
            scopes: Default::default(),
            client: ClientId(7),
            alone: true,
            guest_of: None,
        };
        let text = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a__b","arguments":{"k":"s3cret"}}}"#;
        let caps = Caps { depth_max: 9, elements_max: 99 };
        let request = Message::parse_client(text.into(), caps).unwrap();
        let hearing = Hearing::now(Came::Stdio, Revision::LATEST);
        let leads = Leads { server: Some("a\n"), item: Some("b"), is_found: true };
        let open = || Account::open(&lookout, &caller, hearing, &request, leads).unwrap();
        assert!(open().is_none(), "nothing is written down");
        lookout.writes_down(Audit::open(&path, true).unwrap());
        let account = open().unwrap();
        tokio::time::advance(std::time::Duration::from_millis(12)).await;
        account.close(End::Error(Some(-32602)), 34).unwrap();
        drop(open());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("s3cret"));
        let lines: Vec<_> = text.lines().map(|line| line.split_once(",\"principal\"").unwrap().1).collect();
        let hash = hex(&Sha256::digest(r#"{"k":"s3cret"}"#));
        let head = format!(
            r#":"local","client":7,"server":"a\n","method":"tools/call","item":"b","arguments_bytes":14,"arguments_sha256":"{hash}""#
        );
        assert_eq!(
            lines,
            [
                format!(r#"{head},"outcome":"error","code":-32602,"duration_ms":12.000,"result_bytes":34}}"#),
                format!(r#"{head},"outcome":"cancelled","duration_ms":0.000,"result_bytes":0}}"#),
            ]
        );
    }
}
