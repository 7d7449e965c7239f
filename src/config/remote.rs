//! A server at a URL: which URLs and headers can be used, and one such server without a file.
//!
//! Owns the judgement of both, for `braid.toml`, for clients' own files and for `--url`. It connects to nothing
//! and looks up no name.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use reqwest::Url;

use super::codes::Code;
use super::problem::{Problem, Report, Source};
use super::{Config, Prefix, Reach, Remote, ServerConfig, Transport, cover};

/// Longest URL, in bytes; servers refuse longer ones.
pub const URL_BYTES_MAX: usize = 8 * 1024;

/// Headers that belong to the transport itself.
const OURS: &[&str] = &[
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// How the protocol's own headers begin: `Mcp-Session-Id`, `MCP-Protocol-Version`.
const OURS_BEGIN: &str = "mcp-";

/// What is in a header's name when its value lets somebody in.
const TELLTALES: &[&str] = &["authorization", "cookie", "token", "secret", "password", "auth", "key"];

/// Why a header cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderFlaw {
    /// It is no name of a header.
    Name,
    /// Braid or HTTP itself sets it.
    Ours,
}

impl Remote {
    /// A server at this URL, which must have been judged, with nothing else said about it.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            is_referred: false,
            transport: Transport::Auto,
            headers: Vec::new(),
            headers_command: None,
            ca_file: None,
            oauth: Some(Box::default()),
        }
    }

    /// The URL without what may hold a token: for logs and errors. That is its query, and its path where a reference stood.
    pub fn shown(&self) -> &str {
        let place = self.url.split_once('?').map_or(self.url.as_str(), |(place, _)| place);
        let host_end =
            place.find("://").and_then(|scheme| place.get(scheme + 3..)?.find('/').map(|at| scheme + 3 + at));
        match host_end {
            Some(end) if self.is_referred => place.get(..end).unwrap_or_default(),
            Some(_) | None => place,
        }
    }
}

impl Config {
    /// A configuration of one remote server without a prefix, named after its host.
    ///
    /// The report is ready to be printed, and shows nothing that may be secret.
    pub fn for_url(url: &str, folder: &Path) -> Result<Self, Report> {
        if let Err(expected) = judge_url(url) {
            let line = format!("--url {url}");
            let text = cover::url(&line, &(6..line.len())).replace(|c: char| c.is_ascii_control(), "?");
            let source = Arc::new(Source { origin: "command line".to_owned(), text });
            let problem =
                Problem::error(&source, Code::BadText, "no URL of a server").at(&(6..line.len()), expected);
            return Err(Report::new(&source, vec![problem]));
        }
        let mut config = Self::new("command line", folder);
        let key = host(url).unwrap_or_else(|| "server".to_owned());
        let reach = Reach::Http(Remote::new(url));
        config.servers.push(ServerConfig { prefix: Prefix::Bare, ..ServerConfig::new(&key, reach) });
        Ok(config)
    }
}

/// What is wrong with the URL of a server.
pub(super) fn judge_url(text: &str) -> Result<(), &'static str> {
    const EXPECTED: &str = "expected a URL such as \"https://mcp.example.com/mcp\"";
    let head = |scheme: &str| text.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme));
    if !head("http://") && !head("https://") {
        let scheme =
            |scheme: &str| !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let other = text.split_once("://").is_some_and(|(head, _)| scheme(head));
        return Err(if other { "only http:// and https:// can be reached" } else { EXPECTED });
    }
    if text.len() > URL_BYTES_MAX {
        return Err("the URL is longer than 8 KiB");
    }
    // Parsers pass over these in silence, each its own way.
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("expected a URL without spaces, control characters and `\\`");
    }
    // Others pass over a host that is missing and take the path for it.
    if authority(text).is_empty() {
        return Err(EXPECTED);
    }
    let url = Url::parse(text).map_err(|_| EXPECTED)?;
    if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
        Err("a user and a password do not belong into a URL: put a token into `headers`")
    } else if url.fragment().is_some() {
        Err("a part behind `#` never reaches a server: leave it out")
    } else if url.host_str().is_none_or(str::is_empty) || url.port() == Some(0) {
        Err(EXPECTED)
    } else {
        Ok(())
    }
}

/// What is wrong with a URL that nobody on the way may read; none is fine.
pub(super) fn judge_https(text: &str) -> Result<(), &'static str> {
    match text {
        "" => Ok(()),
        text => judge_url(text).and_then(|()| match travels_readable(text) {
            true => Err("expected a URL with https://; plain http:// is for this machine alone"),
            false => Ok(()),
        }),
    }
}

/// What stands between `://` and the path.
pub fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// Whether a text has characters that are in no URL, and that parsers pass over or take for others in silence.
pub fn is_misspelt(url: &str) -> bool {
    url.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\')
}

/// The host of a URL in words for people: without brackets and port.
fn host(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    url.host_str().map(|host| host.trim_matches(['[', ']']).chars().take(64).collect())
}

/// Whether what is sent there can be read on the way.
pub(super) fn travels_readable(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.scheme() == "http" && !is_of_this_machine(&url))
}

/// Whether a URL leads to this machine by what it says.
pub fn is_of_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// Whether the value of this header lets somebody in.
pub(super) fn lets_in(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TELLTALES.iter().any(|telltale| name.contains(telltale))
}

/// What is wrong with the name of a header that is to be sent with every request.
pub fn judge_header_name(name: &str) -> Result<(), HeaderFlaw> {
    // The type takes more than servers do.
    let known = HeaderName::from_bytes(name.as_bytes()).ok().filter(|_| name.is_ascii());
    let known = known.ok_or(HeaderFlaw::Name)?;
    let ours = OURS.contains(&known.as_str()) || known.as_str().starts_with(OURS_BEGIN);
    if ours { Err(HeaderFlaw::Ours) } else { Ok(()) }
}

/// What is wrong with the value of a header.
pub fn judge_header_value(value: &str) -> Result<(), &'static str> {
    if value.len() > HEADER_BYTES_MAX {
        return Err("the value is longer than 16 KiB");
    }
    match HeaderValue::from_str(value) {
        Ok(_) if value.is_ascii() => Ok(()),
        Ok(_) | Err(_) => Err("expected printable ASCII in one line, as HTTP has it"),
    }
}

/// Longest value of one header, in bytes.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_servers_are_told_from_others() {
        for url in [
            "https://mcp.example.com/mcp",
            "HTTPS://x",
            "http://127.0.0.1:3000/sse?x=1&y=2",
            "http://[::1]:80/",
            "https://münchen.example/mcp",
        ] {
            assert_eq!(judge_url(url), Ok(()), "{url}");
        }
        for (url, fault) in [
            ("", "such as"),
            ("mcp.example.com", "such as"),
            ("/mcp", "such as"),
            ("://x", "such as"),
            ("https://", "such as"),
            ("https:///mcp", "such as"),
            ("http://x:0/", "such as"),
            ("http://x:99999/", "such as"),
            ("http://1.2.3.999/", "such as"),
            ("ftp://x/", "only http"),
            ("ws://x/", "only http"),
            ("unix:///run/x", "only http"),
            ("https://u@x/", "user and a password"),
            ("https://u:p@x/", "user and a password"),
            ("https://:p@x/", "user and a password"),
            ("https://@x/", "user and a password"),
            ("https://x/#a", "behind `#`"),
            ("https://x/#", "behind `#`"),
            (" https://x/", "such as"),
            ("https://x /", "without spaces"),
            ("https://x/\n", "without spaces"),
            ("https://x\\y/", "without spaces"),
        ] {
            let why = judge_url(url).unwrap_err();
            assert!(why.contains(fault), "{url:?}: {why}");
        }
        let long = |bytes: usize| judge_url(&format!("https://x/{}", "y".repeat(bytes - 10)));
        assert_eq!(long(URL_BYTES_MAX), Ok(()));
        assert!(long(URL_BYTES_MAX + 1).is_err());
    }

    #[test]
    fn headers_that_are_ours_or_none_are_told_from_others() {
        for name in ["Authorization", "X-Api-Key", "cookie", "User-Agent", "Origin"] {
            assert_eq!(judge_header_name(name), Ok(()), "{name}");
        }
        for name in [
            "Content-Type",
            "ACCEPT",
            "Host",
            "Mcp-Session-Id",
            "MCP-Protocol-Version",
            "Mcp-Anything",
            "Content-Length",
            "Connection",
            "Transfer-Encoding",
            "Last-Event-ID",
        ] {
            assert_eq!(judge_header_name(name), Err(HeaderFlaw::Ours), "{name}");
        }
        for name in ["", " ", "A B", "A:", "é", "A\r\nB"] {
            assert_eq!(judge_header_name(name), Err(HeaderFlaw::Name), "{name:?}");
        }
        for value in ["", "Bearer x", "a\tb"] {
            assert_eq!(judge_header_value(value), Ok(()), "{value:?}");
        }
        for value in ["a\r\nB: c", "a\n", "\0", "é", &"x".repeat(HEADER_BYTES_MAX + 1)] {
            assert!(judge_header_value(value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn one_server_at_a_url_has_no_prefix_and_the_name_of_its_host() {
        for (url, key) in [
            ("https://mcp.example.com/mcp", "mcp.example.com"),
            ("http://127.0.0.1:3000/", "127.0.0.1"),
            ("http://[::1]:1/", "::1"),
        ] {
            let config = Config::for_url(url, Path::new("/here")).unwrap();
            let [server] = config.servers.as_slice() else { panic!("one server") };
            assert_eq!((server.key.as_str(), &server.prefix), (key, &Prefix::Bare), "{url}");
            assert_eq!(server.reach, Reach::Http(Remote::new(url)));
        }
    }

    #[test]
    fn a_url_that_is_refused_shows_no_password() {
        let report = Config::for_url("https://ana:s3cret@x/mcp?k=s3cret", Path::new("/")).unwrap_err();
        insta::assert_snapshot!(report.render(false), @r"
        error[BRAID-C010]: no URL of a server
         --> command line:1:7
          |
        1 | --url https://**********@x/mcp?********
          |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ a user and a password do not belong into a URL: put a token into `headers`

        command line: 1 error; `braid explain BRAID-C010` says more
        ");
        for url in ["\u{1b}[1m://s3cret@x", "é", "", "\n", "https://s3cret@", "://s3cret@?s3cret"] {
            let report = Config::for_url(url, Path::new("/")).unwrap_err();
            let shown = format!("{}{}{report:?}", report.render(false), report.to_json());
            assert!(!shown.contains("s3cret") && !shown.contains('\u{1b}'), "{shown}");
        }
    }

    #[test]
    fn a_readable_way_is_plain_http_to_another_machine() {
        for (url, readable) in [
            ("http://example.com/", true),
            ("http://10.0.0.1/", true),
            ("https://example.com/", false),
            ("http://localhost:1/", false),
            ("http://mcp.localhost/", false),
            ("http://127.0.0.1/", false),
            ("http://[::1]/", false),
        ] {
            assert_eq!(travels_readable(url), readable, "{url}");
        }
        assert!(lets_in("Authorization") && lets_in("X-API-Key") && !lets_in("X-Team"));
    }

    #[test]
    fn a_url_is_shown_without_its_query() {
        assert_eq!(Remote::new("https://x/mcp?key=s3cret").shown(), "https://x/mcp");
        assert_eq!(Remote::new("https://x/mcp").shown(), "https://x/mcp");
        let referred = |url: &str| Remote { is_referred: true, ..Remote::new(url) }.shown().to_owned();
        assert_eq!(referred("https://x:1/s3cret/mcp?key=s3cret"), "https://x:1");
        assert_eq!(referred("https://x?key=s3cret"), "https://x");
    }
}
