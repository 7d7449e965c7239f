//! Connections that are cut at every byte: no call is carried out twice, and what is said of it is true.
//!
//! Between Braid and a real server stands a relay that cuts one connection after so many bytes of one direction.

use super::far::Far;
use super::stage::{Client, Stage, greets, result};
use mcp_braid::config::Reach;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Where the next call is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Never,
    /// After so many bytes of the request.
    Request(usize),
    /// After so many bytes of the answer.
    Answer(usize),
}

/// Passes bytes on, and counts those of a connection that has a call on it.
#[derive(Clone)]
struct Relay {
    to: std::net::SocketAddr,
    cut: Arc<Mutex<Cut>>,
}

impl Relay {
    async fn run(self, listener: TcpListener) {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(self.clone().pass(socket));
        }
    }

    /// A request, an answer, and so on; a connection is cut by being dropped.
    async fn pass(self, mut near: TcpStream) -> Option<()> {
        let mut far = TcpStream::connect(self.to).await.ok()?;
        let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let mut answered = None;
        loop {
            tokio::select! {
                read = near.read(&mut up) => {
                    let text = &up[..read.ok().filter(|count| *count > 0)?];
                    let is_call = memchr::memmem::find(text, br#""cut":true"#).is_some();
                    answered = is_call.then_some(0);
                    let cut = *self.cut.lock();
                    if let (true, Cut::Request(after)) = (is_call, cut)
                        && after < text.len()
                    {
                        far.write_all(&text[..after]).await.ok()?;
                        return None;
                    }
                    far.write_all(text).await.ok()?;
                }
                read = far.read(&mut down) => {
                    let text = &down[..read.ok().filter(|count| *count > 0)?];
                    let cut = *self.cut.lock();
                    if let (Some(before), Cut::Answer(after)) = (answered, cut) {
                        let rest = after.saturating_sub(before);
                        if rest < text.len() {
                            near.write_all(&text[..rest]).await.ok()?;
                            return None;
                        }
                        answered = Some(before + text.len());
                    }
                    near.write_all(text).await.ok()?;
                }
            }
        }
    }
}

async fn call(client: &Client, id: usize) {
    let params = json!({"name": "far__t", "arguments": {"cut": true, "nonce": id}});
    client.say(json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})).await;
}

#[tokio::test]
async fn r07_a_call_is_carried_out_once_at_most_wherever_its_connection_is_cut() {
    let mut far = Far::at_a_port().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let cut = Arc::new(Mutex::new(Cut::Never));
    let relay = tokio::spawn(Relay { to: far.address(), cut: cut.clone() }.run(listener));
    let mut stage = Stage::with(&far, |server| {
        let Reach::Http(remote) = &mut server.reach else { panic!("a URL") };
        remote.url = url;
        server.timeouts.ping = None;
    });
    let mut client = stage.client("2025-11-25", json!({})).await;
    let events = greets(&mut far, "2025-11-25", Some("s")).await;
    let executed: Arc<Mutex<HashMap<u64, usize>>> = Arc::default();
    let counts = executed.clone();
    let server = tokio::spawn(async move {
        loop {
            let call = far.post("tools/call").await;
            let nonce = call.message()["params"]["arguments"]["nonce"].as_u64().unwrap();
            *counts.lock().entry(nonce).or_default() += 1;
            let id = call.id();
            if nonce % 2 == 0 {
                call.json(&result(&id, "done"));
            } else {
                call.events().say(&result(&id, "done")).await;
            }
        }
    });
    let cuts = (0..600).step_by(3).map(Cut::Request).chain((0..300).step_by(2).map(Cut::Answer));
    let (mut failed, mut done) = (0, 0);
    for (at, where_to) in cuts.enumerate() {
        *cut.lock() = where_to;
        call(&client, at).await;
        let answer: Value = client.answer(&json!(at)).await;
        let times = executed.lock().get(&(at as u64)).copied().unwrap_or_default();
        assert!(times <= 1, "{where_to:?}: {times} times");
        match answer["error"]["data"]["outcome"].as_str() {
            None => {
                assert_eq!((&answer, times), (&result(&json!(at), "done"), 1), "{where_to:?}");
                done += 1;
            }
            Some(outcome) => {
                assert_eq!(outcome, "unknown", "{where_to:?}: {answer}");
                failed += 1;
            }
        }
    }
    assert!(failed > 200 && done > 20, "{failed} failed, {done} done");
    assert_eq!(stage.down(&client), None, "the link was never given up");
    drop(events);
    server.abort();
    relay.abort();
    stage.close().await;
}
