//! Two servers in memory that do what their tools' names say, at once, or when they are told to.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use mcp_braid::upstream::dial::{Dial, Dialed};
use mcp_braid::wire::fault::Fault;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::sync::mpsc;

use crate::book::Book;

pub const TOOLS: [&str; 8] = ["echo", "talk", "ask", "slow", "change", "large", "fail", "die"];

/// What a server does of itself.
#[derive(Clone, Copy)]
pub enum Order {
    Log,
    Change,
    /// Answers everything that it holds.
    Answer,
    /// Asks nobody in particular.
    Ask,
    /// Takes back what it asked.
    Withdraw,
    Update,
    Die,
}

pub const ORDERS: [Order; 7] =
    [Order::Log, Order::Change, Order::Answer, Order::Ask, Order::Withdraw, Order::Update, Order::Die];

/// One server over all its lives.
#[derive(Clone)]
pub struct Script {
    /// Each client has one of its own.
    own: bool,
    book: Book,
    lives: Arc<Mutex<Vec<mpsc::UnboundedSender<Order>>>>,
}

impl Script {
    pub fn new(own: bool, book: Book) -> Self {
        Self { own, book, lives: Arc::default() }
    }

    pub fn order(&self, order: Order) {
        let mut lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
        lives.retain(|life| life.send(order).is_ok());
    }
}

impl Dial for Script {
    fn dial(&self) -> BoxFuture<'_, Result<Dialed, Fault>> {
        let (writer, stdin) = duplex(1 << 16);
        let (stdout, reader) = duplex(1 << 16);
        let (orders, ordered) = mpsc::unbounded_channel();
        self.lives.lock().unwrap_or_else(PoisonError::into_inner).push(orders);
        let life = Life {
            own: self.own,
            book: self.book.clone(),
            whose: None,
            held: Vec::new(),
            asks: HashMap::new(),
            withdrawn: HashSet::new(),
            next: 0,
            changed: false,
            out: String::new(),
            over: false,
        };
        tokio::spawn(life.run(stdin, stdout, ordered));
        std::future::ready(Ok(Dialed::piped(reader, writer))).boxed()
    }

    fn transport(&self) -> &'static str {
        "memory"
    }
}

/// From one dial to the end of its connection.
struct Life {
    own: bool,
    book: Book,
    /// The session whose own it is.
    whose: Option<usize>,
    /// Calls without an answer: the id and the mark.
    held: Vec<(Value, String)>,
    /// The call that an ask came of; none of its own accord.
    asks: HashMap<u64, Option<(Value, String)>>,
    withdrawn: HashSet<u64>,
    next: u64,
    changed: bool,
    out: String,
    over: bool,
}

impl Life {
    async fn run(
        mut self,
        stdin: DuplexStream,
        mut stdout: DuplexStream,
        mut orders: mpsc::UnboundedReceiver<Order>,
    ) {
        let (mut lines, mut line) = (BufReader::new(stdin), String::new());
        while !self.over {
            tokio::select! {
                biased;
                read = lines.read_line(&mut line) => match read {
                    Ok(1..) => {
                        let message = serde_json::from_str(&line).expect("a message is one line");
                        self.hear(&message);
                        line.clear();
                    }
                    Ok(0) | Err(_) => break,
                },
                Some(order) = orders.recv() => self.obey(order),
            }
            if !self.out.is_empty() && stdout.write_all(self.out.as_bytes()).await.is_err() {
                break;
            }
            self.out.clear();
        }
        self.book.open().held -= self.held.len();
    }

    fn say(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn result(&mut self, id: &Value, result: &str) {
        self.say(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#));
    }

    fn content(&mut self, id: &Value, text: &str) {
        self.result(id, &format!(r#"{{"content":[{{"type":"text","text":"{text}"}}]}}"#));
    }

    fn hold(&mut self, id: &Value, mark: &str) {
        self.held.push((id.clone(), mark.to_owned()));
        self.book.open().held += 1;
    }

    fn release(&mut self, which: impl Fn(&Value) -> bool) -> Vec<(Value, String)> {
        let (released, held) = std::mem::take(&mut self.held).into_iter().partition(|(id, _)| which(id));
        self.held = held;
        let released: Vec<_> = released;
        self.book.open().held -= released.len();
        released
    }

    fn hear(&mut self, message: &Value) {
        let Some(method) = message["method"].as_str() else { return self.answered(message) };
        let (id, params) = (&message["id"], &message["params"]);
        match method {
            "initialize" => {
                let revision = &params["protocolVersion"];
                self.result(
                    id,
                    &format!(
                        r#"{{"protocolVersion":{revision},"capabilities":{{"tools":{{"listChanged":true}},"resources":{{"subscribe":true}},"logging":{{}}}},"serverInfo":{{"name":"s","version":"1"}}}}"#
                    ),
                );
            }
            "tools/list" => {
                let more = if self.changed { &["more"][..] } else { &[] };
                let tools: Vec<_> = TOOLS
                    .iter()
                    .chain(more)
                    .map(|name| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#))
                    .collect();
                self.result(id, &format!(r#"{{"tools":[{}]}}"#, tools.join(",")));
            }
            "resources/list" => {
                self.result(id, r#"{"resources":[{"uri":"file:///r","name":"r"}]}"#);
            }
            "resources/templates/list" => self.result(id, r#"{"resourceTemplates":[]}"#),
            "resources/read" => {
                self.result(id, r#"{"contents":[{"uri":"file:///r","text":"r"}]}"#);
            }
            "resources/subscribe" | "resources/unsubscribe" | "logging/setLevel" | "ping" => {
                self.result(id, "{}");
            }
            "tools/call" => self.call(id, params),
            "notifications/cancelled" => {
                self.release(|id| *id == params["requestId"]);
            }
            _ if id.is_null() => {}
            _ => self.say(&format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"no such method"}}}}"#
            )),
        }
    }

    fn call(&mut self, id: &Value, params: &Value) {
        let mark = params["arguments"]["mark"].as_str().unwrap_or_default().to_owned();
        self.is_his(&mark);
        match params["name"].as_str().unwrap_or_default() {
            "talk" => {
                let token = &params["_meta"]["progressToken"];
                for done in 1..=3 {
                    if !token.is_null() {
                        self.say(&format!(
                            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{done},"message":"{mark}"}}}}"#
                        ));
                    }
                }
                self.log(self.own.then_some(mark.as_str()));
                self.content(id, &mark);
            }
            "ask" => {
                self.hold(id, &mark);
                self.ask(Some((id.clone(), mark)));
            }
            "slow" => self.hold(id, &mark),
            "change" => {
                self.obey(Order::Change);
                self.content(id, &mark);
            }
            "large" => self.content(id, &format!("{mark} {}", "x".repeat(20 << 10))),
            "fail" => self.say(&format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32000,"message":"{mark}"}}}}"#
            )),
            "die" => self.over = true,
            _ => self.content(id, &mark),
        }
    }

    /// What comes to a client's own server is that client's.
    fn is_his(&mut self, text: &str) {
        let book = self.book.open();
        for mark in book.marks(text) {
            let session = book.requests[mark].session;
            let whose = *self.whose.get_or_insert(session);
            assert!(!self.own || whose == session, "another's server has heard {text}");
        }
    }

    fn log(&mut self, mark: Option<&str>) {
        let data = mark.unwrap_or("something");
        self.say(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"error","data":"{data}"}}}}"#
        ));
    }

    fn ask(&mut self, of: Option<(Value, String)>) {
        self.next += 1;
        let (number, mark) = (self.next, of.as_ref().map_or("nobody", |(_, mark)| mark));
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":{number},"method":"elicitation/create","params":{{"message":"{mark}","requestedSchema":{{"type":"object","properties":{{}}}}}}}}"#
        );
        self.say(&text);
        self.asks.insert(number, of);
    }

    /// The answer to an ask ends the call that it came of.
    fn answered(&mut self, message: &Value) {
        let Some(number) = message["id"].as_u64() else { return };
        // What we take back may have its answer already.
        let Some(asked) = self.asks.remove(&number) else {
            assert!(self.withdrawn.remove(&number), "answered twice, or never asked");
            return;
        };
        let Some((call, mark)) = asked else { return };
        if let Some(said) = message["result"]["content"]["mark"].as_str() {
            assert!(said.ends_with(&mark), "the answer to another ask: {said}");
        }
        if !self.release(|id| *id == call).is_empty() {
            self.content(&call, &mark);
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Log => self.log(None),
            Order::Change => {
                self.changed = !self.changed;
                self.say(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
            }
            Order::Answer => {
                for (id, mark) in self.release(|_| true) {
                    self.content(&id, &mark);
                }
            }
            Order::Ask => self.ask(None),
            Order::Withdraw => {
                for (number, of) in std::mem::take(&mut self.asks) {
                    self.withdrawn.insert(number);
                    self.say(&format!(
                        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{number}}}}}"#
                    ));
                    if let Some((call, mark)) = of
                        && !self.release(|id| *id == call).is_empty()
                    {
                        self.content(&call, &mark);
                    }
                }
            }
            Order::Update => self.say(
                r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"file:///r"}}"#,
            ),
            Order::Die => self.over = true,
        }
    }
}
