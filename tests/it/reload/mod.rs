//! Another configuration while everything runs: over servers in memory, on the paused clock.
//!
//! What is read of which file, and who asks for that, real runs show (`admin/reloads.rs`).

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::disallowed_types, reason = "the parties of a test make their own messages")]

mod clients;
mod rates;
mod rights;
mod servers;

use crate::http::events::{Events, Said};
use crate::http::house::{Client, House, call, settled};
use crate::http::server::Server;
use futures::FutureExt;
use futures::future::BoxFuture;
use mcp_braid::config::{Command, Config, Filter, Protocol, Reach, ServerConfig, Sharing};
use mcp_braid::hub::adopt::Changes;
use mcp_braid::mcp::caller::Principal;
use mcp_braid::upstream::dial::{Dial, Dialed};
use mcp_braid::wire::fault::Fault;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// A house, and what its file says.
struct Filed {
    house: House,
    config: Config,
    /// Those that may be dialled, by their keys.
    dials: Vec<(String, Arc<dyn Dial>)>,
}

impl Filed {
    /// Servers by name, shared.
    fn new(servers: &[(&str, &Server)]) -> Self {
        let mut config = Config::new("a file", Path::new("/"));
        let sharing = Sharing::Shared;
        let entries = servers.iter().map(|(name, _)| ServerConfig { sharing, ..entry(name, "one") });
        config.servers = entries.collect();
        let dials = servers.iter().map(|(_, server)| -> Arc<dyn Dial> { Arc::new((*server).clone()) });
        let house = House::over(config.clone(), dials.collect());
        house.hub.warm(&Principal::anonymous());
        let dials = servers.iter().map(|(name, server)| -> (String, Arc<dyn Dial>) {
            ((*name).to_owned(), Arc::new((*server).clone()))
        });
        Self { house, config, dials: dials.collect() }
    }

    /// Another server in the file, at its end.
    fn adds(&mut self, name: &str, server: &Server) {
        self.adds_any(name, Arc::new(server.clone()));
    }

    fn adds_any(&mut self, name: &str, dial: Arc<dyn Dial>) {
        self.config.servers.push(ServerConfig { sharing: Sharing::Shared, ..entry(name, "one") });
        self.dials.push((name.to_owned(), dial));
    }

    /// Whoever dials this server from now on, finds this one.
    fn dials(&mut self, name: &str, server: &Server) {
        self.dials.retain(|(known, _)| known != name);
        self.dials.push((name.to_owned(), Arc::new(server.clone())));
    }

    fn removes(&mut self, name: &str) {
        self.config.servers.retain(|server| server.key != name);
    }

    /// What the file says of a server.
    fn of(&mut self, name: &str) -> &mut ServerConfig {
        self.config.servers.iter_mut().find(|server| server.key == name).unwrap()
    }

    /// It is read anew.
    async fn is_read(&self) -> Changes {
        let changes = self.house.hub.adopt(self.config.clone(), |wanted| self.dial(wanted)).await;
        settled().await;
        changes
    }

    fn dial(&self, wanted: &ServerConfig) -> Arc<dyn Dial> {
        let mut found = self.dials.iter().rev();
        found.find(|(name, _)| *name == wanted.key).unwrap().1.clone()
    }
}

fn entry(name: &str, argument: &str) -> ServerConfig {
    ServerConfig { protocol: Protocol::Handshake, ..ServerConfig::new(name, reach(argument)) }
}

/// A program with one argument, which nobody starts here.
fn reach(argument: &str) -> Reach {
    let mut command = Command::new("memory", Path::new("/"));
    command.args = vec![argument.to_owned()];
    Reach::Stdio(command)
}

fn denies(patterns: &[&str]) -> Filter {
    Filter { deny: names(patterns), ..Filter::default() }
}

/// A server that is never there.
struct Never;

impl Dial for Never {
    fn dial(&self) -> BoxFuture<'_, Result<Dialed, Fault>> {
        std::future::pending().boxed()
    }

    fn transport(&self) -> &'static str {
        "never"
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// The names of the tools that a client sees.
async fn tools(client: &Client) -> Vec<String> {
    let list = json!({"jsonrpc": "2.0", "id": "list", "method": "tools/list"});
    let listed = client.post(list).await.unwrap().json().await;
    let tools = listed["result"]["tools"].as_array().unwrap_or_else(|| panic!("{listed}"));
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

/// The answer to a call.
async fn answer(client: &Client, tool: &str) -> Value {
    client.post(call(1, tool, json!({"a": 1}))).await.unwrap().json().await
}

/// Which notifications have come on a stream by now.
async fn heard(events: &mut Events) -> Vec<String> {
    let mut heard = Vec::new();
    while let Some(Some(Said::Event { data, .. })) = events.next().now_or_never() {
        let message: Value = serde_json::from_str(&data).unwrap();
        heard.push(message["method"].as_str().unwrap().to_owned());
    }
    heard
}

const TOOLS_CHANGED: &str = "notifications/tools/list_changed";
