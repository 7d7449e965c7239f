//! Where a listener sits: an address and a port of this machine, or a Unix socket.
//!
//! Owns how such an address is written and who can reach it. It looks up no name and opens nothing: an address
//! that reads well may still be taken by another program.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use super::Address;

/// Longest path of a Unix socket, in bytes; the system's own structure holds no more.
pub const UNIX_PATH_BYTES_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

const EXPECTED: &str =
    "expected an address such as \"127.0.0.1:8808\", \"[::1]:8808\" or \"unix:/run/braid.sock\"";

impl Address {
    /// Reads `127.0.0.1:8808`, `[::1]:8808`, `localhost:8808` or `unix:/path`; port 0 is any free one.
    ///
    /// The error says what was expected. A relative path stays relative.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(path) = text.strip_prefix("unix:") {
            let address = Self::Unix(PathBuf::from(path));
            return address.judge_path().map(|()| address);
        }
        // A name may mean other machines tomorrow; this one is ours for ever.
        let local = text.strip_prefix("localhost:").map(|port| format!("{}:{port}", Ipv4Addr::LOCALHOST));
        match local.as_deref().unwrap_or(text).parse() {
            Ok(address) => Ok(Self::Tcp(address)),
            Err(_) => Err(expected(text)),
        }
    }

    /// Whether only programs of this machine reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Whether both cannot be listened on at once.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(a), Self::Tcp(b)) => {
                let either = a.ip().is_unspecified() || b.ip().is_unspecified();
                let same = a.ip() == b.ip() || (either && a.is_ipv4() == b.is_ipv4());
                // Each 0 becomes another port.
                a.port() != 0 && a.port() == b.port() && same
            }
            (Self::Unix(a), Self::Unix(b)) => a == b,
            (Self::Tcp(_), Self::Unix(_)) | (Self::Unix(_), Self::Tcp(_)) => false,
        }
    }

    /// What is wrong with the path of a socket; nothing for another address.
    pub fn judge_path(&self) -> Result<(), &'static str> {
        let Self::Unix(path) = self else { return Ok(()) };
        let text = path.to_str().unwrap_or_default();
        if cfg!(not(unix)) {
            Err("there are no Unix sockets on this system")
        } else if text.is_empty() {
            Err("expected a path behind `unix:`")
        } else if text.contains(char::is_control) {
            Err("expected a path without control characters")
        } else if text.ends_with('/') || text.ends_with("/.") || text.ends_with("/..") {
            Err("expected the path of a socket, not of a folder")
        } else if text.len() > UNIX_PATH_BYTES_MAX {
            Err("the path of a Unix socket is too long: systems take about 100 bytes")
        } else {
            Ok(())
        }
    }

    /// The same with the path of a socket made absolute by `folder`.
    pub(super) fn placed(self, folder: impl FnOnce(&Path) -> PathBuf) -> Self {
        match self {
            Self::Tcp(address) => Self::Tcp(address),
            Self::Unix(path) => Self::Unix(folder(&path)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What to write instead of what people write.
fn expected(text: &str) -> &'static str {
    let is_port = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let bare = text.trim_matches(['[', ']']);
    if bare.parse::<IpAddr>().is_ok() || text == "localhost" {
        "expected a port behind the address, such as \"127.0.0.1:8808\" or \"[::1]:8808\""
    } else if text.contains("://") {
        "expected an address without a scheme, such as \"127.0.0.1:8808\""
    } else if text.starts_with(':') || text.starts_with("*:") || is_port {
        "expected an address before the port: \"127.0.0.1:8808\" is this machine alone, \"0.0.0.0:8808\" every network"
    } else {
        EXPECTED
    }
}

/// Whether it is one peer or a network of peers: `10.0.0.5`, `10.0.0.0/8`, `fd00::/8`.
pub(super) fn is_network(text: &str) -> bool {
    let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
    let Ok(ip) = ip.parse::<IpAddr>() else { return false };
    let bits_max = if ip.is_ipv4() { 32 } else { 128 };
    let fits = |bits: &str| {
        bits.bytes().all(|byte| byte.is_ascii_digit()) && bits.parse().is_ok_and(|bits: u8| bits <= bits_max)
    };
    bits.is_none_or(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_they_are_shown() {
        for (text, shown, local) in [
            ("127.0.0.1:8808", "127.0.0.1:8808", true),
            ("localhost:8808", "127.0.0.1:8808", true),
            ("127.0.0.1:0", "127.0.0.1:0", true),
            ("127.9.9.9:1", "127.9.9.9:1", true),
            ("[::1]:8808", "[::1]:8808", true),
            ("[::ffff:127.0.0.1]:80", "[::ffff:127.0.0.1]:80", true),
            ("unix:/run/braid.sock", "unix:/run/braid.sock", true),
            ("unix:braid.sock", "unix:braid.sock", true),
            ("0.0.0.0:8808", "0.0.0.0:8808", false),
            ("[::]:8808", "[::]:8808", false),
            ("192.168.1.5:443", "192.168.1.5:443", false),
            ("[fe80::1%2]:80", "[fe80::1%2]:80", false),
            ("[::ffff:10.0.0.1]:80", "[::ffff:10.0.0.1]:80", false),
        ] {
            let address = Address::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!((address.to_string().as_str(), address.is_local()), (shown, local), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_said_by_its_fault() {
        for (text, fault) in [
            ("", "expected an address such as"),
            ("8808", "before the port"),
            (":8808", "before the port"),
            ("*:8808", "before the port"),
            ("127.0.0.1", "a port behind"),
            ("::1", "a port behind"),
            ("[::1]", "a port behind"),
            ("localhost", "a port behind"),
            ("localhost:", "expected an address such as"),
            ("localhost:+8", "expected an address such as"),
            ("localhost:65536", "expected an address such as"),
            ("127.0.0.1:65536", "expected an address such as"),
            ("127.0.0.1:-1", "expected an address such as"),
            ("127.1:80", "expected an address such as"),
            (" 127.0.0.1:80", "expected an address such as"),
            ("example.com:80", "expected an address such as"),
            ("http://127.0.0.1:80", "without a scheme"),
            ("unix:", "a path behind"),
            ("unix:/run/", "not of a folder"),
            ("unix:/run/..", "not of a folder"),
            ("unix:/a\0b", "without control characters"),
        ] {
            let why = Address::parse(text).unwrap_err();
            assert!(why.contains(fault), "{text:?}: {why}");
        }
        let long = |bytes: usize| Address::parse(&format!("unix:/{}", "x".repeat(bytes - 1)));
        assert!(long(UNIX_PATH_BYTES_MAX).is_ok());
        assert!(long(UNIX_PATH_BYTES_MAX + 1).unwrap_err().contains("too long"));
    }

    #[test]
    fn addresses_that_cannot_both_be_listened_on_overlap() {
        for (a, b, both) in [
            ("127.0.0.1:1", "localhost:1", true),
            ("0.0.0.0:1", "127.0.0.1:1", true),
            ("0.0.0.0:1", "127.0.0.1:2", false),
            ("[::]:1", "0.0.0.0:1", false),
            ("127.0.0.1:1", "[::1]:1", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("unix:/a", "unix:/a", true),
            ("unix:/a", "unix:/b", false),
            ("unix:/a", "127.0.0.1:1", false),
        ] {
            let (a, b) = (Address::parse(a).unwrap(), Address::parse(b).unwrap());
            assert_eq!((a.overlaps(&b), b.overlaps(&a)), (both, both), "{a} {b}");
        }
    }

    #[test]
    fn a_network_is_told_from_a_name() {
        for text in ["10.0.0.5", "10.0.0.0/8", "0.0.0.0/0", "::1", "fd00::/8", "::/0", "10.0.0.1/32"] {
            assert!(is_network(text), "{text}");
        }
        for text in
            ["", "nginx", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0"]
        {
            assert!(!is_network(text), "{text}");
        }
    }
}
