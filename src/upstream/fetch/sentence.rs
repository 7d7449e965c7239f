//! What went wrong with a request, as a sentence for a person.
//!
//! Looks through the causes of an error for what somebody can do something about. Holds no secrets: of the
//! URL only host and port, of headers nothing.

use std::error::Error;
use std::io;

use reqwest::Url;
use rustls::CertificateError as Flaw;

use super::leaving::TakenBack;
use super::proxies::Proxy;
use super::reach::Unreached;
use super::reply::Garbled;
use super::wire::Broken;
use super::{CONNECT_WAIT_MAX, FetchError};
use crate::upstream::stderr::escaped;

/// Where a request was to go.
pub(super) struct Way<'a> {
    pub(super) to: &'a Url,
    pub(super) proxy: Option<&'a Proxy>,
}

/// Host and port.
pub(super) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// A request that got no head of an answer.
pub(super) fn no_answer(broken: &Broken, place: &str) -> FetchError {
    FetchError::Broken(broke(broken, place, BEFORE))
}

/// The same, through a proxy.
pub(super) fn no_answer_through(error: &reqwest::Error, way: &Way<'_>) -> FetchError {
    if error.is_builder() {
        return FetchError::NotSent(format!("the request cannot be made: {}", last(error)));
    }
    if error.is_connect() {
        let is = Is { unresolved: error.is_dns(), late: error.is_timeout() };
        return FetchError::NotSent(unconnected(error, is, way));
    }
    FetchError::Broken(broken(error, &place(way.to), BEFORE))
}

/// A connection that could not be made, straight to the server.
pub(super) fn no_connection(unreached: &Unreached, to: &Url) -> FetchError {
    let way = Way { to, proxy: None };
    FetchError::NotSent(match unreached {
        Unreached::Late => late(&place(to)),
        Unreached::OutOfBounds => {
            format!("{} is not on the public network, and the configuration does not name it", place(to))
        }
        Unreached::Failed(error) => {
            let error: &(dyn Error + 'static) = &**error;
            let is = Is { unresolved: is_unresolved(error), late: is_late(find(error)) };
            unconnected(error, is, &way)
        }
    })
}

/// An answer whose body broke.
pub(super) fn half_an_answer(broken: &Broken, place: &str) -> FetchError {
    FetchError::Broken(broke(broken, place, WITHIN))
}

/// The same, through a proxy.
pub(super) fn half_an_answer_through(error: &reqwest::Error, place: &str) -> FetchError {
    FetchError::Broken(broken(error, place, WITHIN))
}

/// What is known of an error before its causes are looked through.
struct Is {
    unresolved: bool,
    late: bool,
}

/// There is no address to a name. The type of this is not public.
fn is_unresolved(error: &(dyn Error + 'static)) -> bool {
    error.to_string() == "dns error"
}

fn is_late(error: Option<&io::Error>) -> bool {
    error.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

fn late(next: &str) -> String {
    format!("no connection to {next} within {} s", CONNECT_WAIT_MAX.as_secs())
}

fn unconnected(error: &(dyn Error + 'static), is: Is, way: &Way<'_>) -> String {
    let to = place(way.to);
    if let Some(flaw) = find::<rustls::Error>(error) {
        return no_tls(flaw, &to);
    }
    let said = last(error);
    if let Some(proxy) = way.proxy {
        let (through, variable) = (proxy.place(), proxy.variable);
        // The type of these is not public.
        if said.contains("proxy authorization required") {
            return format!("the proxy {through} (`{variable}`) wants another user and password");
        }
        if said.contains("tunnel error: unsuccessful") || said.contains("SOCKS error") {
            return format!("the proxy {through} (`{variable}`) makes no connection to {to}");
        }
    }
    let next = match way.proxy {
        Some(proxy) => format!("the proxy {} (`{}`)", proxy.place(), proxy.variable),
        None => to,
    };
    if is.unresolved {
        let host = way.proxy.map_or(way.to, |proxy| &proxy.url).host_str().unwrap_or_default();
        return format!("the name `{host}` cannot be resolved");
    }
    let kind = find::<io::Error>(error).map(io::Error::kind);
    match kind {
        Some(io::ErrorKind::ConnectionRefused) => format!("connection refused at {next}"),
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
            format!("there is no way to {next}")
        }
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof) => {
            format!("{next} closed the connection before it was made")
        }
        _ if is.late => late(&next),
        Some(_) | None => format!("no connection to {next}: {said}"),
    }
}

fn no_tls(error: &rustls::Error, place: &str) -> String {
    if matches!(error, rustls::Error::InvalidMessage(_)) {
        return format!("{place} does not speak TLS");
    }
    let rustls::Error::InvalidCertificate(flaw) = error else {
        return format!("no TLS with {place}: {}", escaped(&error.to_string()));
    };
    let why = if matches!(flaw, Flaw::UnknownIssuer) {
        "is from an issuer that this machine does not trust; `ca_file` can name one".to_owned()
    } else if matches!(flaw, Flaw::Expired | Flaw::ExpiredContext { .. }) {
        "has expired".to_owned()
    } else if matches!(flaw, Flaw::NotValidYet | Flaw::NotValidYetContext { .. }) {
        "is not valid yet; is the clock right?".to_owned()
    } else if matches!(flaw, Flaw::NotValidForName | Flaw::NotValidForNameContext { .. }) {
        "is for another name".to_owned()
    } else if matches!(flaw, Flaw::Revoked) {
        "was revoked".to_owned()
    } else {
        format!("cannot be accepted: {}", escaped(&error.to_string()))
    };
    format!("the certificate of {place} {why}")
}

fn broken(error: &reqwest::Error, place: &str, when: &str) -> String {
    if let Some(http) = find::<hyper::Error>(error) {
        if http.is_parse_too_large() {
            return garbled(Garbled::HeadTooLarge, place);
        }
        if http.is_parse() {
            return garbled(Garbled::NoHttp, place);
        }
        if http.is_incomplete_message() {
            return closed(place, when);
        }
    }
    failed(error, place, when)
}

fn broke(broken: &Broken, place: &str, when: &str) -> String {
    match broken {
        Broken::TakenBack => failed(&TakenBack, place, when),
        Broken::Closed => closed(place, when),
        Broken::Garbled(what) => garbled(*what, place),
        Broken::Failed(error) => failed(error, place, when),
    }
}

fn closed(place: &str, when: &str) -> String {
    format!("{place} closed the connection {when}")
}

fn garbled(what: Garbled, place: &str) -> String {
    match what {
        Garbled::HeadTooLarge => format!("the answer of {place} has too large a head"),
        Garbled::NoHttp => format!("what {place} answered is no HTTP"),
    }
}

fn failed(error: &(dyn Error + 'static), place: &str, when: &str) -> String {
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::UnexpectedEof) => closed(place, when),
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
            format!("{place} broke the connection {when}")
        }
        Some(io::ErrorKind::TimedOut) => {
            format!("{place} gave no sign for too long: it is gone, or too busy to read what was sent")
        }
        Some(_) | None => format!("the connection to {place} broke {when}: {}", last(error)),
    }
}

const BEFORE: &str = "before it had answered";
const WITHIN: &str = "in the middle of its answer";

/// The first cause of this kind, also within the system's own errors, which do not name theirs as a cause.
fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut present = Some(error);
    let mut found = None;
    while let Some(cause) = present {
        found = cause.downcast_ref().or(found);
        present = inner(cause);
    }
    found
}

fn last(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = inner(cause) {
        cause = next;
    }
    escaped(&cause.to_string())
}

fn inner<'e>(cause: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inside) => Some(inside),
        None => cause.source(),
    }
}
