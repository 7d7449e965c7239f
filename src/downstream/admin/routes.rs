//! The routes of those who look after us. Two of them do something, and only over the socket; all others are read.

use super::house::House;
use super::journal;
use super::metrics::CONTENT_TYPE as METRICS;
use super::object::Object;
use super::reloaded::reloaded;
use super::status::readiness;
use super::tap::{self, Choice};
use crate::upstream::tap::WATCHERS_MAX;
use crate::wire::percent;
use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use futures::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode, Uri};
use std::convert::Infallible;
use std::sync::Arc;

/// Everything, for whoever may open the socket.
pub(super) fn of_socket(house: Arc<House>) -> Router {
    reads()
        .route("/tap", get(tapped))
        .route("/logs/{server}", get(logged))
        .route("/reload", post(reload))
        .route("/restart/{server}", post(restart))
        .fallback(nothing)
        .with_state(house)
}

/// What can be read and is of use to programs that watch us.
pub(super) fn of_http(house: Arc<House>) -> Router {
    reads().fallback(nothing).with_state(house)
}

fn reads() -> Router<Arc<House>> {
    Router::new()
        .route("/healthz", get(async || text(StatusCode::OK, "text/plain; charset=utf-8", "ok\n".into())))
        .route("/readyz", get(ready))
        .route("/status", get(shown))
        .route("/metrics", get(counted))
}

type Name = Result<Path<String>, PathRejection>;

async fn ready(State(house): State<Arc<House>>) -> Response {
    let survey = house.hub.survey();
    let code = if survey.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(code, readiness(&survey))
}

async fn shown(State(house): State<Arc<House>>) -> Response {
    json(StatusCode::OK, house.status())
}

async fn counted(State(house): State<Arc<House>>) -> Response {
    text(StatusCode::OK, METRICS, house.metrics())
}

async fn tapped(State(house): State<Arc<House>>, uri: Uri) -> Response {
    let (server, method) = (asked(&uri, "server"), asked(&uri, "method"));
    if let Some(refusal) = server.as_deref().and_then(|server| unknown(&house, server)) {
        return refusal;
    }
    let payload = is_on(&uri, "payload");
    let Some(watching) = house.hub.lookout().watch(payload) else {
        let why = format!("{WATCHERS_MAX} look already; end one of them first");
        return said(StatusCode::SERVICE_UNAVAILABLE, false, &why);
    };
    let lines = tap::Lines::new(watching, Choice { server, method, payload }, house.redaction.clone());
    flowing(stream::unfold(lines, |mut lines| async move { Some((lines.next().await?, lines)) }))
}

async fn logged(State(house): State<Arc<House>>, name: Name, uri: Uri) -> Response {
    let Ok(Path(server)) = name else { return nothing().await };
    if let Some(refusal) = unknown(&house, &server) {
        return refusal;
    }
    let follows = is_on(&uri, "follow");
    let journal = house.journals.of_server(&server);
    let lines = journal::Lines::new(&journal, follows);
    flowing(stream::unfold(lines, |mut lines| async move { Some((lines.next().await?, lines)) }))
}

async fn reload(State(house): State<Arc<House>>) -> Response {
    let Some(reload) = &house.reload else {
        let why = "this run's configuration cannot be read anew; start it again instead";
        return said(StatusCode::NOT_IMPLEMENTED, false, why);
    };
    let done = reload.reload().await;
    let code = if done.is_ok() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    json(code, reloaded(&done))
}

async fn restart(State(house): State<Arc<House>>, name: Name) -> Response {
    let Ok(Path(key)) = name else { return nothing().await };
    let edition = house.hub.edition();
    let Some(server) = edition.servers().iter().find(|server| server.key() == key) else {
        return unknown(&house, &key).unwrap_or_else(|| json(StatusCode::NOT_FOUND, "{}".to_owned()));
    };
    match server.restart() {
        0 => said(
            StatusCode::OK,
            true,
            &format!("{key}: nobody has needed it yet; it is started when somebody does"),
        ),
        1 => said(StatusCode::OK, true, &format!("{key}: is being restarted")),
        links => said(StatusCode::OK, true, &format!("{key}: all {links} of it are being restarted")),
    }
}

async fn nothing() -> Response {
    said(StatusCode::NOT_FOUND, false, "there is nothing here")
}

/// What is answered to whoever asks for a server that there is not.
fn unknown(house: &House, key: &str) -> Option<Response> {
    let edition = house.hub.edition();
    let known: Vec<&str> = edition.servers().iter().map(|server| server.key()).collect();
    if known.contains(&key) {
        return None;
    }
    let why = format!("no server `{}`; there are {}", key.escape_debug(), known.join(", "));
    Some(said(StatusCode::NOT_FOUND, false, &why))
}

/// What the query says under a key; an empty text, where it only names it.
fn asked(uri: &Uri, key: &str) -> Option<String> {
    let pairs = uri.query().unwrap_or_default().split('&');
    let mut pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.find(|(name, _)| *name == key).map(|(_, value)| percent::decoded(value))
}

/// Whether the query switches something on: it names it alone, or says `1` or `true` of it.
fn is_on(uri: &Uri, key: &str) -> bool {
    asked(uri, key).is_some_and(|value| ["", "1", "true"].contains(&value.as_str()))
}

fn said(code: StatusCode, ok: bool, sentence: &str) -> Response {
    let mut object = Object::new();
    object.flag("ok", ok).text("text", sentence);
    json(code, object.end())
}

fn json(code: StatusCode, body: String) -> Response {
    text(code, "application/json", body + "\n")
}

fn text(code: StatusCode, kind: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Lines, as long as somebody reads them.
fn flowing(lines: impl futures::Stream<Item = String> + Send + 'static) -> Response {
    use futures::StreamExt;
    let lines = lines.map(|line| Ok::<_, Infallible>(Bytes::from(line)));
    let mut response = Response::new(Body::from_stream(lines));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_be_off_is_off() {
        for (query, expected) in [
            ("payload", true),
            ("a=b&payload=1", true),
            ("payload=true", true),
            ("payload=0", false),
            ("payload=false", false),
            ("payload=maybe", false),
            ("follow", false),
        ] {
            let uri: Uri = format!("/tap?{query}").parse().unwrap();
            assert_eq!(is_on(&uri, "payload"), expected, "{query}");
        }
    }
}
