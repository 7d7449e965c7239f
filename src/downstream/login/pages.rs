//! The answers to a browser.
//!
//! Owns the order: what is asked for is shown, then proven, then the browser is sent out, and what it brings back counts in that
//! browser alone. Nothing changes before a form is sent from our own page.

use super::proofs::{Proof, Proofs};
use super::words;
use crate::config::Secret;
use crate::hub::Hub;
use crate::mcp::caller::Principal;
use crate::upstream::oauth::{Came, Desk, Looked, Sent, Unwanted};
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
    /// What all pages begin with, as browsers write it.
    base: String,
}

/// What a browser asks, of which it is known by now that it means us.
pub struct Asks<'a> {
    pub head: &'a Parts,
    pub body: &'a [u8],
    /// Which principal the connection itself proves.
    pub whose: &'a Principal,
    /// What this page begins with.
    pub base: &'a str,
}

impl Pages {
    /// `base`: what all pages begin with, or as much as they have in common.
    pub fn new(hub: &Arc<Hub>, desk: Arc<Desk>, proofs: Proofs, base: &str) -> Self {
        Self { hub: Arc::downgrade(hub), desk, proofs, base: base.to_owned() }
    }

    pub fn proofs(&self) -> &Proofs {
        &self.proofs
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    /// The page with this id.
    pub async fn page(&self, id: &str, asks: &Asks<'_>) -> Response<Body> {
        let Some(looked) = self.desk.look(id) else { return words::over() };
        let Some(proof) = self.proofs.wanted(&looked.wish.asked) else { return words::over() };
        match asks.head.method {
            Method::GET | Method::HEAD => words::asking(&looked.wish, proof, None),
            Method::POST if !is_sent_from(asks.base, &asks.head.headers) => words::not_from_here(),
            Method::POST => self.agreed(id, &looked, proof, asks).await,
            _ => status(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    async fn agreed(&self, id: &str, looked: &Looked, proof: Proof, asks: &Asks<'_>) -> Response<Body> {
        let wish = &looked.wish;
        let wrong = |note: &str| {
            self.desk.is_not_who_was_asked(id);
            tracing::warn!(event = "login", server = wish.server, "somebody else opened the page of a login");
            words::asking(wish, proof, Some(note))
        };
        let browsers = self.browsers(&asks.head.headers);
        match proof {
            Proof::IsHere => {}
            Proof::Certificate if asks.whose == &wish.asked => {}
            Proof::Certificate => return wrong("This browser has shown another certificate, or none."),
            Proof::Token if self.proofs.is_token_of(&field(asks.body, "token"), &wish.asked) => {}
            Proof::Token => return wrong("This is not the token."),
            Proof::SignIn => {
                let Some(sign_in) = self.proofs.sign_in() else { return words::over() };
                // To our own provider, whom the configuration names.
                let sent = self.desk.sign_in(id, &browsers, sign_in).await;
                return self.sends(id, looked, sent, |sent| match HeaderValue::try_from(sent.url.as_str()) {
                    Ok(url) => {
                        let mut response = status(StatusCode::SEE_OTHER);
                        response.headers_mut().insert(header::LOCATION, url);
                        response
                    }
                    Err(_) => words::failed(&wish.server, "names a page that cannot be opened", &looked.page),
                });
            }
        }
        let sent = self.desk.begin(id, &browsers).await;
        self.sends(id, looked, sent, |sent| words::leaving(wish, sent))
    }

    /// `shows`: how the person gets there.
    fn sends(
        &self,
        id: &str,
        looked: &Looked,
        sent: Result<Sent, String>,
        shows: impl FnOnce(&Sent) -> Response<Body>,
    ) -> Response<Body> {
        let sent = match sent {
            Ok(sent) => sent,
            Err(why) => return words::failed(&looked.wish.server, &why, &looked.page),
        };
        let mut response = shows(&sent);
        let headers = response.headers_mut();
        if let Ok(mut cookie) = HeaderValue::try_from(self.given(id, &sent.browser)) {
            cookie.set_sensitive(true);
            headers.insert(header::SET_COOKIE, cookie);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    /// What a browser is given that is sent out. It comes with it from the issuer, but with no form of another site.
    fn given(&self, id: &str, browser: &Secret) -> String {
        let (name, page) = (self.cookie(), id.get(..COOKIE_ID_CHARS).unwrap_or_default());
        let secure = if self.is_secure() { "; Secure" } else { "" };
        format!("{name}{page}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age=600{secure}", browser.expose())
    }

    /// Where the browser comes back to. What it brings is worked off even if it leaves at that moment: it works once.
    pub async fn come_back(self: &Arc<Self>, asks: &Asks<'_>) -> Response<Body> {
        if asks.head.method != Method::GET {
            return status(StatusCode::METHOD_NOT_ALLOWED);
        }
        let (this, browsers) = (self.clone(), self.browsers(&asks.head.headers));
        let to = format!("{}{}", asks.base, asks.head.uri.path());
        let query = asks.head.uri.query().unwrap_or_default().to_owned();
        let came = tokio::spawn(async move { this.came(&to, &browsers, &query).await });
        came.await.unwrap_or_else(|_| words::over())
    }

    async fn came(&self, to: &str, browsers: &[String], query: &str) -> Response<Body> {
        match self.desk.come_back(to, browsers, query).await {
            Ok(Came::LoggedIn(finished)) => {
                if let Some(hub) = self.hub.upgrade() {
                    hub.has_login(&finished.wish.server);
                }
                let wish = finished.wish.clone();
                finished.tell();
                words::logged_in(&wish)
            }
            Ok(Came::SignedIn { id, token }) => {
                let Some(looked) = self.desk.look(&id) else { return words::over() };
                let wish = &looked.wish;
                match self.proofs.is_signed_in(token.expose(), &wish.asked).await {
                    Ok(()) => {
                        let sent = self.desk.begin(&id, browsers).await;
                        self.sends(&id, &looked, sent, |sent| words::leaving(wish, sent))
                    }
                    Err(doubt) => {
                        if doubt.is_somebody_else() {
                            self.desk.is_not_who_was_asked(&id);
                        }
                        words::failed(&wish.server, &doubt.sentence(&wish.asked), &looked.page)
                    }
                }
            }
            Err(Unwanted::Unknown) => words::over(),
            Err(Unwanted::Failed { server, why, page }) => words::failed(&server, &why, &page),
        }
    }

    /// What this browser was given when it was sent out.
    fn browsers(&self, headers: &HeaderMap) -> Vec<String> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let ours = pairs.filter(|(name, _)| name.starts_with(self.cookie()));
        ours.map(|(_, value)| value.to_owned()).take(COOKIES_MAX).collect()
    }

    fn is_secure(&self) -> bool {
        self.base.starts_with("https://")
    }

    /// What the names of our cookies begin with. The first lets no other host set one (RFC 6265bis, 4.1.3.2).
    fn cookie(&self) -> &'static str {
        if self.is_secure() { "__Host-braid-login-" } else { "braid-login-" }
    }
}

/// Whether a form was sent from a page of ours, which begin so. Every browser says where a form comes from.
fn is_sent_from(base: &str, headers: &HeaderMap) -> bool {
    let mut said = headers.get_all(header::ORIGIN).iter();
    let origin = match (said.next(), said.next()) {
        (Some(origin), None) => origin.to_str().ok().and_then(|origin| Url::parse(origin).ok()),
        (Some(_), Some(_)) | (None, _) => None,
    };
    let own = Url::parse(base).map(|base| base.origin());
    origin.is_some_and(|origin| own.is_ok_and(|own| own == origin.origin() && own.is_tuple()))
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
    use crate::upstream::oauth::{Placed, Store, Wish};
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
        let place = |id: &str, _| {
            let (from_server, from_sign_in) = (String::new(), String::new());
            Some(Placed { page: id.to_owned(), from_server, from_sign_in, held: None })
        };
        let id = desk.open(wish, place).unwrap().page().to_owned();
        let clients = ClientCertificates { ca: "ca.pem".into(), are_required: false };
        let tls = Tls { cert: "c.pem".into(), key: "k.pem".into(), clients: Some(clients) };
        let proofs = Proofs::of(&Listen { tls: Some(tls), ..Listen::default() }, None, None);
        (Pages { hub: Weak::new(), desk, proofs, base: base.to_owned() }, id)
    }

    fn head(method: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri("/login/x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    async fn status(pages: &Pages, id: &str, head: &Parts, whose: &Principal) -> u16 {
        pages.page(id, &Asks { head, body: b"", whose, base: "https://gw.test/a" }).await.status().as_u16()
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
        for origin in ["https://other.test", "http://gw.test", "https://gw.test:444", "null", ""] {
            let elsewhere = head("POST", &[("host", "gw.test"), ("origin", origin)]);
            assert_eq!(status(&pages, &id, &elsewhere, &ann).await, 403, "{origin}");
        }
        let twice = head("POST", &[("origin", "https://gw.test"), ("origin", "https://gw.test")]);
        assert_eq!(status(&pages, &id, &twice, &ann).await, 403);
        assert_eq!(status(&pages, &id, &head("POST", &[]), &ann).await, 403);
        // A proxy may call us otherwise: what counts is what browsers do.
        let passed_on = head("POST", &[("host", "gw.test:443"), ("origin", "https://gw.test:443")]);
        assert_eq!(status(&pages, &id, &passed_on, &ann).await, 502);
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
