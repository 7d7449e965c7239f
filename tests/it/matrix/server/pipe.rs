//! A server at the other end of two pipes in memory.

use super::desk::Desk;
use super::life::Life;
use futures::FutureExt;
use futures::future::BoxFuture;
use mcp_braid::upstream::dial::{Dial, Dialed};
use mcp_braid::wire::fault::{Fault, Reason};
use serde_json::Value;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::sync::mpsc;

pub(super) struct PipeDial(pub(super) Arc<Desk>);

impl Dial for PipeDial {
    fn dial(&self) -> BoxFuture<'_, Result<Dialed, Fault>> {
        std::future::ready(self.dialed()).boxed()
    }

    fn transport(&self) -> &'static str {
        "memory"
    }
}

impl PipeDial {
    fn dialed(&self) -> Result<Dialed, Fault> {
        if self.0.is_down() {
            return Err(Fault::ours(Reason::Unreachable, "it cannot be started"));
        }
        let (writer, stdin) = duplex(PIPE_BYTES);
        let (stdout, reader) = duplex(PIPE_BYTES);
        tokio::spawn(live(self.0.begin(), stdin, stdout));
        Ok(Dialed::piped(reader, writer))
    }
}

async fn live(life: Arc<Life>, stdin: DuplexStream, mut stdout: DuplexStream) {
    let (outlet, mut said) = mpsc::channel::<Value>(LINES_MAX);
    life.listens_beside(outlet.clone());
    let mut lines = BufReader::new(stdin).lines();
    loop {
        tokio::select! {
            () = life.over.cancelled() => return,
            line = lines.next_line() => match line {
                Ok(Some(line)) => match serde_json::from_str(&line) {
                    Ok(message) => life.hear(message, outlet.clone()),
                    Err(_) => life.desk.fault(format!("a line that is no message: {line}")),
                },
                Ok(None) | Err(_) => return life.end(),
            },
            Some(message) = said.recv() => {
                if stdout.write_all(format!("{message}\n").as_bytes()).await.is_err() {
                    return life.end();
                }
            }
        }
    }
}

const PIPE_BYTES: usize = 1 << 16;
const LINES_MAX: usize = 1024;
