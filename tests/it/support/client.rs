//! A scripted client at a real door.
//!
//! It keeps what it hears in order. It reads only while the script runs and lets it, so that a client that
//! stalls leaves its lines in the door's own queue.

use super::script::Role;
use bytes::Bytes;
use mcp_braid::downstream::door::{Closed, Door, Heard};
use mcp_braid::downstream::modern::lobby::Lobby;
use mcp_braid::hub::Hub;
use mcp_braid::mcp::caller::{Caller, Principal};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::future::Future as _;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};

/// One client, from its first byte to its last.
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) caller: Caller,
    pub(crate) heard: VecDeque<String>,
    /// What its door closed with, once it did.
    pub(crate) closed: Option<Result<Closed, JoinError>>,
    pub(crate) stalls: bool,
    /// The revision that it asks for by itself; `None`: the script greets.
    pub(crate) greets: Option<String>,
    /// What it declares when it greets by itself.
    pub(crate) capabilities: String,
    /// The ids of its requests, as it wrote them.
    pub(crate) ids: BTreeSet<String>,
    inbox: Option<mpsc::Sender<Heard>>,
    outbox: mpsc::Receiver<Bytes>,
    door: JoinHandle<Closed>,
}

/// The little that the harness reads of a message.
#[derive(Deserialize)]
pub(crate) struct Envelope<'a> {
    #[serde(borrow)]
    pub(crate) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) params: Option<&'a RawValue>,
}

impl Client {
    /// A role's words: the revision that it asks for, or `by hand`: the script greets; `outbox 4`: lines that may wait for
    /// it; `in work`, `at files`: it comes by the door of a group or of one server; `behind itself`: Braid was started by itself; `any era`: as over stdin, its
    /// requests may stand by themselves, and nothing is started before it is needed; `can roots sampling tools form url`: what it declares, some
    /// of these. `alone` if it is the only one. The servers are started for it.
    pub(crate) fn open(role: &Role, alone: bool, hub: &Arc<Hub>) -> Result<Self, String> {
        let mut greets = Some("2025-11-25".to_owned());
        let mut lines_max = LINES_MAX;
        let mut entrance = hub.entrance_all();
        let (mut behind_itself, mut any_era) = (false, false);
        let mut capabilities = "{}".to_owned();
        for word in &role.traits {
            match word.split_once(' ') {
                None if word.starts_with(|c: char| c.is_ascii_digit()) => greets = Some(word.clone()),
                Some(("by", "hand")) => greets = None,
                Some(("in", group)) => entrance = hub.entrance_group(group).ok_or("no such group")?,
                Some(("at", server)) => entrance = hub.entrance_server(server).ok_or("no such server")?,
                Some(("behind", "itself")) => behind_itself = true,
                Some(("any", "era")) => (any_era, greets) = (true, None),
                Some(("can", what)) => capabilities = declared(what)?,
                Some(("outbox", lines)) => lines_max = lines.parse().map_err(|_| "no number")?,
                None | Some(_) => return Err(format!("no such client: {word}")),
            }
        }
        let caller = Caller {
            principal: Principal::local(),
            scopes: Default::default(),
            client: hub.next_client(),
            alone,
            guest_of: None,
        };
        let seat = hub.seat(caller.clone(), &entrance);
        let opened = if any_era { Vec::new() } else { seat.open() };
        if let Some(fault) = opened.into_iter().next() {
            return Err(fault.text);
        }
        let (inbox, chunks) = mpsc::channel(CHUNKS_MAX);
        let (lines, outbox) = mpsc::channel(lines_max);
        let mut door = Door::new(seat, lines, IDENTITY, behind_itself);
        if any_era {
            door = door.for_any_era(Lobby::new(hub.clone(), IDENTITY, behind_itself, hub.stopping()));
        }
        Ok(Self {
            name: role.name.clone(),
            caller,
            heard: VecDeque::new(),
            closed: None,
            stalls: false,
            greets,
            capabilities,
            ids: BTreeSet::new(),
            inbox: Some(inbox),
            outbox,
            door: tokio::task::spawn_local(door.serve(chunks)),
        })
    }

    /// Hands bytes to the door.
    pub(crate) fn say(&mut self, bytes: Vec<u8>) -> Result<(), String> {
        let text = String::from_utf8_lossy(&bytes);
        for line in text.lines() {
            if let Ok(Envelope { id: Some(id), method: Some(method), .. }) = serde_json::from_str(line)
                && method != "initialize"
                && !id.get().starts_with(['n', '{', '['])
            {
                self.ids.insert(id.get().to_owned());
            }
        }
        let inbox = self.inbox.as_ref().ok_or("it has left")?;
        inbox.try_send(Heard::Chunk(bytes.into())).map_err(|_| "the door does not read".to_owned())
    }

    pub(crate) fn leave(&mut self) {
        self.inbox = None;
    }

    /// Closes both sides, whatever is under way.
    pub(crate) fn go(&mut self) {
        self.inbox = None;
        self.outbox.close();
        while self.outbox.try_recv().is_ok() {}
    }

    pub(crate) fn has_left(&self) -> bool {
        self.inbox.is_none()
    }

    /// Takes what there is; ready when something was heard, or the door closed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut moved = false;
        while !self.stalls
            && let Poll::Ready(Some(line)) = self.outbox.poll_recv(cx)
        {
            self.heard.push_back(String::from_utf8_lossy(&line).into_owned());
            moved = true;
        }
        if self.closed.is_none()
            && let Poll::Ready(closed) = std::pin::Pin::new(&mut self.door).poll(cx)
        {
            self.closed = Some(closed);
            moved = true;
        }
        if moved { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// A `capabilities` object that declares so much.
fn declared(what: &str) -> Result<String, String> {
    let (mut roots, mut sampling, mut elicitation) = (None, None, Vec::new());
    for word in what.split_whitespace() {
        match word {
            "roots" => roots = Some(r#""roots":{"listChanged":true}"#),
            "sampling" => sampling = sampling.or(Some(r#""sampling":{}"#)),
            "tools" => sampling = Some(r#""sampling":{"tools":{}}"#),
            "form" | "url" => elicitation.push(format!("{word:?}:{{}}")),
            other => return Err(format!("no client can {other}")),
        }
    }
    let elicitation =
        (!elicitation.is_empty()).then(|| format!(r#""elicitation":{{{}}}"#, elicitation.join(",")));
    let parts = roots.map(str::to_owned).into_iter().chain(sampling.map(str::to_owned)).chain(elicitation);
    Ok(format!("{{{}}}", parts.collect::<Vec<_>>().join(",")))
}

/// By which the door knows itself behind itself.
pub(crate) const IDENTITY: &str = "b1a1db1a1db1a1d0";
/// As many lines as wait for a client on a pipe.
const LINES_MAX: usize = 64;
/// More than any script says at once.
const CHUNKS_MAX: usize = 4096;
