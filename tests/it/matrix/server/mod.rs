//! A server of one revision and transport, over all its lives.
//!
//! It speaks its own revision to the letter and knows no other. What Braid says that it must not, it writes down. Its tools are what
//! the features need; what it heard that matters to one can be waited for.

mod asking;
mod desk;
mod life;
mod offer;
mod pipe;
mod request;
mod tools;
mod web;

use super::endpoint::{Endpoint, Transport};
use desk::Desk;
use mcp_braid::config::{Command, Reach, Remote, ServerConfig, Transport as Configured};
use mcp_braid::upstream::dial::Dial;
use mcp_braid::upstream::environment::Cookie;
use mcp_braid::upstream::guardian::Guardian;
use mcp_braid::upstream::http::HttpDial;
use mcp_braid::upstream::process::Nursery;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// Where what a server says goes: its stdout, or one stream of events.
type Outlet = mpsc::Sender<Value>;

#[derive(Clone)]
pub(super) struct Server(Arc<Desk>);

impl Server {
    pub(super) fn new(name: &'static str, endpoint: Endpoint) -> Self {
        Self(Arc::new(Desk::new(name, endpoint)))
    }

    /// As it stands in a configuration, with nothing set.
    pub(super) fn config(&self) -> ServerConfig {
        let reach = match self.0.endpoint.transport {
            Transport::Stdio => Reach::Stdio(Command::new("memory", Path::new("/"))),
            Transport::Sse | Transport::Http => Reach::Http(self.remote()),
        };
        ServerConfig::new(self.0.name, reach)
    }

    pub(super) fn dial(&self) -> Arc<dyn Dial> {
        match self.0.endpoint.transport {
            Transport::Stdio => Arc::new(pipe::PipeDial(self.0.clone())),
            Transport::Sse | Transport::Http => {
                let dial = HttpDial::new(self.0.name, self.remote(), unguarded());
                Arc::new(dial.over(Arc::new(web::Web(self.0.clone()))))
            }
        }
    }

    fn remote(&self) -> Remote {
        Remote {
            url: format!("http://{}.test/mcp", self.0.name),
            is_referred: false,
            transport: Configured::Auto,
            headers: Vec::new(),
            headers_command: None,
            ca_file: None,
            oauth: None,
        }
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        self.0.endpoint
    }

    /// Waits until this happened, once: `called slow`, `cancelled slow`, `subscribed demo://a`.
    pub(super) async fn did(&self, what: &str) -> Result<(), String> {
        self.0.did(what).await
    }

    /// Whether it was ever called.
    pub(super) fn was_called(&self) -> bool {
        self.0.was_called()
    }

    /// What Braid said that it must not, since this was asked last.
    pub(super) fn faults(&self) -> Vec<String> {
        self.0.take_faults()
    }

    /// Has one tool more, and says so.
    pub(super) async fn grows(&self) -> Result<(), String> {
        self.0.grow();
        self.0.tells("toolsListChanged", "notifications/tools/list_changed", &json!({})).await
    }

    /// Says that a resource changed.
    pub(super) async fn touches(&self, uri: &str) -> Result<(), String> {
        self.0.tells(uri, "notifications/resources/updated", &json!({"uri": uri})).await
    }

    /// Can be reached again.
    pub(super) fn rises(&self) {
        self.0.rise();
    }
}

/// A run without a guardian: nothing is started.
fn unguarded() -> Nursery {
    let cookie = Arc::new(Cookie::new("1d").unwrap());
    let guardian = Arc::new(Guardian::new(&cookie, None));
    Nursery::new(cookie, guardian, TaskTracker::new())
}
