//! A server on the two ends of its pipes, and who waits for its answers.
//!
//! Ids are places in a table. A place is free again only when its answer came, so that a late answer is nobody else's.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;
use parking_lot::Mutex;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::task::yield_now;

use crate::Load;
use crate::outbox::{Outbox, Owed};
use crate::scan::{self, Digits, Heard, Request};

/// How much is read at a time, if there is so much.
pub(crate) const CHUNK: usize = 64 * 1024;
/// Answers from here on are handed on in pieces instead of copied.
const LARGE: usize = 32 * 1024;

pub(crate) struct Piped {
    name: String,
    input: Arc<Outbox>,
    waiting: Mutex<Places>,
    /// Where answers go that nobody waits for by a channel, and what the server tells.
    stdout: Option<Arc<Outbox>>,
    load: Load,
}

/// An answer with the client's id in it: the pieces are one text.
pub(crate) enum Answer {
    Small(Bytes),
    Large([Bytes; 3]),
}

enum Waiting {
    Http(Bytes, oneshot::Sender<Answer>),
    Stdout(ShortId),
}

/// The client's id; most are short.
enum ShortId {
    Inline([u8; 22], u8),
    Heap(Box<[u8]>),
}

#[derive(Default)]
struct Places {
    taken: Vec<Option<Waiting>>,
    free: Vec<usize>,
}

pub(crate) fn start(words: &[String]) -> io::Result<Child> {
    Command::new(&words[0])
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|problem| io::Error::other(format!("`{}` does not start: {problem}", words[0])))
}

impl Piped {
    /// Waits for the handshake, as long as it takes.
    pub(crate) fn meet(
        mut child: Child,
        name: String,
        stdout: Option<Arc<Outbox>>,
        load: Load,
    ) -> io::Result<Arc<Self>> {
        let (Some(mut to), Some(mut from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("a child without pipes"));
        };
        greet(&mut to, &mut from)
            .map_err(|problem| io::Error::other(format!("`{name}` in its handshake: {problem}")))?;
        let input = Outbox::new(OwnedFd::from(to))?;
        let from = pipe::Receiver::from_owned_fd(OwnedFd::from(from))?;
        let piped = Arc::new(Self { name, input, waiting: Mutex::default(), stdout, load });
        tokio::spawn(piped.clone().hear(from));
        Ok(piped)
    }

    /// The answer, by a channel. What is written meanwhile leaves with it.
    pub(crate) async fn call(&self, text: &Bytes, request: &Request, prefix: usize) -> Option<Answer> {
        let id = request.id.clone()?;
        let (sender, receiver) = oneshot::channel();
        let place = self.place(Waiting::Http(text.slice(id), sender));
        if self.post(text, request, prefix, place) {
            let owed = Owed(&self.input);
            if self.load.open() > 1 {
                yield_now().await;
            }
            drop(owed);
        }
        receiver.await.ok()
    }

    /// The answer goes to stdout. Says whether a flush is owed.
    pub(crate) fn tell(&self, text: &[u8], request: &Request, prefix: usize) -> bool {
        let Some(id) = request.id.clone() else { return false };
        let place = self.place(Waiting::Stdout(ShortId::of(&text[id])));
        self.post(text, request, prefix, place)
    }

    pub(crate) fn flush(&self) {
        self.input.flush();
    }

    fn place(&self, waiting: Waiting) -> u64 {
        self.load.begin();
        let mut places = self.waiting.lock();
        let place = places.free.pop().unwrap_or_else(|| {
            places.taken.push(None);
            places.taken.len() - 1
        });
        places.taken[place] = Some(waiting);
        place as u64
    }

    fn post(&self, text: &[u8], request: &Request, prefix: usize, place: u64) -> bool {
        let digits = Digits::of(place);
        self.input.put(|line| {
            let begin = line.len();
            request.rewrite(line, text, digits.as_bytes(), prefix);
            // A line end in JSON that came over HTTP is white space.
            if memchr(b'\n', &line[begin..]).is_some() {
                for byte in &mut line[begin..] {
                    *byte = if *byte == b'\n' { b' ' } else { *byte };
                }
            }
            line.push(b'\n');
        })
    }

    async fn hear(self: Arc<Self>, mut from: pipe::Receiver) {
        let mut read = BytesMut::with_capacity(CHUNK);
        let mut searched = 0;
        loop {
            read.reserve(CHUNK);
            if !matches!(from.read_buf(&mut read).await, Ok(1..)) {
                eprintln!("floor: `{}` ended", self.name);
                std::process::exit(1);
            }
            let mut owed = None;
            while let Some(length) = memchr(b'\n', &read[searched..]) {
                let line = searched + length;
                owed = self.heard(&mut read, line).or(owed);
                searched = 0;
            }
            searched = read.len();
            if let Some(stdout) = owed {
                if self.load.open() > 0 {
                    yield_now().await;
                }
                stdout.flush();
            }
        }
    }

    /// One line, which is taken out of what was read. Gives the outbox to which a flush is owed.
    fn heard(&self, read: &mut BytesMut, length: usize) -> Option<&Outbox> {
        let heard = scan::heard(&read[..length]);
        let waiting = match &heard {
            Heard::Response(id) => scan::number(&read[id.clone()]).and_then(|place| self.take(place)),
            Heard::Notice | Heard::Other | Heard::Unfinished => None,
        };
        let stdout = self.stdout.as_deref();
        let mut owed = None;
        match (heard, waiting) {
            (Heard::Response(id), Some(Waiting::Http(client, answer))) if length < LARGE => {
                let mut text = Vec::with_capacity(length + client.len());
                scan::splice(&mut text, &read[..length], [(id, &client)]);
                // Whoever is gone needs no answer.
                let _ = answer.send(Answer::Small(text.into()));
            }
            (Heard::Response(id), Some(Waiting::Http(client, answer))) => {
                let text = read.split_to(length).freeze();
                read.advance(1);
                let _ = answer.send(Answer::Large([text.slice(..id.start), client, text.slice(id.end..)]));
                return None;
            }
            (Heard::Response(id), Some(Waiting::Stdout(client))) => {
                let edit = [(id, client.as_bytes())];
                owed =
                    stdout.filter(|stdout| stdout.put(|lines| scan::splice(lines, &read[..=length], edit)));
            }
            (Heard::Notice, _) => {
                owed = stdout.filter(|stdout| stdout.put(|lines| lines.extend_from_slice(&read[..=length])));
            }
            (Heard::Response(_) | Heard::Other | Heard::Unfinished, _) => {}
        }
        read.advance(length + 1);
        owed
    }

    fn take(&self, place: usize) -> Option<Waiting> {
        let mut places = self.waiting.lock();
        let waiting = places.taken.get_mut(place)?.take()?;
        places.free.push(place);
        self.load.end();
        Some(waiting)
    }
}

impl Request {
    /// The text under another id, and without the name's prefix.
    pub(crate) fn rewrite(&self, into: &mut Vec<u8>, text: &[u8], id: &[u8], prefix: usize) {
        let id_span = self.id.clone().unwrap_or_default();
        match &self.name {
            Some(name) if prefix > 0 => {
                scan::splice(into, text, [(id_span, id), (name.start..name.start + prefix, &[])]);
            }
            _ => scan::splice(into, text, [(id_span, id)]),
        }
    }
}

impl ShortId {
    fn of(text: &[u8]) -> Self {
        let mut inline = [0; 22];
        match inline.get_mut(..text.len()) {
            Some(start) => {
                start.copy_from_slice(text);
                Self::Inline(inline, text.len() as u8)
            }
            None => Self::Heap(text.into()),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline(text, length) => &text[..usize::from(*length)],
            Self::Heap(text) => text,
        }
    }
}

/// The handshake, byte by byte, so that nothing is read that comes after it.
fn greet(to: &mut impl Write, from: &mut impl Read) -> io::Result<()> {
    to.write_all(format!("{INITIALIZE}\n").as_bytes())?;
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        from.read_exact(&mut byte)?;
        match byte[0] {
            b'\n' if matches!(scan::heard(&line), Heard::Response(_)) => break,
            b'\n' => line.clear(),
            byte => line.push(byte),
        }
    }
    to.write_all(format!("{INITIALIZED}\n").as_bytes())
}

pub(crate) const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"floor","version":"0"}}}"#;
pub(crate) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
