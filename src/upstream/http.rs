//! A server at a URL: Streamable HTTP, or HTTP+SSE where it knows nothing else.
//!
//! Owns what is known of the server from one connection to the next: which of the two it speaks. What a connection
//! does stands in the files below.

mod courier;

mod events;

mod headers;

mod journey;
mod leave;
mod logins;

mod listening;

mod mirrors;

mod order;

mod posting;

mod refusal;

mod sse;

mod streamable;

use self::courier::Courier;
use self::headers::Headers;
pub(super) use self::journey::Journey;
use self::leave::Leave;
use self::logins::Logins;
use super::carry::{Carry, Frames};
use super::dial::{Dial, Dialed, Distance};
use super::echo::repeats;
use super::fetch::{Address, Client, Fetch, FetchError, Proxies};
use super::oauth::{Remedy, Store, TokenSource};
use super::process::Nursery;
use super::stream::Stream;
use crate::config::codes::Code;
use crate::config::{PathFromShell, Remote, Secret, Transport};
use crate::mcp::caller::Grant;
use crate::mcp::own_token::OwnTokens;
use crate::wire::fault::{Fault, Reason};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio_util::task::TaskTracker;

/// Connects anew each time it is dialled.
pub struct HttpDial {
    server: String,
    remote: Remote,
    /// For the program that makes headers.
    path_from_shell: PathFromShell,
    /// Where the program runs that makes headers.
    nursery: Nursery,
    /// Made once, for all connections.
    fetch: Mutex<Option<Arc<dyn Fetch>>>,
    spoken: Arc<Mutex<Spoken>>,
    /// Its logins, where one is looked for.
    logins: Option<Logins>,
}

/// What a server was found to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    /// Nothing else is known: Streamable HTTP is tried first.
    Unknown,
    Sse,
}

impl HttpDial {
    pub fn new(server: &str, remote: Remote, nursery: Nursery) -> Self {
        let spoken = Arc::new(Mutex::new(Spoken::Unknown));
        Self {
            server: server.to_owned(),
            remote,
            path_from_shell: PathFromShell::Never,
            nursery,
            fetch: Mutex::new(None),
            spoken,
            logins: None,
        }
    }

    /// The same with the logins of a store, or with what is made of `own_tokens`, if the server may have one. `lends`: who says
    /// nothing of himself acts with logins too.
    #[must_use]
    pub fn with_logins(self, store: Option<Store>, own_tokens: &Arc<OwnTokens>, lends: bool) -> Self {
        let logins = Logins::of(&self.server, &self.remote, store, own_tokens, lends);
        Self { logins, ..self }
    }

    /// The same, whose programs are looked for in such a PATH.
    #[must_use]
    pub fn with_path(self, path_from_shell: PathFromShell) -> Self {
        Self { path_from_shell, ..self }
    }

    /// The same, but all requests go this way.
    #[must_use]
    pub fn over(self, fetch: Arc<dyn Fetch>) -> Self {
        Self { fetch: Mutex::new(Some(fetch)), ..self }
    }

    /// By which requests go. To make it blocks for some milliseconds: it reads whom the system trusts.
    async fn fetch(&self) -> Result<Arc<dyn Fetch>, Fault> {
        let known = self.fetch.lock().clone();
        if let Some(fetch) = known {
            return Ok(fetch);
        }
        let ca_file = self.remote.ca_file.clone();
        let make = move || Client::new(ca_file.as_deref(), Proxies::of(std::env::vars_os())?);
        match tokio::task::spawn_blocking(make).await {
            Ok(Ok(client)) => {
                let made: Arc<dyn Fetch> = Arc::new(client);
                Ok(self.fetch.lock().get_or_insert(made).clone())
            }
            Ok(Err(FetchError::NotSent(why) | FetchError::Broken(why) | FetchError::Refused { why, .. })) => {
                Err(Fault::ours(Reason::Unreachable, format!("{}: {why}", self.server)))
            }
            Err(_) => Err(Fault::ours(Reason::Internal, "no HTTP client could be made")),
        }
    }

    async fn dialed(&self, whose: Option<&Grant>) -> Result<Dialed, Fault> {
        let mut fetch = self.fetch().await?;
        let source = self.logins.as_ref().and_then(|logins| logins.of_whom(whose));
        if let Some(source) = &source {
            source.bearer_anew().await.map_err(|remedy| {
                let code = match remedy {
                    Remedy::Login(_) | Remedy::Another => Code::LoginNeeded,
                    Remedy::Failed(_) => Code::RemoteUnreachable,
                };
                let why = remedy.sentence();
                Fault::ours(Reason::Unreachable, format!("{}: {why}", self.server)).explained(code)
            })?;
            fetch = Arc::new(Leave { fetch, source: source.clone() });
        }
        let mut remote = self.remote.clone();
        if let Some(command) = &mut remote.headers_command {
            *command = self.nursery.login_shell.lend(command, self.path_from_shell, &self.nursery).await;
            if let Some(whose) = whose {
                let name = whose.principal.as_str();
                command.env.push((PRINCIPAL_VARIABLE.to_owned(), Secret::new(name)));
            }
        }
        let headers = Headers::make(&self.server, &remote, &self.nursery).await?;
        Ok(Dialed::carried(HttpCarry {
            url: Address::new(&self.remote.url),
            transport: self.remote.transport,
            headers,
            fetch,
            spoken: self.spoken.clone(),
            source,
        }))
    }
}

impl Dial for HttpDial {
    fn dial(&self) -> BoxFuture<'_, Result<Dialed, Fault>> {
        self.dialed(None).boxed()
    }

    fn dial_for(&self, whose: &Grant) -> BoxFuture<'_, Result<Dialed, Fault>> {
        let whose = whose.clone();
        async move { self.dialed(Some(&whose)).await }.boxed()
    }

    fn looks_again(&self) {
        if let Some(logins) = &self.logins {
            logins.look_again();
        }
    }

    fn transport(&self) -> &'static str {
        match (self.remote.transport, *self.spoken.lock()) {
            (Transport::Sse, _) | (Transport::Auto, Spoken::Sse) => SSE,
            (Transport::Http | Transport::Auto, _) => "http",
        }
    }

    fn is_older(&self) -> bool {
        self.transport() == SSE
    }

    fn distance(&self) -> Distance {
        Distance::Far
    }
}

const SSE: &str = "sse";
/// In which a program that makes headers finds for whom.
const PRINCIPAL_VARIABLE: &str = "BRAID_PRINCIPAL";

/// One connection before its stream begins.
struct HttpCarry {
    url: Address,
    transport: Transport,
    headers: Headers,
    fetch: Arc<dyn Fetch>,
    spoken: Arc<Mutex<Spoken>>,
    source: Option<TokenSource>,
}

impl Carry for HttpCarry {
    fn start(self: Box<Self>, stream: &Arc<Stream>, frames: Frames, tracker: &TaskTracker) {
        let Self { url, transport, headers, fetch, spoken, source } = *self;
        let courier = Courier::new(stream.clone(), fetch, url, (headers, source), tracker.clone());
        let sends = Arc::downgrade(&courier);
        let repeats = move |said: &str| sends.upgrade().is_some_and(|sends| repeats(said, &sends.secrets()));
        stream.keeps_secret(Box::new(repeats));
        let known = *spoken.lock();
        tracker.spawn(async move {
            let (ended, _) = courier.stream().ends();
            match (transport, known) {
                (Transport::Http, _) => {
                    streamable::carry(&courier, frames).await;
                }
                (Transport::Sse, _) => {
                    sse::carry(&courier, frames).await.ok();
                }
                (Transport::Auto, Spoken::Sse) => {
                    // What was true before is doubted when it does not hold.
                    if sse::carry(&courier, frames).await.is_err() {
                        *spoken.lock() = Spoken::Unknown;
                    }
                }
                (Transport::Auto, Spoken::Unknown) => {
                    streamable::carry_or_find(&courier, frames, &spoken).await;
                }
            }
            ended.cancel();
        });
    }
}
