//! The answers to a browser.
//!
//! Owns the order: what is asked for is shown, then proven, then the browser is sent out, and what it brings back counts in that
//! browser alone. Nothing changes before a form is sent from our own page.

use super::proofs::{Proof, Proofs};
use super::words;
use crate::config::Secret;
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
        let cookie = HeaderValue::try_from(self.given(id, &browser));
        let (Ok(url), Ok(mut cookie)) = (HeaderValue::try_from(url.as_str()), cookie) else {
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

    /// What a browser is given that is sent out. It comes with it from the issuer, but with no form of another site.
    fn given(&self, id: &str, browser: &Secret) -> String {
        let (name, page) = (self.cookie(), id.get(..COOKIE_ID_CHARS).unwrap_or_default());
        let secure = if self.is_secure { "; Secure" } else { "" };
        format!("{name}{page}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age=600{secure}", browser.expose())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ClientCertificates, Listen, OAuth, Tls};
    use crate::upstream::oauth::{Placed, Store};
    use http::Request;

    /// Pages of a listener that asks for certificates, and the id of one, for `ann`.
    fn pages(folder: &tempfile::TempDir, base: &str) -> (Pages, String) {
        let desk = Arc::new(Desk::new(Store::at(folder.path().join("logins.json"))));
        let wish = Wish {
            server: "far".to_owned(),
            // Nobody is there.
            url: Url::parse("http://127.0.0.1:1/mcp").unwrap(),
            oauth: OAuth::default(),
            ca_file: None,
            whose: "cert:ann".to_owned(),
            asked: Principal::certificate("ann"),
        };
        let place =
            |id: &str, _| Some(Placed { page: id.to_owned(), redirect_uri: String::new(), held: None });
        let id = desk.open(wish, place).unwrap().page().to_owned();
        let clients = ClientCertificates { ca: "ca.pem".into(), are_required: false };
        let tls = Tls { cert: "c.pem".into(), key: "k.pem".into(), clients: Some(clients) };
        let proofs = Proofs::of(&Listen { tls: Some(tls), ..Listen::default() }, None, None);
        (Pages { hub: Weak::new(), desk, proofs, is_secure: base.starts_with("https") }, id)
    }

    fn head(method: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri("/login/x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    async fn status(pages: &Pages, id: &str, head: &Parts, whose: &Principal) -> u16 {
        pages.page(id, &Asks { head, body: b"", whose }).await.status().as_u16()
    }

    #[tokio::test]
    async fn a_page_of_somebody_with_a_certificate_wants_that_one() {
        let folder = tempfile::tempdir().unwrap();
        let (pages, id) = pages(&folder, "https://gw.test");
        let post = head("POST", &[("host", "gw.test"), ("origin", "https://gw.test")]);
        for other in [Principal::anonymous(), Principal::certificate("bob"), Principal::bearer()] {
            assert_eq!(status(&pages, &id, &head("GET", &[]), &other).await, 200);
            assert_eq!(status(&pages, &id, &post, &other).await, 403, "{other:?}");
        }
        let ann = Principal::certificate("ann");
        assert_eq!(
            status(&pages, &id, &post, &ann).await,
            502,
            "the server is not there, and would be asked"
        );
        let elsewhere = head("POST", &[("host", "gw.test"), ("origin", "https://other.test")]);
        assert_eq!(status(&pages, &id, &elsewhere, &ann).await, 403);
        assert_eq!(status(&pages, "0", &post, &ann).await, 404);
    }

    #[test]
    fn a_browser_brings_back_what_it_was_given() {
        let folder = tempfile::tempdir().unwrap();
        for (base, secure) in [("https://gw.test", true), ("http://localhost:1", false)] {
            let (pages, id) = pages(&folder, base);
            let given = pages.given(&id, &Secret::new("s3cret"));
            assert!(given.contains("; Path=/; HttpOnly; SameSite=Lax;"), "{given}");
            assert_eq!(
                (given.starts_with("__Host-"), given.ends_with("; Secure")),
                (secure, secure),
                "{given}"
            );
            let (pair, _) = given.split_once(';').unwrap();
            let many = format!("a=b; {pair};other=x; {}zz=other", pages.cookie());
            assert_eq!(pages.browsers(&head("GET", &[("cookie", &many)]).headers), ["s3cret", "other"]);
            let endless = format!("{}x=1; ", pages.cookie()).repeat(99);
            assert_eq!(pages.browsers(&head("GET", &[("cookie", &endless)]).headers).len(), COOKIES_MAX);
        }
    }

    #[test]
    fn a_form_is_read_as_browsers_write_it() {
        assert_eq!(field(b"token=a%2Bb+c&x=1", "token"), "a+b c");
        for none in [&b""[..], b"token", b"token=", b"token=a&token=a", b"\xff=1", b"a=token=b"] {
            assert_eq!(field(none, "token"), "");
        }
    }
}
