//! The floor: what an aggregating relay of MCP costs if it does nothing that it need not do.
//!
//! It picks a server by the prefix of a tool's name, cuts the prefix, gives the request an id of its own, and puts the
//! client's id back into the answer. It is what Braid is measured against, and nothing else uses it.
//!
//! It does **not**: merge lists (what names no tool goes to the first server), keep sessions, limits, deadlines or
//! tokens, tell servers that a client left, start a server anew, pass on what servers ask, or check what it forwards.
//! What servers tell is dropped over HTTP and forwarded over stdio. Member names with escapes are not recognised. A
//! server that ends, ends the relay.

#![expect(clippy::print_stderr, reason = "it has no log")]

mod args;
mod bell;
mod front;
mod outbox;
mod piped;
mod remote;
mod scan;

use std::io;
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use args::{Arguments, Door, Reach};
use outbox::Outbox;
use piped::Piped;
use remote::Remote;
use tokio::runtime::Builder;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("floor: {problem}\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("floor: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> io::Result<()> {
    // Clients that come before the servers have answered wait in its queue.
    let listener = match arguments.door {
        Door::Http(address) => Some(TcpListener::bind(address)?),
        Door::Stdio => None,
    };
    if listener.is_some() && arguments.servers.iter().all(|server| matches!(server.reach, Reach::Url(_))) {
        return run_apart(&arguments, listener.as_ref());
    }
    let mut builder = match arguments.threads {
        1 => Builder::new_current_thread(),
        threads => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    run_on(&mut builder, arguments, listener)
}

/// Without a pipe there is nothing that threads must share: each is a relay of its own, and none ever wakes another.
fn run_apart(arguments: &Arguments, listener: Option<&TcpListener>) -> io::Result<()> {
    let mut threads = Vec::new();
    for _ in 0..arguments.threads {
        let (arguments, listener) = (arguments.clone(), listener.map(TcpListener::try_clone).transpose()?);
        threads.push(thread::spawn(|| run_on(&mut Builder::new_current_thread(), arguments, listener)));
    }
    for thread in threads {
        thread.join().map_err(|_| io::Error::other("a thread panicked"))??;
    }
    Ok(())
}

fn run_on(builder: &mut Builder, arguments: Arguments, listener: Option<TcpListener>) -> io::Result<()> {
    let runtime = builder.enable_io().build()?;
    // `block_on` polls on a thread that is no worker: what is to be fast is spawned.
    runtime.block_on(async move {
        let served = tokio::spawn(serve(arguments, listener));
        served.await.map_err(io::Error::other)?
    })
}

async fn serve(arguments: Arguments, listener: Option<TcpListener>) -> io::Result<()> {
    let load = Load::default();
    let stdout = match arguments.door {
        Door::Stdio => Some(Outbox::of_stdout()?),
        Door::Http(_) => None,
    };
    // All of them first, so that they start beside each other.
    let children: Vec<_> = arguments
        .servers
        .into_iter()
        .map(|server| Ok((server.name, server.reach.begin()?)))
        .collect::<io::Result<_>>()?;
    let mut servers = Vec::new();
    for (name, begun) in children {
        let upstream = match begun {
            args::Begun::Child(child) => {
                Upstream::Piped(Piped::meet(child, name.clone(), stdout.clone(), load.clone())?)
            }
            args::Begun::Remote(url) => Upstream::Remote(Arc::new(Remote::meet(&url).await?)),
        };
        servers.push(Server { prefix: format!("{name}__"), upstream });
    }
    let relay = Arc::new(Relay { servers });
    match listener {
        Some(listener) => front::http::serve(relay, listener).await,
        None => front::stdio::serve(relay).await,
    }
}

/// All servers, in the order of the command line. There is at least one.
struct Relay {
    servers: Vec<Server>,
}

struct Server {
    prefix: String,
    upstream: Upstream,
}

enum Upstream {
    Piped(Arc<Piped>),
    Remote(Arc<Remote>),
}

impl Relay {
    /// The server that a request is for, and how much of the name is its prefix.
    fn pick(&self, text: &[u8], request: &scan::Request) -> (&Server, usize) {
        let name = request.name.as_ref().map_or(&[][..], |name| &text[name.clone()]);
        match self.servers.iter().find(|server| name.starts_with(server.prefix.as_bytes())) {
            Some(server) => (server, server.prefix.len()),
            None => (&self.servers[0], 0),
        }
    }
}

/// How many calls are open. Where there is but one, waiting for others to share a write with is of no use.
#[derive(Clone, Default)]
struct Load(Arc<AtomicUsize>);

impl Load {
    fn begin(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn end(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn open(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Reach {
    fn begin(self) -> io::Result<args::Begun> {
        match self {
            Self::Command(words) => piped::start(&words).map(args::Begun::Child),
            Self::Url(url) => Ok(args::Begun::Remote(url)),
        }
    }
}
