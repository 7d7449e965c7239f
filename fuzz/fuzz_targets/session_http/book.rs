//! What was sent and what came of it: every request with a mark of its own, every session with the events that it
//! was sent. Here is what must be so of each message that anybody gets.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

/// Shared by the clients and the scripted servers.
#[derive(Clone)]
pub struct Book(Arc<Mutex<Entries>>);

pub struct Entries {
    salt: u32,
    pub requests: Vec<Request>,
    pub sessions: Vec<Session>,
    /// Calls that some server holds without an answer.
    pub held: usize,
    /// So little is kept that events may be lost.
    pub is_tight: bool,
    /// We have said that we stop.
    pub closing: bool,
}

/// A request with an id that was sent in some session. Its number makes its mark.
pub struct Request {
    pub session: usize,
    /// As it was written.
    pub id: String,
    /// The tool answers with the mark, so a result without it is another's.
    pub marked: bool,
    pub answered: bool,
}

pub struct Session {
    /// What its client names it by: the id, or where to post.
    pub name: String,
    pub door: usize,
    pub revision: &'static str,
    pub is_pipe: bool,
    /// Its client has sent that it is over, or gave up its stream.
    pub ended: bool,
    /// Since when we know that it is over.
    pub over: Option<Instant>,
    /// Texts were sent in it that may have cancelled anything.
    pub loose: bool,
    /// Something was sent in it that nobody looked into: it may have been ended so.
    pub wild: bool,
    /// When it was last used with success.
    pub used: Instant,
    /// Ids that its client took back.
    pub cancelled: HashSet<String>,
    /// A stream was read on, so an event may be seen again.
    pub resumed: bool,
    pub events: HashMap<(String, u64), String>,
    pub ids: Vec<(String, u64)>,
    /// What it was asked: the id as it was written, and the mark.
    pub asks: VecDeque<(String, String)>,
}

/// How a stream was opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    Anew,
    /// By a client that came back.
    ReadOn,
}

/// How a message came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Came {
    First,
    /// It was read before.
    Again,
}

impl Book {
    pub fn new(salt: u32) -> Self {
        let entries = Entries {
            salt,
            requests: Vec::new(),
            sessions: Vec::new(),
            held: 0,
            is_tight: false,
            closing: false,
        };
        Self(Arc::new(Mutex::new(entries)))
    }

    pub fn open(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// What no input can hold: it is made of all of it.
    fn prefix(&self) -> String {
        format!("mark{:08x}-", self.salt)
    }

    pub fn mark(&self, number: usize) -> String {
        format!("{}{number:04}", self.prefix())
    }

    /// Every mark in a text.
    pub fn marks(&self, text: &str) -> Vec<usize> {
        let prefix = self.prefix();
        text.match_indices(&prefix)
            .map(|(at, _)| {
                let number = text.get(at + prefix.len()..at + prefix.len() + 4);
                number.and_then(|number| number.parse().ok()).expect("a mark comes whole")
            })
            .collect()
    }

    /// Notes a request that is about to be sent.
    pub fn request(&mut self, session: usize, id: &str, marked: bool) -> usize {
        self.requests.push(Request { session, id: id.to_owned(), marked, answered: false });
        self.requests.len() - 1
    }

    /// Nothing of one session is heard in another.
    pub fn keeps_apart(&self, text: &str, sessions: &[usize]) {
        for mark in self.marks(text) {
            let session = self.requests[mark].session;
            assert!(sessions.contains(&session), "of session {session} in one of {sessions:?}: {text}");
        }
    }

    /// One message that came in a session, or several in a batch.
    pub fn hears(&mut self, session: usize, text: &str, came: Came) {
        self.keeps_apart(text, &[session]);
        let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        match &value {
            Value::Array(values) => {
                assert!(!values.is_empty(), "an empty batch");
                values.iter().for_each(|value| self.hears_one(session, value, came));
            }
            _ => self.hears_one(session, &value, came),
        }
    }

    fn hears_one(&mut self, session: usize, message: &Value, came: Came) {
        assert_eq!(message["jsonrpc"], "2.0", "{message}");
        let text = message.to_string();
        let marks = self.marks(&text);
        if let Some(method) = message["method"].as_str() {
            if came == Came::First && method == "elicitation/create" {
                let id = message["id"].to_string();
                let mark = message["params"]["message"].as_str().unwrap_or_default().to_owned();
                self.sessions[session].asks.push_back((id, mark));
            }
            return;
        }
        let is_result = message.get("result").is_some();
        assert!(is_result != message.get("error").is_some(), "no response: {text}");
        let Some(first) = marks.first() else { return };
        assert!(marks.iter().all(|mark| mark == first), "of two requests: {text}");
        let request = &mut self.requests[*first];
        assert_eq!(message["id"], id(&request.id), "another's id: {text}");
        assert!(came == Came::Again || !request.answered, "answered twice: {text}");
        request.answered = true;
    }

    /// One event with an id.
    pub fn event(&mut self, session: usize, label: &str, number: u64, text: &str, opened: Opened) {
        let known = &mut self.sessions[session];
        let key = (label.to_owned(), number);
        let came = match known.events.get(&key) {
            Some(before) => {
                assert!(
                    opened == Opened::ReadOn || known.resumed,
                    "an id that was given before: {label}-{number}"
                );
                assert!(
                    before == text || stands_for(text, before) || stands_for(before, text),
                    "another event under the same id: {label}-{number}: {before} and {text}"
                );
                Came::Again
            }
            None => {
                known.events.insert(key.clone(), text.to_owned());
                known.ids.push(key);
                Came::First
            }
        };
        self.hears(session, text, came);
    }

    /// A session that somebody used not long ago is there, unless it was ended.
    pub fn is_gone(&self, session: usize, idle: Duration) {
        let session = &self.sessions[session];
        let idle = session.used.elapsed() >= idle;
        assert!(session.ended || session.wild || idle, "a session is gone that is in use");
    }

    /// A POST was answered to its end, and these had no answer.
    pub fn is_unanswered(&self, session: usize, requests: &[usize]) {
        let known = &self.sessions[session];
        if known.ended || known.wild || known.loose || known.resumed || self.closing {
            return;
        }
        for request in requests {
            let id = &self.requests[*request].id;
            assert!(known.cancelled.contains(id), "{id} has no answer");
        }
    }

    pub fn begins(&mut self, name: String, door: usize, revision: &'static str) -> usize {
        assert!(self.sessions.iter().all(|session| session.name != name), "a name that another has");
        self.sessions.push(Session {
            name,
            door,
            revision,
            is_pipe: false,
            ended: false,
            over: None,
            loose: false,
            wild: false,
            used: Instant::now(),
            cancelled: HashSet::new(),
            resumed: false,
            events: HashMap::new(),
            ids: Vec::new(),
            asks: VecDeque::new(),
        });
        self.sessions.len() - 1
    }

    /// Sessions that are surely there.
    pub fn living(&self, idle: Duration) -> usize {
        let living = |session: &&Session| !session.ended && !session.wild && session.used.elapsed() < idle;
        self.sessions.iter().filter(living).count()
    }
}

/// An id as a value.
pub fn id(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

/// Whether it says that this answer could not be kept.
fn stands_for(word: &str, answer: &str) -> bool {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let (word, answer) = (read(word), read(answer));
    let says = word["error"]["message"].as_str().unwrap_or_default();
    answer["method"].is_null() && word["id"] == answer["id"] && says.contains("(listen.limits.replay_")
}
