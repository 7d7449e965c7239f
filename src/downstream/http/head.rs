//! What the head of a request must say before its body is read.
//!
//! Pure: headers in, a decision out. It knows no session.

use crate::mcp::revision::Revision;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// By which a client names its session.
pub(crate) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// The revision that was agreed on.
pub(crate) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The last event that a client has got.
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Why a request is refused by its head alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfit {
    pub(crate) status: StatusCode,
    pub(crate) why: String,
}

fn unfit<T>(status: StatusCode, why: impl Into<String>) -> Result<T, Unfit> {
    Err(Unfit { status, why: why.into() })
}

/// The head of a POST in a session, if it is as most are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Usual<'a> {
    /// As `session_id` gives it.
    pub(crate) session: Option<&'a str>,
}

/// Looks at each header once. What is usual is fit; of all else the rules below say what it lacks.
pub(crate) fn usual(headers: &HeaderMap) -> Option<Usual<'_>> {
    let (mut kinds, mut accepts, mut versions, mut session) = (0, 0, 0, None);
    for (name, value) in headers {
        let is = |known: &str| value.as_bytes() == known.as_bytes();
        let is_usual = if *name == CONTENT_TYPE {
            kinds += 1;
            is("application/json")
        } else if *name == ACCEPT {
            accepts += 1;
            USUAL.into_iter().any(is)
        } else if *name == PROTOCOL_VERSION {
            versions += 1;
            Revision::GREETED.map(Revision::as_str).into_iter().any(is)
        } else if *name == SESSION_ID {
            session.replace(value.to_str().ok()?.trim()).is_none()
        } else {
            *name != CONTENT_ENCODING
        };
        if !is_usual {
            return None;
        }
    }
    (kinds == 1 && accepts == 1 && versions <= 1).then_some(Usual { session })
}

/// A POST carries JSON and takes both forms of an answer (2025-11-25, basic/transports, sending messages).
pub(crate) fn fit_post(headers: &HeaderMap) -> Result<(), Unfit> {
    fit_json(headers)?;
    let takes_both = || takes(headers, "application/json") && takes(headers, "text/event-stream");
    match says_both(headers) || takes_both() {
        true => Ok(()),
        false => unfit(
            StatusCode::NOT_ACCEPTABLE,
            "`Accept` must list both application/json and text/event-stream",
        ),
    }
}

/// The body is JSON, as it stands: unpacking what a client packed would let few bytes become many.
pub(crate) fn fit_json(headers: &HeaderMap) -> Result<(), Unfit> {
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(CONTENT_ENCODING).iter().all(plain) {
        return unfit(StatusCode::UNSUPPORTED_MEDIA_TYPE, "`Content-Encoding` must be left out");
    }
    let is_json =
        |kind: &str| kind == "application/json" || media(kind).eq_ignore_ascii_case("application/json");
    match one(headers, &CONTENT_TYPE).is_some_and(is_json) {
        true => Ok(()),
        false => unfit(StatusCode::UNSUPPORTED_MEDIA_TYPE, "`Content-Type` must be application/json"),
    }
}

/// A GET opens a stream and nothing else.
pub(crate) fn fit_get(headers: &HeaderMap) -> Result<(), Unfit> {
    match takes(headers, "text/event-stream") {
        true => Ok(()),
        false => unfit(StatusCode::NOT_ACCEPTABLE, "`Accept` must list text/event-stream"),
    }
}

/// Whether the head is one of a session: it says so, or, as is the rule before 2025-06-18, nothing.
pub(crate) fn is_of_session(headers: &HeaderMap) -> bool {
    match given(headers, &PROTOCOL_VERSION) {
        None => true,
        Some(said) => said.and_then(Revision::parse).is_some_and(|said| !said.is_modern()),
    }
}

/// Whether it says that the message stands by itself.
pub(crate) fn is_modern(headers: &HeaderMap) -> bool {
    one(headers, &PROTOCOL_VERSION).and_then(Revision::parse).is_some_and(Revision::is_modern)
}

/// The revision must be one that is spoken in a session; none is the rule before 2025-06-18.
pub(crate) fn fit_version(headers: &HeaderMap) -> Result<(), Unfit> {
    match is_of_session(headers) {
        true => Ok(()),
        false => {
            let ours = Revision::ALL.map(Revision::as_str).join(", ");
            unfit(
                StatusCode::BAD_REQUEST,
                format!("`MCP-Protocol-Version` is none that is spoken here: {ours}"),
            )
        }
    }
}

/// The session that a request names; `None`: it names none.
pub(crate) fn session_id(headers: &HeaderMap) -> Result<Option<&str>, Unfit> {
    match given(headers, &SESSION_ID) {
        None => Ok(None),
        Some(Some(id)) => Ok(Some(id)),
        Some(None) => unfit(StatusCode::BAD_REQUEST, "`Mcp-Session-Id` must be given once, in visible ASCII"),
    }
}

/// The value of a header that is given once, in visible ASCII.
pub(crate) fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    given(headers, name).flatten()
}

/// The same of a header that is given; `None`: it is not.
fn given<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => None,
        (Some(value), None) => Some(value.to_str().ok().map(str::trim)),
        (Some(_), Some(_)) => Some(None),
    }
}

/// Whether the client takes both forms of an answer, and says it as most do.
fn says_both(headers: &HeaderMap) -> bool {
    let usual = |value: &HeaderValue| USUAL.iter().any(|usual| usual.as_bytes() == value.as_bytes());
    headers.get(ACCEPT).is_some_and(usual)
}

/// The type without its parameters; its case is no matter.
fn media(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

/// Whether the client takes answers of this type. One that says nothing takes everything.
fn takes(headers: &HeaderMap, wanted: &str) -> bool {
    let family = wanted.split('/').next().unwrap_or_default();
    let mut values = headers.get_all(ACCEPT).iter().peekable();
    if values.peek().is_none() {
        return true;
    }
    let listed = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    listed.filter(|range| !is_unwanted(range)).map(media).any(|range| {
        let all_of = || range.strip_suffix("/*").is_some_and(|listed| listed.eq_ignore_ascii_case(family));
        range.eq_ignore_ascii_case(wanted) || range == "*/*" || all_of()
    })
}

/// A quality of zero says: not this.
fn is_unwanted(range: &str) -> bool {
    let mut parameters = range.split(';').skip(1).map(str::trim);
    let quality = parameters
        .find_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")));
    quality.and_then(|quality| quality.parse::<f32>().ok()).is_some_and(|quality| quality <= 0.0)
}

/// How clients say it that take both forms of an answer.
const USUAL: [&str; 2] = ["application/json, text/event-stream", "text/event-stream, application/json"];

#[cfg(test)]
mod tests {
    use super::*;

    /// Heads of up to four headers each.
    fn heads() -> Vec<HeaderMap> {
        let says = [
            ("content-type", "application/json"),
            ("content-type", "application/json; charset=utf-8"),
            ("content-type", "text/plain"),
            ("accept", USUAL[0]),
            ("accept", USUAL[1]),
            ("accept", "*/*"),
            ("content-encoding", "gzip"),
            ("content-encoding", "identity"),
            ("mcp-protocol-version", "2025-11-25"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-protocol-version", "none"),
            ("mcp-session-id", "a"),
            ("mcp-session-id", " b "),
            ("mcp-session-id", "\u{e4}"),
            ("x-other", "c"),
        ];
        let with = |heads: &[HeaderMap]| -> Vec<HeaderMap> {
            let more = heads.iter().flat_map(|head| {
                says.iter().map(|(name, value)| {
                    let mut head = head.clone();
                    let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
                    head.append(HeaderName::from_static(name), value);
                    head
                })
            });
            more.collect()
        };
        let (mut all, mut last) = (Vec::new(), vec![HeaderMap::new()]);
        for _ in 0..4 {
            last = with(&last);
            all.extend(last.iter().cloned());
        }
        all
    }

    #[test]
    fn what_is_usual_is_fit_and_says_the_same() {
        let (mut usuals, mut sessions) = (0, 0);
        for head in heads() {
            let Some(usual) = usual(&head) else { continue };
            assert_eq!((fit_post(&head), is_of_session(&head)), (Ok(()), true), "{head:?}");
            assert_eq!(Ok(usual.session), session_id(&head), "{head:?}");
            usuals += 1;
            sessions += usize::from(usual.session.is_some());
        }
        assert!(sessions > 0 && usuals > sessions);
    }
}
