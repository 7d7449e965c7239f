//! A scripted server: what is dialled in the place of a program.
//!
//! A `Desk` is one server of the script over all its lives; each dial begins a life with two pipes. By itself it
//! greets and lists as its role says; whatever else it hears waits for the script.

use super::client::Envelope;
use super::script::Role;
use bytes::{Buf, BytesMut};
use futures::FutureExt;
use futures::future::BoxFuture;
use mcp_braid::upstream::dial::{Dial, Dialed};
use mcp_braid::wire::fault::{Fault, Reason};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// One server of the script.
pub(crate) struct Desk {
    pub(crate) name: String,
    state: Mutex<State>,
    crew: TaskTracker,
}

#[derive(Default)]
struct State {
    offer: Offer,
    heard: VecDeque<String>,
    /// Each life is heard and spoken to by its number.
    apart: bool,
    lives: Vec<Life>,
    started: u64,
    ended: u64,
    refuses: bool,
    /// How many bytes its stdin holds.
    pipe_bytes: usize,
    /// Anything that happened, to know when nothing does.
    moves: u64,
}

/// A life as the script sees it.
struct Life {
    acts: mpsc::Sender<Act>,
    /// What it heard, if each life is heard by itself.
    heard: VecDeque<String>,
}

/// What a server says of itself.
#[derive(Default, Clone)]
struct Offer {
    revision: String,
    instructions: Option<String>,
    /// Per kind, if it is declared at all: the items, as JSON.
    lists: [Option<Vec<String>>; 4],
    completions: bool,
    logging: bool,
    /// It says yes to subscriptions.
    agrees: bool,
    /// It answers a call with the call's arguments.
    echoes: bool,
    /// Methods that the script answers; `*` for all.
    by_hand: Vec<String>,
    /// Methods that it does not survive; `*` for all.
    dies: Vec<String>,
}

/// The kinds, the method that lists each, and the member of its result.
const KINDS: [(&str, &str, &str); 4] = [
    ("tools", "tools/list", "tools"),
    ("prompts", "prompts/list", "prompts"),
    ("resources", "resources/list", "resources"),
    ("templates", "resources/templates/list", "resourceTemplates"),
];

/// The revision of a server that does without a handshake.
pub(crate) const MODERN: &str = "2026-07-28";

/// What the script makes a life do.
pub(crate) enum Act {
    Write(Vec<u8>),
    Stall,
    Read,
    CloseStdout,
    Die,
}

impl Desk {
    /// A role's words: a revision; `tools a b`, `prompts a`, `resources uri`, `templates uri` for what is declared and
    /// listed, `tools ro:a` for one that says that it changes nothing; `2026-07-28`: it does without a handshake; `completions`; `logging`; `instructions Text.`; `echoes`: a call is answered with its arguments;
    /// `agrees` to subscriptions; `hand METHOD…`: the script answers these, `mute`: it answers all; `pipe 64`: bytes that
    /// its stdin holds; `refuses`: cannot be started; `dies METHOD…`: ends when it hears one of these, `dies *` at whatever it hears; `apart`: each of its lives is a party, `files.1` the first that was
    /// started.
    pub(crate) fn new(role: &Role, crew: TaskTracker) -> Result<Arc<Self>, String> {
        let mut state = State { pipe_bytes: 64 * 1024, ..State::default() };
        state.offer.revision = "2025-11-25".to_owned();
        for word in &role.traits {
            let (first, rest) = word.split_once(' ').unwrap_or((word, ""));
            match first {
                "mute" => state.offer.by_hand.push("*".to_owned()),
                "hand" => state.offer.by_hand.extend(rest.split(' ').map(str::to_owned)),
                "dies" => state.offer.dies.extend(rest.split(' ').map(str::to_owned)),
                "refuses" => state.refuses = true,
                "echoes" => state.offer.echoes = true,
                "completions" => state.offer.completions = true,
                "logging" => state.offer.logging = true,
                "agrees" => state.offer.agrees = true,
                "apart" => state.apart = true,
                "instructions" => state.offer.instructions = Some(rest.to_owned()),
                "pipe" => state.pipe_bytes = rest.parse().map_err(|_| "no number")?,
                _ if state.offer.list(word) => {}
                _ if first.starts_with(|c: char| c.is_ascii_digit()) => {
                    state.offer.revision = first.to_owned();
                }
                _ => return Err(format!("no such server: {word}")),
            }
        }
        Ok(Arc::new(Self { name: role.name.clone(), state: Mutex::new(state), crew }))
    }

    /// Changes what it lists: a kind and its items.
    pub(crate) fn offers(&self, words: &str) -> Result<(), String> {
        self.state.lock().offer.list(words).then_some(()).ok_or_else(|| format!("no such list: {words}"))
    }

    pub(crate) fn refuses(&self) {
        self.state.lock().refuses = true;
    }

    /// The script answers for it.
    pub(crate) fn mutes(&self) {
        self.state.lock().offer.by_hand.push("*".to_owned());
    }

    /// It can be started, and survives what it hears.
    pub(crate) fn returns(&self) {
        let mut state = self.state.lock();
        state.refuses = false;
        state.offer.dies.clear();
    }

    /// Makes a life do something; the latest, if no number is given.
    pub(crate) async fn act(&self, number: Option<usize>, act: Act) -> Result<(), String> {
        let life = {
            let state = self.state.lock();
            let life =
                number.map_or_else(|| state.lives.last(), |number| state.lives.get(number.wrapping_sub(1)));
            life.map(|life| life.acts.clone()).ok_or("it was never started")?
        };
        life.send(act).await.map_err(|_| "it is not running".to_owned())
    }

    /// Every line that waits for the script; of one life, or of those that are not heard by themselves.
    pub(crate) fn hear<T>(
        &self,
        number: Option<usize>,
        take: impl FnOnce(&mut VecDeque<String>) -> T,
    ) -> Result<T, String> {
        let mut state = self.state.lock();
        let apart = state.apart;
        match number {
            None => Ok(take(&mut state.heard)),
            Some(_) if !apart => Err(format!("{} is not `apart`", self.name)),
            Some(number) => match state.lives.get_mut(number.wrapping_sub(1)) {
                Some(life) => Ok(take(&mut life.heard)),
                None => Err("it was never started".to_owned()),
            },
        }
    }

    /// All that nobody has asked for.
    pub(crate) fn left(&self) -> Vec<String> {
        let state = self.state.lock();
        state.heard.iter().chain(state.lives.iter().flat_map(|life| &life.heard)).cloned().collect()
    }

    pub(crate) fn started(&self) -> u64 {
        self.state.lock().started
    }

    /// How many of its lives are over.
    pub(crate) fn ended(&self) -> u64 {
        self.state.lock().ended
    }

    pub(crate) fn moves(&self) -> u64 {
        self.state.lock().moves
    }
}

/// Dials a desk.
pub(crate) struct DeskDial(pub(crate) Arc<Desk>);

impl Dial for DeskDial {
    fn dial(&self) -> BoxFuture<'_, Result<Dialed, Fault>> {
        std::future::ready(self.dialed()).boxed()
    }

    fn transport(&self) -> &'static str {
        "play"
    }
}

impl DeskDial {
    fn dialed(&self) -> Result<Dialed, Fault> {
        let desk = &self.0;
        let mut state = desk.state.lock();
        state.started += 1;
        state.moves += 1;
        if state.refuses {
            state.ended += 1;
            return Err(Fault::ours(Reason::Unreachable, "it cannot be started"));
        }
        let (writer, stdin) = duplex(state.pipe_bytes);
        let (stdout, reader) = duplex(64 * 1024);
        let (sender, acts) = mpsc::channel(16);
        state.lives.push(Life { acts: sender, heard: VecDeque::new() });
        let number = state.lives.len();
        let run = Run { number, desk: desk.clone(), stdin, stdout: Some(stdout), acts, reads: true };
        desk.crew.spawn(run.run());
        Ok(Dialed::piped(reader, writer))
    }
}

/// One run of a server, from its start to its end.
struct Run {
    /// From 1.
    number: usize,
    desk: Arc<Desk>,
    stdin: DuplexStream,
    stdout: Option<DuplexStream>,
    acts: mpsc::Receiver<Act>,
    reads: bool,
}

impl Run {
    async fn run(mut self) {
        let mut buffer = BytesMut::new();
        loop {
            let scanned = buffer.len();
            tokio::select! {
                biased;
                Some(act) = self.acts.recv() => match act {
                    Act::Write(bytes) => self.write(&bytes).await,
                    Act::Stall => self.reads = false,
                    Act::Read => self.reads = true,
                    Act::CloseStdout => self.stdout = None,
                    Act::Die => break,
                },
                read = self.stdin.read_buf(&mut buffer), if self.reads => {
                    self.desk.state.lock().moves += 1;
                    if read.is_ok_and(|count| count == 0) {
                        break;
                    }
                    if self.take_lines(&mut buffer, scanned).await.is_break() {
                        buffer.clear();
                        break;
                    }
                }
                else => break,
            }
        }
        if !buffer.is_empty() {
            self.heard(format!("(half a line) {}", String::from_utf8_lossy(&buffer)));
        }
        let mut state = self.desk.state.lock();
        state.ended += 1;
        state.moves += 1;
    }

    /// Hears every whole line; there was none before `scanned`. It breaks at one that it does not survive.
    async fn take_lines(&mut self, buffer: &mut BytesMut, scanned: usize) -> ControlFlow<()> {
        let mut from = scanned;
        while let Some(end) = memchr::memchr(b'\n', &buffer[from..]) {
            let line = String::from_utf8_lossy(&buffer.split_to(from + end)).into_owned();
            buffer.advance(1);
            from = 0;
            let reply = self.desk.state.lock().offer.reply(&line);
            match reply {
                Reply::Say(mut text) => {
                    text.push('\n');
                    self.write(text.as_bytes()).await;
                }
                Reply::Nothing => {}
                Reply::ByHand => self.heard(line),
                Reply::Death => return ControlFlow::Break(()),
            }
        }
        ControlFlow::Continue(())
    }

    fn heard(&self, line: String) {
        let mut state = self.desk.state.lock();
        let own = state.apart.then(|| self.number - 1);
        match own.and_then(|at| state.lives.get_mut(at)) {
            Some(life) => life.heard.push_back(line),
            None => state.heard.push_back(line),
        }
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.desk.state.lock().moves += 1;
        if let Some(stdout) = &mut self.stdout {
            // Whether Braid still reads is its affair.
            stdout.write_all(bytes).await.ok();
        }
    }
}

enum Reply {
    Say(String),
    Nothing,
    ByHand,
    Death,
}

impl Offer {
    /// `tools read write`; false if the first word is no kind.
    fn list(&mut self, words: &str) -> bool {
        let (kind, names) = words.split_once(' ').unwrap_or((words, ""));
        let Some(at) = KINDS.iter().position(|(word, ..)| *word == kind) else { return false };
        let item = |name: &str| match kind {
            "tools" => match name.strip_prefix("ro:") {
                Some(name) => format!(
                    r#"{{"name":"{name}","inputSchema":{{"type":"object"}},"annotations":{{"readOnlyHint":true}}}}"#
                ),
                None => format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#),
            },
            "prompts" => format!(r#"{{"name":"{name}"}}"#),
            "resources" => format!(r#"{{"uri":"{name}","name":"{name}"}}"#),
            _ => format!(r#"{{"uriTemplate":"{name}","name":"{name}"}}"#),
        };
        self.lists[at] = Some(names.split_whitespace().map(item).collect());
        true
    }

    fn reply(&self, line: &str) -> Reply {
        let Ok(heard) = serde_json::from_str::<Envelope<'_>>(line) else { return Reply::ByHand };
        let method = heard.method.as_deref().unwrap_or_default();
        if self.dies.iter().any(|dies| dies == "*" || dies == method) {
            return Reply::Death;
        }
        if self.by_hand.iter().any(|by_hand| by_hand == "*" || by_hand == method) {
            return Reply::ByHand;
        }
        if method == "notifications/initialized" {
            return Reply::Nothing;
        }
        let listed = KINDS.iter().zip(&self.lists).find(|((_, list, _), _)| *list == method);
        let result = match (method, listed) {
            ("initialize", _) if self.revision != MODERN => self.greeting(),
            ("server/discover", _) if self.revision == MODERN => self.discovered(),
            ("subscriptions/listen", _) if self.agrees => return Reply::Say(acknowledged(&heard)),
            ("tools/call", _) if self.echoes => {
                let params = heard.params.map(RawValue::get).unwrap_or_default();
                let arguments = serde_json::from_str::<Arguments<'_>>(params).ok();
                let arguments = arguments.and_then(|of| of.arguments).map_or("null", RawValue::get);
                format!(r#"{{"echo":{arguments}}}"#)
            }
            ("resources/subscribe" | "resources/unsubscribe", _) if self.agrees => "{}".to_owned(),
            (_, Some(((_, _, member), list))) => {
                let stands = match self.revision == MODERN {
                    true => r#","resultType":"complete","ttlMs":0,"cacheScope":"private""#,
                    false => "",
                };
                format!(r#"{{"{member}":[{}]{stands}}}"#, list.as_deref().unwrap_or_default().join(","))
            }
            _ => return Reply::ByHand,
        };
        match heard.id {
            Some(id) => Reply::Say(format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, id.get())),
            None => Reply::ByHand,
        }
    }

    /// What a server without a handshake says of itself.
    fn discovered(&self) -> String {
        let said = self.instructions.as_ref().map(|text| format!(r#","instructions":"{text}""#));
        format!(
            r#"{{"resultType":"complete","supportedVersions":["{}"],"capabilities":{},"ttlMs":0,"cacheScope":"private"{}}}"#,
            self.revision,
            self.capabilities(),
            said.unwrap_or_default(),
        )
    }

    fn capabilities(&self) -> String {
        let [tools, prompts, resources, templates] = &self.lists;
        let flags = [
            ("tools", tools.is_some()),
            ("prompts", prompts.is_some()),
            ("resources", resources.is_some() || templates.is_some()),
            ("completions", self.completions),
            ("logging", self.logging),
        ];
        let flags: Vec<_> = flags
            .iter()
            .filter(|(_, on)| *on)
            .map(|(key, _)| format!(r#""{key}":{}"#, self.says(key)))
            .collect();
        format!("{{{}}}", flags.join(","))
    }

    /// What it says of one capability.
    fn says(&self, key: &str) -> &'static str {
        match (self.revision == MODERN && self.agrees, key) {
            (true, "resources") => r#"{"listChanged":true,"subscribe":true}"#,
            (true, "tools" | "prompts") => r#"{"listChanged":true}"#,
            _ => "{}",
        }
    }

    fn greeting(&self) -> String {
        let said = self.instructions.as_ref().map(|text| format!(r#","instructions":"{text}""#));
        format!(
            r#"{{"protocolVersion":"{}","capabilities":{},"serverInfo":{{"name":"play","version":"1"}}{}}}"#,
            self.revision,
            self.capabilities(),
            said.unwrap_or_default(),
        )
    }
}

/// A server agrees to tell of all that is asked.
fn acknowledged(heard: &Envelope<'_>) -> String {
    let id = heard.id.map(RawValue::get).unwrap_or_default();
    let params = heard.params.map(RawValue::get).unwrap_or_default();
    let told = serde_json::from_str::<Told<'_>>(params).ok();
    let told = told.and_then(|told| told.notifications).map_or("{}", RawValue::get);
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}},"notifications":{told}}}}}"#
    )
}

#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    notifications: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Arguments<'a> {
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}
