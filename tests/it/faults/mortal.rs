//! A server that is killed at any byte: no call runs twice, and what is said of it is true.

use super::braid::Braid;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use mcp_braid::config::{Command, Config, Prefix, Protocol, Reach, ServerConfig};
use mcp_braid::hub::Hub;
use mcp_braid::hub::begin::{Answer, Asked};
use mcp_braid::hub::seat::Seat;
use mcp_braid::mcp::caller::{Caller, ClientId, Principal};
use mcp_braid::mcp::revision::Revision;
use mcp_braid::upstream::dial::{Dial, Dialed};
use mcp_braid::upstream::exchange::Step;
use mcp_braid::upstream::hearing::Hearing;
use mcp_braid::upstream::lookout::Came;
use mcp_braid::upstream::process::Pace;
use mcp_braid::wire::caps::Caps;
use mcp_braid::wire::fault::{CallOutcome, Fault};
use mcp_braid::wire::id::Id;
use mcp_braid::wire::message::Message;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// When the server dies, counted from the first byte of the call that it gets.
#[derive(Debug, Clone, Copy)]
enum Death {
    /// After so many bytes of the request.
    Asked(usize),
    /// After the whole request, which it executes, and so many bytes of the answer.
    Answering(usize),
}

const REQUEST: &str = r#"{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"run"}}"#;
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":3,"result":{"content":[{"type":"text","text":"ran"}]}}"#;

/// Dials a server that dies as it is told in its first life, and is well in every later one.
struct Mortal {
    death: Death,
    lives: AtomicUsize,
    executions: Arc<AtomicUsize>,
}

impl Dial for Mortal {
    fn dial(&self) -> BoxFuture<'_, Result<Dialed, Fault>> {
        let (writer, stdin) = duplex(4096);
        let (stdout, reader) = duplex(4096);
        let death = (self.lives.fetch_add(1, Ordering::SeqCst) == 0).then_some(self.death);
        tokio::spawn(live(stdin, stdout, death, self.executions.clone()));
        let dialed = Dialed::piped(reader, writer);
        std::future::ready(Ok(dialed)).boxed()
    }

    fn transport(&self) -> &'static str {
        "memory"
    }
}

async fn live(
    stdin: DuplexStream,
    mut stdout: DuplexStream,
    death: Option<Death>,
    executions: Arc<AtomicUsize>,
) {
    let mut stdin = BufReader::new(stdin);
    let answers = [
        r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"m","version":"1"}}}"#,
        "",
        r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"run"}]}}"#,
    ];
    for answer in answers {
        let mut line = String::new();
        stdin.read_line(&mut line).await.unwrap();
        if !answer.is_empty() {
            stdout.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
        }
    }
    if let Some(Death::Asked(bytes)) = death {
        stdin.read_exact(&mut vec![0; bytes]).await.unwrap();
        return;
    }
    let mut line = String::new();
    while stdin.read_line(&mut line).await.is_ok_and(|count| count > 0) {
        assert!(line.contains("tools/call"), "{line}");
        executions.fetch_add(1, Ordering::SeqCst);
        let answer = format!("{ANSWER}\n");
        match death {
            Some(Death::Answering(bytes)) => {
                stdout.write_all(&answer.as_bytes()[..bytes]).await.unwrap();
                return;
            }
            Some(Death::Asked(_)) | None => stdout.write_all(answer.as_bytes()).await.unwrap(),
        }
        line.clear();
    }
}

/// One call to a mortal server, and a second one to its next life: what each came to, and how often it ran.
async fn called(death: Death) -> (Result<Bytes, Fault>, Result<Bytes, Fault>, usize) {
    let executions = Arc::new(AtomicUsize::new(0));
    let dial = Arc::new(Mortal { death, lives: AtomicUsize::new(0), executions: executions.clone() });
    let mut config = Config::new("test", Path::new("/"));
    let reach = Reach::Stdio(Command::new("mortal", Path::new("/")));
    config.servers.push(ServerConfig {
        prefix: Prefix::Bare,
        protocol: Protocol::Handshake,
        ..ServerConfig::new("mortal", reach)
    });
    let hub = Hub::new(Arc::new(config), vec![dial], "test", TaskTracker::new());
    let caller = Caller {
        principal: Principal::local(),
        scopes: Default::default(),
        client: ClientId(1),
        alone: true,
        guest_of: None,
    };
    let seat = hub.seat(caller, &hub.entrance_all());
    seat.introduce(Revision::LATEST, "{}");
    assert!(seat.open().is_empty());
    let first = once(&hub, &seat).await;
    let after_first = executions.load(Ordering::SeqCst);
    // The pause before the next life is at most a second on the paused clock.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(executions.load(Ordering::SeqCst), after_first, "nothing is sent again by itself");
    let second = once(&hub, &seat).await;
    hub.stop(Pace::NOW, Duration::from_secs(5)).await;
    (first, second, after_first)
}

async fn once(hub: &Arc<Hub>, seat: &Seat) -> Result<Bytes, Fault> {
    let message = Message::parse_client(Bytes::from_static(REQUEST.as_bytes()), Caps::default()).unwrap();
    let id = Id::parse(Bytes::from_static(br#""c""#)).unwrap();
    let asked = Asked {
        seat,
        id: &id,
        message: &message,
        hearing: Hearing::now(Came::Stdio, Revision::LATEST),
        revision: Revision::LATEST,
        patience: Instant::now() + Duration::from_secs(4),
        turns: Default::default(),
        memory: None,
        again: None,
    };
    match hub.begin(asked).await {
        Answer::Now(reply) => reply,
        Answer::List { .. } => unreachable!("a call is no list"),
        Answer::Later(mut exchange) => loop {
            match exchange.next().await {
                Step::Notify(_) | Step::Ask(_) => {}
                Step::Done(reply) => break reply,
            }
        },
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_cut_at_any_byte_never_ran_and_its_outcome_is_unknown() {
    // What the server reads is longer than what the client wrote: our progress token is in it.
    let line = REQUEST.len() + r#","_meta":{"progressToken":3}"#.len();
    for bytes in 0..line {
        let (first, second, executions) = called(Death::Asked(bytes)).await;
        assert_eq!(executions, 0, "at {bytes}");
        let outcome = first.unwrap_err().outcome;
        // A server that died before it read anything may have died before anything was sent.
        let truly_not_sent = bytes == 0 && outcome == Some(CallOutcome::NotSent);
        assert!(truly_not_sent || outcome == Some(CallOutcome::Unknown), "at {bytes}: {outcome:?}");
        assert!(second.is_ok(), "the next life answers, at {bytes}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_cut_at_any_byte_ran_once_and_its_outcome_is_unknown() {
    for bytes in 0..=ANSWER.len() + 1 {
        let (first, second, executions) = called(Death::Answering(bytes)).await;
        assert_eq!(executions, 1, "at {bytes}");
        match first {
            // A whole answer counts, with or without its newline.
            Ok(text) => {
                assert!(bytes >= ANSWER.len() && text.ends_with(br#""text":"ran"}]}}"#), "at {bytes}")
            }
            Err(fault) => {
                assert!(bytes < ANSWER.len(), "at {bytes}");
                assert_eq!(fault.outcome, Some(CallOutcome::Unknown), "at {bytes}");
            }
        }
        assert!(second.is_ok(), "the next life answers, at {bytes}");
    }
}

/// The same with a real process and a real kill, at a few bytes.
#[test]
fn a_killed_process_ran_the_call_once_and_its_outcome_is_unknown() {
    for offset in (0..=110).step_by(22) {
        let config = format!(
            "[servers.evil]\ncommand = \"python3\"\nargs = [\"{{evil}}\", \"--die-on-call\", \"{offset}\", \"--count-file\", \"{{folder}}/count\"]\n\
             timeouts = {{ call = \"20s\" }}\n"
        );
        let (mut braid, _) = Braid::greeted(&config);
        braid.until("the list", |braid| braid.tools().iter().any(|name| name == "evil__echo"));
        let answer = braid.called("evil__echo", r#"{"text":"x","nonce":"once"}"#);
        let counted = std::fs::read_to_string(braid.folder().join("count")).unwrap();
        assert_eq!(counted, "once\n", "at {offset}");
        match answer.get("error") {
            Some(error) => assert_eq!(error["data"]["outcome"], "unknown", "at {offset}: {answer}"),
            None => assert_eq!(answer["result"]["content"][0]["text"], "x", "at {offset}"),
        }
        braid.leave();
    }
}
