//! How a client reaches Braid: a door in memory, or the routes over HTTP, called as a service without sockets.

use super::{Heard, Place};
use crate::matrix::House;
use crate::matrix::endpoint::{Endpoint, Transport};
use axum::body::Body;
use axum::response::Response;
use futures::StreamExt;
use http::{Method, Request, StatusCode};
use mcp_braid::downstream::door::{self, Closed};
use serde_json::Value;
use sse_stream::SseStream;
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};

pub(super) struct Wire {
    says: mpsc::Sender<Heard>,
    way: Way,
}

enum Way {
    /// stdin and stdout.
    Door { inbox: mpsc::Sender<door::Heard>, _door: JoinHandle<Closed> },
    /// HTTP+SSE: the place to post to.
    Pipe { house: House, place: String },
    /// Streamable HTTP up to 2025-11-25.
    Session { house: House, endpoint: Endpoint, id: Option<String> },
    /// Streamable HTTP without a session. Dropping an answer cancels its request.
    Alone { house: House, answers: BTreeMap<u64, AbortHandle> },
}

impl Wire {
    pub(super) async fn open(
        endpoint: Endpoint,
        house: &House,
        says: mpsc::Sender<Heard>,
    ) -> Result<Self, String> {
        let house = house.clone();
        let way = match (endpoint.transport, endpoint.is_modern()) {
            (Transport::Stdio, _) => through_door(&house, says.clone()),
            (Transport::Sse, _) => through_pipe(house, says.clone()).await?,
            (Transport::Http, false) => Way::Session { house, endpoint, id: None },
            (Transport::Http, true) => Way::Alone { house, answers: BTreeMap::new() },
        };
        Ok(Self { says, way })
    }

    /// The answer to `initialize` came, and with it a session where there is one.
    pub(super) fn is_greeted(&mut self, revision: &str) -> Result<(), String> {
        match &self.way {
            Way::Session { id: None, .. } => Err(format!("no session of {revision}")),
            Way::Session { .. } | Way::Door { .. } | Way::Pipe { .. } | Way::Alone { .. } => Ok(()),
        }
    }

    /// Sends a request. Its answer is heard when it comes.
    pub(super) async fn begins(&mut self, id: u64, message: Value) -> Result<(), String> {
        let says = self.says.clone();
        match &mut self.way {
            Way::Door { .. } | Way::Pipe { .. } => self.tells(message).await,
            // The answer to it names the session.
            Way::Session { house, endpoint, id: session @ None } => {
                let reply = house.send(posted(*endpoint, None, &message)).await;
                let named = reply.headers().get("mcp-session-id").and_then(|id| id.to_str().ok());
                *session = named.map(str::to_owned);
                reads(reply, Place::Post(id), says).await;
                Ok(())
            }
            Way::Session { house, endpoint, id: session } => {
                let (house, request) = (house.clone(), posted(*endpoint, session.as_deref(), &message));
                tokio::spawn(async move { reads(house.send(request).await, Place::Post(id), says).await });
                Ok(())
            }
            Way::Alone { house, answers } => {
                let (house, request) = (house.clone(), standing(&message));
                let answer = async move { reads(house.send(request).await, Place::Post(id), says).await };
                answers.insert(id, tokio::spawn(answer).abort_handle());
                Ok(())
            }
        }
    }

    /// Sends what has no answer.
    pub(super) async fn tells(&mut self, message: Value) -> Result<(), String> {
        let reply = match &mut self.way {
            Way::Door { inbox, .. } => {
                let text = door::Heard::Text(message.to_string().into(), None);
                return inbox.send(text).await.map_err(|_| "its door is closed".to_owned());
            }
            Way::Pipe { house, place } => {
                let request = Request::post(place.as_str()).header("content-type", "application/json");
                house.send(request.body(Body::from(message.to_string())).unwrap()).await
            }
            Way::Session { house, endpoint, id } => {
                house.send(posted(*endpoint, id.as_deref(), &message)).await
            }
            Way::Alone { .. } => return Err(format!("a message that is no request: {message}")),
        };
        match reply.status() == StatusCode::ACCEPTED {
            true => Ok(()),
            false => Err(format!("{message} was answered {}", reply.status())),
        }
    }

    /// Lets go of the answer to a request, where that cancels it.
    pub(super) fn drops(&mut self, id: u64) -> bool {
        match &mut self.way {
            Way::Alone { answers, .. } => answers.remove(&id).map(|answer| answer.abort()).is_some(),
            Way::Door { .. } | Way::Pipe { .. } | Way::Session { .. } => false,
        }
    }

    /// Opens the stream of what belongs to no request.
    pub(super) async fn listens(&mut self) -> Result<(), String> {
        let Way::Session { house, endpoint, id } = &self.way else { return Ok(()) };
        let request = head(Method::GET, *endpoint, id.as_deref()).body(Body::empty()).unwrap();
        let reply = house.send(request).await;
        if reply.status() != StatusCode::OK {
            return Err(format!("a GET was answered {}", reply.status()));
        }
        let says = self.says.clone();
        tokio::spawn(reads(reply, Place::Beside, says));
        Ok(())
    }
}

fn through_door(house: &House, says: mpsc::Sender<Heard>) -> Way {
    let (inbox, chunks) = mpsc::channel(LINES_MAX);
    let (lines, mut outbox) = mpsc::channel(LINES_MAX);
    let door = tokio::spawn(house.door(lines).serve(chunks));
    tokio::spawn(async move {
        while let Some(line) = outbox.recv().await {
            hear(&String::from_utf8_lossy(&line), Place::Pipe, &says).await;
        }
    });
    Way::Door { inbox, _door: door }
}

async fn through_pipe(house: House, says: mpsc::Sender<Heard>) -> Result<Way, String> {
    let request = Request::get("/sse").header("accept", "text/event-stream").body(Body::empty()).unwrap();
    let mut events = SseStream::from_bytes_stream(house.send(request).await.into_body().into_data_stream());
    let first = events.next().await.and_then(Result::ok);
    let place = first.filter(|event| event.event.as_deref() == Some("endpoint")).and_then(|event| event.data);
    let place = place.ok_or("there is no place to post to")?;
    tokio::spawn(async move {
        while let Some(Ok(event)) = events.next().await {
            if let Some(data) = event.data {
                hear(&data, Place::Pipe, &says).await;
            }
        }
    });
    Ok(Way::Pipe { house, place })
}

/// Reads an answer to its end: one message, or events.
async fn reads(reply: Response, place: Place, says: mpsc::Sender<Heard>) {
    let content_type = reply.headers().get("content-type").and_then(|value| value.to_str().ok());
    if content_type == Some("text/event-stream") {
        let mut events = SseStream::from_bytes_stream(reply.into_body().into_data_stream());
        while let Some(Ok(event)) = events.next().await {
            if let Some(data) = event.data.filter(|data| !data.is_empty()) {
                hear(&data, place, &says).await;
            }
        }
        return;
    }
    let body = axum::body::to_bytes(reply.into_body(), BODY_BYTES_MAX).await.unwrap_or_default();
    hear(&String::from_utf8_lossy(&body), place, &says).await;
}

/// What is no message is heard as one that nothing is right about.
async fn hear(text: &str, place: Place, says: &mpsc::Sender<Heard>) {
    let message = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    says.send(Heard { place, message }).await.ok();
}

fn posted(endpoint: Endpoint, session: Option<&str>, message: &Value) -> Request<Body> {
    head(Method::POST, endpoint, session).body(Body::from(message.to_string())).unwrap()
}

/// A request in a session (2025-11-25, basic/transports).
fn head(method: Method, endpoint: Endpoint, session: Option<&str>) -> http::request::Builder {
    let accepted = match method {
        Method::GET => "text/event-stream",
        _ => "application/json, text/event-stream",
    };
    let mut request = Request::builder().method(method).uri("/mcp").header("accept", accepted);
    request = request.header("content-type", "application/json");
    if let Some(session) = session {
        request = request.header("mcp-session-id", session);
        // 2025-03-26 has no such header.
        if endpoint.revision.as_str() > "2025-03-26" {
            request = request.header("mcp-protocol-version", endpoint.revision.as_str());
        }
    }
    request
}

/// A request that stands by itself (2026-07-28, basic/transports/streamable-http, standard request headers).
fn standing(message: &Value) -> Request<Body> {
    let (method, params) = (message["method"].as_str().unwrap_or_default(), &message["params"]);
    let version = params["_meta"]["io.modelcontextprotocol/protocolVersion"].as_str();
    let mut request = Request::post("/mcp")
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .header("mcp-protocol-version", version.unwrap_or_default())
        .header("mcp-method", method);
    let name = match method {
        "tools/call" | "prompts/get" => params["name"].as_str(),
        "resources/read" => params["uri"].as_str(),
        _ => None,
    };
    if let Some(name) = name {
        request = request.header("mcp-name", name);
    }
    request.body(Body::from(message.to_string())).unwrap()
}

const LINES_MAX: usize = 1024;
const BODY_BYTES_MAX: usize = 1 << 24;
