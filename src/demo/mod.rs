//! The demo servers that `config.example.toml` names: small, real, in the same binary.
//!
//! `run` owns the pipes and the clock; everything a server decides is in `Server`, which is told what arrived and
//! what time it is. Only revisions with a handshake are spoken here, 2024-11-05 to 2025-11-25, so that Braid has
//! something to bridge. Nothing here reaches a network, a disk or the environment.
#![expect(
    clippy::disallowed_types,
    reason = "an endpoint makes its own answers: there is no text to preserve"
)]

mod base64;
mod countdown;
mod fault;
mod lines;
mod message;
mod notes;
mod offer;
mod params;
mod picture;
mod replies;
mod result;
mod revision;
mod schema;
mod server;
mod workshop;

#[cfg(test)]
mod tests;

use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Instant;

use lines::{Line, Lines};
use notes::Notes;
use offer::Offer;
use server::Server;
use workshop::Workshop;

/// The names that `run` knows, in the order of the help.
pub const NAMES: &[&str] = &["notes", "workshop"];

/// Serves `name` until `input` ends or `output` breaks; both are a client's ordinary way to leave, so both succeed.
///
/// A name that is not in `NAMES` is a usage error: exit code 2 and one line on stderr.
pub fn run(name: &str, input: impl Read + Send + 'static, output: impl Write) -> ExitCode {
    let offer: Box<dyn Offer> = match name {
        "notes" => Box::new(Notes::seeded()),
        "workshop" => Box::new(Workshop),
        _ => {
            anstream::eprintln!("there is no demo server `{name}`; there are: {}", NAMES.join(", "));
            return ExitCode::from(2);
        }
    };
    serve(Server::new(offer), input, output)
}

fn serve(mut server: Server, input: impl Read + Send + 'static, mut output: impl Write) -> ExitCode {
    // Reading has its own thread, so that a countdown goes on while the client is silent. It ends with its input,
    // or with the process: nothing waits for it.
    let (sender, arrivals) = sync_channel(LINES_MAX);
    let reader = thread::Builder::new().name("demo input".to_owned()).spawn(move || {
        let mut lines = Lines::new(input, LINE_BYTES_MAX);
        while let Some(line) = lines.next_line() {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    if reader.is_err() {
        return ExitCode::FAILURE;
    }

    loop {
        let arrival = match server.due() {
            Some(due) => arrivals.recv_timeout(due.saturating_duration_since(Instant::now())),
            None => arrivals.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match arrival {
            Ok(Line::Whole(line)) => server.receive(&line, Instant::now()),
            Ok(Line::TooLong) => server.refuse_long_line(LINE_BYTES_MAX),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return ExitCode::SUCCESS,
        }
        // Also after a line: a client that never stops talking must not starve a countdown.
        server.advance(Instant::now());
        if server.take_outbox().iter().try_for_each(|message| put(&mut output, message)).is_err() {
            return ExitCode::SUCCESS;
        }
    }
}

fn put(output: &mut impl Write, message: &str) -> std::io::Result<()> {
    output.write_all(message.as_bytes())?;
    output.write_all(b"\n")?;
    output.flush()
}

/// Longest line from a client, in bytes; a longer one is skipped and refused.
const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Most lines read ahead of the server.
const LINES_MAX: usize = 16;
