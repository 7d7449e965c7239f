//! A hub with two servers, and the ways into it.

use super::server::Server;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::Request;
use mcp_braid::config::{Config, ServerConfig};
use mcp_braid::downstream::door::Door;
use mcp_braid::downstream::edge::alarm::Alarm;
use mcp_braid::downstream::edge::cors::Cors;
use mcp_braid::downstream::edge::guard::Admitted;
use mcp_braid::downstream::edge::serve::Serve;
use mcp_braid::downstream::edge::source::Peer;
use mcp_braid::downstream::http::endpoint::Front;
use mcp_braid::downstream::http::routes::Routes;
use mcp_braid::downstream::modern::lobby::Lobby;
use mcp_braid::hub::Hub;
use mcp_braid::mcp::caller::{Caller, Principal};
use mcp_braid::upstream::process::Pace;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// Everything that serves.
#[derive(Clone)]
pub(super) struct House {
    hub: Arc<Hub>,
    front: Arc<Front>,
    routes: Arc<Routes>,
    tracker: TaskTracker,
}

impl House {
    /// As the settings are if nobody sets any, but for what would take long.
    pub(super) fn new(servers: &[&Server]) -> Self {
        let mut config = Config::new("a matrix", Path::new("/"));
        config.limits.page_items_max = PAGE_ITEMS_MAX;
        config.servers = servers.iter().map(|server| impatient(server.config())).collect();
        let dials = servers.iter().map(|server| server.dial()).collect();
        let (listen, tracker) = (config.listen.clone(), TaskTracker::new());
        let hub = Hub::new(Arc::new(config), dials, "hop", tracker.clone());
        let front = Front::new(hub.clone(), listen, IDENTITY, false, Principal::anonymous());
        let routes = Arc::new(Routes::new(front.clone()));
        Self { hub, front, routes, tracker }
    }

    /// The door of the one client on stdin.
    pub(super) fn door(&self, outbox: mpsc::Sender<Bytes>) -> Door {
        let client = self.hub.next_client();
        let caller = Caller {
            principal: Principal::local(),
            scopes: Default::default(),
            client,
            alone: true,
            guest_of: None,
        };
        let seat = self.hub.seat(caller, &self.hub.entrance_all());
        let lobby = Lobby::new(self.hub.clone(), IDENTITY, false, self.hub.stopping());
        Door::new(seat, outbox, IDENTITY, false).for_any_era(lobby)
    }

    /// A request over HTTP that was let in.
    pub(super) async fn send(&self, request: Request<Body>) -> Response {
        let principal = Principal::anonymous();
        let admitted = Admitted {
            principal,
            scopes: Default::default(),
            ends: None,
            own_token: Default::default(),
            peer: Peer::Unix,
            cors: Cors::Off,
        };
        let (head, body) = request.into_parts();
        self.routes.serve(admitted, head, body, &Alarm::default()).await.into_response()
    }

    /// Stops. What is left, if anything is.
    pub(super) async fn stop(self) -> Option<String> {
        let in_flight = self.hub.in_flight();
        self.front.close();
        self.hub.stop(Pace::NOW, STOP_WAIT_MAX).await;
        match (in_flight, self.tracker.len()) {
            (0, 0) => None,
            (calls, tasks) => Some(format!("{calls} calls and {tasks} tasks are left")),
        }
    }
}

fn impatient(mut config: ServerConfig) -> ServerConfig {
    config.timeouts.call = CALL_WAIT_MAX;
    (config.backoff.min, config.backoff.max) = (PAUSE, PAUSE);
    config
}

const IDENTITY: &str = "b1a1db1a1db1a1d0";
/// Of each list, in one answer: less than there are.
const PAGE_ITEMS_MAX: usize = 5;
const CALL_WAIT_MAX: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_secs(1);
const STOP_WAIT_MAX: Duration = Duration::from_secs(10);
