//! The routes: which servers a path leads to.

use super::endpoint::{Front, Gate};
use super::replies;
use crate::downstream::edge::guard::Admitted;
use crate::hub::entrance::Entrance;
use crate::hub::readiness::Readiness;
use crate::wire::members::quote;
use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::response::Response;
use axum::routing::{any, get, post};
use http::{Request, StatusCode};
use std::sync::Arc;

/// Everything that is served. Who may come was decided before: each request carries its leave.
pub fn routes(front: Arc<Front>) -> Router {
    let mut router = Router::new()
        .route("/mcp", any(all))
        .route("/mcp/{group}", any(group))
        .route("/servers/{server}/mcp", any(server))
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready));
    if front.listen.legacy_sse {
        router = router.route("/sse", any(open)).route("/messages", post(message));
    }
    router.fallback(nothing).with_state(front)
}

type Asking = Extension<Admitted>;
/// A part of the path; what is no text is nobody's name.
type Name = Result<Path<String>, PathRejection>;

async fn all(State(front): State<Arc<Front>>, Extension(who): Asking, request: Request<Body>) -> Response {
    let entrance = front.hub.entrance_all();
    enter(front, Some(entrance), who, request).await
}

async fn group(
    State(front): State<Arc<Front>>,
    name: Name,
    Extension(who): Asking,
    request: Request<Body>,
) -> Response {
    let entrance = name.ok().and_then(|Path(name)| front.hub.entrance_group(&name));
    enter(front, entrance, who, request).await
}

async fn server(
    State(front): State<Arc<Front>>,
    key: Name,
    Extension(who): Asking,
    request: Request<Body>,
) -> Response {
    let entrance = key.ok().and_then(|Path(key)| front.hub.entrance_server(&key));
    enter(front, entrance, who, request).await
}

async fn enter(
    front: Arc<Front>,
    entrance: Option<Entrance>,
    who: Admitted,
    request: Request<Body>,
) -> Response {
    match entrance {
        Some(entrance) => {
            let gate = Gate { path: Arc::from(request.uri().path()), entrance };
            front.handle(gate, who.principal, request).await
        }
        None => nothing().await,
    }
}

async fn open(State(front): State<Arc<Front>>, Extension(who): Asking, request: Request<Body>) -> Response {
    front.open_pipe(who.principal, &request)
}

async fn message(
    State(front): State<Arc<Front>>,
    Extension(who): Asking,
    request: Request<Body>,
) -> Response {
    front.post_to_pipe(who.principal, request).await
}

/// The process runs.
async fn healthy() -> &'static str {
    "ok\n"
}

/// Whether it is time to send clients here. Which servers are awaited is no secret's business: their names are not told,
/// because nobody shows a token here.
async fn ready(State(front): State<Arc<Front>>) -> Response {
    let Readiness { stopping, awaited, missing } = front.hub.readiness(&front.warmed);
    let (code, state) = match (stopping || front.is_closing(), awaited.len(), missing.len()) {
        (true, _, _) => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        (false, 0, 0) => (StatusCode::OK, "ready"),
        (false, 0, _) => (StatusCode::SERVICE_UNAVAILABLE, "a required server is down"),
        (false, _, _) => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
    };
    let text =
        format!(r#"{{"state":{},"awaited":{},"missing":{}}}"#, quote(state), awaited.len(), missing.len());
    replies::json(code, text.into())
}

async fn nothing() -> Response {
    replies::status(StatusCode::NOT_FOUND)
}
