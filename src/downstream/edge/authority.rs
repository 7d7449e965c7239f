//! `host` or `host:port`, as `Host`, an absolute URI and an origin write it.
//!
//! Read strictly and in one way only: two spellings of one address are equal here, and what could be read in
//! two ways is not read at all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authority {
    pub(super) host: Host,
    pub(super) port: Option<u16>,
}

/// A name is in lower case. `127.1` is a name: only the usual spelling of an address is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    Name(String),
    Ip(IpAddr),
}

impl Authority {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']')?;
                let host = Host::Ip(address.parse::<Ipv6Addr>().ok()?.into());
                (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
            }
            None => match text.split_once(':') {
                Some((host, port)) => (Host::parse(host)?, Some(port)),
                None => (Host::parse(text)?, None),
            },
        };
        let port = match port {
            Some(digits) => Some(port_of(digits)?),
            None => None,
        };
        Some(Self { host, port })
    }

    /// As a person writes it: an IPv6 address may stand without brackets.
    pub(super) fn of_a_setting(text: &str) -> Option<Self> {
        match text.parse::<IpAddr>() {
            Ok(ip) => Some(Self { host: Host::Ip(ip), port: None }),
            Err(_) => Self::parse(text),
        }
    }
}

impl Host {
    fn parse(text: &str) -> Option<Self> {
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(letters) {
            return None;
        }
        Some(match text.parse::<Ipv4Addr>() {
            Ok(ip) => Self::Ip(ip.into()),
            Err(_) => Self::Name(text.to_ascii_lowercase()),
        })
    }

    /// One of the three names by which a machine knows itself.
    pub(super) fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost",
            Self::Ip(ip) => *ip == Ipv4Addr::LOCALHOST || *ip == Ipv6Addr::LOCALHOST,
        }
    }
}

fn port_of(digits: &str) -> Option<u16> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    if plain { digits.parse().ok() } else { None }
}

/// The longest name of the DNS.
const NAME_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_equal_in_every_spelling() {
        let same = [("LocalHost:80", "localhost:80"), ("[0:0:0:0:0:0:0:1]:1", "[::1]:1"), ("a.B", "A.b")];
        for (one, other) in same {
            assert_eq!(Authority::parse(one), Authority::parse(other), "{one}");
            assert!(Authority::parse(one).is_some(), "{one}");
        }
        assert_ne!(Authority::parse("localhost:80"), Authority::parse("localhost"));
        assert_eq!(Authority::of_a_setting("fd00::1"), Authority::parse("[fd00::1]"));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_read() {
        for text in [
            "",
            ":80",
            "a:",
            "a:b",
            "a:+80",
            "a:080",
            "a:0",
            "a:65536",
            "a:1:2",
            "::1",
            "[::1",
            "[::1]80",
            "[::1]:",
            "[::1%lo]",
            "[127.0.0.1]",
            "u@a",
            "a b",
            "a,b",
            "a/b",
            "a\\b",
            "a?",
            "a#",
            "ä",
            "[]",
            "a%2e",
        ] {
            assert_eq!(Authority::parse(text), None, "{text}");
        }
    }

    #[test]
    fn odd_spellings_of_loopback_are_mere_names() {
        for text in [
            "127.1",
            "2130706433",
            "0x7f.0.0.1",
            "127.0.0.01",
            "localhost.",
            "0.0.0.0",
            "[::ffff:127.0.0.1]",
            "[::]",
        ] {
            assert!(!Authority::parse(text).unwrap().host.is_loopback(), "{text}");
        }
    }
}
