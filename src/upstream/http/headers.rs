//! The headers that the configuration gives to every request of one connection.
//!
//! Owns those that are written and those that a program makes; of the latter, when they are made anew: after a server has
//! refused what it had taken before, by one at a time and not too often. What a refusal means otherwise, others decide.

use super::super::fetch::headers_of;
use super::super::process::Nursery;
use crate::config::codes::Code;
use crate::config::{Command, Remote, Secret};
use crate::wire::fault::{Fault, Reason};
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Where the configured headers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credentials {
    /// They are what they are.
    Written,
    /// The same, and a login may stand beside them.
    Login,
    /// A program makes them.
    Made,
}

/// The headers of one connection.
pub(super) struct Headers {
    server: String,
    written: Vec<(String, Secret)>,
    command: Option<Command>,
    may_log_in: bool,
    /// Where the program runs.
    nursery: Nursery,
    worn: Mutex<Arc<Worn>>,
    /// When they were to be made anew last.
    renewed_at: Mutex<Option<Instant>>,
    /// One program at a time.
    renewing: Semaphore,
}

/// What requests wear for a while.
pub(super) struct Worn {
    headers: HeaderMap,
    /// The server has answered something else than that it wants others.
    accepted: AtomicBool,
}

/// What can be done when a server wants other credentials.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    /// There are others by now.
    Done,
    /// Nothing, or nothing yet.
    None,
    /// The program failed, in these words.
    Failed(String),
    /// Those that were made for that reason are refused too.
    InVain,
}

impl Headers {
    /// Runs the program, if there is one.
    pub(super) async fn make(server: &str, remote: &Remote, nursery: &Nursery) -> Result<Self, Fault> {
        let headers = Self {
            server: server.to_owned(),
            written: remote.headers.clone(),
            command: remote.headers_command.clone(),
            may_log_in: remote.oauth.is_some(),
            nursery: nursery.clone(),
            worn: Mutex::new(Arc::new(Worn::new(HeaderMap::new()))),
            renewed_at: Mutex::new(None),
            renewing: Semaphore::new(1),
        };
        let made = headers.made().await;
        let made = made.map_err(|why| {
            Fault::ours(Reason::Unreachable, format!("{server}: {why}")).explained(Code::NoHeaders)
        })?;
        *headers.worn.lock() = Arc::new(made);
        Ok(headers)
    }

    pub(super) fn credentials(&self) -> Credentials {
        match self.command {
            Some(_) => Credentials::Made,
            None if self.may_log_in => Credentials::Login,
            None => Credentials::Written,
        }
    }

    /// What a request wears now.
    pub(super) fn worn(&self) -> Arc<Worn> {
        self.worn.lock().clone()
    }

    /// The server wants other credentials than these. `others`: how many requests wait for it beside what was refused.
    pub(super) async fn refused(&self, worn: &Arc<Worn>, others: usize) -> Renewal {
        if self.command.is_none() {
            return Renewal::None;
        }
        let Ok(_one) = self.renewing.acquire().await else { return Renewal::None };
        if !Arc::ptr_eq(&self.worn(), worn) {
            return Renewal::Done;
        }
        let renewed_at = *self.renewed_at.lock();
        match (worn.accepted.load(Ordering::Acquire), renewed_at) {
            // Whoever greets is told so, and begins anew with others when it is time.
            (false, None) => return Renewal::None,
            // Those who still wait may be answered all the same: it may be this request alone that is refused.
            (false, Some(_)) if others == 0 => return Renewal::InVain,
            (true | false, Some(at)) if at.elapsed() < BETWEEN_RENEWALS => return Renewal::None,
            (true | false, Some(_)) | (true, None) => {}
        }
        *self.renewed_at.lock() = Some(Instant::now());
        match self.made().await {
            Ok(made) => {
                tracing::info!(server = self.server, "its credentials are made anew");
                *self.worn.lock() = Arc::new(made);
                Renewal::Done
            }
            Err(why) => Renewal::Failed(why),
        }
    }

    async fn made(&self) -> Result<Worn, String> {
        let made = match &self.command {
            Some(command) => {
                let made = headers_of(command, &self.server, &self.nursery).await;
                made.map_err(|error| error.to_string())?
            }
            None => Vec::new(),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in self.written.iter().chain(&made) {
            let (name, mut value) = header(name, value.expose())
                .ok_or_else(|| format!("the header `{}` cannot be sent", name.escape_debug()))?;
            value.set_sensitive(true);
            // What a program makes stands for what is written.
            headers.insert(name, value);
        }
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(PROGRAM));
        Ok(Worn::new(headers))
    }
}

impl Worn {
    fn new(headers: HeaderMap) -> Self {
        Self { headers, accepted: AtomicBool::new(false) }
    }

    /// The server has taken them.
    pub(super) fn accepted(&self) {
        self.accepted.store(true, Ordering::Release);
    }

    /// Their values, but for those that are no secrets of anybody.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let values = self.headers.values().filter(|value| value.is_sensitive());
        values.filter_map(|value| value.to_str().ok()).map(Secret::new).collect()
    }

    /// Puts them beside those of the protocol, which stand.
    pub(super) fn put_on(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.entry(name).or_insert_with(|| value.clone());
        }
    }
}

fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?))
}

/// How we name ourselves where the configuration does not: some servers turn away who has no name.
const PROGRAM: &str = concat!("braid/", env!("CARGO_PKG_VERSION"));
/// The shortest time from one renewal to the next.
const BETWEEN_RENEWALS: Duration = Duration::from_secs(5);
