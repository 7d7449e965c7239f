//! What may be listened on, and for whom: the judgement of listeners, wherever their addresses are written.
//!
//! Owns the rule that nobody beyond this machine is served without a token, and that no token travels readable.
//! The file and `--listen` are held against the same rule. It opens no socket.

use std::net::Ipv6Addr;
use std::ops::Range;
use std::sync::Arc;

use super::codes::Code;
use super::problem::{Problem, Report, Source};
use super::{Address, Auth, Listen};

/// What speaks against listening at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Danger {
    /// Other machines reach it, and nobody is asked for a token.
    Open,
    /// Other machines reach it, and the token would travel readable.
    Readable,
}

/// An address and where it is written.
pub(super) type Written = (Address, Range<usize>);

impl Listen {
    /// Whether those who are let in may be more than one to us.
    pub fn has_many_principals(&self) -> bool {
        let has_certificates = self.tls.as_ref().is_some_and(|tls| tls.clients.is_some());
        self.auth == Auth::OAuth || has_certificates || (self.auth == Auth::Token && !self.tokens.is_empty())
    }

    /// What speaks against listening at this address; `None` when nothing does.
    pub fn danger(&self, address: &Address) -> Option<Danger> {
        match self.auth {
            _ if address.is_local() => None,
            Auth::None => Some(Danger::Open),
            Auth::Token | Auth::OAuth if self.tls.is_none() && self.trusted_proxy.is_none() => {
                Some(Danger::Readable)
            }
            Auth::Token | Auth::OAuth => None,
        }
    }

    /// The same listener at the addresses that `--listen` names, instead of those it has; none leaves it as it is.
    ///
    /// The report is ready to be printed, and its exit code is that of a wrong configuration.
    pub fn with_addresses(self, written: &[String]) -> Result<Self, Report> {
        if written.is_empty() {
            return Ok(self);
        }
        let mut line = String::new();
        let mut spans = Vec::new();
        for text in written {
            line.push_str(if line.is_empty() { "--listen " } else { " --listen " });
            spans.push(line.len()..line.len() + text.len());
            line.push_str(text);
        }
        let line = line.replace(|c: char| c.is_ascii_control(), "?");
        let source = Arc::new(Source { origin: "command line".to_owned(), text: line });
        let mut problems = Vec::new();
        let mut addresses = Vec::new();
        for (text, span) in written.iter().zip(spans) {
            match Address::parse(text) {
                Ok(address) => addresses.push((address, span)),
                Err(expected) => problems.push(
                    Problem::error(&source, Code::BadText, "no address to listen on").at(&span, expected),
                ),
            }
        }
        problems.extend(self.judge(&source, &addresses, None));
        if !problems.is_empty() {
            return Err(Report::new(&source, problems));
        }
        Ok(Self { addresses: addresses.into_iter().map(|(address, _)| address).collect(), ..self })
    }

    /// One problem for each address that may not be listened on. `auth`: where that is written out.
    pub(super) fn judge(
        &self,
        source: &Arc<Source>,
        written: &[Written],
        auth: Option<&Range<usize>>,
    ) -> Vec<Problem> {
        let dangers = written.iter().filter_map(|(address, span)| {
            let problem = match self.danger(address)? {
                Danger::Open => {
                    let problem =
                        Problem::error(source, Code::Exposed, "a listener off loopback needs a token")
                            .at(span, "other machines reach this address")
                            .help("listen on 127.0.0.1, or remove `auth = \"none\"`: a token is made on the first start");
                    match auth {
                        Some(auth) => problem.beside(auth, "whoever reaches it is served"),
                        None => problem,
                    }
                }
                Danger::Readable => {
                    Problem::error(source, Code::Exposed, "a listener off loopback needs TLS")
                        .at(span, "other machines reach this address, and the token would travel readable")
                        .help("set `tls = { cert = \"cert.pem\", key = \"key.pem\" }` in `[listen]`,\nor name the proxy that ends TLS in `trusted_proxy`,\nor listen on 127.0.0.1")
                }
            };
            Some(problem)
        });
        let mut problems: Vec<Problem> = dangers.collect();
        for (index, (address, span)) in written.iter().enumerate() {
            let earlier = written.iter().take(index).find(|(earlier, _)| earlier.overlaps(address));
            if let Some((_, earlier)) = earlier {
                let problem =
                    Problem::error(source, Code::StandsTwice, "an address cannot be listened on twice")
                        .at(span, "for the second time")
                        .beside(earlier, "this is listened on already")
                        .help("remove one of the two");
                problems.push(problem);
            }
        }
        problems
    }
}

/// Whether nobody guesses it: at least half of what we make ourselves in hexadecimal digits, and all of it visible. It
/// must also fit into the head of a request.
pub fn is_strong(token: &str) -> bool {
    (TOKEN_CHARS_MIN..=TOKEN_CHARS_MAX).contains(&token.len())
        && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether it can be the name of a scope: visible ASCII but `"` and `\` (RFC 6749, 3.3), and not endless.
pub fn is_scope(name: &str) -> bool {
    (1..=SCOPE_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

/// Scopes of one token.
pub const SCOPES_MAX: usize = 128;
/// Longest name of a scope; some are URLs.
pub const SCOPE_CHARS_MAX: usize = 256;
/// Shortest and longest token that clients may be asked for.
pub const TOKEN_CHARS_MIN: usize = 32;
pub const TOKEN_CHARS_MAX: usize = 4095;
/// Holders of tokens that the configuration may name.
pub const TOKENS_MAX: usize = 256;
/// Longest name of one of them.
pub const HOLDER_CHARS_MAX: usize = 64;
/// Sessions of one principal where there may be several.
pub const SESSIONS_OF_ONE_MAX: usize = 64;

/// What a `Host` must look like in `allowed_hosts`: a name or an address, without a port.
pub(super) fn judge_host(text: &str) -> Result<(), &'static str> {
    let name = |text: &str| {
        (1..=253).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    if text.contains('*') {
        Err("`*` would let in every name that an attacker points here: write each name out")
    } else if text.contains("://") || text.contains('/') {
        Err("expected the name of a host alone, such as \"mcp.example.com\"")
    } else if name(text) || bracketed.unwrap_or(text).parse::<Ipv6Addr>().is_ok() {
        Ok(())
    } else if text.rsplit_once(':').is_some_and(|(host, _)| judge_host(host).is_ok()) {
        Err("expected the name of a host without a port")
    } else {
        Err("expected the name of a host, such as \"mcp.example.com\"")
    }
}

/// What an `Origin` must look like in `allowed_origins`: scheme, host and, where it is not the usual one, port.
pub(super) fn judge_origin(text: &str) -> Result<(), &'static str> {
    if text.contains('*') {
        return Err("`*` would let in the pages of every site: write each origin out");
    }
    if text == "null" {
        return Err("pages of every kind call themselves \"null\": it cannot be allowed");
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err("expected an origin with its scheme, such as \"https://app.example.com\"");
    };
    let fine = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    if !fine || scheme.eq_ignore_ascii_case("file") {
        return Err("expected an origin such as \"https://app.example.com\"");
    }
    if rest.contains(['/', '?', '#']) {
        return Err("expected an origin without a path, such as \"https://app.example.com\"");
    }
    if rest.contains('@') {
        return Err("expected an origin without a user");
    }
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let host = match rest.rsplit_once(':') {
        Some((host, port)) if is_port(port) => host,
        Some(_) | None => rest,
    };
    let bare = host.contains(':') && !host.starts_with('[');
    match judge_host(host) {
        Ok(()) if !bare => Ok(()),
        Ok(()) | Err(_) => {
            Err("expected an origin such as \"https://app.example.com\" or \"http://10.0.0.5:3000\"")
        }
    }
}

/// The origin as browsers write it: in lower case, without the port that its scheme has anyway.
pub(super) fn as_browsers_write(origin: &str) -> String {
    let origin = origin.to_ascii_lowercase();
    let usual = [("https://", ":443"), ("http://", ":80")];
    let short =
        usual.iter().find_map(|(scheme, port)| origin.strip_suffix(port).filter(|o| o.starts_with(scheme)));
    short.unwrap_or(&origin).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_command_line_are_held_against_the_same_rule() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let listen = Listen::default().with_addresses(&words("127.0.0.1:0 unix:/run/x [::1]:9")).unwrap();
        let shown: Vec<_> = listen.addresses.iter().map(Address::to_string).collect();
        assert_eq!(shown, ["127.0.0.1:0", "unix:/run/x", "[::1]:9"]);
        assert_eq!(Listen::default().with_addresses(&[]).unwrap(), Listen::default());
        let proxied = Listen { trusted_proxy: Some("10.0.0.0/8".to_owned()), ..Listen::default() };
        assert!(proxied.clone().with_addresses(&words("0.0.0.0:1")).is_ok());
        let open = Listen { auth: Auth::None, ..proxied };
        let report = open.with_addresses(&words("0.0.0.0:1")).unwrap_err();
        assert_eq!(report.headline(), "a listener off loopback needs a token");
    }

    #[test]
    fn a_refused_address_of_the_command_line_is_drawn() {
        let words = ["0.0.0.0:8808", "8808", "127.0.0.1:1", "127.0.0.1:1"].map(str::to_owned);
        let report = Listen::default().with_addresses(&words).unwrap_err();
        insta::assert_snapshot!(report.render(false), @r#"
        error[BRAID-C024]: a listener off loopback needs TLS
         --> command line:1:10
          |
        1 | --listen 0.0.0.0:8808 --listen 8808 --listen 127.0.0.1:1 --listen 127.0.0.1:1
          |          ^^^^^^^^^^^^ other machines reach this address, and the token would travel readable
          |
          = help: set `tls = { cert = "cert.pem", key = "key.pem" }` in `[listen]`,
                  or name the proxy that ends TLS in `trusted_proxy`,
                  or listen on 127.0.0.1

        error[BRAID-C010]: no address to listen on
         --> command line:1:32
          |
        1 | --listen 0.0.0.0:8808 --listen 8808 --listen 127.0.0.1:1 --listen 127.0.0.1:1
          |                                ^^^^ expected an address before the port: "127.0.0.1:8808" is this machine alone, "0.0.0.0:8808" every network

        error[BRAID-C025]: an address cannot be listened on twice
         --> command line:1:67
          |
        1 | --listen 0.0.0.0:8808 --listen 8808 --listen 127.0.0.1:1 --listen 127.0.0.1:1
          |                                              -----------          ^^^^^^^^^^^ for the second time
          |                                              |
          |                                              this is listened on already
          |
          = help: remove one of the two

        command line: 3 errors; `braid explain BRAID-C024` says more
        "#);
    }

    #[test]
    fn any_words_are_addresses_or_refused_and_never_a_panic() {
        for word in ["", "\u{1b}[1m", "é", "unix:é\0", "[", "]:", "::", "--listen", "\n"] {
            let refused = Listen::default().with_addresses(&[word.to_owned()]).unwrap_err();
            assert!(!refused.render(false).contains('\u{1b}'), "{word:?}");
        }
    }

    #[test]
    fn origins_are_kept_as_browsers_write_them() {
        for (written, kept) in [
            ("https://App.Example.com", "https://app.example.com"),
            ("https://x:443", "https://x"),
            ("http://x:80", "http://x"),
            ("http://x:443", "http://x:443"),
            ("http://[fd00::1]:3000", "http://[fd00::1]:3000"),
            ("chrome-extension://abc", "chrome-extension://abc"),
        ] {
            assert_eq!(judge_origin(written), Ok(()), "{written}");
            assert_eq!(as_browsers_write(written), kept);
        }
    }
}
