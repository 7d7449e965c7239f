//! An origin of a page, as `Origin` and `allowed_origins` write it.
//!
//! Scheme, host and port; a port that the scheme implies is left out. `null` is no origin.

use super::authority::Authority;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    scheme: String,
    authority: Authority,
}

impl Origin {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(letters) {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        let mut authority = Authority::parse(rest)?;
        authority.port = authority.port.filter(|port| Some(*port) != port_of(&scheme));
        Some(Self { scheme, authority })
    }

    /// A page that this machine serves itself, on any port.
    pub(super) fn is_loopback(&self) -> bool {
        port_of(&self.scheme).is_some() && self.authority.host.is_loopback()
    }
}

/// The port that a scheme of the web implies.
pub(super) fn port_of(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_the_scheme_implies_is_no_difference() {
        assert_eq!(Origin::parse("https://A.example:443"), Origin::parse("https://a.example"));
        assert_ne!(Origin::parse("http://a.example:443"), Origin::parse("http://a.example"));
        assert_ne!(Origin::parse("http://a.example"), Origin::parse("https://a.example"));
    }

    #[test]
    fn only_origins_are_read() {
        for text in [
            "",
            "null",
            "*",
            "a.example",
            "//a",
            "http://",
            "http:///",
            "http://a/",
            "http://a/b",
            "http://u@a",
            "1a://b",
            "http://a b",
            "http://a, http://b",
        ] {
            assert_eq!(Origin::parse(text), None, "{text}");
        }
        assert!(Origin::parse("chrome-extension://abcdef").is_some());
    }

    #[test]
    fn loopback_is_a_matter_of_the_web_alone() {
        for text in ["http://localhost", "https://localhost:3000", "http://127.0.0.1:9", "http://[::1]:9"] {
            assert!(Origin::parse(text).unwrap().is_loopback(), "{text}");
        }
        for text in
            ["tauri://localhost", "http://localhost.evil.example", "http://127.0.0.2", "http://0.0.0.0"]
        {
            assert!(!Origin::parse(text).unwrap().is_loopback(), "{text}");
        }
    }
}
