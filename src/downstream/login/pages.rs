//! The answers to a browser.
//!
//! Owns the order: what is asked for is shown, then proven, then the browser is sent out, and what it brings back counts in that
//! browser alone. Nothing changes before a form is sent from our own page.

use super::proofs::{Proof, Proofs};
use super::words;
use crate::hub::Hub;
use crate::mcp::caller::Principal;
use crate::upstream::oauth::{Came, Desk, Sent, Unwanted, Wish};
use axum::body::Body;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use reqwest::Url;
use std::sync::{Arc, Weak};

/// Answers browsers.
pub struct Pages {
    hub: Weak<Hub>,
    desk: Arc<Desk>,
    proofs: Proofs,
    /// They are reached over TLS.
    is_secure: bool,
}

/// What a browser asks, of which it is known by now that it means us.
pub struct Asks<'a> {
    pub head: &'a Parts,
    pub body: &'a [u8],
    /// Which principal the connection itself proves.
    pub whose: &'a Principal,
}

impl Pages {
    /// `base`: what all pages begin with.
    pub fn new(hub: &Arc<Hub>, desk: Arc<Desk>, proofs: Proofs, base: &str) -> Self {
        let is_secure = base.starts_with("https://");
        Self { hub: Arc::downgrade(hub), desk, proofs, is_secure }
    }

    pub fn proofs(&self) -> &Proofs {
        &self.proofs
    }

    /// The page with this id.
    pub async fn page(&self, id: &str, asks: &Asks<'_>) -> Response<Body> {
        let Some(wish) = self.desk.wish(id) else { return words::over() };
        let Some(proof) = self.proofs.wanted(&wish.asked) else { return words::over() };
        match asks.head.method {
            Method::GET | Method::HEAD => words::asking(&wish, proof, None),
            Method::POST if !is_sent_from_here(&asks.head.headers) => words::not_from_here(),
            Method::POST => self.agreed(id, &wish, proof, asks).await,
            _ => status(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    async fn agreed(&self, id: &str, wish: &Wish, proof: Proof, asks: &Asks<'_>) -> Response<Body> {
        let wrong = |note: &str| {
            self.desk.is_not_who_was_asked(id);
            tracing::warn!(event = "login", server = wish.server, "somebody else opened the page of a login");
            words::asking(wish, proof, Some(note))
        };
        match proof {
            Proof::IsHere => {}
            Proof::Certificate if asks.whose == &wish.asked => {}
            Proof::Certificate => return wrong("This browser has shown another certificate, or none."),
            Proof::Token if self.proofs.is_token_of(&field(asks.body, "token"), &wish.asked) => {}
            Proof::Token => return wrong("This is not the token."),
            Proof::SignIn => {
                let Some(sign_in) = self.proofs.sign_in() else { return words::over() };
                let sent = self.desk.sign_in(id, sign_in).await;
                return self.sends(id, wish, sent, &asks.head.uri.to_string());
            }
        }
        self.sends(id, wish, self.desk.begin(id).await, &asks.head.uri.to_string())
    }

    fn sends(&self, id: &str, wish: &Wish, sent: Result<Sent, String>, again: &str) -> Response<Body> {
        let Sent { url, browser } = match sent {
            Ok(sent) => sent,
            Err(why) => return words::failed(&wish.server, &why, again),
        };
        let secure = if self.is_secure { "; Secure" } else { "" };
        let cookie = format!(
            "{}{}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age=600{secure}",
            self.cookie(),
            id.get(..COOKIE_ID_CHARS).unwrap_or_default(),
            browser.expose(),
        );
        let (Ok(url), Ok(mut cookie)) = (HeaderValue::try_from(url.as_str()), HeaderValue::try_from(cookie))
        else {
            return words::failed(&wish.server, "names a page that cannot be opened", again);
        };
        cookie.set_sensitive(true);
        let mut response = status(StatusCode::SEE_OTHER);
        let headers = response.headers_mut();
        headers.insert(header::LOCATION, url);
        headers.insert(header::SET_COOKIE, cookie);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        response
    }

    /// Where the browser comes back to.
    pub async fn come_back(&self, asks: &Asks<'_>) -> Response<Body> {
        if asks.head.method != Method::GET {
            return status(StatusCode::METHOD_NOT_ALLOWED);
        }
        let browsers = self.browsers(&asks.head.headers);
        let query = asks.head.uri.query().unwrap_or_default();
        match self.desk.come_back(&browsers, query).await {
            Ok(Came::LoggedIn(finished)) => {
                if let Some(hub) = self.hub.upgrade() {
                    hub.has_login(&finished.wish.server);
                }
                let wish = finished.wish.clone();
                finished.tell();
                words::logged_in(&wish)
            }
            Ok(Came::SignedIn { id, page, token }) => {
                let Some(wish) = self.desk.wish(&id) else { return words::over() };
                if !self.proofs.is_signed_in(token.expose(), &wish.asked).await {
                    self.desk.is_not_who_was_asked(&id);
                    let why =
                        format!("its login is for `{}`, and you are somebody else", wish.asked.as_str());
                    return words::failed(&wish.server, &why, &page);
                }
                self.sends(&id, &wish, self.desk.begin(&id).await, &page)
            }
            Err(Unwanted::Unknown) => words::over(),
            Err(Unwanted::Failed { server, why, page }) => words::failed(&server, &why, &page),
        }
    }

    /// What this browser was given when it was sent out.
    fn browsers<'h>(&self, headers: &'h HeaderMap) -> Vec<&'h str> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let ours = pairs.filter(|(name, _)| name.starts_with(self.cookie()));
        ours.map(|(_, value)| value).take(COOKIES_MAX).collect()
    }

    /// What the names of our cookies begin with. The first lets no other host set one (RFC 6265bis, 4.1.3.2).
    fn cookie(&self) -> &'static str {
        if self.is_secure { "__Host-braid-login-" } else { "braid-login-" }
    }
}

/// Whether a form was sent from a page of the host that is asked. Every browser says where a form comes from.
pub(in crate::downstream) fn is_sent_from_here(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    match (origin, text(header::HOST)) {
        (Some((_, origin)), Some(host)) => origin.eq_ignore_ascii_case(host),
        (Some(_), None) | (None, _) => false,
    }
}

/// A field of a form; empty if there is none, or more than one.
fn field(form: &[u8], name: &str) -> String {
    let form = String::from_utf8_lossy(form);
    let Ok(form) = Url::parse(&format!("form:?{form}")) else { return String::new() };
    let mut values = form.query_pairs().filter(|(key, _)| key == name);
    match (values.next(), values.next()) {
        (Some((_, value)), None) => value.trim().to_owned(),
        (Some(_), Some(_)) | (None, _) => String::new(),
    }
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// How much of a page's id tells its cookie from that of another page.
const COOKIE_ID_CHARS: usize = 8;
/// Cookies of ours that are looked at.
const COOKIES_MAX: usize = 16;
