//! The routes: which servers a path leads to.

use super::endpoint::{Front, Gate};
use super::replies;
use super::term::{self, Term};
use crate::downstream::edge::alarm::Alarm;
use crate::downstream::edge::content::{Content, Response};
use crate::downstream::edge::guard::Admitted;
use crate::downstream::edge::serve::{Asking, Serve};
use crate::downstream::login::{Asks, FORM_BYTES_MAX};
use crate::downstream::oauth::resource::WELL_KNOWN;
use crate::hub::entrance::Entrance;
use crate::hub::readiness::Readiness;
use crate::wire::members::quote;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::routing::{any, get, post};
use futures::FutureExt;
use futures::future::Either;
use http::request::Parts;
use http::{Method, Request, StatusCode};
use std::sync::Arc;
use tokio::time::timeout;

/// Everything that is served. Who may come was decided before: each request carries its leave.
pub struct Routes {
    front: Arc<Front>,
    /// The way to all servers, which hardly any client leaves.
    all: Gate,
    others: Router,
}

impl Routes {
    pub fn new(front: Arc<Front>) -> Self {
        let all = Gate { path: Arc::from("/mcp"), entrance: front.hub.entrance_all() };
        Self { all, others: others(front.clone()), front }
    }
}

impl Serve for Routes {
    fn serve<'a, B: Asking>(
        &'a self,
        who: Admitted,
        head: Parts,
        body: B,
        alarm: &'a Alarm,
    ) -> impl Future<Output = Response> + Send {
        let is_to_all = head.uri.path() == &*self.all.path;
        let term = who.ends.filter(|_| term::listens(&head)).map(|ends| Term::new(Some(ends)));
        if is_to_all && head.method == Method::POST && term.is_none() {
            return Either::Left(self.front.post(&self.all, who.grant(), head.headers, body, alarm));
        }
        // On the heap: it is seldom needed, and large.
        let other = async move {
            // Whose stream is a session bounds it by itself.
            let term = term.filter(|_| head.uri.path() != SSE);
            let answer = match is_to_all {
                true => {
                    self.front.handle(&self.all, who.grant(), Request::from_parts(head, body), alarm).await
                }
                false => self.others.serve(who, head, body, alarm).await,
            };
            match term {
                Some(term) => term.bounds(answer),
                None => answer,
            }
        };
        Either::Right(other.boxed())
    }
}

fn others(front: Arc<Front>) -> Router {
    let mut router = Router::new()
        .route("/mcp/{group}", any(group))
        .route("/servers/{server}/mcp", any(server))
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready));
    if front.pages.get().is_some() {
        router = router
            .route("/login/callback/{server}", any(come_back))
            .route("/login/signed-in", any(come_back))
            .route("/login/{id}", any(page));
    }
    if front.resource.is_some() {
        router =
            router.route(WELL_KNOWN, get(metadata)).route(&format!("{WELL_KNOWN}/{{*door}}"), get(metadata));
    }
    if front.listen.legacy_sse {
        router = router.route(SSE, any(open)).route("/messages", post(message));
    }
    router.fallback(nothing).with_state(front)
}

type Who = Extension<Admitted>;
/// A part of the path; what is no text is nobody's name.
type Name = Result<Path<String>, PathRejection>;

async fn group(
    State(front): State<Arc<Front>>,
    name: Name,
    Extension(who): Who,
    request: Request<Body>,
) -> Response {
    let entrance = name.ok().and_then(|Path(name)| front.hub.entrance_group(&name));
    enter(front, entrance, who, request).await
}

async fn server(
    State(front): State<Arc<Front>>,
    key: Name,
    Extension(who): Who,
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
    let grant = who.grant();
    // A door by which somebody may use nothing is none to them.
    match entrance.filter(|entrance| front.hub.admits(entrance, &grant)) {
        Some(entrance) => {
            let gate = Gate { path: Arc::from(request.uri().path()), entrance };
            front.handle(&gate, grant, request, &Alarm::default()).await
        }
        None => nothing().await,
    }
}

async fn open(State(front): State<Arc<Front>>, Extension(who): Who, request: Request<Body>) -> Response {
    let term = Term::new(who.ends);
    front.open_pipe(who.grant(), term, &request)
}

async fn message(State(front): State<Arc<Front>>, Extension(who): Who, request: Request<Body>) -> Response {
    let ends = who.ends;
    front.post_to_pipe(who.grant(), ends, request).await
}

/// A page on which somebody logs in.
async fn page(
    State(front): State<Arc<Front>>,
    id: Name,
    Extension(who): Who,
    request: Request<Body>,
) -> Response {
    let (Some(pages), Ok(Path(id))) = (front.pages.get(), id) else { return nothing().await };
    let (head, body) = request.into_parts();
    let Ok(body) = timeout(front.listen.limits.body_within, to_bytes(body, FORM_BYTES_MAX)).await else {
        return replies::status(StatusCode::REQUEST_TIMEOUT);
    };
    let Ok(body) = body else { return replies::status(StatusCode::PAYLOAD_TOO_LARGE) };
    let asks = Asks { head: &head, body: &body, whose: &who.principal, base: pages.base() };
    pages.page(&id, &asks).await.map(Content::Flowing)
}

/// Where the browser comes back to.
async fn come_back(State(front): State<Arc<Front>>, Extension(who): Who, request: Request<Body>) -> Response {
    let Some(pages) = front.pages.get() else { return nothing().await };
    let (head, _) = request.into_parts();
    let asks = Asks { head: &head, body: &[], whose: &who.principal, base: pages.base() };
    pages.come_back(&asks).await.map(Content::Flowing)
}

/// Who makes the tokens that we ask for. For everybody.
async fn metadata(State(front): State<Arc<Front>>, request: Request<Body>) -> Response {
    let metadata = front.resource.as_ref().and_then(|resource| resource.metadata(request.uri().path()));
    match metadata {
        Some(metadata) => replies::json(StatusCode::OK, metadata.into()),
        None => nothing().await,
    }
}

/// The process runs.
async fn healthy() -> &'static str {
    "ok\n"
}

/// Whether it is time to send clients here. Which servers are awaited is no secret's business: their names are not told,
/// because nobody shows a token here.
async fn ready(State(front): State<Arc<Front>>) -> Response {
    // Where nobody knows who will come, everybody's servers are started when he does.
    let readiness = front.warmed.as_ref().map(|warmed| front.hub.readiness(warmed));
    let Readiness { stopping, awaited, missing } = readiness.unwrap_or_default();
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

/// Where clients of 2024-11-05 listen.
const SSE: &str = "/sse";
