//! One run: a runtime, a hub with its servers, and the one client that the command line is.
//!
//! Owns the order of starting and stopping: nothing is started behind ourselves, and whatever was started
//! is gone before the process is.

use super::exit::Exit;
#[cfg(feature = "otel")]
use super::traces::Traces;
use super::{Globals, out};
use crate::config::{AccessRule, Config, Reach, ServerConfig};
use crate::hub::Hub;
use crate::hub::begin::{Answer, Asked};
use crate::hub::catalog_cache::CatalogCache;
use crate::hub::seat::Seat;
use crate::hub::views::Standing;
use crate::mcp::caller::{Caller, Principal};
use crate::mcp::own_token::OwnTokens;
use crate::mcp::revision::Revision;
use crate::routing::catalog::Catalog;
use crate::system::{Here, Signal, System};
use crate::upstream::allowance::Permits;
use crate::upstream::audit::Audit;
use crate::upstream::dial::Dial;
use crate::upstream::environment::Cookie;
use crate::upstream::exchange::Step;
use crate::upstream::guardian::Guardian;
use crate::upstream::hearing::Hearing;
use crate::upstream::http::HttpDial;
use crate::upstream::journal::Journals;
use crate::upstream::lookout::Came;
use crate::upstream::oauth::Store;
use crate::upstream::process::{Nursery, Pace};
use crate::upstream::stdio::StdioDial;
use crate::wire::caps::Caps;
use crate::wire::fault::{Fault, Reason};
use crate::wire::hex::hex;
use crate::wire::id::Id;
use crate::wire::message::Message;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// The servers of one run.
pub(super) struct Run {
    pub(super) hub: Arc<Hub>,
    /// The one client that the command line is.
    pub(super) seat: Arc<Seat>,
    pub(super) identity: String,
    /// One of the runs that started us runs the same servers.
    pub(super) behind_itself: bool,
    pub(super) nursery: Nursery,
    own_tokens: Arc<OwnTokens>,
    /// The rules of `[access]`, where nobody is held to them: the command line is whoever has the file.
    pub(super) access: Vec<AccessRule>,
    #[cfg(feature = "otel")]
    traces: Option<Traces>,
}

/// How servers are reached.
#[derive(Clone)]
pub(super) struct Dialer {
    nursery: Nursery,
    /// By what clients showed who they are, where a server is reached with what is made of that.
    own_tokens: Arc<OwnTokens>,
}

impl Dialer {
    pub(super) fn dial(&self, server: &ServerConfig) -> Arc<dyn Dial> {
        match &server.reach {
            Reach::Stdio(command) => Arc::new(StdioDial {
                server: server.key.clone(),
                command: command.clone(),
                stderr: server.stderr,
                path_from_shell: server.path_from_shell,
                nursery: self.nursery.clone(),
            }),
            Reach::Http(remote) => {
                let dial = HttpDial::new(&server.key, remote.clone(), self.nursery.clone());
                let logins = Store::of_user(|name| std::env::var_os(name)).ok();
                let dial = dial.with_path(server.path_from_shell);
                Arc::new(dial.with_logins(logins, &self.own_tokens, server.allow_anonymous))
            }
        }
    }
}

impl Run {
    /// Starts every server, unless we are behind ourselves. They are greeted when `told` is filled.
    /// `group`: only its servers are there for the client.
    pub(super) fn start(config: Config, group: Option<&str>) -> io::Result<Self> {
        let run = Self::prepare(config, group)?;
        if !run.behind_itself {
            for fault in run.seat.open() {
                tracing::warn!(why = fault.text, "not started");
            }
        }
        Ok(run)
    }

    /// The same, with nothing started yet.
    pub(super) fn prepare(config: Config, group: Option<&str>) -> io::Result<Self> {
        Self::prepare_with(config, group, Arc::default())
    }

    /// The same, where clients show who they are by these.
    pub(super) fn prepare_with(
        config: Config,
        group: Option<&str>,
        own_tokens: Arc<OwnTokens>,
    ) -> io::Result<Self> {
        let identity = identity(&config);
        let cookie = Arc::new(Cookie::new(&identity)?);
        let behind_itself = cookie.outer().any(|outer| outer == identity);
        let hops: Vec<&str> = cookie.outer().chain([identity.as_str()]).collect();
        let tracker = TaskTracker::new();
        let guardian = Arc::new(Guardian::new(&cookie, Here::guardians()));
        let nursery = Nursery::new(cookie.clone(), guardian, tracker.clone());
        let dialer = Dialer { nursery: nursery.clone(), own_tokens: own_tokens.clone() };
        let dials = config.servers.iter().map(|server| dialer.dial(server)).collect();
        let audit = match &config.admin.audit {
            Some(path) => Some(Audit::open(path, config.admin.audit_is_required).map_err(|error| {
                io::Error::new(error.kind(), format!("`{}` (admin.audit): {error}", path.display()))
            })?),
            None => None,
        };
        let hub = Hub::new(Arc::new(config), dials, &hops.join(" "), tracker);
        if let Some(audit) = audit {
            hub.lookout().writes_down(audit);
        }
        let caller = Caller {
            principal: Principal::local(),
            scopes: Default::default(),
            client: hub.next_client(),
            alone: true,
            guest_of: None,
        };
        let entrance = group.and_then(|name| hub.entrance_group(name)).unwrap_or_else(|| hub.entrance_all());
        let seat = hub.seat(caller, &entrance);
        Ok(Self {
            hub,
            seat,
            identity,
            behind_itself,
            nursery,
            own_tokens,
            access: Vec::new(),
            #[cfg(feature = "otel")]
            traces: None,
        })
    }

    /// Lets calls be traced, if this program can do that and the environment asks for it.
    #[cfg(feature = "otel")]
    pub(super) fn traced(self) -> Self {
        let traces = Traces::start(self.hub.lookout());
        Self { traces, ..self }
    }

    /// Lets calls be traced, if this program can do that and the environment asks for it.
    #[cfg(not(feature = "otel"))]
    pub(super) fn traced(self) -> Self {
        self
    }

    /// Lets lists of servers be kept for the next run, and shown as the last one kept them, if the configuration says so.
    /// Where there is no folder for them, the run goes without.
    pub(super) fn recall_lists(&self) {
        if !self.hub.config().admin.catalog_cache || self.behind_itself {
            return;
        }
        match CatalogCache::open(|name| std::env::var_os(name)) {
            Ok(cache) => self.hub.recalls(cache),
            Err(why) => {
                tracing::warn!(event = "catalog_cache", %why, "lists are not kept for the next start");
            }
        }
    }

    /// Does `work` with every server started, and returns when nothing of them is left.
    pub(super) fn with(config: Config, globals: &Globals, work: impl AsyncFnOnce(&Self) -> Exit) -> Exit {
        Self::with_group(config, None, globals, work)
    }

    /// The same by the door of a group, with its servers alone.
    pub(super) fn with_group(
        mut config: Config,
        group: Option<&str>,
        globals: &Globals,
        work: impl AsyncFnOnce(&Self) -> Exit,
    ) -> Exit {
        let access = std::mem::take(&mut config.access);
        let ended = runtime().and_then(|runtime| {
            let ended = runtime.block_on(async {
                let run = Self { access, ..Self::start(config, group)? };
                if run.behind_itself {
                    let text = "this proxy is behind itself: one of its servers leads back to it";
                    return Ok(out::fail(Exit::Unreachable, text, globals));
                }
                let exit = tokio::select! {
                    exit = work(&run) => exit,
                    signal = crate::system::leaving() => left(signal),
                };
                run.stop().await;
                Ok(exit)
            });
            runtime.shutdown_timeout(Duration::ZERO);
            ended
        });
        ended.unwrap_or_else(|error: io::Error| {
            out::fail(Exit::Unexpected, &format!("cannot start: {error}"), globals)
        })
    }

    /// Greets the servers on behalf of the command line, which can be asked for nothing, and waits until
    /// each has been heard or has failed.
    pub(super) async fn greet(&self) {
        self.seat.introduce(Revision::LATEST, "{}");
        self.seat.view().settled(Instant::now() + self.patience()).await;
    }

    /// The same, but only until `enough` of the catalog is there and every required server was heard.
    pub(super) async fn greet_until(&self, enough: impl Fn(&Catalog) -> bool) {
        let view = self.seat.view();
        let (mut catalog, mut settled) = (view.watch_catalog(), view.watch_standings());
        let servers = &self.hub.config().servers;
        let heard = async {
            catalog.wait_for(|catalog| enough(catalog)).await.ok();
            let required = |standings: &Vec<Standing>| {
                let mut servers = servers.iter().zip(standings);
                servers.all(|(server, standing)| *standing != Standing::Awaited || !server.required)
            };
            settled.wait_for(required).await.ok();
        };
        tokio::select! {
            () = self.greet() => {}
            () = heard => {}
        }
    }

    /// How long the slowest server may take to start.
    pub(super) fn patience(&self) -> Duration {
        let starts =
            self.hub.config().servers.iter().map(|server| server.timeouts.start + server.timeouts.list);
        starts.max().unwrap_or_default()
    }

    /// One request of the command line, to its end.
    pub(super) async fn request(&self, method: &str, params: &str) -> Result<Message, Fault> {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        let limits = &self.hub.config().limits;
        let caps = Caps { depth_max: limits.depth_max, elements_max: limits.elements_max };
        let message = Message::parse_client(text.into(), caps).map_err(|bad| bad.fault())?;
        let id = Id::parse(Bytes::from_static(b"1"));
        let id = id.ok_or_else(|| Fault::ours(Reason::Internal, "`1` is no id"))?;
        let asked = Asked {
            seat: &self.seat,
            id: &id,
            message: &message,
            hearing: Hearing::now(Came::Stdio, Revision::LATEST),
            revision: Revision::LATEST,
            patience: Instant::now() + self.patience(),
            turns: Permits::new(),
            memory: None,
            again: None,
        };
        let reply = match self.hub.begin(asked).await {
            Answer::Now(reply) => reply,
            Answer::List { text, .. } => Ok(text),
            Answer::Later(mut exchange) => loop {
                match exchange.next().await {
                    // An ask is refused by being dropped.
                    Step::Notify(_) | Step::Ask(_) => {}
                    Step::Done(reply) => break reply,
                }
            },
        };
        Message::parse_server(reply?).map_err(|bad| bad.fault())
    }

    /// How servers of this run are reached.
    pub(super) fn dialer(&self) -> Dialer {
        Dialer { nursery: self.nursery.clone(), own_tokens: self.own_tokens.clone() }
    }

    /// What the servers write to stderr.
    pub(super) fn journals(&self) -> Journals {
        self.nursery.journals.clone()
    }

    /// Ends every server and waits until nothing is left.
    pub(super) async fn stop(&self) {
        #[cfg(feature = "otel")]
        if let Some(traces) = &self.traces {
            traces.leave();
        }
        self.hub.stop(Pace::LEAVING, STOP_MAX).await;
        tokio::time::timeout(SWEEP_MAX, self.nursery.cookie.sweep()).await.ok();
        // The last to go. It returns soon, and blocks for that long.
        let guardian = self.nursery.guardian.clone();
        tokio::task::spawn_blocking(move || guardian.dismiss()).await.ok();
        #[cfg(feature = "otel")]
        if let Some(traces) = &self.traces {
            traces.end().await;
        }
    }
}

/// The exit code after a signal.
pub(super) fn left(signal: Signal) -> Exit {
    match signal {
        Signal::Interrupt => Exit::Interrupted,
        Signal::Terminate | Signal::Hangup => Exit::Ok,
    }
}

/// A runtime for one command.
pub(super) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map(ticking)
}

/// A runtime for one client. All that it says comes by one pipe and goes by one: handing it from thread to thread costs
/// more than what is done with it.
pub(super) fn runtime_for_one() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map(ticking)
}

/// A runtime for many clients, on half of the processors: servers and clients need the others, and a thread that is
/// woken for what another could have done costs more than that.
pub(super) fn runtime_for_many() -> io::Result<tokio::runtime::Runtime> {
    match std::thread::available_parallelism().map_or(1, NonZero::get) / 2 {
        0 | 1 => runtime_for_one(),
        half => {
            tokio::runtime::Builder::new_multi_thread().worker_threads(half).enable_all().build().map(ticking)
        }
    }
}

/// Runs one command to its end. In a task of its own: to wake what is waited for here costs a call of the kernel, even
/// from the same thread.
pub(super) fn to_its_end(
    runtime: tokio::runtime::Runtime,
    served: impl Future<Output = io::Result<Exit>> + Send + 'static,
) -> io::Result<Exit> {
    let served = runtime.spawn(served);
    let exit = runtime.block_on(served).unwrap_or_else(|failed| match failed.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(ended) => Err(io::Error::other(ended)),
    });
    // Whoever still reads our stdin or waits for our stdout must not hold us up.
    runtime.shutdown_timeout(Duration::ZERO);
    exit
}

/// With a timer that is nearer than any call's, so that theirs need not wake whoever waits for the nearest: that is a call
/// of the kernel for each.
fn ticking(runtime: tokio::runtime::Runtime) -> tokio::runtime::Runtime {
    runtime.spawn(async {
        loop {
            tokio::time::sleep(TICK).await;
        }
    });
    runtime
}

/// What is run, in 16 digits: equal for equal servers, and nothing of a secret is in it.
fn identity(config: &Config) -> String {
    let mut hash = Sha256::new();
    for server in &config.servers {
        hash.update(format!("{:?}\0{:?}\0", server.key, server.reach));
    }
    let mut identity = hex(&hash.finalize());
    identity.truncate(16);
    identity
}

/// Less than calls may take, as a rule, and seldom enough to cost nothing.
const TICK: Duration = Duration::from_secs(20);
/// A client gives us two seconds for everything.
const STOP_MAX: Duration = Duration::from_millis(1600);
const SWEEP_MAX: Duration = Duration::from_millis(150);
