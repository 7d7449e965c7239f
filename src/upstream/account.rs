//! The account of one call: opened before anything of it is sent, closed before anybody hears how it ended.
//!
//! Owns the half of the audit's line that is known at the beginning. Whatever becomes of the call there is one line: one
//! that is dropped unclosed has been cancelled. There is none where nothing is written down.

use super::audit::Audit;
use super::lookout::Lookout;
use super::stamp::stamp;
use super::tally::End;
use crate::mcp::caller::Caller;
use crate::wire::fault::{Fault, brief};
use crate::wire::hex::hex;
use crate::wire::members::{member, quote};
use crate::wire::message::Message;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::time::Instant;

/// The account of one call.
#[derive(Debug)]
pub struct Account {
    audit: Arc<Audit>,
    begun: Instant,
    /// The line as far as it is known.
    line: String,
    is_closed: bool,
}

impl Account {
    /// `server` and `own`: where the request leads, if it leads anywhere, and what it is called there. The fault: it cannot
    /// be written down, and must be.
    #[inline]
    pub fn open(
        lookout: &Lookout,
        caller: &Caller,
        request: &Message,
        server: Option<&str>,
        own: Option<&str>,
    ) -> Result<Option<Box<Self>>, Fault> {
        // Most runs write nothing down.
        let Some(audit) = lookout.audit() else { return Ok(None) };
        Self::begin(audit, caller, request, server, own).map(Some)
    }

    #[cold]
    fn begin(
        audit: &Arc<Audit>,
        caller: &Caller,
        request: &Message,
        server: Option<&str>,
        own: Option<&str>,
    ) -> Result<Box<Self>, Fault> {
        audit.admits()?;
        let mut line = format!(
            r#"{{"time":"{}","principal":{},"client":{}"#,
            stamp(SystemTime::now()),
            quote(caller.principal.as_str()),
            caller.client.0,
        );
        let short = |text: &str| quote(brief(text, WORD_CHARS_MAX));
        let said = [("server", server), ("method", request.method()), ("item", own)];
        for (key, text) in said.into_iter().filter_map(|(key, text)| Some((key, text?))) {
            line.push_str(&format!(r#","{key}":{}"#, short(text)));
        }
        let params = request.params().and_then(|params| params.object).map(|span| request.str(span));
        if let Some(arguments) = params.and_then(|params| member(params, "arguments")) {
            let hash = hex(&Sha256::digest(arguments));
            line.push_str(&format!(r#","arguments_bytes":{},"arguments_sha256":"{hash}""#, arguments.len()));
        }
        Ok(Box::new(Self { audit: audit.clone(), begun: Instant::now(), line, is_closed: false }))
    }

    /// `bytes`: of the answer. The fault: it cannot be written down, and must be.
    pub fn close(mut self, end: End, bytes: usize) -> Result<(), Fault> {
        self.closes(end, bytes)
    }

    fn closes(&mut self, end: End, bytes: usize) -> Result<(), Fault> {
        if std::mem::replace(&mut self.is_closed, true) {
            return Ok(());
        }
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
        self.line.push_str(&format!(
            r#","outcome":"{outcome}"{code},"duration_ms":{ms:.3},"result_bytes":{bytes}}}"#
        ));
        self.audit.write(&self.line)
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
    use super::*;
    use crate::mcp::caller::{ClientId, Principal};
    use crate::wire::caps::Caps;

    #[tokio::test(start_paused = true)]
    async fn one_line_says_all_of_a_call_but_its_arguments() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        let lookout = Lookout::new(true);
        let caller =
            Caller { principal: Principal::local(), client: ClientId(7), alone: true, guest_of: None };
        let text = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a__b","arguments":{"k":"s3cret"}}}"#;
        let caps = Caps { depth_max: 9, elements_max: 99 };
        let request = Message::parse_client(text.into(), caps).unwrap();
        let open = || Account::open(&lookout, &caller, &request, Some("a\n"), Some("b")).unwrap();
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
