//! Clients that use one id and one progress token for everything, and check whatever they hear.

use super::tally::Tally;
use super::wire::{Form, Line};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::time::Instant;

/// What several clients may share.
#[derive(Clone)]
pub(super) struct Session {
    id: Arc<str>,
    /// By which its own servers know whose they are.
    who: Arc<str>,
    host: SocketAddr,
    tally: Arc<Tally>,
}

/// One client: a connection for its calls, and one beside it.
pub(super) struct Client {
    session: Session,
    number: u64,
    /// No other client uses its session.
    is_alone: bool,
    calls: Line,
    beside: Line,
}

/// What comes before an answer.
#[derive(Default)]
struct Progress {
    last: u64,
}

impl Session {
    pub(super) async fn begin(host: SocketAddr, who: String, tally: Arc<Tally>) -> Self {
        let mut line = Line::to(host).await;
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}},
            "clientInfo": {"name": who, "version": "1"}});
        let greeting = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
        let head = line.ask("POST", None, &greeting.to_string()).await;
        let id = head.session.expect("a session");
        let answer = match head.form {
            Form::Whole(length) => line.whole(length).await,
            Form::Events => line.event().await,
        };
        assert_eq!(answer.unwrap()["result"]["protocolVersion"], "2025-11-25");
        if head.form == Form::Events {
            assert_eq!(line.event().await, None);
        }
        let session = Self { id: id.into(), who: who.into(), host, tally };
        session.post(&mut line, &json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        session
    }

    /// Listens by GET until the session ends.
    pub(super) async fn listen(self) {
        let (mut line, mut beside) = (Line::to(self.host).await, Line::to(self.host).await);
        let head = line.ask("GET", Some(&self.id), "").await;
        assert_eq!((head.status, head.form), (200, Form::Events));
        while let Some(message) = line.event().await {
            self.hear(&message, &mut beside).await;
        }
    }

    pub(super) async fn end(self) {
        let mut line = Line::to(self.host).await;
        assert_eq!(line.ask("DELETE", Some(&self.id), "").await.status, 204);
        assert_eq!(line.ask("DELETE", Some(&self.id), "").await.status, 404);
    }

    /// Posts what has no answer.
    async fn post(&self, line: &mut Line, message: &Value) {
        let head = line.ask("POST", Some(&self.id), &message.to_string()).await;
        assert_eq!((head.status, head.form), (202, Form::Whole(0)));
    }

    /// What belongs to no call.
    async fn hear(&self, message: &Value, beside: &mut Line) {
        match message["method"].as_str() {
            Some("elicitation/create") => {
                // `[s7] ` stands before what the server said.
                let said = message["params"]["message"].as_str().unwrap();
                let arguments: Value = serde_json::from_str(said.split_once("] ").unwrap().1).unwrap();
                match arguments["who"] == *self.who {
                    true => self.tally.count(&self.tally.asked),
                    false => self.tally.stray(format!("{} was asked {arguments}", self.who)),
                }
                let answer = json!({"jsonrpc": "2.0", "id": message["id"],
                    "result": {"action": "accept", "content": arguments}});
                self.post(beside, &answer).await;
                // The second reaches nobody.
                self.post(beside, &answer).await;
            }
            Some("notifications/message") => match message["params"]["data"] == *self.who {
                true => self.tally.count(&self.tally.logs),
                false => self.tally.stray(format!("{} was told {message}", self.who)),
            },
            Some(_) | None => self.tally.stray(format!("{} heard {message}", self.who)),
        }
    }
}

impl Client {
    pub(super) async fn of(session: Session, number: u64, is_alone: bool) -> Self {
        let (calls, beside) = (Line::to(session.host).await, Line::to(session.host).await);
        Self { session, number, is_alone, calls, beside }
    }

    /// So many rounds of 40 calls: two with progress, one with an ask, one that is cancelled.
    pub(super) async fn work(mut self, rounds: u64) {
        for at in 0..rounds * ROUND {
            // The last four servers are each session's own.
            let (any, own) = ((self.number + at) % 8, 4 + (self.number + at / ROUND) % 4);
            let nonce = self.number * NONCES + at;
            match at % ROUND {
                7 => self.call(any, "progress", nonce, 2).await,
                27 => self.call(own, "progress", nonce, 2).await,
                31 => self.call(own, "ask", nonce, 0).await,
                11 => self.cancelled(any, nonce).await,
                _ => self.call(any, "echo", nonce, 0).await,
            }
        }
    }

    /// A call that is answered, after so much progress.
    async fn call(&mut self, server: u64, tool: &str, nonce: u64, notes: u64) {
        let text = self.text("1", server, tool, nonce);
        let head = self.calls.ask("POST", Some(&self.session.id), &text).await;
        assert_eq!(head.status, 200);
        let mut progress = Progress::default();
        let answer = match head.form {
            Form::Whole(length) => self.calls.whole(length).await,
            Form::Events => loop {
                match self.calls.event().await {
                    Some(message) if message["method"].is_null() => break Some(message),
                    Some(message) => self.hear(&message, nonce, &mut progress).await,
                    None => break None,
                }
            },
        };
        let tally = &self.session.tally;
        let Some(answer) = answer else { return tally.stray(format!("{nonce} has no answer")) };
        let given = &answer["result"]["structuredContent"];
        match answer["id"] == 1
            && given["nonce"] == nonce
            && given["who"] == *self.session.who
            && progress.last == notes
        {
            true => tally.count(&tally.answered),
            false => tally.stray(format!("{nonce} after {} was answered {answer}", progress.last)),
        }
        if head.form == Form::Events
            && let Some(more) = self.calls.event().await
        {
            tally.stray(format!("after its answer {nonce} heard {more}"));
        }
    }

    /// A call that hangs until it is cancelled, and is not answered.
    async fn cancelled(&mut self, server: u64, nonce: u64) {
        // Where several clients share a session, the id must say which call is meant.
        let id = if self.is_alone { 1 } else { nonce };
        let text = self.text(&id.to_string(), server, "hang", nonce);
        let head = self.calls.ask("POST", Some(&self.session.id), &text).await;
        assert_eq!((head.status, head.form), (200, Form::Events));
        let mut progress = Progress::default();
        let mut is_cancelled = false;
        while let Some(message) = self.calls.event().await {
            if message["method"].is_null() {
                self.session.tally.stray(format!("{nonce} was cancelled and heard {message}"));
                continue;
            }
            self.hear(&message, nonce, &mut progress).await;
            // Now it is at its server.
            if progress.last == 1 && !is_cancelled {
                is_cancelled = true;
                self.session.tally.cancels.lock().insert(nonce, Instant::now());
                let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
                self.session.post(&mut self.beside, &cancel).await;
            }
        }
    }

    /// What comes before an answer: progress of this very call, or what belongs to none.
    async fn hear(&mut self, message: &Value, nonce: u64, progress: &mut Progress) {
        if message["method"] != "notifications/progress" {
            return self.session.hear(message, &mut self.beside).await;
        }
        let params = &message["params"];
        let own = nonce.to_string();
        let is_own = params["progressToken"] == 1 && params["message"] == *own;
        if is_own && params["progress"] == progress.last + 1 {
            progress.last += 1;
            self.session.tally.count(&self.session.tally.progress);
        } else {
            self.session.tally.stray(format!("{nonce} after {} heard {message}", progress.last));
        }
    }

    fn text(&self, id: &str, server: u64, tool: &str, nonce: u64) -> String {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"s{server}__{tool}","arguments":{{"who":"{}","nonce":{nonce}}},"_meta":{{"progressToken":1}}}}}}"#,
            self.session.who
        )
    }
}

/// Calls of one round.
pub(super) const ROUND: u64 = 40;
/// More than one client makes.
const NONCES: u64 = 1_000_000_000;
