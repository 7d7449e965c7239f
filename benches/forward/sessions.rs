//! What it costs to find one session among many: a POST that asks for nothing, and one that names a session that is not there.
#![expect(clippy::expect_used, reason = "a bench that cannot run may fail loudly")]

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use criterion::Criterion;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use mcp_braid::config::Config;
use mcp_braid::downstream::edge::alarm::Alarm;
use mcp_braid::downstream::http::endpoint::{Front, Gate};
use mcp_braid::hub::Hub;
use mcp_braid::mcp::caller::{Grant, Principal};
use tokio_util::task::TaskTracker;

/// As many as there may be when nobody sets it.
const SESSIONS: usize = 1024;

/// The criterion groups of sessions.
pub(crate) fn groups(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let door = Door::new();
    let sessions = runtime.block_on(door.begin(SESSIONS));
    let mut group = criterion.benchmark_group("among 1024 sessions");
    group.sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(1));
    let known = &sessions[SESSIONS / 2];
    let unknown =
        HeaderValue::from_static("0000000000000000000000000000000000000000000000000000000000000000");
    for (name, id, status) in
        [("a note of one", known, StatusCode::ACCEPTED), ("an unknown one", &unknown, StatusCode::NOT_FOUND)]
    {
        group.bench_function(name, |bencher| {
            bencher.to_async(&runtime).iter(async || {
                let (said, _) = door.post(NOTE, Some(id)).await;
                assert_eq!(said, status);
            });
        });
    }
    group.finish();
}

/// The path at which they come, with no server behind it.
struct Door {
    front: Arc<Front>,
    gate: Gate,
    head: HeaderMap,
}

impl Door {
    fn new() -> Self {
        let config = Config::new("a bench", std::path::Path::new("/"));
        let listen = config.listen.clone();
        let hub = Hub::new(Arc::new(config), Vec::new(), "", TaskTracker::new());
        let gate = Gate { path: Arc::from("/mcp"), entrance: hub.entrance_all() };
        let mut head = HeaderMap::new();
        head.insert("content-type", HeaderValue::from_static("application/json"));
        head.insert("accept", HeaderValue::from_static("application/json, text/event-stream"));
        Self { front: Front::new(hub, listen, "", false, Principal::anonymous()), gate, head }
    }

    /// So many sessions, by their ids.
    async fn begin(&self, sessions: usize) -> Vec<HeaderValue> {
        let mut ids = Vec::new();
        for _ in 0..sessions {
            let (_, head) = self.post(INITIALIZE, None).await;
            ids.push(head.get(SESSION).expect("a session").clone());
        }
        ids
    }

    async fn post(&self, text: &'static str, session: Option<&HeaderValue>) -> (StatusCode, HeaderMap) {
        let mut request = Request::new(Body::from(Bytes::from_static(text.as_bytes())));
        *request.method_mut() = Method::POST;
        request.headers_mut().clone_from(&self.head);
        if let Some(session) = session {
            request.headers_mut().insert(SESSION, session.clone());
        }
        let answered = self
            .front
            .handle(&self.gate, Grant::plain(Principal::anonymous()), request, &Alarm::default())
            .await;
        (answered.status(), answered.into_parts().0.headers)
    }
}

const SESSION: &str = "mcp-session-id";
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
const NOTE: &str = r#"{"jsonrpc":"2.0","method":"notifications/x"}"#;
