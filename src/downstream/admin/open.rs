//! Listens for those who look after a run: on a socket of its user's, and over HTTP where that is wanted.
//!
//! Owns both until the run ends. That the socket cannot be made is no reason not to serve clients, unless its place was
//! written out. Connections, heads and their time are bounded as they are for clients.

use super::house::House;
use super::{place, routes};
use crate::config::{Address, Admin, AdminSocket, Auth, Listen, ListenLimits, Tls};
use crate::downstream::edge::accept::{self, Front, Stop};
use crate::downstream::edge::bound::{BindError, Bound};
use crate::downstream::edge::guard::{Guard, GuardError};
use crate::downstream::edge::token::{Token, TokenError};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What becomes of a run whose address for HTTP another has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfTaken {
    /// It does not start.
    Fails,
    /// It goes on without, and says so in the log: several clients have one configuration, and each starts a run.
    GoesWithout,
}

/// Listening, and nobody is answered yet.
#[derive(Debug, Default)]
pub struct Doors {
    socket: Option<(PathBuf, Bound)>,
    /// The folder that is for our sockets alone, if ours is in it.
    shared_folder: Option<PathBuf>,
    http: Option<(SocketAddr, Bound, Guard)>,
}

/// Answering. Dropping it ends it at once.
#[derive(Debug, Default)]
pub struct Serving {
    stop: Stop,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("admin.socket: {0}")]
    Socket(BindError),
    #[error("admin.socket: the path of a Unix socket cannot be used: {0}")]
    Path(&'static str),
    #[error("admin.http: {0}")]
    Http(BindError),
    #[error("admin.http: {0}")]
    Guard(#[from] GuardError),
    #[error("admin.http: {0}")]
    Token(#[from] TokenError),
}

impl Doors {
    /// `listen`: how clients are met, of which the token, TLS and the proxy hold here as well.
    pub async fn bind(
        admin: &Admin,
        listen: &Listen,
        if_taken: IfTaken,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, OpenError> {
        let mut shared_folder = None;
        let socket = match &admin.socket {
            AdminSocket::Off => None,
            AdminSocket::At(path) => Some(bind(path).await?),
            AdminSocket::Auto if !cfg!(unix) => None,
            AdminSocket::Auto => match place::folder(&variable) {
                Some(folder) => {
                    let bound = bind_in(&folder).await;
                    shared_folder = bound.is_some().then_some(folder);
                    bound
                }
                None => None,
            },
        };
        let http = match admin.http {
            Some(address) => match bind_http(address, listen, &variable).await {
                Err(OpenError::Http(error)) if if_taken == IfTaken::GoesWithout && error.is_taken() => {
                    tracing::warn!(event = "admin", %error, "another has the address of admin.http; this run is not looked after there");
                    None
                }
                bound => Some(bound?),
            },
            None => None,
        };
        Ok(Self { socket, shared_folder, http })
    }

    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_ref().map(|(path, _)| path.as_path())
    }

    /// With the port that the system chose where none was given.
    pub fn http(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(|(address, ..)| *address)
    }

    /// Answers from now on.
    pub fn serve(self, house: House) -> Serving {
        let (house, mut serving) = (Arc::new(house), Serving::default());
        if let Some((path, bound)) = self.socket {
            let listen = Listen { auth: Auth::None, limits: limits(), ..Listen::default() };
            // Whoever may open the file is its owner: nothing else is asked of him.
            if let Ok(guard) = Guard::new(&listen, &[Address::Unix(path)], None) {
                let front = Front { guard, router: routes::of_socket(house.clone()), limits: limits() };
                serving.tasks.push(tokio::spawn(accept::serve(bound, front, serving.stop.clone())));
            }
        }
        // Elsewhere sockets are others' that nobody answers on.
        if let Some(folder) = self.shared_folder {
            tokio::task::spawn_blocking(move || place::sweep(&folder));
        }
        if let Some((_, bound, guard)) = self.http {
            let front = Front { guard, router: routes::of_http(house), limits: limits() };
            serving.tasks.push(tokio::spawn(accept::serve(bound, front, serving.stop.clone())));
        }
        serving
    }
}

impl Serving {
    /// Ends it, and returns when the socket is gone.
    pub async fn end(mut self) {
        self.stop.closing.cancel();
        self.stop.now.cancel();
        for task in self.tasks.drain(..) {
            timeout(END_WITHIN, task).await.ok();
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.closing.cancel();
        self.stop.now.cancel();
    }
}

async fn bind(path: &Path) -> Result<(PathBuf, Bound), OpenError> {
    let address = Address::Unix(path.to_owned());
    address.judge_path().map_err(OpenError::Path)?;
    let bound = Bound::bind(&[address], None).await.map_err(OpenError::Socket)?;
    Ok((path.to_owned(), bound))
}

/// One of our own in this folder; none, and a word in the log, if that cannot be: as where no file can be written.
async fn bind_in(folder: &Path) -> Option<(PathBuf, Bound)> {
    let made = place::make(folder);
    if let Err(error) = made {
        tracing::info!(folder = %folder.display(), %error, "no admin socket (admin.socket)");
        return None;
    }
    for attempt in 0..ATTEMPTS_MAX {
        match bind(&place::socket(folder, std::process::id(), attempt)).await {
            Ok(bound) => return Some(bound),
            Err(OpenError::Socket(BindError::Taken(_))) => {}
            Err(error) => {
                tracing::info!(%error, "no admin socket");
                return None;
            }
        }
    }
    tracing::info!(folder = %folder.display(), "no admin socket: every name for it is taken");
    None
}

async fn bind_http(
    address: SocketAddr,
    listen: &Listen,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<(SocketAddr, Bound, Guard), OpenError> {
    let is_here = address.ip().to_canonical().is_loopback();
    let own = Listen {
        addresses: vec![Address::Tcp(address)],
        auth: if is_here { Auth::None } else { Auth::Token },
        origins: Vec::new(),
        // These let clients in, and nobody who looks after us.
        tokens: Vec::new(),
        oauth: None,
        tls: listen.tls.clone().filter(|_| !is_here).map(|tls| Tls { clients: None, ..tls }),
        limits: limits(),
        ..listen.clone()
    };
    let token = match own.auth {
        Auth::None | Auth::OAuth => None,
        Auth::Token => Some(Token::find_or_make(own.token_file.as_deref(), variable)?),
    };
    let bound = Bound::bind(&own.addresses, own.tls.as_ref()).await.map_err(OpenError::Http)?;
    let addresses = bound.addresses();
    let guard = Guard::new(&own, &addresses, token.as_ref())?;
    let local = addresses.iter().find_map(|address| match address {
        Address::Tcp(address) => Some(*address),
        Address::Unix(_) => None,
    });
    Ok((local.unwrap_or(address), bound, guard))
}

/// Few are ever there.
fn limits() -> ListenLimits {
    ListenLimits { connections_max: CONNECTIONS_MAX, ..ListenLimits::default() }
}

/// Who may look after us at once.
pub const CONNECTIONS_MAX: usize = 32;
/// Names for a socket that are tried.
const ATTEMPTS_MAX: u32 = 8;
const END_WITHIN: Duration = Duration::from_millis(250);
