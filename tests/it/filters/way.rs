//! The ways in: every kind of door, and both eras where it has them.

use crate::http::events::{Events, Said};
use crate::http::house::{Client, House};
use crate::support::client::Client as Pipe;
use crate::support::script::Role;
use axum::body::Body;
use http::Request;
use mcp_braid::mcp::caller::Grant;
use serde_json::{Value, json};
use std::future::poll_fn;

/// A client that has come in and asks one thing after the other.
pub(crate) enum Way {
    /// Over stdin and stdout, with a handshake or without.
    Pipe { client: Box<Pipe>, stands: bool },
    /// Streamable HTTP with a session.
    Session(Box<Client>),
    /// The same, each request by itself.
    Alone { house: House, path: &'static str, grant: Grant },
    /// HTTP+SSE of 2024-11-05.
    Sse { client: Box<Client>, place: String, events: Box<Events> },
}

impl Way {
    /// `trait_of_door`: as a play says by which door a client comes.
    pub(crate) async fn pipe(house: &House, trait_of_door: Option<&str>, stands: bool) -> Self {
        let era = if stands { "any era" } else { "by hand" };
        let traits = trait_of_door.into_iter().chain([era]).map(str::to_owned).collect();
        let role = Role { name: "c".to_owned(), traits };
        let client = Box::new(Pipe::open(&role, false, &house.hub).unwrap());
        let mut way = Self::Pipe { client, stands };
        if !stands {
            way.ask("initialize", json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}})).await;
            way.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        }
        way
    }

    pub(crate) async fn session(house: &House, path: &'static str, grant: &Grant) -> Self {
        Self::Session(Box::new(Client { path, ..house.stranger_of(grant) }.begun().await))
    }

    pub(crate) fn alone(house: &House, path: &'static str, grant: &Grant) -> Self {
        Self::Alone { house: house.clone(), path, grant: grant.clone() }
    }

    pub(crate) async fn sse(house: &House, grant: &Grant) -> Self {
        let client = Box::new(house.stranger_of(grant));
        let request = Request::get("/sse").header("accept", "text/event-stream");
        let mut events = Box::new(client.send(request.body(Body::empty()).unwrap()).await.unwrap().events());
        let Some(Said::Event { data: place, .. }) = events.next().await else { panic!("no endpoint") };
        let mut way = Self::Sse { client, place, events };
        way.ask("initialize", json!({"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}})).await;
        way.post(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        way
    }

    /// Whether its requests stand by themselves.
    pub(crate) fn stands(&self) -> bool {
        match self {
            Self::Pipe { stands, .. } => *stands,
            Self::Alone { .. } => true,
            Self::Session(_) | Self::Sse { .. } => false,
        }
    }

    /// The response to a request.
    pub(crate) async fn ask(&mut self, method: &str, mut params: Value) -> Value {
        if self.stands() {
            params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {}});
        }
        let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        match self {
            Self::Pipe { .. } => {
                self.say(&message);
                self.heard().await
            }
            Self::Session(client) => client.post(message).await.unwrap().json().await,
            Self::Alone { house, path, grant } => alone(house, path, grant, &message).await,
            Self::Sse { .. } => {
                self.post(message).await;
                self.heard().await
            }
        }
    }

    fn say(&mut self, message: &Value) {
        if let Self::Pipe { client, .. } = self {
            client.say(format!("{message}\n").into_bytes()).unwrap();
        }
    }

    async fn post(&mut self, message: Value) {
        let Self::Sse { client, place, .. } = self else { return };
        let request = Request::post(&*place).header("content-type", "application/json");
        let request = request.body(Body::from(message.to_string())).unwrap();
        assert_eq!(client.send(request).await.unwrap().status.as_u16(), 202);
    }

    /// The next response; notifications beside it are nobody's here.
    async fn heard(&mut self) -> Value {
        loop {
            let text = match self {
                Self::Pipe { client, .. } => match client.heard.pop_front() {
                    Some(line) => line,
                    None => {
                        poll_fn(|context| client.poll(context)).await;
                        continue;
                    }
                },
                Self::Sse { events, .. } => match events.next().await.expect("the stream goes on") {
                    Said::Event { data, .. } => data,
                    Said::Comment(_) | Said::Retry(_) => continue,
                },
                Self::Session(_) | Self::Alone { .. } => panic!("its answers come with its posts"),
            };
            let message: Value = serde_json::from_str(&text).unwrap();
            if message.get("id").is_some() {
                return message;
            }
        }
    }
}

async fn alone(house: &House, path: &str, grant: &Grant, message: &Value) -> Value {
    let mut request = Request::post(path)
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", message["method"].as_str().unwrap());
    let params = &message["params"];
    if let Some(name) = params["name"].as_str().or_else(|| params["uri"].as_str()) {
        request = request.header("mcp-name", name);
    }
    let request = request.body(Body::from(message.to_string())).unwrap();
    house.send_as(grant, request).await.json().await
}
