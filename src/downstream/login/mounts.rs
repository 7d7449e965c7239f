//! Where pages are: at a listener that is there anyway, or on this machine, for as long as one of them is open.
//!
//! Owns their addresses, and the small listener of a page that has no other.

use super::pages::{Asks, Pages};
use super::proofs::Proofs;
use crate::config::{Address, Auth, Listen};
use crate::hub::Hub;
use crate::hub::logins::{Logins, Mount};
use crate::mcp::caller::Principal;
use crate::upstream::oauth::{Answers, CALLBACK_PATH, CallbackEar, Desk, Placed, Store, is_here, page};
use axum::body::{Body, to_bytes};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use std::net::IpAddr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Pages of a listener.
pub struct AtListener {
    base: String,
    pages: Arc<Pages>,
}

/// Pages that only people at this machine reach, for a client that is a program of the same person.
pub struct OnThisMachine {
    pages: Arc<Pages>,
    tracker: TaskTracker,
    stopping: CancellationToken,
}

/// What pages of a listener begin with, as browsers write it. `None`: nobody said how browsers reach it.
pub fn base(listen: &Listen, addresses: &[Address]) -> Option<String> {
    if let Some(url) = &listen.public_url {
        return Some(url.trim_end_matches('/').to_owned());
    }
    if let Some(oauth) = listen.oauth.as_ref().filter(|_| listen.auth == Auth::OAuth) {
        return oauth.resource.strip_suffix("/mcp").map(str::to_owned);
    }
    let scheme = if listen.tls.is_some() { "https" } else { "http" };
    addresses.iter().find_map(|address| match address {
        Address::Tcp(address) if address.ip().to_canonical().is_loopback() => {
            let host = match address.ip() {
                IpAddr::V4(ip) if ip.octets() == [127, 0, 0, 1] => "localhost".to_owned(),
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(_) => "localhost".to_owned(),
            };
            Some(format!("{scheme}://{host}:{}", address.port()))
        }
        Address::Tcp(_) | Address::Unix(_) => None,
    })
}

impl AtListener {
    /// Sends the clients of a run to pages that its listener has from now on.
    pub fn open(hub: &Arc<Hub>, store: Store, proofs: Proofs, base: String) -> Arc<Pages> {
        let desk = Arc::new(Desk::new(store));
        let pages = Arc::new(Pages::new(hub, desk.clone(), proofs, &base));
        hub.sends_to_pages(Logins { desk, mount: Box::new(Self { base, pages: pages.clone() }) });
        pages
    }
}

impl Mount for AtListener {
    fn knows(&self, whose: &Principal) -> bool {
        self.pages.proofs().wanted(whose).is_some()
    }

    fn place(&self, id: &str, _: u16) -> Option<Placed> {
        let page = format!("{}{PAGES_PREFIX}{id}", self.base);
        let redirect_uri = format!("{}{BACK}", self.base);
        Some(Placed { page, redirect_uri, held: None })
    }
}

impl OnThisMachine {
    /// Sends the client of a run to pages on this machine.
    pub fn open(hub: &Arc<Hub>, store: Store) {
        let desk = Arc::new(Desk::new(store));
        let pages = Arc::new(Pages::new(hub, desk.clone(), Proofs::here(), "http://localhost"));
        let mount = Self { pages, tracker: TaskTracker::new(), stopping: hub.stopping() };
        hub.sends_to_pages(Logins { desk, mount: Box::new(mount) });
    }
}

impl Mount for OnThisMachine {
    fn knows(&self, whose: &Principal) -> bool {
        self.pages.proofs().wanted(whose).is_some()
    }

    fn place(&self, id: &str, port: u16) -> Option<Placed> {
        let ear = CallbackEar::bind(port).or_else(|_| CallbackEar::bind(0));
        let ear = ear.inspect_err(|error| tracing::warn!(%error, "no page for a login")).ok()?;
        let (page, redirect_uri) = (format!("{}{PAGES_PREFIX}{id}", ear.origin()), ear.redirect_uri());
        let over = self.stopping.child_token();
        let (held, pages) = (over.clone().drop_guard(), self.pages.clone());
        self.tracker.spawn(async move {
            let here = Arc::new(Here(pages));
            ear.serve_until(&here, over.cancelled()).await;
        });
        Some(Placed { page, redirect_uri, held: Some(held) })
    }
}

/// Answers what comes to the listener of a page.
struct Here(Arc<Pages>);

impl Answers for Here {
    fn answer(self: Arc<Self>, request: Request<Incoming>, port: u16) -> BoxFuture<'static, Response<Body>> {
        async move {
            let nothing = || page(StatusCode::NOT_FOUND, "<p>There is nothing here.</p>");
            if !is_here(&request, port) {
                return nothing();
            }
            let (head, body) = request.into_parts();
            let Ok(body) = to_bytes(Body::new(body), FORM_BYTES_MAX).await else {
                return page(StatusCode::PAYLOAD_TOO_LARGE, "<p>That is too much.</p>");
            };
            let whose = Principal::local();
            let asks = Asks { head: &head, body: &body, whose: &whose };
            match head.uri.path() {
                CALLBACK_PATH => self.0.come_back(&asks).await,
                path => match path.strip_prefix(PAGES_PREFIX) {
                    Some(id) => self.0.page(id, &asks).await,
                    None => nothing(),
                },
            }
        }
        .boxed()
    }
}

/// Where pages are, and where browsers come back to at a listener.
pub const PAGES_PREFIX: &str = "/login/";
const BACK: &str = "/login/callback";
/// A form is short.
pub(in crate::downstream) const FORM_BYTES_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::IdentityProvider;

    #[test]
    fn a_page_is_where_browsers_reach_it() {
        let tcp = |text: &str| Address::Tcp(text.parse().unwrap());
        let here = [tcp("0.0.0.0:1"), tcp("127.0.0.1:2")];
        let plain = Listen::default();
        assert_eq!(base(&plain, &here).as_deref(), Some("http://localhost:2"));
        assert_eq!(base(&plain, &[tcp("[::1]:3")]).as_deref(), Some("http://localhost:3"));
        assert_eq!(base(&plain, &[tcp("127.0.0.9:3")]).as_deref(), Some("http://127.0.0.9:3"));
        assert_eq!(base(&plain, &[tcp("0.0.0.0:1"), Address::Unix("/x".into())]), None);
        let named = Listen { public_url: Some("https://gw.example.com/a/".to_owned()), ..Listen::default() };
        assert_eq!(base(&named, &here).as_deref(), Some("https://gw.example.com/a"));
        let oauth = |resource: &str| Listen {
            auth: Auth::OAuth,
            oauth: Some(IdentityProvider::new("https://id.example.com", resource)),
            ..Listen::default()
        };
        assert_eq!(
            base(&oauth("https://gw.example.com/b/mcp"), &here).as_deref(),
            Some("https://gw.example.com/b")
        );
        assert_eq!(base(&oauth("https://gw.example.com/tools"), &here), None);
    }
}
