//! The whole server, its servers in memory and its clients, and what a client may do.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use mcp_braid::config::{Address, Auth, Command, Config, Group, Reach, ServerConfig, Sharing};
use mcp_braid::downstream::edge::accept::{self, Stop, serve_stream};
use mcp_braid::downstream::edge::guard::Guard;
use mcp_braid::downstream::edge::source::Peer;
use mcp_braid::downstream::edge::token::Token;
use mcp_braid::downstream::http::endpoint::Front;
use mcp_braid::downstream::http::routes::Routes;
use mcp_braid::hub::Hub;
use mcp_braid::mcp::caller::{Company, Principal};
use mcp_braid::upstream::dial::Dial;
use mcp_braid::upstream::process::Pace;
use tokio::io::duplex;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::Input;
use crate::book::{Book, Session};
use crate::requests::{
    ASKABLE, Circumstances, DOORS, IDS, Quirk, REVISIONS, Request, TOKEN, call, initialize, note, request,
};
use crate::servers::{ORDERS, Script, TOOLS};
use crate::wire::{Asked, Connection, News, What};

const CONNECTIONS: usize = 4;
const SESSIONS_MAX: usize = 4;
const IDLE: Duration = Duration::from_secs(30);
/// Everything has happened that can without time.
const MOMENT: Duration = Duration::from_millis(1);
/// Longer than anything takes here, with all that waits before it.
const PATIENCE: Duration = Duration::from_secs(600);

static KEY: LazyLock<Token> = LazyLock::new(key);

pub struct World {
    book: Book,
    hub: Arc<Hub>,
    front: Arc<Front>,
    edge: Arc<accept::Front<Routes>>,
    stop: Stop,
    /// Everything of the servers, and every connection.
    of_servers: TaskTracker,
    of_clients: TaskTracker,
    scripts: [Script; 2],
    connections: [Option<Connection>; CONNECTIONS],
    with_token: bool,
    /// So much of the next request is held back.
    cut: usize,
    /// Requests to begin a session, and sessions that we know to be over.
    begun: usize,
    over: usize,
}

impl World {
    /// The bits of the first byte say which servers are shared, whether a token is needed, and how little there is.
    pub fn new(bits: u8, salt: u32) -> Self {
        let is = |bit: u8| bits >> bit & 1 == 1;
        let book = Book::new(salt);
        book.open().is_tight = is(3);
        let mut config = Config::new("a house", Path::new("/"));
        let mut scripts = Vec::new();
        for (key, own) in [("a", is(0)), ("b", is(1))] {
            let reach = Reach::Stdio(Command::new("memory", Path::new("/")));
            let mut server = ServerConfig::new(key, reach);
            server.sharing = if own { Sharing::Session } else { Sharing::Shared };
            server.timeouts.call = Duration::from_secs(20);
            server.timeouts.call_max = Some(Duration::from_secs(40));
            server.timeouts.ask = Duration::from_secs(15);
            server.in_flight_max = 3;
            server.waiting_max = 2;
            config.servers.push(server);
            scripts.push(Script::new(own, book.clone()));
        }
        config.groups.push(Group::new("g", vec!["b".to_owned()]));
        config.limits.client_message_bytes_max = 8 << 10;
        config.limits.session_in_flight_max = 4;
        config.limits.session_waiting_max = 4;
        config.limits.total_in_flight_max = 8;
        config.limits.buffered_bytes_max = if is(3) { 256 << 10 } else { 4 << 20 };
        let listen = &mut config.listen;
        listen.auth = if is(2) { Auth::Token } else { Auth::None };
        listen.session_idle = IDLE;
        listen.limits.sessions_max = SESSIONS_MAX;
        listen.limits.replay_kept = Duration::from_secs(20);
        if is(3) {
            listen.limits.replay_events_max = 2;
            listen.limits.replay_bytes_max = 1 << 10;
            listen.limits.replay_total_bytes_max = 2 << 10;
        }
        if is(4) {
            listen.stream_after = Duration::ZERO;
        }
        let listen = config.listen.clone();
        let guard = Guard::new(&listen, &[Address::Tcp(local())], is(2).then_some(&*KEY)).unwrap();
        let principal = if is(2) { Principal::bearer() } else { Principal::anonymous() };
        let [a, b] = [scripts[0].clone(), scripts[1].clone()];
        let dials: Vec<Arc<dyn Dial>> = vec![Arc::new(a.clone()), Arc::new(b.clone())];
        let of_servers = TaskTracker::new();
        let hub = Hub::new(Arc::new(config), dials, "", of_servers.clone());
        if is(5) {
            assert!(hub.warm(&principal).is_empty());
        }
        let front = Front::new(hub.clone(), listen.clone(), "a mark", false, principal);
        let edge = accept::Front { guard, router: Routes::new(front.clone()), limits: listen.limits };
        Self {
            book,
            hub,
            front,
            edge: Arc::new(edge),
            stop: Stop::default(),
            of_servers,
            of_clients: TaskTracker::new(),
            scripts: [a, b],
            connections: Default::default(),
            with_token: is(2),
            cut: 0,
            begun: 0,
            over: 0,
        }
    }

    /// One operation, and everything that comes of it; `None` if it lacks something.
    pub async fn step(&mut self, operation: u8, input: &mut Input<'_>) -> Option<()> {
        let passes = match operation % 16 {
            0 => self.begins(input).map(|()| MOMENT),
            1 | 2 => self.posts(input).map(|()| MOMENT),
            3 => self.gets(input).map(|()| MOMENT),
            4 => self.deletes(input).map(|()| MOMENT),
            5 => self.answers(input).map(|()| MOMENT),
            6 => self.says_anything(input).map(|()| MOMENT),
            7 => self.posts_anything(input).map(|()| MOMENT),
            8 => self.leaves(input).map(|()| MOMENT),
            9 => self.looks_away(input).map(|()| MOMENT),
            10 => input.one_of(TIMES.len()).map(|time| Duration::from_millis(TIMES[time])),
            11 => self.opens_pipe(input).map(|()| MOMENT),
            12 => {
                let which = input.byte()?;
                self.scripts[usize::from(which % 2)].order(ORDERS[usize::from(which / 2) % ORDERS.len()]);
                Some(MOMENT)
            }
            13 => {
                self.cut = usize::from(input.byte()?);
                return Some(());
            }
            14 => {
                let connection = self.connection(input)?;
                connection.release();
                Some(MOMENT)
            }
            _ => self.asks_elsewhere(input).map(|()| MOMENT),
        }?;
        self.pass(passes).await;
        Some(())
    }

    // What clients do.

    fn begins(&mut self, input: &mut Input<'_>) -> Option<()> {
        let slot = self.slot(input)?;
        let (how, quirk) = (input.byte()?, Quirk::of(input.byte()?));
        let revision = REVISIONS[usize::from(how) % REVISIONS.len()];
        let agreed = if revision == "1999-01-01" { REVISIONS[0] } else { revision };
        let door = usize::from(how >> 4) % DOORS.len();
        let text = initialize(revision, if how & 8 == 0 { ASKABLE } else { "{}" });
        self.begun += 1;
        let what = What::Begin(agreed, door);
        self.send(slot, what, None, "POST", DOORS[door], Some(text.as_bytes()), None, quirk, &[200, 503]);
        Some(())
    }

    /// A message that means something, or nearly.
    fn posts(&mut self, input: &mut Input<'_>) -> Option<()> {
        let slot = self.slot(input)?;
        let session = self.session(input)?;
        let (kind, how, quirk) = (input.byte()?, input.byte()?, Quirk::of(input.byte()?));
        let id = IDS[usize::from(how) % IDS.len()];
        let server = if how & 0x80 == 0 { "a" } else { "b" };
        let mut book = self.book.open();
        let Session { door, is_pipe, revision, .. } = book.sessions[session];
        let name = |tool: &str| if door < 2 { format!("{server}__{tool}") } else { tool.to_owned() };
        let mut requests = Vec::new();
        let mut calls = |tool: &str, id: &str| {
            let marked = !matches!(tool, "die" | "none");
            let number = book.request(session, id, marked);
            requests.push(number);
            call(id, &name(tool), &book.mark(number))
        };
        let text = match kind % 24 {
            kind @ 0..8 => calls(TOOLS[usize::from(kind)], id),
            8 => calls("none", id),
            9 => {
                let (one, other) = (calls("echo", id), calls("talk", "22"));
                let ping = request("\"p\"", "ping", "{}");
                if revision == "2025-03-26" && !is_pipe {
                    requests.push(book.request(session, "\"p\"", false));
                } else {
                    requests.clear();
                }
                format!("[{one},{other},{ping}]")
            }
            10 => note("notifications/initialized", "{}"),
            11 => {
                book.sessions[session].cancelled.insert(id.to_owned());
                note("notifications/cancelled", &format!(r#"{{"requestId":{id}}}"#))
            }
            12 => note("notifications/roots/list_changed", "{}"),
            13 => note("notifications/progress", r#"{"progressToken":1,"progress":1}"#),
            kind => {
                requests.push(book.request(session, id, false));
                let (method, params) = match kind {
                    14 => ("ping", "{}"),
                    15 => ("tools/list", "{}"),
                    16 => ("logging/setLevel", r#"{"level":"debug"}"#),
                    17 => ("resources/list", "{}"),
                    18 => ("resources/subscribe", r#"{"uri":"file:///r"}"#),
                    19 => ("resources/unsubscribe", r#"{"uri":"file:///r"}"#),
                    20 => ("resources/read", r#"{"uri":"file:///r"}"#),
                    21 => ("no/such", "{}"),
                    _ => (
                        "initialize",
                        r#"{"protocolVersion":"2024-11-05","capabilities":{"elicitation":{}}}"#,
                    ),
                };
                request(id, method, params)
            }
        };
        drop(book);
        let fine: &[u16] = match kind % 24 {
            9 if revision == "2025-03-26" => &[200, 202],
            9 => &[400],
            10..14 => &[202],
            _ => &[200],
        };
        self.send_in(slot, session, What::Post(requests), "POST", Some(text.as_bytes()), None, quirk, fine);
        Some(())
    }

    /// An answer to what a server has asked.
    fn answers(&mut self, input: &mut Input<'_>) -> Option<()> {
        let slot = self.slot(input)?;
        let session = self.session(input)?;
        let how = input.byte()?;
        let mut book = self.book.open();
        let asks = &mut book.sessions[session].asks;
        // The same may be answered twice.
        let (id, mark) = if how & 1 == 0 { asks.pop_front()? } else { asks.back()?.clone() };
        drop(book);
        let text = match how >> 1 & 3 {
            0 | 1 => format!(
                r#"{{"jsonrpc":"2.0","id":{id},"result":{{"action":"accept","content":{{"mark":"{mark}"}}}}}}"#
            ),
            2 => format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":1,"message":"no"}}}}"#),
            // A broken answer is one all the same.
            _ => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"#),
        };
        let what = What::Post(Vec::new());
        self.send_in(slot, session, what, "POST", Some(text.as_bytes()), None, Quirk::None, &[202, 400]);
        Some(())
    }

    fn posts_anything(&mut self, input: &mut Input<'_>) -> Option<()> {
        let slot = self.slot(input)?;
        let session = self.session(input)?;
        let body = input.bytes()?;
        self.book.open().sessions[session].loose = true;
        let fine = &[200, 202, 400, 413];
        self.send_in(slot, session, What::Post(Vec::new()), "POST", Some(body), None, Quirk::None, fine);
        Some(())
    }

    fn gets(&mut self, input: &mut Input<'_>) -> Option<()> {
        let slot = self.slot(input)?;
        let session = self.session(input)?;
        let (which, quirk) = (input.byte()?, Quirk::of(input.byte()?));
        let mut book = self.book.open();
        let known = &mut book.sessions[session];
        let after = match which {
            0..64 => None,
            64..72 => Some(("g1".to_owned(), 0)),
            72..80 => Some(("a1".to_owned(), 0)),
            80..88 => Some(("a2".to_owned(), u64::MAX)),
            88..128 => known.ids.last().map(|(label, number)| (label.clone(), number / 2)),
            _ => usize::from(which & 0x7f).checked_rem(known.ids.len()).map(|at| known.ids[at].clone()),
        };
        known.resumed |= after.is_some();
        drop(book);
        let fine: &[u16] = if after.is_some() { &[200, 204, 400] } else { &[200] };
        let text = after.as_ref().map(|(label, number)| format!("{label}-{number}"));
        self.send_in(slot, session, What::Get(after), "GET", None, text.as_deref(), quirk, fine);
        Some(())
    }

    fn deletes(&mut self, input: &mut Input<'_>) -> Option<()> {
        let slot = self.slot(input)?;
        let session = self.session(input)?;
        let quirk = Quirk::of(input.byte()?);
        self.send_in(slot, session, What::Delete, "DELETE", None, None, quirk, &[204]);
        Some(())
    }

    fn opens_pipe(&mut self, input: &mut Input<'_>) -> Option<()> {
        let slot = self.slot(input)?;
        let quirk = Quirk::of(input.byte()?);
        self.begun += 1;
        self.send(slot, What::Pipe, None, "GET", "/sse", None, None, quirk, &[200, 503]);
        Some(())
    }

    fn asks_elsewhere(&mut self, input: &mut Input<'_>) -> Option<()> {
        let slot = self.slot(input)?;
        let (which, quirk) = (input.byte()?, Quirk::of(input.byte()?));
        let (method, target, fine): (_, _, &[u16]) = match which % 12 {
            0 => ("GET", "/healthz", &[200]),
            1 => ("GET", "/readyz", &[200, 503]),
            2 => ("HEAD", "/healthz", &[200]),
            3 => ("PUT", "/mcp", &[405, 503]),
            4 => ("GET", "/", &[404]),
            5 => ("GET", "/mcp/none", &[404]),
            6 => ("OPTIONS", "/mcp", &[405, 503]),
            7 => ("POST", "/healthz", &[405]),
            8 => ("POST", "/sse", &[405, 503]),
            9 => ("GET", "/messages", &[405]),
            10 => ("GET", "/mcp/%ff", &[404]),
            _ => ("DELETE", "/mcp", &[400, 503]),
        };
        let what = if method == "HEAD" { What::Head } else { What::Other };
        // Health needs no token, and elsewhere nothing but the guard looks at a head.
        let quirk = match quirk {
            Quirk::Accept | Quirk::ContentType | Quirk::Version | Quirk::TwoSessions | Quirk::OtherDoor => {
                Quirk::None
            }
            Quirk::NoToken | Quirk::WrongToken if which % 12 < 3 => Quirk::None,
            quirk => quirk,
        };
        self.send(slot, what, None, method, target, None, None, quirk, fine);
        Some(())
    }

    /// Bytes, of which some stand for what cannot be guessed.
    fn says_anything(&mut self, input: &mut Input<'_>) -> Option<()> {
        let slot = self.slot(input)?;
        let bytes = input.bytes()?;
        self.doubts(slot);
        let mut book = self.book.open();
        let connection = self.connections[slot].as_mut()?;
        let mut text = Vec::new();
        for byte in bytes {
            match byte {
                0xf0..0xf8 => {
                    let Some(session) = usize::from(byte - 0xf0).checked_rem(book.sessions.len()) else {
                        continue;
                    };
                    let known = &mut book.sessions[session];
                    known.wild = true;
                    known.resumed = true;
                    connection.named.insert(session);
                    text.extend_from_slice(known.name.as_bytes());
                }
                0xf8 => text.extend_from_slice(TOKEN.as_bytes()),
                0xf9 => text.extend_from_slice(b"\r\n"),
                0xfa => {
                    let head = format!(" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n");
                    text.extend_from_slice(head.as_bytes());
                }
                0xfb => text.extend_from_slice(b"accept: */*\r\ncontent-type: application/json\r\n"),
                0xfc => text.extend_from_slice(b"POST /mcp"),
                0xfd => text.extend_from_slice(b"mcp-session-id: "),
                0xfe => text.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n"),
                0xff => text.extend_from_slice(initialize(REVISIONS[0], ASKABLE).as_bytes()),
                byte => text.push(*byte),
            }
        }
        // It may begin a session that nobody knows of.
        self.begun += 8;
        connection.send_wild(&text);
        Some(())
    }

    /// Hangs up, or says that nothing more comes.
    fn leaves(&mut self, input: &mut Input<'_>) -> Option<()> {
        let which = input.byte()?;
        let slot = usize::from(which) % CONNECTIONS;
        let connection = self.connections[slot].as_mut()?;
        if which & 0x80 == 0 {
            return self.hangs_up(slot);
        }
        if connection.waiting() > 0 || which & 0x40 == 0 {
            connection.excused = true;
        }
        connection.shut = true;
        self.doubts(slot);
        Some(())
    }

    fn hangs_up(&mut self, slot: usize) -> Option<()> {
        let connection = self.connections[slot].take()?;
        if let Some(session) = connection.pipe() {
            self.book.open().sessions[session].ended = true;
        }
        Some(())
    }

    /// Does not read any more, or does again.
    fn looks_away(&mut self, input: &mut Input<'_>) -> Option<()> {
        let slot = usize::from(input.byte()?) % CONNECTIONS;
        let connection = self.connections[slot].as_mut()?;
        connection.reading = !connection.reading;
        connection.excused = true;
        self.doubts(slot);
        Some(())
    }

    /// The stream of a pipe may be gone before we see it.
    fn doubts(&mut self, slot: usize) {
        let pipe = self.connections[slot].as_ref().and_then(Connection::pipe);
        if let Some(session) = pipe {
            self.book.open().sessions[session].wild = true;
        }
    }

    // How it is sent.

    fn connection(&mut self, input: &mut Input<'_>) -> Option<&mut Connection> {
        let slot = usize::from(input.byte()?) % CONNECTIONS;
        self.connections[slot].as_mut()
    }

    /// One of the connections, made anew if it is gone.
    fn slot(&mut self, input: &mut Input<'_>) -> Option<usize> {
        let which = input.byte()?;
        let slot = usize::from(which) % CONNECTIONS;
        if self.connections[slot].as_ref().is_some_and(Connection::is_open) {
            return Some(slot);
        }
        self.hangs_up(slot);
        let capacity = [1 << 16, 1 << 12, 256, 29][usize::from(which >> 2) % 4];
        let peer = match which >> 4 & 3 {
            0 | 1 => Peer::tcp(local(), local()),
            2 => Peer::tcp(SocketAddr::from(([10, 1, 2, 3], 4)), local()),
            _ => Peer::Unix,
        };
        let (ours, theirs) = duplex(capacity);
        self.connections[slot] = Some(Connection::new(ours, peer == Peer::Unix, self.book.clone()));
        let served = serve_stream(theirs, peer, self.edge.clone(), self.stop.clone());
        let now = self.stop.now.clone();
        self.of_clients.spawn(async move { now.run_until_cancelled(served).await });
        Some(slot)
    }

    fn session(&self, input: &mut Input<'_>) -> Option<usize> {
        let count = self.book.open().sessions.len();
        // Among the last ones: most of those before are over.
        let back = input.one_of(count.min(SESSIONS_MAX + 1))?;
        Some(count - 1 - back)
    }

    /// A request in a session, as its transport has it.
    #[expect(clippy::too_many_arguments, reason = "a request is many things")]
    fn send_in(
        &mut self,
        slot: usize,
        session: usize,
        what: What,
        method: &str,
        body: Option<&[u8]>,
        after: Option<&str>,
        quirk: Quirk,
        fine: &[u16],
    ) {
        let (door, name, is_pipe) = {
            let book = self.book.open();
            let known = &book.sessions[session];
            (known.door, known.name.clone(), known.is_pipe)
        };
        if is_pipe {
            let fine = if method == "POST" { &[202, 404][..] } else { &[405] };
            let idle = quirk == Quirk::OtherDoor || (quirk == Quirk::Accept && method != "POST");
            let quirk = if idle { Quirk::None } else { quirk };
            return self.send(slot, What::Other, Some(session), method, &name, body, None, quirk, fine);
        }
        let door = if quirk == Quirk::OtherDoor { (door + 1) % DOORS.len() } else { door };
        let is_unix = self.connections[slot].as_ref().is_some_and(|connection| connection.is_unix);
        let with_token = self.with_token;
        let unfit =
            quirk.statuses(&Circumstances { method, for_pipe: false, is_unix, with_token, is_named: true });
        if what == What::Delete && unfit.is_empty() {
            self.book.open().sessions[session].ended = true;
        }
        let fine = [fine, &[404]].concat();
        self.send(slot, what, Some(session), method, DOORS[door], body, after, quirk, &fine);
    }

    #[expect(clippy::too_many_arguments, reason = "a request is many things")]
    fn send(
        &mut self,
        slot: usize,
        what: What,
        session: Option<usize>,
        method: &str,
        target: &str,
        body: Option<&[u8]>,
        after: Option<&str>,
        quirk: Quirk,
        fine: &[u16],
    ) {
        let cut = std::mem::take(&mut self.cut);
        let Some(connection) = self.connections[slot].as_mut() else { return };
        let mut book = self.book.open();
        let known = session.map(|session| &book.sessions[session]);
        let for_pipe = what == What::Pipe || known.is_some_and(|known| known.is_pipe);
        let named = known.filter(|known| !known.is_pipe).map(|known| known.name.clone());
        let revision = known.filter(|known| !known.is_pipe).map(|known| known.revision);
        let request = Request {
            method,
            target,
            session: named.as_deref(),
            revision,
            after,
            body,
            quirk,
            with_token: self.with_token,
        };
        let bytes = request.bytes();
        let unfit = quirk.statuses(&Circumstances {
            method,
            for_pipe,
            is_unix: connection.is_unix,
            with_token: self.with_token,
            is_named: named.is_some(),
        });
        let mut allowed = if unfit.is_empty() { fine.to_vec() } else { unfit.to_vec() };
        if for_pipe || (book.is_tight && body.is_some()) {
            allowed.push(503);
        }
        if cut > 0 || !connection.held.is_empty() {
            connection.excused = true;
        }
        if connection.excused {
            allowed.push(408);
        }
        // What is not taken in is not answered.
        if !unfit.is_empty()
            && let What::Post(requests) = &what
        {
            requests.iter().for_each(|request| book.requests[*request].answered = true);
        }
        let alone = connection.waiting() == 0 && cut == 0 && unfit.is_empty();
        connection.send(
            &bytes,
            cut,
            Asked {
                what,
                session,
                allowed,
                sent: Instant::now(),
                has_body: body.is_some(),
                alone,
                over: self.over,
            },
        );
    }

    // What comes of it.

    /// Lets time pass; everything is read and written that can be meanwhile.
    async fn pass(&mut self, time: Duration) {
        let mut passed = pin!(sleep(time));
        poll_fn(|cx| {
            for connection in self.connections.iter_mut().flatten() {
                connection.pump(cx);
            }
            passed.as_mut().poll(cx)
        })
        .await;
        let news: Vec<News> =
            self.connections.iter_mut().flatten().flat_map(|connection| connection.news.drain(..)).collect();
        news.into_iter().for_each(|news| self.hears(news));
    }

    fn hears(&mut self, news: News) {
        let mut book = self.book.open();
        match news {
            News::Begun { asked, name } => {
                let What::Begin(revision, door) = asked.what else { return };
                let session = book.begins(name, door, revision);
                book.sessions[session].used = asked.sent;
                let living = book.living(IDLE);
                assert!(living <= SESSIONS_MAX, "{living} sessions");
            }
            News::Status { status, what, session, sent, alone, over, busy } => {
                let is_open = |connection: &Connection| !connection.held.is_empty() || !connection.reading;
                let unsure = self.connections.iter().flatten().any(is_open);
                let begins = matches!(what, What::Begin(..) | What::Pipe);
                if busy && alone && begins && !book.closing && !book.is_tight && !unsure {
                    // What has ended since may have been there when it was refused.
                    let others = self.begun - 1 - over;
                    assert!(others >= SESSIONS_MAX, "too many sessions with {others} others");
                }
                let Some(session) = session else { return };
                let known = &mut book.sessions[session];
                match (status, &what) {
                    (404, _) => {}
                    (204, What::Delete) => {
                        self.over += usize::from(known.over.is_none());
                        known.over.get_or_insert(Instant::now());
                    }
                    (200..300, _) => {
                        let is_over = known.over.is_some_and(|over| sent > over);
                        assert!(!is_over, "a session goes on that is over");
                        known.used = known.used.max(sent);
                    }
                    _ => {}
                }
                if status == 404 && alone {
                    book.is_gone(session, IDLE);
                }
            }
        }
    }

    /// Everybody reads, everything is answered, everybody leaves, and nothing is left.
    pub async fn leave(mut self) {
        self.everybody_reads().await;
        let start = Instant::now();
        while !self.is_answered() {
            assert!(start.elapsed() < PATIENCE, "there is no answer");
            self.pass(Duration::from_secs(5)).await;
        }
        for slot in 0..CONNECTIONS {
            self.hangs_up(slot);
        }
        self.pass(MOMENT).await;
        let start = Instant::now();
        while !(self.front.is_empty() && self.of_clients.is_empty()) {
            assert!(start.elapsed() < PATIENCE, "a session, a connection or a request is left");
            self.pass(Duration::from_secs(5)).await;
        }
        self.pass(MOMENT).await;
        self.is_given_back();
        self.hub.stop(Pace::LEAVING, Duration::from_secs(5)).await;
        assert!(self.of_servers.is_empty(), "a task is left");
    }

    /// The end as `serve` makes it when it is told to.
    pub async fn stop(mut self) {
        self.everybody_reads().await;
        self.book.open().closing = true;
        self.front.close();
        self.stop.closing.cancel();
        for connection in self.connections.iter_mut().flatten() {
            connection.excused = true;
        }
        self.pass(MOMENT).await;
        timeout(Duration::from_secs(10), self.front.quiet()).await.ok();
        self.hub.stop(Pace::LEAVING, Duration::from_secs(5)).await;
        self.pass(Duration::from_secs(1)).await;
        self.stop.now.cancel();
        self.pass(MOMENT).await;
        assert!(self.of_clients.is_empty() && self.of_servers.is_empty(), "a task is left");
        self.pass(Duration::from_secs(3)).await;
        assert!(self.front.is_empty(), "a session is left");
        self.is_given_back();
    }

    async fn everybody_reads(&mut self) {
        for connection in self.connections.iter_mut().flatten() {
            connection.reading = true;
        }
        self.pass(MOMENT).await;
    }

    fn is_answered(&self) -> bool {
        self.connections
            .iter()
            .flatten()
            .all(|connection| !connection.held.is_empty() || connection.shut || connection.is_answered())
    }

    fn is_given_back(&self) {
        assert_eq!(self.hub.in_flight(), 0, "a request is in flight");
        // As much as one request may have of all, so it is there only if nobody has any.
        let kib = self.hub.config().limits.buffered_bytes_max >> 10;
        let room = self.hub.allowance(Company::One).request((kib * 85).div_ceil(100) << 10);
        assert!(room.is_some(), "memory is taken");
        assert_eq!(self.book.open().held, 0, "a server holds a call that nobody waits for");
    }
}

fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8808))
}

fn key() -> Token {
    let folder = std::env::temp_dir().join(format!("braid-fuzz-{}", std::process::id()));
    let file = folder.join("token");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(&file, TOKEN).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let token = Token::find_or_make(Some(&file), |_| None).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    token
}

/// Milliseconds that may pass: around every clock that runs here.
const TIMES: [u64; 12] = [50, 120, 300, 1_000, 2_500, 6_000, 11_000, 16_000, 22_000, 31_000, 61_000, 80_000];
