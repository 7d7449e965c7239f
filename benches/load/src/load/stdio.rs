//! A session over the stdin and stdout of a child process.
//!
//! Owns the child and both buffers. What is due after one read is written at once, so a server that answers many at a time is
//! asked many at a time. One task does all of it, and never waits for only one of reading and writing.

use super::args::Era;
use super::book::{Book, Entry};
use super::plan::{Plan, Turn};
use super::shared::Shared;
use super::verdict::Verdict;
use super::{Failure, asking, command};
use bytes::{Buf as _, BytesMut};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::{MissedTickBehavior, interval, timeout};

#[derive(Debug)]
pub struct Pipe {
    shared: Arc<Shared>,
    session: u64,
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    /// What was read and is no whole line yet.
    held: BytesMut,
    /// What is not written yet.
    out: BytesMut,
    book: Book,
    /// How many calls were sent.
    turn: usize,
    /// The server reads or says no more.
    is_gone: bool,
    heard: Instant,
}

impl Pipe {
    /// Starts the server, and greets it if there is a handshake.
    pub async fn open(
        shared: Arc<Shared>,
        line: &str,
        era: Era,
        session: u64,
        in_flight: usize,
    ) -> Result<Self, Failure> {
        let mut child = command::spawn(line, None)?;
        let (stdin, stdout) = command::ends(&mut child)?;
        let mut pipe = Self {
            shared,
            session,
            child,
            stdin,
            stdout,
            held: BytesMut::new(),
            out: BytesMut::new(),
            book: Book::new(0, in_flight),
            turn: 0,
            is_gone: false,
            heard: Instant::now(),
        };
        if era == Era::Legacy {
            let greeting = greet(&mut pipe.stdin, &mut pipe.stdout, &mut pipe.held);
            let greeted = timeout(pipe.shared.patience, greeting).await;
            greeted.map_err(|_| Failure::new("`initialize` was not answered"))??;
        }
        Ok(pipe)
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Calls until the plan is over and everything is answered, or the server is silent for longer than patience lasts.
    pub async fn run(mut self, plan: Arc<Plan>) -> Self {
        let mut glance = interval(self.shared.glance());
        glance.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut now = Instant::now();
        self.heard = now;
        let mut is_over = false;
        while !self.is_gone {
            while !is_over && self.book.has_room() {
                match plan.try_turn(now) {
                    Turn::Due(due) => self.ask(due, now),
                    Turn::Wait => break,
                    Turn::Over => is_over = true,
                }
            }
            if is_over && self.book.is_empty() && self.out.is_empty() {
                return self;
            }
            self.held.reserve(ROOM_BYTES);
            tokio::select! {
                biased;
                written = self.stdin.write(&self.out), if !self.out.is_empty() => self.wrote(written),
                read = self.stdout.read_buf(&mut self.held) => {
                    now = Instant::now();
                    self.read(read, now);
                }
                turn = plan.turn(), if !is_over && self.book.has_room() => {
                    now = Instant::now();
                    match turn {
                        Turn::Due(due) => self.ask(due, now),
                        Turn::Wait => {}
                        Turn::Over => is_over = true,
                    }
                }
                _ = glance.tick() => {
                    now = Instant::now();
                    self.give_up(now, self.shared.patience);
                }
            }
        }
        self.give_up(now, Duration::ZERO);
        self
    }

    /// Reads a little longer, for what nobody asked for.
    pub async fn linger(mut self, time: Duration) -> Self {
        let linger = async {
            while !self.is_gone {
                let read = self.stdout.read_buf(&mut self.held).await;
                self.read(read, Instant::now());
            }
        };
        let _ = timeout(time, linger).await;
        self
    }

    /// Lets the server go, and waits until it is gone.
    pub async fn close(self) {
        drop((self.stdin, self.stdout));
        command::end(self.child).await;
    }

    fn ask(&mut self, due: Instant, now: Instant) {
        if self.shared.is_lost(due, now) {
            return self.shared.tally().lost(1);
        }
        let Some(id) = self.book.open(Entry { due, sent: now }) else { return };
        if let Some(template) = self.shared.asking.template(self.turn) {
            template.put(&mut self.out, self.session, id);
            self.out.extend_from_slice(b"\n");
        }
        self.turn += 1;
    }

    fn wrote(&mut self, written: io::Result<usize>) {
        match written {
            Ok(0) | Err(_) => self.is_gone = true,
            Ok(count) => self.out.advance(count),
        }
    }

    fn read(&mut self, read: io::Result<usize>, now: Instant) {
        let Ok(count @ 1..) = read else {
            self.is_gone = true;
            return;
        };
        self.heard = now;
        let seen = self.held.len() - count;
        let mut tally = self.shared.tally();
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', self.held.get(seen..).unwrap_or_default()) {
            let line = self.held.get(start..seen + end).unwrap_or_default();
            start = seen + end + 1;
            match self.shared.judge.hear(self.session, line, now, &mut self.book, &mut tally) {
                Verdict::Reply(reply) => {
                    self.out.extend_from_slice(&reply);
                    self.out.extend_from_slice(b"\n");
                }
                Verdict::Closed(_) | Verdict::Nothing => {}
            }
        }
        drop(tally);
        self.held.advance(start);
    }

    fn give_up(&mut self, now: Instant, patience: Duration) {
        let count = self.book.give_up(now, patience);
        self.shared.tally().lost(count);
        // Whoever asks on would be silent for as long again with each call.
        self.is_gone |= count > 0 && now.saturating_duration_since(self.heard) >= self.shared.patience;
    }
}

/// Says `initialize`, waits for its answer, and says `notifications/initialized`.
pub async fn greet(
    stdin: &mut ChildStdin,
    stdout: &mut ChildStdout,
    held: &mut BytesMut,
) -> Result<(), Failure> {
    say(stdin, &asking::initialize(asking::newest())).await?;
    let answer = format!("\"id\":{}", asking::GREETING_ID);
    loop {
        let line = line(stdout, held).await?;
        if memchr::memmem::find(&line, answer.as_bytes()).is_some() {
            break;
        }
    }
    say(stdin, &asking::initialized()).await
}

/// Writes a line.
pub async fn say(stdin: &mut ChildStdin, text: &[u8]) -> Result<(), Failure> {
    let mut line = BytesMut::from(text);
    line.extend_from_slice(b"\n");
    Ok(stdin.write_all(&line).await?)
}

/// Reads a line.
pub async fn line(stdout: &mut ChildStdout, held: &mut BytesMut) -> Result<BytesMut, Failure> {
    let mut seen = 0;
    loop {
        if let Some(end) = memchr::memchr(b'\n', held.get(seen..).unwrap_or_default()) {
            return Ok(held.split_to(seen + end + 1));
        }
        seen = held.len();
        if stdout.read_buf(held).await? == 0 {
            return Err(Failure::new("the server ended before it answered"));
        }
    }
}

/// As much as a pipe holds.
const ROOM_BYTES: usize = 64 * 1024;
