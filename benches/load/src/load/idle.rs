//! What sessions cost that do nothing.
//!
//! Owns the sessions until the memory was read, and ends them then. The connections on which they are opened are closed before
//! it is read; only the streams, if they are wanted, stay.

use super::Failure;
use super::args::Idle;
use super::endpoint::{Endpoint, all, broken};
use super::http;
use super::processes::Trees;
use super::report::{IdleReport, hundredths, tenths};
use crate::body::Body;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::header::HeaderMap;
use hyper::{Method, Response};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// A session, and its stream if it has one.
struct Open {
    head: HeaderMap,
    _stream: Option<(SendRequest<Body>, Response<Incoming>)>,
}

pub async fn run(args: Idle) -> Result<IdleReport, Failure> {
    let trees = Trees::new(args.pids.clone(), args.excluded.clone());
    let endpoint = Arc::new(Endpoint::parse(&args.http, &args.headers)?);
    let before = trees.read()?;
    let start = Instant::now();
    let tasks: Vec<_> = (0..OPENERS)
        .map(|number| {
            let count = args.sessions / OPENERS + usize::from(number < args.sessions % OPENERS);
            let patience = Duration::from_secs_f64(args.patience);
            tokio::spawn(open(endpoint.clone(), count, args.listen, patience))
        })
        .collect();
    let mut sessions = Vec::new();
    for task in tasks {
        sessions.extend(task.await.map_err(|error| Failure::new(error.to_string()))??);
    }
    let opening = start.elapsed();
    sleep(Duration::from_secs_f64(args.seconds)).await;
    let after = trees.read()?;
    let grown = after.rss_kib as f64 - before.rss_kib as f64;
    let report = IdleReport {
        sessions: sessions.len(),
        seconds_to_open: hundredths(opening.as_secs_f64()),
        rss_before_kib: before.rss_kib,
        rss_after_kib: after.rss_kib,
        per_session_bytes: tenths(grown * 1024.0 / sessions.len().max(1) as f64),
    };
    end(&endpoint, sessions).await?;
    Ok(report)
}

async fn open(
    endpoint: Arc<Endpoint>,
    count: usize,
    listen: bool,
    patience: Duration,
) -> Result<Vec<Open>, Failure> {
    let mut sessions = Vec::with_capacity(count);
    if count == 0 {
        return Ok(sessions);
    }
    let mut sender = endpoint.connect().await?;
    for _ in 0..count {
        let late = |_| Failure::new("a session was not opened in time");
        let head = timeout(patience, http::greet(&mut sender, &endpoint)).await.map_err(late)??;
        let stream = match listen {
            true => Some(timeout(patience, stream(&endpoint, &head)).await.map_err(late)??),
            false => None,
        };
        sessions.push(Open { head, _stream: stream });
    }
    Ok(sessions)
}

async fn stream(
    endpoint: &Endpoint,
    head: &HeaderMap,
) -> Result<(SendRequest<Body>, Response<Incoming>), Failure> {
    let mut sender = endpoint.connect().await?;
    let mut headers = head.clone();
    headers.extend(endpoint.listening());
    let request = endpoint.request(Method::GET, headers, Bytes::new());
    let response = sender.send_request(request).await.map_err(broken)?;
    if !response.status().is_success() {
        return Err(Failure::new(format!("a stream was answered with {}", response.status())));
    }
    Ok((sender, response))
}

/// Not a part of what is measured; a server need not know how to end a session.
async fn end(endpoint: &Endpoint, sessions: Vec<Open>) -> Result<(), Failure> {
    let mut sender = endpoint.connect().await?;
    for session in sessions {
        sender.ready().await.map_err(broken)?;
        let request = endpoint.request(Method::DELETE, session.head, Bytes::new());
        let response = sender.send_request(request).await.map_err(broken)?;
        all(&mut response.into_body()).await?;
    }
    Ok(())
}

/// How many sessions are opened at once.
const OPENERS: usize = 8;
