//! How a connection to a server is made: its name resolved, its addresses tried, TLS.
//!
//! Owns the settings of sockets, and how long all of it may take. Whom we trust was decided before; where addresses may lie
//! where others name the host, `public` says.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper::service::Service;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::CONNECT_WAIT_MAX;
use super::address::Origin;
use super::public::{ADDRESSES_MAX, Bounds, Names, is_public};
use super::wire::{Socket, Wire};

/// Makes connections.
pub(super) struct Reach {
    sockets: TowerToHyperService<HttpConnector>,
    tls: TlsConnector,
    bounds: Bounds,
}

/// Why there is no connection.
pub(super) enum Unreached {
    Late,
    Failed(Box<dyn Error + Send + Sync>),
    /// None of its addresses is of the public network.
    OutOfBounds,
}

impl Reach {
    pub(super) fn new(tls: ClientConfig, bounds: Bounds) -> Self {
        let mut sockets = HttpConnector::new();
        sockets.enforce_http(false);
        sockets.set_connect_timeout(Some(CONNECT_WAIT_MAX));
        sockets.set_nodelay(true);
        sockets.set_keepalive(Some(KEEPALIVE_AFTER));
        sockets.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
        sockets.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
        #[cfg(any(target_os = "linux", target_os = "android"))]
        sockets.set_tcp_user_timeout(Some(UNACKNOWLEDGED_WAIT_MAX));
        Self { sockets: TowerToHyperService::new(sockets), tls: TlsConnector::from(Arc::new(tls)), bounds }
    }

    /// Where it may lead, for who goes another way.
    pub(super) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    pub(super) async fn wire(&self, origin: &Origin) -> Result<Wire, Unreached> {
        match timeout(CONNECT_WAIT_MAX, self.connect(origin)).await {
            Ok(connected) => connected,
            Err(_) => Err(Unreached::Late),
        }
    }

    async fn connect(&self, origin: &Origin) -> Result<Wire, Unreached> {
        let socket = match &self.bounds {
            Bounds::None => self.socket(origin.uri.clone()).await?,
            Bounds::Public { names } => Box::pin(self.within_bounds(origin, names)).await?,
        };
        let socket = match &origin.name {
            None => Socket::Plain(socket),
            Some(name) => {
                let secured = self.tls.connect(name.clone(), socket).await;
                Socket::Secure(Box::new(secured.map_err(|error| Unreached::Failed(error.into()))?))
            }
        };
        Ok(Wire::over(socket))
    }

    async fn socket(&self, to: Uri) -> Result<TcpStream, Unreached> {
        let connected = self.sockets.call(to).await;
        connected.map(TokioIo::into_inner).map_err(|error| Unreached::Failed(error.into()))
    }

    /// Looks the name up once, and connects to what of it is public: a second look might give another answer.
    async fn within_bounds(&self, origin: &Origin, names: &Names) -> Result<TcpStream, Unreached> {
        let (host, port) = (origin.uri.host().unwrap_or_default(), origin.port());
        if !self.bounds.admit(host) {
            return Err(Unreached::OutOfBounds);
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let found = names(bare, port).await.map_err(|error| Unreached::Failed(error.into()))?;
        let is_fine = |address: &SocketAddr| is_public(address.ip());
        let public: Vec<SocketAddr> = found.into_iter().filter(is_fine).take(ADDRESSES_MAX).collect();
        let mut last = Unreached::OutOfBounds;
        for address in &public {
            let to = format!("http://{address}/").parse::<Uri>();
            let to = to.map_err(|error| Unreached::Failed(error.into()))?;
            // One that is silent leaves the others their time.
            match timeout(CONNECT_WAIT_MAX / u32::try_from(public.len()).unwrap_or(1), self.socket(to)).await
            {
                Ok(Ok(socket)) => return Ok(socket),
                Ok(Err(unreached)) => last = unreached,
                Err(_) => last = Unreached::Late,
            }
        }
        Err(last)
    }
}

/// A silent connection is asked for a sign of life after this long, then so often, and given up after so many.
pub(super) const KEEPALIVE_AFTER: Duration = Duration::from_secs(30);
pub(super) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
pub(super) const KEEPALIVE_RETRIES: u32 = 3;

/// What was written and is not acknowledged for this long ends the connection: whoever woke up from sleep, or
/// lost its place in a router's table, notices with its first request. The system does not tell such a peer from
/// one that is there and has not read for as long, with more written to it than the socket holds.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) const UNACKNOWLEDGED_WAIT_MAX: Duration = Duration::from_secs(5);
