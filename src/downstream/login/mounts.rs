//! Where pages are: at a listener that browsers reach, or on this machine, for as long as one of them is open.
//!
//! Owns their addresses, and the small listener of a page that has no other.

use super::pages::{Asks, Pages};
use super::proofs::{Proof, Proofs};
use crate::config::{Address, Auth, Listen};
use crate::hub::Hub;
use crate::hub::logins::{Logins, Mount};
use crate::mcp::caller::Principal;
use crate::upstream::oauth::{Answers, CALLBACK_PATH, CallbackEar, Desk, Placed, Port, Store, is_here, page};
use crate::wire::percent::encoded;
use axum::body::{Body, to_bytes};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Where people reach pages of a listener.
#[derive(Debug, PartialEq, Eq)]
pub enum Reached {
    /// At the listener itself, whose pages begin so.
    At(String),
    /// On this machine, where all of its clients are.
    Here,
    /// Nobody said how.
    Nowhere,
}

/// Pages of a listener.
pub struct AtListener {
    base: String,
    pages: Arc<Pages>,
}

/// Pages that only people at this machine reach.
pub struct OnThisMachine {
    pages: Arc<Pages>,
    tracker: TaskTracker,
    stopping: CancellationToken,
    ears: Arc<Semaphore>,
}

impl Reached {
    /// A browser on another machine must not be sent to one of its own, where anybody may ask for its person's token.
    pub fn of(listen: &Listen, addresses: &[Address]) -> Self {
        if let Some(url) = &listen.public_url {
            return Self::At(url.trim_end_matches('/').to_owned());
        }
        let provider = listen.oauth.as_ref().filter(|_| listen.auth == Auth::OAuth);
        if let Some(base) = provider.and_then(|oauth| oauth.resource.strip_suffix("/mcp")) {
            return Self::At(base.to_owned());
        }
        let is_local = |address: &Address| match address {
            Address::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Address::Unix(_) => false,
        };
        let is_passed_on = listen.trusted_proxy.is_some() || !listen.hosts.is_empty() || provider.is_some();
        if addresses.iter().all(is_local) && !is_passed_on { Self::Here } else { Self::Nowhere }
    }
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

    fn place(&self, id: &str, server: &str, _: Port) -> Option<Placed> {
        let base = &self.base;
        Some(Placed {
            page: format!("{base}{PAGES_PREFIX}{id}"),
            from_server: format!("{base}{PAGES_PREFIX}callback/{}", encoded(server)),
            from_sign_in: format!("{base}{PAGES_PREFIX}signed-in"),
            held: None,
        })
    }
}

impl OnThisMachine {
    /// Sends the clients of a run to pages on this machine.
    pub fn open(hub: &Arc<Hub>, store: Store, proofs: Proofs) {
        let desk = Arc::new(Desk::new(store));
        let pages = Arc::new(Pages::new(hub, desk.clone(), proofs, "http://localhost"));
        let (tracker, ears) = (TaskTracker::new(), Arc::new(Semaphore::new(EARS_MAX)));
        let mount = Self { pages, tracker, stopping: hub.stopping(), ears };
        hub.sends_to_pages(Logins { desk, mount: Box::new(mount) });
    }
}

impl Mount for OnThisMachine {
    fn knows(&self, whose: &Principal) -> bool {
        // No certificate is shown to a page without TLS, and no provider knows its place.
        matches!(self.pages.proofs().wanted(whose), Some(Proof::IsHere | Proof::Token))
    }

    fn place(&self, id: &str, _: &str, port: Port) -> Option<Placed> {
        let room = self.ears.clone().try_acquire_owned().ok()?;
        let ear = CallbackEar::bind(port)
            .inspect_err(|error| tracing::warn!(%error, "no page for a login"))
            .ok()?;
        let origin = ear.origin();
        let over = self.stopping.child_token();
        let (held, here) = (over.clone().drop_guard(), Arc::new(Here(self.pages.clone())));
        let placed = Placed {
            page: format!("{origin}{PAGES_PREFIX}{id}"),
            from_server: ear.redirect_uri(),
            from_sign_in: format!("{origin}{PAGES_PREFIX}signed-in"),
            held: Some(held),
        };
        self.tracker.spawn(async move {
            ear.serve_until(&here, over.cancelled()).await;
            drop(room);
        });
        Some(placed)
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
            let (whose, base) = (Principal::local(), format!("http://localhost:{port}"));
            let asks = Asks { head: &head, body: &body, whose: &whose, base: &base };
            match head.uri.path() {
                CALLBACK_PATH => self.0.come_back(&asks).await,
                path => match path.strip_prefix(PAGES_PREFIX) {
                    Some("signed-in") => self.0.come_back(&asks).await,
                    Some(id) => self.0.page(id, &asks).await,
                    None => nothing(),
                },
            }
        }
        .boxed()
    }
}

/// Where pages are, and below it where browsers come back to at a listener.
pub const PAGES_PREFIX: &str = "/login/";
/// A form is short.
pub(in crate::downstream) const FORM_BYTES_MAX: usize = 8 * 1024;
/// Pages on this machine that are open at once, each with a listener of its own.
const EARS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::IdentityProvider;
    use std::slice::from_ref;

    #[test]
    fn a_page_is_where_browsers_reach_it_and_else_nowhere() {
        let tcp = |text: &str| Address::Tcp(text.parse().unwrap());
        let (here, wide) = (tcp("127.0.0.1:2"), tcp("0.0.0.0:1"));
        let plain = Listen::default;
        let at = |text: &str| Reached::At(text.to_owned());
        assert_eq!(Reached::of(&plain(), &[here.clone(), tcp("[::1]:3")]), Reached::Here);
        for (listen, addresses) in [
            (plain(), vec![wide.clone()]),
            (plain(), vec![here.clone(), wide]),
            (plain(), vec![Address::Unix("/x".into())]),
            (Listen { trusted_proxy: Some("127.0.0.1".to_owned()), ..plain() }, vec![here.clone()]),
            (Listen { hosts: vec!["mcp.example.com".to_owned()], ..plain() }, vec![here.clone()]),
        ] {
            assert_eq!(Reached::of(&listen, &addresses), Reached::Nowhere, "{addresses:?}");
        }
        let named = Listen { public_url: Some("https://gw.example.com/a/".to_owned()), ..plain() };
        assert_eq!(Reached::of(&named, from_ref(&here)), at("https://gw.example.com/a"));
        let oauth = |resource: &str| Listen {
            auth: Auth::OAuth,
            oauth: Some(IdentityProvider::new("https://id.example.com", resource)),
            ..plain()
        };
        let (door, other) = (oauth("https://gw.example.com/b/mcp"), oauth("https://gw.example.com/tools"));
        assert_eq!(Reached::of(&door, from_ref(&here)), at("https://gw.example.com/b"));
        assert_eq!(Reached::of(&other, &[here]), Reached::Nowhere);
    }
}
