//! A collector on this machine: it keeps what it is sent, and answers as the test wants.

use crate::proto::{Span, spans};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Mood {
    Takes,
    Says(u16),
    /// The first says so, and what comes later is taken.
    SaysOnce(u16),
    /// It reads, and never answers.
    Hangs,
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    is_taken: bool,
}

#[derive(Clone)]
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    mood: Mood,
    tls: Option<Arc<ServerConfig>>,
    kept: Arc<(Mutex<Vec<Sent>>, Condvar)>,
}

impl Collector {
    pub(crate) fn start(mood: Mood) -> Self {
        Self::listen(mood, None)
    }

    /// One that speaks TLS, with a certificate that nobody knows but who reads `file`.
    pub(crate) fn secure(file: &Path) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(file, made.cert.pem()).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = config.with_single_cert(vec![made.cert.der().clone()], key.into()).unwrap();
        Self::listen(Mood::Takes, Some(Arc::new(config)))
    }

    fn listen(mood: Mood, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let collector = Self { address, mood, tls, kept: Arc::default() };
        let serves = collector.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let serves = serves.clone();
                let stream = stream.unwrap();
                thread::spawn(move || match &serves.tls {
                    None => serves.serve(stream),
                    Some(config) => {
                        let connection = ServerConnection::new(config.clone()).unwrap();
                        serves.serve(StreamOwned::new(connection, stream));
                    }
                });
            }
        });
        collector
    }

    fn serve(&self, stream: impl Read + Write) {
        let mut reader = BufReader::new(stream);
        while let Some(mut sent) = request(&mut reader) {
            let status = match self.mood {
                Mood::Says(status) => status,
                Mood::SaysOnce(status) if self.sent().is_empty() => status,
                Mood::Takes | Mood::SaysOnce(_) | Mood::Hangs => 200,
            };
            sent.is_taken = status == 200;
            self.kept.0.lock().unwrap().push(sent);
            self.kept.1.notify_all();
            match self.mood {
                Mood::Takes | Mood::Says(_) | Mood::SaysOnce(_) => {}
                Mood::Hangs => {
                    // Until whoever sent it goes away.
                    reader.read_to_end(&mut Vec::new()).ok();
                    return;
                }
            }
            let answer = format!(
                "HTTP/1.1 {status} x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
            );
            if reader.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http{}://{}", if self.tls.is_some() { "s" } else { "" }, self.address)
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

    /// All spans that were taken, in the order in which they began.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let sent = self.sent();
        let taken = sent.iter().filter(|sent| sent.is_taken);
        let mut all: Vec<Span> = taken.flat_map(|sent| spans(&sent.body)).collect();
        all.sort_by_key(|span| span.start);
        all
    }
}

fn request(reader: &mut BufReader<impl Read>) -> Option<Sent> {
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
    Some(Sent { head, body, is_taken: true })
}
