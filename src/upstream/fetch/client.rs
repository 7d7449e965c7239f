//! Requests to one server: HTTP/1.1, over connections that are used again.
//!
//! Owns what a server must not decide: where a redirect may lead, and that nothing is kept but connections. No cookies, no
//! unpacking, no second try. Straight to the server a request goes over connections of ours (`pool`, `wire`), through a
//! proxy by reqwest (`through`).

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode, header};
use parking_lot::Mutex;
use reqwest::Url;

use super::address::{Address, Place};
use super::body::FetchBody;
use super::pool::Pool;
use super::preamble::{Common, write_head};
use super::proxies::Proxies;
use super::public::{Bounds, by_the_system};
use super::reach::{Reach, Unreached};
use super::reply::{Head, Heads};
use super::sentence::{no_answer, no_connection, place};
use super::through::Through;
use super::trust::trusting;
use super::wire::{Broken, Leaving, Unanswered, Wire};
use super::{Fetch, FetchError, FetchRequest, FetchResponse, REDIRECTS_MAX};
use crate::upstream::stderr::escaped;

/// A client for one server.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    pool: Pool,
    reach: Reach,
    proxies: Arc<Proxies>,
    /// There is one where there are proxies.
    through: Option<Through>,
    /// From where to where the last short body was led, if it was.
    led: Mutex<Option<(Address, Address)>>,
}

/// One request on its way, to one place.
pub(super) struct Going<'a> {
    pub(super) method: &'a Method,
    pub(super) place: &'a Place,
    pub(super) common: &'a Common,
    pub(super) headers: &'a HeaderMap,
    pub(super) leaving: Leaving,
}

impl Client {
    /// Trusts the system's roots and what is in `ca_file`, a PEM file. Reads both now, which blocks for some
    /// milliseconds. Connects to nothing yet.
    pub fn new(ca_file: Option<&Path>, proxies: Proxies) -> Result<Self, FetchError> {
        Self::within(Bounds::None, ca_file, proxies)
    }

    /// The same for URLs that others name: it connects to the public network alone. A proxy looks up names by itself;
    /// before one only addresses and the names of this machine are refused.
    pub fn to_public(ca_file: Option<&Path>, proxies: Proxies) -> Result<Self, FetchError> {
        Self::within(Bounds::Public { names: by_the_system() }, ca_file, proxies)
    }

    fn within(bounds: Bounds, ca_file: Option<&Path>, proxies: Proxies) -> Result<Self, FetchError> {
        let (tls, proxies) = (trusting(ca_file)?, Arc::new(proxies));
        let through = proxies.any().then(|| Through::new(tls.clone(), &proxies)).transpose()?;
        Ok(Self(Arc::new(Inner {
            pool: Pool::default(),
            reach: Reach::new(tls, bounds),
            proxies,
            through,
            led: Mutex::default(),
        })))
    }
}

impl Inner {
    async fn follow(self: Arc<Self>, request: FetchRequest) -> Result<FetchResponse, FetchError> {
        let FetchRequest { method, url: first, common, headers, mut body, mut departure } = request;
        let length = body.len();
        let mut url = if length > KEPT_BYTES_MAX { self.led_from(&first) } else { first.clone() };
        for _ in 0..=REDIRECTS_MAX {
            let place = url.place()?;
            if !self.reach.bounds().admit(place.url.host_str().unwrap_or_default()) {
                return Err(no_connection(&Unreached::OutOfBounds, &place.url));
            }
            // What is long is not kept to be sent twice: whoever gave it counts it as gone once it is written.
            let sent = if length > KEPT_BYTES_MAX { std::mem::take(&mut body) } else { body.clone() };
            let leaving = Leaving::new(sent, departure.take());
            let mut going = Going { method: &method, place, common: &common, headers: &headers, leaving };
            let response = match self.before(place) {
                Some(through) => Box::pin(through.send(going)).await?,
                None => self.send(&mut going).await?,
            };
            match redirect(&response, &place.url)? {
                Some(_) if length > KEPT_BYTES_MAX => {
                    let (here, code) = (&place.origin.shown, response.status.as_u16());
                    let why = "what is too long to be kept until then; change `url` to where it leads";
                    return Err(FetchError::Broken(format!("{here} redirects ({code}) {why}")));
                }
                Some(target) => url = Address::from(&target),
                None => {
                    if (1..=KEPT_BYTES_MAX).contains(&length) {
                        self.was_led(&first, &url);
                    }
                    return Ok(response);
                }
            }
        }
        let here = &url.place()?.origin.shown;
        Err(FetchError::Broken(format!("{here} redirects more than {REDIRECTS_MAX} times")))
    }

    /// What goes there through a proxy.
    fn before(&self, place: &Place) -> Option<&Through> {
        self.through.as_ref().filter(|_| self.proxies.before(&place.url).is_some())
    }

    /// Straight to the server. It is lent what it sends: every request in flight is as large as all that is kept of it.
    async fn send(&self, going: &mut Going<'_>) -> Result<FetchResponse, FetchError> {
        let Going { method, place, common, headers, ref mut leaving } = *going;
        let origin = &place.origin;
        loop {
            let (mut wire, is_new) = match self.pool.take(origin) {
                Some(wire) => (wire, false),
                None => (Box::pin(self.connected(place)).await?, true),
            };
            let length = leaving.body.len();
            let head = |into: &mut Vec<u8>| write_head(into, method, place, (common, headers), length);
            if !wire.take_up(head, std::mem::take(leaving)) {
                return Err(no_answer(&Broken::TakenBack, &origin.shown));
            }
            match wire.answer(Heads::to(method)).await {
                Ok(Head { status, fields: headers, rest, keeps }) => {
                    let body = FetchBody::over(wire, rest, keeps, &self.pool, origin);
                    return Ok(FetchResponse { status, headers, body });
                }
                // It ended while it waited, and nothing was sent.
                Err(Unanswered::Back(back)) if !is_new => *leaving = back,
                Err(Unanswered::Back(_)) => return Err(no_answer(&Broken::Closed, &origin.shown)),
                Err(Unanswered::Broken(broken)) => return Err(no_answer(&broken, &origin.shown)),
            }
        }
    }

    async fn connected(&self, place: &Place) -> Result<Wire, FetchError> {
        self.reach.wire(&place.origin).await.map_err(|unreached| no_connection(&unreached, &place.url))
    }

    /// Where a body is led from here, as far as is known.
    fn led_from(&self, first: &Address) -> Address {
        match &*self.led.lock() {
            Some((from, to)) if from == first => to.clone(),
            Some(_) | None => first.clone(),
        }
    }

    fn was_led(&self, first: &Address, last: &Address) {
        let mut led = self.led.lock();
        if first != last {
            *led = Some((first.clone(), last.clone()));
        } else if led.as_ref().is_some_and(|(from, _)| from == first) {
            *led = None;
        }
    }
}

impl Fetch for Client {
    fn fetch(&self, request: FetchRequest) -> BoxFuture<'static, Result<FetchResponse, FetchError>> {
        Box::pin(self.0.clone().follow(request))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("proxies", &self.0.proxies).finish_non_exhaustive()
    }
}

/// Where a redirect leads, if the answer is one. Only one that keeps method and body, and only within one
/// origin: anything else would hand our headers to somebody whom nobody configured, or lose the request.
fn redirect(response: &FetchResponse, from: &Url) -> Result<Option<Url>, FetchError> {
    let status = response.status;
    let keeps = [StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT].contains(&status);
    let loses = [StatusCode::MOVED_PERMANENTLY, StatusCode::FOUND, StatusCode::SEE_OTHER].contains(&status);
    if !keeps && !loses {
        return Ok(None);
    }
    let (here, code) = (place(from), status.as_u16());
    let location = response.headers.text(&header::LOCATION);
    let Some(mut target) = location.and_then(|location| from.join(location).ok()) else {
        return Err(FetchError::Broken(format!("{here} redirects ({code}) and does not say where")));
    };
    target.set_fragment(None);
    let origin = origin(&target);
    if origin != self::origin(from) || !target.username().is_empty() || target.password().is_some() {
        let why = "that is not where `url` points; if it is right, change `url`";
        return Err(FetchError::Broken(format!("{here} redirects ({code}) to {origin}; {why}")));
    }
    if loses {
        let path = escaped(target.path());
        let why = "which would lose what is sent; if it is right, change `url`";
        return Err(FetchError::Broken(format!("{here} redirects ({code}) to {origin}{path}, {why}")));
    }
    Ok(Some(target))
}

fn origin(url: &Url) -> String {
    format!("{}://{}", url.scheme(), place(url))
}

/// A longer body is not kept for a redirect.
const KEPT_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests;
