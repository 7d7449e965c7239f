//! How a connection to a server is made: its name resolved, its addresses tried, TLS.
//!
//! Owns the settings of sockets, and how long all of it may take. Whom we trust was decided before.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::Service;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::service::TowerToHyperService;
use rustls::ClientConfig;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::CONNECT_WAIT_MAX;
use super::address::Origin;
use super::wire::{Socket, Wire};

/// Makes connections.
pub(super) struct Reach {
    sockets: TowerToHyperService<HttpConnector>,
    tls: TlsConnector,
}

/// Why there is no connection.
pub(super) enum Unreached {
    Late,
    Failed(Box<dyn Error + Send + Sync>),
}

impl Reach {
    pub(super) fn new(tls: ClientConfig) -> Self {
        let mut sockets = HttpConnector::new();
        sockets.enforce_http(false);
        sockets.set_connect_timeout(Some(CONNECT_WAIT_MAX));
        sockets.set_nodelay(true);
        sockets.set_keepalive(Some(KEEPALIVE_AFTER));
        sockets.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
        sockets.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
        #[cfg(any(target_os = "linux", target_os = "android"))]
        sockets.set_tcp_user_timeout(Some(UNACKNOWLEDGED_WAIT_MAX));
        Self { sockets: TowerToHyperService::new(sockets), tls: TlsConnector::from(Arc::new(tls)) }
    }

    pub(super) async fn wire(&self, origin: &Origin) -> Result<Wire, Unreached> {
        match timeout(CONNECT_WAIT_MAX, self.connect(origin)).await {
            Ok(Ok(wire)) => Ok(wire),
            Ok(Err(error)) => Err(Unreached::Failed(error)),
            Err(_) => Err(Unreached::Late),
        }
    }

    async fn connect(&self, origin: &Origin) -> Result<Wire, Box<dyn Error + Send + Sync>> {
        let socket = self.sockets.call(origin.uri.clone()).await?.into_inner();
        let socket = match &origin.name {
            None => Socket::Plain(socket),
            Some(name) => Socket::Secure(Box::new(self.tls.connect(name.clone(), socket).await?)),
        };
        Ok(Wire::over(socket))
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
