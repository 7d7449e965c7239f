//! The routes: which door a path leads to.

use super::endpoint::Front;
use super::replies;
use crate::mcp::caller::Principal;
use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::Response;
use axum::routing::{any, get, post};
use http::{Request, StatusCode};
use std::sync::Arc;

/// Everything that is served. Who may come was decided before: each request carries its principal.
pub fn routes(front: Arc<Front>) -> Router {
    let legacy = front.listen.legacy_sse;
    let mut router = Router::new().route("/mcp", any(all)).route("/healthz", get(healthy));
    if legacy {
        router = router.route("/sse", get(open)).route("/messages", post(message));
    }
    router.fallback(nothing).with_state(front)
}

type Asking = Extension<Principal>;

async fn all(State(front): State<Arc<Front>>, Extension(who): Asking, request: Request<Body>) -> Response {
    front.handle(Arc::from("/mcp"), who, request).await
}

async fn open(State(front): State<Arc<Front>>, Extension(who): Asking, request: Request<Body>) -> Response {
    front.open_pipe(who, &request)
}

async fn message(
    State(front): State<Arc<Front>>,
    Extension(who): Asking,
    request: Request<Body>,
) -> Response {
    front.post_to_pipe(who, request).await
}

/// The process runs.
async fn healthy() -> &'static str {
    "ok\n"
}

async fn nothing() -> Response {
    replies::status(StatusCode::NOT_FOUND)
}
