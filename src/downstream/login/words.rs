//! What a person reads on a page.
//!
//! Owns the words. Everything that somebody else wrote is text in them.

use super::proofs::Proof;
use crate::upstream::oauth::{EVERYBODY, Sent, Wish, escaped, page};
use axum::body::Body;
use http::{Response, StatusCode};

/// What is asked for, and by whom, before anything happens.
pub(super) fn asking(wish: &Wish, proof: Proof, note: Option<&str>) -> Response<Body> {
    let (server, whose) = (escaped(&wish.server), escaped(wish.asked.as_str()));
    let place = escaped(&wish.url.origin().ascii_serialization());
    let kept = match wish.whose.as_str() {
        EVERYBODY => "for everybody whom this Braid serves",
        _ => "for you alone",
    };
    let who = match proof {
        Proof::IsHere => "A client on this machine".to_owned(),
        Proof::Token | Proof::Certificate | Proof::SignIn => {
            format!("A client that comes as <code>{whose}</code>")
        }
    };
    let (proves, word) = match proof {
        Proof::IsHere => (String::new(), "Continue to log in"),
        Proof::Certificate => (String::new(), "Continue to log in"),
        Proof::Token => (
            format!(
                "<label>To prove that you are <code>{whose}</code>, enter the token that your client shows to Braid:<input type=password name=token autocomplete=off required autofocus></label>"
            ),
            "Continue to log in",
        ),
        Proof::SignIn => {
            ("<p>First you are asked to say who you are.</p>".to_owned(), "Sign in, then log in")
        }
    };
    let (status, note) = match note {
        Some(note) => {
            (StatusCode::FORBIDDEN, format!("<p role=alert><strong>{}</strong></p>", escaped(note)))
        }
        None => (StatusCode::OK, String::new()),
    };
    page(
        status,
        &format!(
            "<h1>Log in to {server}</h1>{note}<p>{who} wants to use the server <code>{server}</code> at <code>{place}</code>, which asks for a login.</p><p>Braid keeps the login {kept}. Your client never sees it, and no other server does.</p><p>If you did not ask for this, close this page: nothing happens then.</p><form method=post>{proves}<button>{word}</button></form>"
        ),
    )
}

/// Where the person is sent, and what for, before he goes there.
pub(super) fn leaving(wish: &Wish, sent: &Sent) -> Response<Body> {
    let (server, url) = (escaped(&wish.server), escaped(sent.url.as_str()));
    let host = escaped(&sent.url.origin().ascii_serialization());
    let rights: Vec<String> =
        sent.scopes.iter().map(|scope| format!("<code>{}</code>", escaped(scope))).collect();
    let rights = match rights.is_empty() {
        true => String::new(),
        false => format!(", for: {}", rights.join(" ")),
    };
    page(
        StatusCode::OK,
        &format!(
            "<h1>Log in to {server}</h1><p>People log in there at <code>{host}</code>{rights}.</p><p><a id=go rel=noreferrer href=\"{url}\">Go to {host}</a></p>"
        ),
    )
}

pub(super) fn logged_in(wish: &Wish) -> Response<Body> {
    let server = escaped(&wish.server);
    page(
        StatusCode::OK,
        &format!(
            "<h1>Logged in to {server}</h1><p>Braid has the login, and your client goes on. This page can be closed.</p>"
        ),
    )
}

/// `why` goes on after the server's name.
pub(super) fn failed(server: &str, why: &str, again: &str) -> Response<Body> {
    let (server, why, again) = (escaped(server), escaped(why), escaped(again));
    page(
        StatusCode::BAD_GATEWAY,
        &format!(
            "<h1>There is no login</h1><p><code>{server}</code>: {why}</p><p><a href=\"{again}\">Try again</a></p>"
        ),
    )
}

pub(super) fn over() -> Response<Body> {
    page(
        StatusCode::NOT_FOUND,
        "<h1>This page is over</h1><p>Nothing is asked for here any more, or not in this browser. Let your client call once again: it is sent to a new page.</p>",
    )
}

pub(super) fn not_from_here() -> Response<Body> {
    page(StatusCode::FORBIDDEN, "<h1>This was not sent from this page</h1><p>Nothing has happened.</p>")
}
