//! The real tables, as their owners use them, and beside them what really happened.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use mcp_braid::mcp::askable::Askable;
use mcp_braid::mcp::caller::{ClientId, Company};
use mcp_braid::mcp::level::Level;
use mcp_braid::mcp::method::Method;
use mcp_braid::mcp::revision::Revision;
use mcp_braid::routing::asking::{in_clients_terms, updated_in_clients_terms};
use mcp_braid::routing::deadline::{Deadline, Expiry};
use mcp_braid::routing::held::Held;
use mcp_braid::routing::ledger::Ledger;
use mcp_braid::routing::levels::Levels;
use mcp_braid::routing::owner::{Owner, owner};
use mcp_braid::routing::route::{Local, Route, Target, route};
use mcp_braid::routing::subscriptions::{Added, Removed, Subscriptions};
use mcp_braid::wire::caps::Caps;
use mcp_braid::wire::id::CallId;
use mcp_braid::wire::members::quote;
use mcp_braid::wire::message::{Head, Message};
use mcp_braid::wire::splice::splice;

use crate::Input;
use crate::model::Notes;
use crate::signposts::{CATALOG, CHANGING, RESOURCES, SERVERS, TOOLS, Way};

const CLIENTS: usize = 4;
const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: u32 = 10;
const TOTAL: u32 = 25;

/// What the client of each place declares, and what comes of the asks in their order: roots, sampling,
/// sampling with tools, a form, a URL, and what is no ask. `0`: it may be asked.
const DECLARED: [(&str, Revision, [i32; 6]); CLIENTS] = [
    (Askable::SHARED, Revision::V2025_11_25, [0, 0, 0, 0, 0, -32601]),
    ("{}", Revision::V2025_11_25, [-32601; 6]),
    (
        r#"{"sampling":{"tools":{}},"elicitation":{"url":{}}}"#,
        Revision::V2025_06_18,
        [-32601, 0, -32602, 0, -32602, -32601],
    ),
    (
        r#"{"roots":{},"elicitation":{"url":{}}}"#,
        Revision::V2025_11_25,
        [0, -32601, -32601, -32602, 0, -32601],
    ),
];

pub struct World {
    now: Instant,
    clients: Vec<Client>,
    links: Vec<Link>,
    requests: Vec<Request>,
    asks: Vec<Ask>,
    next_client: u64,
}

/// Who stands at one of the places.
struct Client {
    id: ClientId,
    askable: Askable,
    level: Option<Level>,
    /// What it was asked and has not answered.
    asks: Ledger<usize>,
}

struct Link {
    server: usize,
    only: Option<ClientId>,
    gone: bool,
    /// How often it was made anew.
    life: u32,
    ledger: Ledger<usize>,
    subscriptions: Subscriptions,
    levels: Levels,
    held: HashMap<ClientId, Held>,
    notes: Notes,
}

/// A request that went to a server.
struct Request {
    client: ClientId,
    link: usize,
    life: u32,
    id: CallId,
    what: What,
    deadline: Deadline,
    /// By how much its deadline was extended.
    seen: Duration,
    /// Seconds that counted since it began, and since its last sign of life.
    total: u32,
    idle: u32,
    outcome: Option<Outcome>,
}

#[derive(Clone, PartialEq, Eq)]
enum What {
    Call,
    Subscribe(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Answered,
    Cancelled,
    TimedOut,
    Lost,
}

/// A server's ask that a client was given.
struct Ask {
    link: usize,
    client: ClientId,
    id: CallId,
    over: bool,
}

impl World {
    pub fn new(sharing: u8) -> Self {
        let mut world = Self {
            now: Instant::now(),
            clients: Vec::new(),
            links: Vec::new(),
            requests: Vec::new(),
            asks: Vec::new(),
            next_client: 1,
        };
        for server in (0..SERVERS).filter(|server| sharing >> server & 1 == 1) {
            world.links.push(Link::new(server, None));
        }
        for place in 0..CLIENTS {
            let client = world.comes(place);
            world.clients.push(client);
        }
        world
    }

    /// One operation; `None` if it lacks something.
    pub fn step(&mut self, operation: u8, input: &mut Input<'_>) -> Option<()> {
        match operation % 12 {
            0 => self.calls(input),
            1 => self.reads(input),
            2 => self.sets_level(input),
            3 => self.answers(input),
            4 => self.cancels(input),
            5 => self.server_asks(input),
            6 => self.client_answers(input),
            7 => self.updates(input),
            8 => self.logs(input),
            9 => self.passes(input),
            10 => self.progresses(input),
            _ => match input.byte()? {
                0..=127 => input.one_of(self.links.len()).map(|link| self.dies(link)),
                _ => input.one_of(CLIENTS).map(|place| self.leaves(place)),
            },
        }
    }

    /// Everybody leaves, and nothing is left.
    pub fn close(mut self) {
        (0..CLIENTS).for_each(|place| self.leaves(place));
        for request in &self.requests {
            assert!(request.outcome.is_some(), "a request without an outcome");
        }
        for link in &self.links {
            assert!(link.ledger.is_empty() && link.ledger.entries().count() == 0);
            assert_eq!((link.subscriptions.uris().count(), link.levels.wanted(Company::One, [])), (0, None));
            assert!(CHANGING.iter().all(|uri| link.subscriptions.whose(uri).is_empty()));
            for held in link.held.values() {
                assert_eq!(held.total(self.now), held.total(self.now + SECOND), "a hold is left");
            }
        }
        assert!(self.clients.iter().all(|client| client.asks.is_empty()));
    }

    fn comes(&mut self, place: usize) -> Client {
        let id = ClientId(self.next_client);
        self.next_client += 1;
        let (declared, revision, _) = DECLARED[place];
        Client { id, askable: Askable::read(declared, revision), level: None, asks: Ledger::new() }
    }

    // Requests.

    fn calls(&mut self, input: &mut Input<'_>) -> Option<()> {
        let place = input.one_of(CLIENTS)?;
        match TOOLS.get(input.one_of(TOOLS.len() + 1)?) {
            Some((name, way)) => self.request(place, "tools/call", "name", name, *way),
            None => {
                let length = input.0.len().min(6);
                let (name, rest) = input.0.split_at(length);
                input.0 = rest;
                let name = String::from_utf8_lossy(name);
                self.request(place, "tools/call", "name", &name, tool(&name))
            }
        };
        Some(())
    }

    fn reads(&mut self, input: &mut Input<'_>) -> Option<()> {
        let place = input.one_of(CLIENTS)?;
        let method = ["resources/read", "resources/subscribe", "resources/unsubscribe"][input.one_of(3)?];
        let (uri, way) = RESOURCES[input.one_of(RESOURCES.len())?];
        self.request(place, method, "uri", uri, way);
        Some(())
    }

    fn request(&mut self, place: usize, method: &str, key: &str, said: &str, way: Way) {
        let write = |said: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"x":1.0,"{key}":{}}}}}"#,
                quote(said)
            )
        };
        let message = Message::parse_client(write(said).into(), Caps::default()).expect("a request");
        let method = Method::parse(method);
        let target = match (route(&CATALOG, method, &message), way) {
            (Route::One(target), Way::To(server, own)) => {
                assert_eq!((target.pass.server(), &**target.pass.own()), (server, own), "{said}");
                target
            }
            (Route::Unknown(fault) | Route::Refuse(fault), Way::Refused(code)) => {
                assert_eq!(fault.code, code, "{said}");
                return;
            }
            (route, way) => panic!("{said}: {route:?} and not {way:?}"),
        };
        let Target { pass, mut edit, amended, needs_task, reads_only: _, mirrors } = target;
        let (server, own) = (pass.server(), pass.own().clone());
        assert!(amended.is_none(), "no tool of the model has arguments put in");
        assert!(mirrors.is_none(), "no tool of the model has headers");
        assert!(!needs_task, "no tool of the model needs a task");
        assert_eq!(splice(message.text(), edit.as_mut_slice()), write(&own));
        let client = self.clients[place].id;
        let link = self.link_of(server, place);
        let Link { subscriptions, notes, .. } = &mut self.links[link];
        match method {
            Method::Subscribe => {
                let added = subscriptions.add(client, &own);
                assert_eq!(added, notes.add(client, &own));
                match added {
                    Added::First => self.opens(client, link, What::Subscribe(own.to_string())),
                    Added::Joined => {}
                }
            }
            Method::Unsubscribe => {
                let removed = subscriptions.remove(client, &own);
                assert_eq!(removed, notes.remove(client, &own));
                match removed {
                    Removed::Last => self.opens(client, link, What::Call),
                    Removed::Left | Removed::Unknown => {}
                }
            }
            _ => self.opens(client, link, What::Call),
        }
        self.links[link].check();
    }

    fn opens(&mut self, client: ClientId, link: usize, what: What) {
        let serial = self.requests.len();
        let place = &mut self.links[link];
        let id = place.ledger.open(serial);
        assert_eq!(place.ledger.get(id), Some(&serial));
        let used =
            self.requests.iter().any(|other| (other.link, other.life, other.id) == (link, place.life, id));
        assert!(!used, "an id was used again");
        let total = Some(TOTAL * SECOND);
        self.requests.push(Request {
            client,
            link,
            life: place.life,
            id,
            what,
            deadline: Deadline::new(self.now, PATIENCE * SECOND, total),
            seen: place.held_for(client, self.now),
            total: 0,
            idle: 0,
            outcome: None,
        });
    }

    fn sets_level(&mut self, input: &mut Input<'_>) -> Option<()> {
        let place = input.one_of(CLIENTS)?;
        let level = Level::ALL.get(input.one_of(9)?);
        let word = level.map_or("loud", |level| level.as_str());
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":"l","method":"logging/setLevel","params":{{"level":"{word}"}}}}"#
        );
        let message = Message::parse_client(text.into(), Caps::default()).expect("a request");
        match (route(&CATALOG, Method::SetLevel, &message), level) {
            (Route::Local(Local::SetLevel(meant)), Some(level)) => assert_eq!(meant, *level),
            (Route::Refuse(fault), None) => {
                assert_eq!(fault.code, -32602);
                return Some(());
            }
            (route, _) => panic!("{word}: {route:?}"),
        }
        let level = *level?;
        let client = &mut self.clients[place];
        client.level = Some(level);
        for link in self.links.iter_mut().filter(|link| link.serves(client.id)) {
            link.asks_level(client.id, level);
        }
        Some(())
    }

    // What comes of them.

    fn answers(&mut self, input: &mut Input<'_>) -> Option<()> {
        let link = input.one_of(self.links.len())?;
        let how = input.byte()?;
        let life = self.links[link].life;
        let sent: Vec<CallId> =
            self.requests.iter().filter(|r| (r.link, r.life) == (link, life)).map(|r| r.id).collect();
        // Any that was ever sent on this stream, answered or not; or what was never sent.
        let (raw, id) = match (how % 4, input.one_of(sent.len())) {
            (0 | 1, Some(at)) => (sent[at].to_string(), Some(sent[at])),
            (2, Some(at)) => (format!("{}.0", sent[at]), Some(sent[at])),
            (3, Some(at)) => (format!("\"{}\"", sent[at]), None),
            (_, _) => ("4711".to_owned(), None),
        };
        let agreed = how & 4 == 0;
        let end = if agreed { r#""result":{}"# } else { r#""error":{"code":1,"message":""}"# };
        let text = format!(r#"{{"jsonrpc":"2.0","id":{raw},{end}}}"#);
        let message = Message::parse_server(text.into()).expect("a response");
        let Head::Response { id: Some(span), .. } = message.head() else { panic!("no response") };
        let read = CallId::read(message.str(*span));
        let closed = read.and_then(|id| self.links[link].ledger.close(id));
        let meant = self.requests.iter().position(|request| {
            (request.link, request.life, Some(request.id), request.outcome) == (link, life, id, None)
        });
        assert_eq!(closed, meant, "the answer to {raw} went astray");
        let Some(serial) = meant else { return Some(()) };
        self.ends(serial, Outcome::Answered);
        let Request { client, what, .. } = &self.requests[serial];
        let Link { subscriptions, notes, .. } = &mut self.links[link];
        match (what, agreed) {
            (What::Subscribe(uri), true) => {
                subscriptions.confirm(uri);
                notes.confirm(uri);
            }
            (What::Subscribe(uri), false) => {
                subscriptions.fail(*client, uri);
                notes.fail(*client, uri);
            }
            (What::Call, _) => {}
        }
        self.links[link].check();
        Some(())
    }

    fn cancels(&mut self, input: &mut Input<'_>) -> Option<()> {
        let client = self.clients[input.one_of(CLIENTS)?].id;
        let own = self.open().into_iter().filter(|serial| self.requests[*serial].client == client);
        let own: Vec<usize> = own.collect();
        self.gives_up(own[input.one_of(own.len())?], Outcome::Cancelled);
        Some(())
    }

    /// Ends an open request before its answer.
    fn gives_up(&mut self, serial: usize, outcome: Outcome) {
        let Request { client, link, id, what, .. } = &self.requests[serial];
        let Link { ledger, subscriptions, notes, .. } = &mut self.links[*link];
        assert_eq!(ledger.close(*id), Some(serial));
        assert_eq!(ledger.close(*id), None);
        if let What::Subscribe(uri) = what {
            assert_eq!(subscriptions.remove(*client, uri), notes.remove(*client, uri));
        }
        self.links[*link].check();
        self.ends(serial, outcome);
    }

    fn ends(&mut self, serial: usize, outcome: Outcome) {
        let before = self.requests[serial].outcome.replace(outcome);
        assert_eq!(before, None, "a second outcome, {outcome:?}");
    }

    /// Serials of what is open, oldest first.
    fn open(&self) -> Vec<usize> {
        (0..self.requests.len()).filter(|serial| self.requests[*serial].outcome.is_none()).collect()
    }

    // What servers ask.

    fn server_asks(&mut self, input: &mut Input<'_>) -> Option<()> {
        let link = input.one_of(self.links.len()).filter(|link| !self.links[*link].gone)?;
        let kind = input.one_of(6)?;
        let server = self.links[link].server;
        let (text, wanted) = ask(kind, ["a+", "b+", ""][server], ["a:", "b:", ""][server]);
        let message = Message::parse_server(text.into()).expect("an ask");
        let owned = match self.links[link].only {
            Some(only) => Owner::One(only),
            None => owner(self.links[link].ledger.entries().map(|(_, serial)| self.requests[*serial].client)),
        };
        let mut open: Vec<ClientId> = self
            .open()
            .into_iter()
            .map(|serial| &self.requests[serial])
            .filter(|r| r.link == link)
            .map(|r| r.client)
            .collect();
        open.sort();
        open.dedup();
        let meant = match (self.links[link].only, open.as_slice()) {
            (Some(only), _) => Owner::One(only),
            (None, [only]) => Owner::One(*only),
            (None, []) => Owner::Nobody,
            (None, _) => Owner::Several,
        };
        assert_eq!(owned, meant);
        let Owner::One(client) = owned else { return Some(()) };
        let place = self.clients.iter().position(|other| other.id == client).expect("a client that is here");
        let refusal = self.clients[place].askable.refusal(&message).map_or(0, |fault| fault.code);
        assert_eq!(refusal, DECLARED[place].2[kind], "{kind} of {place}");
        if refusal != 0 {
            return Some(());
        }
        let uris = CATALOG.uris(server).expect("a server of the catalog");
        let Method::Ask(want) = Method::parse(message.method().expect("a method")) else { panic!("no ask") };
        let mut edits = in_clients_terms(&message, want, uris, Some("s"));
        assert_eq!(splice(message.text(), &mut edits), wanted);
        let id = self.clients[place].asks.open(self.asks.len());
        self.asks.push(Ask { link, client, id, over: false });
        self.links[link].held.entry(client).or_default().hold(self.now);
        Some(())
    }

    fn client_answers(&mut self, input: &mut Input<'_>) -> Option<()> {
        let place = input.one_of(CLIENTS)?;
        let client = self.clients[place].id;
        let given: Vec<usize> = (0..self.asks.len()).filter(|ask| self.asks[*ask].client == client).collect();
        // Any that it was ever given, answered or withdrawn or not.
        let ask = given[input.one_of(given.len())?];
        let closed = self.clients[place].asks.close(self.asks[ask].id);
        assert_eq!(closed, Some(ask).filter(|ask| !self.asks[*ask].over), "an answer for another server");
        if closed.is_some() {
            self.released(ask);
        }
        Some(())
    }

    fn released(&mut self, ask: usize) {
        let Ask { link, client, over, .. } = &mut self.asks[ask];
        assert!(!std::mem::replace(over, true));
        if let Some(held) = self.links[*link].held.get_mut(client) {
            held.release(self.now);
        }
    }

    // What servers say.

    fn updates(&mut self, input: &mut Input<'_>) -> Option<()> {
        let link = &self.links[input.one_of(self.links.len())?];
        let own = CHANGING[input.one_of(CHANGING.len())?];
        assert_eq!(link.subscriptions.whose(own), link.notes.whose(own), "{own}");
        let write = |uri: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":"{uri}"}}}}"#
            )
        };
        let note = Message::parse_server(write(own).into()).expect("a note");
        let uris = CATALOG.uris(link.server).expect("a server of the catalog");
        let updated = splice(note.text(), &mut updated_in_clients_terms(&note, uris));
        // What a client is told of, it can ask that server for.
        let note = Message::parse_client(updated, Caps::default()).expect("a note");
        let exposed = note.params().and_then(|params| params.uri.as_ref()).expect("a URI").as_str(&note);
        assert_eq!(exposed, format!("{}{own}", prefix(link.server, own)));
        Some(())
    }

    fn logs(&mut self, input: &mut Input<'_>) -> Option<()> {
        let link = &self.links[input.one_of(self.links.len())?];
        let level = Level::ALL.get(input.one_of(9)?).copied();
        for client in self.clients.iter().map(|client| client.id).filter(|client| link.serves(*client)) {
            let asked = link.notes.asked.iter().find(|(other, _)| *other == client).map(|(_, asked)| *asked);
            let hears = match (level, asked, link.only) {
                (None, _, _) | (Some(_), None, Some(_)) => true,
                (Some(level), Some(asked), _) => level >= asked,
                (Some(level), None, None) => !link.notes.ever_asked || level != Level::Debug,
            };
            assert_eq!(link.levels.admits(client, link.audience(), level), hears);
        }
        Some(())
    }

    // Time.

    fn passes(&mut self, input: &mut Input<'_>) -> Option<()> {
        let seconds = 1 + u32::from(input.byte()? % 8);
        self.now += seconds * SECOND;
        for serial in self.open() {
            let Request { client, link, .. } = self.requests[serial];
            let asked = self.asks.iter().any(|ask| !ask.over && (ask.link, ask.client) == (link, client));
            let held = self.links[link].held_for(client, self.now);
            let now = self.now;
            let request = &mut self.requests[serial];
            if !asked {
                request.idle += seconds;
                request.total += seconds;
            }
            request.catches_up(held);
            let meant = match (request.total >= TOTAL, request.idle >= PATIENCE) {
                (true, _) => Some(Expiry::Total),
                (false, true) => Some(Expiry::Idle),
                (false, false) => None,
            };
            assert_eq!(request.deadline.expired(now), meant);
            // To the second, so that a hold which counts wrongly shows before it matters.
            let (idle, total) = (request.idle, request.total);
            let over = idle.saturating_sub(PATIENCE).max(total.saturating_sub(TOTAL));
            let left = PATIENCE.saturating_sub(idle).min(TOTAL.saturating_sub(total));
            assert_eq!(request.deadline.next() + over * SECOND, now + left * SECOND);
            if meant.is_some() {
                self.gives_up(serial, Outcome::TimedOut);
            }
        }
        Some(())
    }

    fn progresses(&mut self, input: &mut Input<'_>) -> Option<()> {
        let open = self.open();
        let serial = open[input.one_of(open.len())?];
        let Request { client, link, .. } = self.requests[serial];
        let held = self.links[link].held_for(client, self.now);
        let request = &mut self.requests[serial];
        request.catches_up(held);
        request.deadline.renew(self.now);
        request.idle = 0;
        Some(())
    }

    // Ends.

    /// A server's connection ends, and there is another one at once.
    fn dies(&mut self, at: usize) {
        if self.links[at].gone {
            return;
        }
        let lost: Vec<usize> =
            self.open().into_iter().filter(|serial| self.requests[*serial].link == at).collect();
        assert_eq!(self.links[at].ledger.drain(), lost);
        for serial in lost {
            self.ends(serial, Outcome::Lost);
            let Request { client, what, .. } = &self.requests[serial];
            if let What::Subscribe(uri) = what {
                self.links[at].subscriptions.fail(*client, uri);
                self.links[at].notes.fail(*client, uri);
            }
        }
        for ask in 0..self.asks.len() {
            let Ask { link, client, id, over } = self.asks[ask];
            if link == at && !over {
                let client =
                    self.clients.iter_mut().find(|other| other.id == client).expect("a client that is here");
                assert_eq!(client.asks.close(id), Some(ask));
                self.released(ask);
            }
        }
        let link = &mut self.links[at];
        link.ledger = Ledger::new();
        link.life += 1;
        link.held.clear();
        // The next connection has agreed to nothing yet.
        link.subscriptions.doubt_all();
        link.notes.agreed.clear();
        link.check();
    }

    /// A client leaves, and another one comes in its place.
    fn leaves(&mut self, place: usize) {
        let next = self.comes(place);
        let mut gone = std::mem::replace(&mut self.clients[place], next);
        for serial in self.open() {
            let Request { client, link, id, .. } = self.requests[serial];
            if client == gone.id {
                assert_eq!(self.links[link].ledger.close(id), Some(serial));
                self.ends(serial, Outcome::Cancelled);
            }
        }
        let asked: Vec<usize> = (0..self.asks.len())
            .filter(|ask| self.asks[*ask].client == gone.id && !self.asks[*ask].over)
            .collect();
        assert_eq!(gone.asks.drain(), asked);
        asked.into_iter().for_each(|ask| self.released(ask));
        for link in self.links.iter_mut().filter(|link| link.serves(gone.id)) {
            link.levels.leave(gone.id);
            let last: Vec<String> = link.subscriptions.leave(gone.id).into_iter().map(String::from).collect();
            assert_eq!(last, link.notes.leave(gone.id));
            link.check();
            link.gone = link.only.is_some();
            assert!(!link.gone || link.ledger.is_empty(), "a request of nobody");
        }
    }

    /// The link on which that client reaches that server, made if there is none.
    fn link_of(&mut self, server: usize, place: usize) -> usize {
        let client = &self.clients[place];
        let found = self.links.iter().position(|link| link.server == server && link.serves(client.id));
        if let Some(found) = found {
            return found;
        }
        let mut link = Link::new(server, Some(client.id));
        if let Some(level) = client.level {
            link.asks_level(client.id, level);
        }
        self.links.push(link);
        self.links.len() - 1
    }
}

impl Link {
    fn new(server: usize, only: Option<ClientId>) -> Self {
        Self {
            server,
            only,
            gone: false,
            life: 0,
            ledger: Ledger::new(),
            subscriptions: Subscriptions::default(),
            levels: Levels::default(),
            held: HashMap::new(),
            notes: Notes::default(),
        }
    }

    fn serves(&self, client: ClientId) -> bool {
        !self.gone && self.only.is_none_or(|only| only == client)
    }

    fn audience(&self) -> Company {
        match self.only {
            Some(_) => Company::One,
            None => Company::Many,
        }
    }

    fn asks_level(&mut self, client: ClientId, level: Level) {
        self.levels.ask(client, level);
        self.notes.ask(client, level);
        self.check();
    }

    fn held_for(&self, client: ClientId, now: Instant) -> Duration {
        self.held.get(&client).map_or(Duration::ZERO, |held| held.total(now))
    }

    /// The tables say what happened.
    fn check(&self) {
        let lowest = self.notes.lowest();
        let asked: Vec<ClientId> = self.notes.asked.iter().map(|(client, _)| *client).collect();
        assert_eq!(self.levels.wanted(self.audience(), asked.iter().copied()), lowest);
        // With one who never asked, `info` is said at least, if anyone asked at all.
        let silent = self.levels.wanted(Company::Many, asked.into_iter().chain([ClientId(u64::MAX)]));
        assert!(
            lowest.is_none() || silent == lowest.min(Some(Level::Info)),
            "the server is told another level"
        );
        assert!(self.subscriptions.uris().eq(self.notes.uris()));
        for (client, uri) in &self.notes.listens {
            assert!(self.subscriptions.is_wanted(uri));
            let count = self.notes.listens.iter().filter(|(other, _)| other == client).count();
            assert_eq!(self.subscriptions.count_of(*client), count);
        }
    }
}

impl Request {
    /// The deadline moves by what a person was asked since it was looked at last.
    fn catches_up(&mut self, held: Duration) {
        self.deadline.extend(held - self.seen);
        self.seen = held;
    }
}

/// Where a tool's name leads, by looking at all of them.
fn tool(name: &str) -> Way {
    const ALL: [(usize, &str, &str); 5] = [
        (0, "a__read", "read"),
        (0, "a__write", "write"),
        (1, "b__write", "write"),
        (1, "b__only_b", "only_b"),
        (2, "read", "read"),
    ];
    if let Some((server, _, own)) = ALL.iter().find(|(_, exposed, _)| *exposed == name) {
        return Way::To(*server, own);
    }
    let mut owners = ALL.iter().filter(|(_, _, own)| *own == name);
    match (owners.next(), owners.next()) {
        (Some((server, _, own)), None) => Way::To(*server, own),
        (_, _) => Way::Refused(-32602),
    }
}

/// What stands before a server's own URI when a client sees it.
fn prefix(server: usize, own: &str) -> &'static str {
    match own.starts_with("https:") {
        true => "",
        false => ["a+", "b+", ""][server],
    }
}

/// A server's ask, and how it reaches its client.
fn ask(kind: usize, uri: &str, id: &str) -> (String, String) {
    let (method, params, wanted) = match kind {
        0 => ("roots/list", "{}".to_owned(), "{}".to_owned()),
        1 | 2 => {
            let tools = if kind == 2 { r#","tools":[]"# } else { "" };
            let params = |context: &str, uri: &str| {
                format!(
                    r#"{{"includeContext":"{context}","messages":[{{"content":{{"type":"resource_link","uri":"{uri}demo://1"}}}}]{tools}}}"#
                )
            };
            ("sampling/createMessage", params("allServers", ""), params("none", uri))
        }
        3 => {
            let params = |label: &str| format!(r#"{{"message":"{label}\ud800","requestedSchema":{{}}}}"#);
            ("elicitation/create", params(""), params("[s] "))
        }
        4 => {
            let params = |label: &str, id: &str| {
                format!(r#"{{"mode":"url","message":"{label}m","url":"demo://1","elicitationId":"{id}1"}}"#)
            };
            ("elicitation/create", params("", ""), params("[s] ", id))
        }
        _ => ("tools/call", r#"{"name":"a__read"}"#.to_owned(), String::new()),
    };
    let write =
        |params: &str| format!(r#"{{"jsonrpc":"2.0","id":"s","method":"{method}","params":{params}}}"#);
    (write(&params), write(&wanted))
}
