//! A client of one revision and transport.
//!
//! It speaks its own revision to the letter and knows no other. What it hears that it must not, it writes down. What it is asked, it
//! answers at once, up to 2025-11-25 in a message of its own, later with the same request once more.

pub(super) mod answers;
mod wire;
mod words;

use super::endpoint::{Endpoint, Transport};
use super::{House, patience};
use answers::answer;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use tokio::sync::mpsc;
use wire::Wire;

pub(super) struct Client {
    pub(super) endpoint: Endpoint,
    wire: Wire,
    inbox: mpsc::Receiver<Heard>,
    /// What nobody asked for yet.
    heard: VecDeque<Heard>,
    /// Requests without an answer.
    open: BTreeMap<u64, Open>,
    last: u64,
    asked: Vec<Value>,
    faults: Vec<String>,
}

/// A message, and the stream that it came on.
#[derive(Debug, Clone)]
struct Heard {
    place: Place,
    message: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The only one that there is.
    Pipe,
    /// The answer to a request.
    Post(u64),
    /// The stream of what belongs to no request.
    Beside,
}

#[derive(Debug, Clone)]
struct Open {
    method: String,
    token: Value,
}

impl Client {
    /// Comes to Braid, and greets where that is done.
    pub(super) async fn open(endpoint: Endpoint, house: &House) -> Result<Self, String> {
        let (says, inbox) = mpsc::channel(MESSAGES_MAX);
        let wire = Wire::open(endpoint, house, says).await?;
        let (open, heard) = (BTreeMap::new(), VecDeque::new());
        let mut client =
            Self { endpoint, wire, inbox, heard, open, last: 0, asked: Vec::new(), faults: Vec::new() };
        match endpoint.is_modern() {
            true => client.discovers().await?,
            false => client.greets().await?,
        }
        Ok(client)
    }

    async fn greets(&mut self) -> Result<(), String> {
        let revision = self.endpoint.revision.as_str();
        let params = json!({"protocolVersion": revision, "capabilities": answers::declared(self.endpoint.revision),
            "clientInfo": {"name": "c", "version": "1"}});
        let answer = self.ask("initialize", params).await?;
        if answer["protocolVersion"] != revision {
            return Err(format!("greeted with another revision: {answer}"));
        }
        self.wire.is_greeted(revision)?;
        self.tells("notifications/initialized", json!({})).await?;
        if self.endpoint.transport == Transport::Http {
            self.wire.listens().await?;
        }
        Ok(())
    }

    async fn discovers(&mut self) -> Result<(), String> {
        let answer = self.ask("server/discover", json!({})).await?;
        let speaks = answer["supportedVersions"].as_array();
        match speaks.is_some_and(|speaks| speaks.contains(&json!(self.endpoint.revision.as_str()))) {
            true => Ok(()),
            false => Err(format!("not of its revision: {answer}")),
        }
    }

    /// Asks, answers what it is asked in between, and gives the result.
    pub(super) async fn ask(&mut self, method: &str, params: Value) -> Result<Value, String> {
        let answer = self.answer_to(method, params).await?;
        match answer.get("result") {
            Some(result) => Ok(result.clone()),
            None => Err(format!("{method} was refused: {answer}")),
        }
    }

    /// The same, with whatever answer there is.
    pub(super) async fn answer_to(&mut self, method: &str, params: Value) -> Result<Value, String> {
        let mut again = params.clone();
        for _ in 0..ROUNDS_MAX {
            let id = self.begin(method, again).await?;
            let answer = self.answered(id).await?;
            if answer["result"]["resultType"] != "input_required" {
                return Ok(answer);
            }
            again = params.clone();
            self.answers_within(&answer["result"], &mut again);
        }
        Err(format!("{method} wants more and more"))
    }

    /// Answers to what a result asks for, for the same request once more (2026-07-28, basic/patterns/mrtr).
    fn answers_within(&mut self, result: &Value, again: &mut Value) {
        let asks = result["inputRequests"].as_object();
        for (key, ask) in asks.into_iter().flatten() {
            again["inputResponses"][key] = self.is_asked(ask);
        }
        if asks.is_none_or(serde_json::Map::is_empty) && !result["requestState"].is_string() {
            self.faults.push(format!("nothing is required: {result}"));
        }
        if result["requestState"].is_string() {
            again["requestState"] = result["requestState"].clone();
        }
    }

    /// The answer to one question, which is written down.
    fn is_asked(&mut self, ask: &Value) -> Value {
        self.asked.push(ask.clone());
        answer(self.endpoint.revision, ask).unwrap_or_else(|| {
            self.faults.push(format!("was asked what it did not declare: {ask}"));
            Value::Null
        })
    }

    /// Asks; the answer can be waited for.
    pub(super) async fn begin(&mut self, method: &str, mut params: Value) -> Result<u64, String> {
        self.last += 1;
        let id = self.last;
        if self.endpoint.is_modern() {
            let revision = self.endpoint.revision;
            params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(revision.as_str());
            params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = answers::declared(revision);
            params["_meta"]["io.modelcontextprotocol/clientInfo"] = json!({"name": "c", "version": "1"});
        }
        let token = params["_meta"]["progressToken"].clone();
        self.open.insert(id, Open { method: method.to_owned(), token });
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.wire.begins(id, message).await?;
        Ok(id)
    }

    /// Waits for an answer.
    pub(super) async fn answered(&mut self, id: u64) -> Result<Value, String> {
        let is = |message: &Value| message["method"].is_null() && message["id"] == id;
        self.hears(&format!("an answer to request {id}"), is).await
    }

    /// Says what has no answer.
    pub(super) async fn tells(&mut self, method: &str, params: Value) -> Result<(), String> {
        self.wire.tells(json!({"jsonrpc": "2.0", "method": method, "params": params})).await
    }

    /// Does not want an answer any more.
    pub(super) async fn cancels(&mut self, id: u64) -> Result<(), String> {
        self.open.remove(&id);
        if self.wire.drops(id) {
            return Ok(());
        }
        self.tells("notifications/cancelled", json!({"requestId": id, "reason": "enough"})).await
    }

    /// The first message that is so; what came before it stays.
    pub(super) async fn hears(&mut self, what: &str, is: impl Fn(&Value) -> bool) -> Result<Value, String> {
        let is = |heard: &Heard| is(&heard.message);
        if let Some(at) = self.heard.iter().position(is) {
            return Ok(self.heard.remove(at).map(|heard| heard.message).unwrap_or_default());
        }
        loop {
            let Ok(Some(heard)) = patience(self.inbox.recv()).await else {
                let heard: Vec<String> = self.heard.iter().map(|heard| heard.message.to_string()).collect();
                return Err(format!("{what} did not come, but {}", heard.join(", ")));
            };
            if self.takes(&heard).await? {
                continue;
            }
            if is(&heard) {
                return Ok(heard.message);
            }
            self.heard.push_back(heard);
        }
    }

    /// Looks at what it hears, and answers it if it is a question.
    async fn takes(&mut self, heard: &Heard) -> Result<bool, String> {
        if let Some(why) = words::fault(self.endpoint, &self.open, heard) {
            self.faults.push(format!("heard {why}: {:?} {}", heard.place, heard.message));
        }
        let message = &heard.message;
        match (message["method"].is_string(), message.get("id")) {
            (true, Some(id)) => {
                let result = self.is_asked(message);
                self.wire.tells(json!({"jsonrpc": "2.0", "id": id, "result": result})).await?;
                Ok(true)
            }
            (false, Some(id)) => {
                id.as_u64().and_then(|id| self.open.remove(&id));
                Ok(false)
            }
            (_, None) => Ok(false),
        }
    }

    /// What it was asked since this was looked at last.
    pub(super) fn questions(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.asked)
    }

    /// What it heard that it must not, and forgets what nobody asked for.
    pub(super) async fn faults(&mut self) -> Vec<String> {
        while let Ok(heard) = self.inbox.try_recv() {
            if let Err(why) = self.takes(&heard).await {
                self.faults.push(why);
            }
        }
        self.heard.clear();
        std::mem::take(&mut self.faults)
    }
}

/// How often it may be asked within one request.
const ROUNDS_MAX: usize = 8;
const MESSAGES_MAX: usize = 1024;
