//! A collector on this machine: it keeps what it is sent, and answers as the test wants.

use crate::proto::{Span, spans};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Mood {
    Takes,
    Says(u16),
    /// It reads, and never answers.
    Hangs,
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

#[derive(Clone)]
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    kept: Arc<(Mutex<Vec<Sent>>, Condvar)>,
}

impl Collector {
    pub(crate) fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let collector = Self { address: listener.local_addr().unwrap(), kept: Arc::default() };
        let serves = collector.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let serves = serves.clone();
                thread::spawn(move || serves.serve(stream.unwrap(), mood));
            }
        });
        collector
    }

    fn serve(&self, stream: TcpStream, mood: Mood) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(sent) = request(&mut reader) {
            self.kept.0.lock().unwrap().push(sent);
            self.kept.1.notify_all();
            let status = match mood {
                Mood::Takes => 200,
                Mood::Says(status) => status,
                Mood::Hangs => {
                    // Until whoever sent it goes away.
                    reader.read_to_end(&mut Vec::new()).ok();
                    return;
                }
            };
            let answer = format!(
                "HTTP/1.1 {status} x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
            );
            if (&stream).write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has come by now.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.kept.0.lock().unwrap().clone()
    }

    /// Resolves when so many requests are there.
    pub(crate) fn wait(&self, requests: usize) {
        let kept = self.kept.0.lock().unwrap();
        let is_missing = |kept: &mut Vec<Sent>| kept.len() < requests;
        let waited = self.kept.1.wait_timeout_while(kept, Duration::from_secs(60), is_missing).unwrap();
        assert!(!waited.1.timed_out(), "nothing comes");
    }

    /// All spans that have come, in the order in which they began.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let mut all: Vec<Span> = self.sent().iter().flat_map(|sent| spans(&sent.body)).collect();
        all.sort_by_key(|span| span.start);
        all
    }
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<Sent> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Sent { head, body })
}
