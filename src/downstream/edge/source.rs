//! Who is at the other end of a connection, and for whom it counts.
//!
//! A `Peer` is what the socket knows; a `Source` is whom failures and connections are counted for. Whoever
//! may open our Unix socket is one source: they are this machine's own people. Behind the trusted proxy the source is
//! what the proxy itself appended to `X-Forwarded-For`; nobody else's word is taken for it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::HeaderMap;

/// The other end of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    Tcp {
        remote: SocketAddr,
        /// Our own end, which says what a wildcard listener was reached by.
        local: SocketAddr,
    },
    Unix,
}

/// Whom failures and connections are counted for. Who has one IPv6 address has all 2^64 beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Source {
    Unix,
    V4(Ipv4Addr),
    V6([u16; 4]),
}

/// What ends TLS before us, by its address or its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proxy {
    network: IpAddr,
    bits: u32,
}

impl Peer {
    /// An IPv4 address that came in by an IPv6 listener is an IPv4 address.
    pub fn tcp(remote: SocketAddr, local: SocketAddr) -> Self {
        let plain = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        Self::Tcp { remote: plain(remote), local: plain(local) }
    }

    /// Only this machine's own people can be at that end.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp { remote, .. } => remote.ip().is_loopback(),
            Self::Unix => true,
        }
    }

    /// The source that this connection itself is.
    pub(super) fn source(&self) -> Source {
        match self {
            Self::Tcp { remote, .. } => Source::of(remote.ip()),
            Self::Unix => Source::Unix,
        }
    }

    /// The source of one request on this connection.
    pub(super) fn source_of(&self, headers: &HeaderMap, proxy: Option<&Proxy>) -> Source {
        let told = || {
            let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
            let last = last.rsplit(',').next().unwrap_or(last).trim();
            last.parse::<IpAddr>().ok().or_else(|| last.parse::<SocketAddr>().ok().map(|end| end.ip()))
        };
        // By a socket that is our user's alone comes nobody but the proxy, where there is one.
        let behind = proxy.is_some_and(|proxy| proxy.is(self) || matches!(self, Self::Unix));
        if behind { told().map_or_else(|| self.source(), Source::of) } else { self.source() }
    }
}

impl Source {
    fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip),
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

impl Proxy {
    /// `10.0.0.7` or `10.0.0.0/8`. `None` for anything else, such as a name.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let network = address.parse::<IpAddr>().ok()?;
        let all = if network.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(all);
        (bits <= all).then_some(Self { network, bits })
    }

    pub(super) fn is(&self, peer: &Peer) -> bool {
        match peer {
            Peer::Unix => false,
            Peer::Tcp { remote, .. } => match (self.network, remote.ip()) {
                (IpAddr::V4(own), IpAddr::V4(ip)) => {
                    (own.to_bits() ^ ip.to_bits()).checked_shr(32 - self.bits).unwrap_or(0) == 0
                }
                (IpAddr::V6(own), IpAddr::V6(ip)) => {
                    (own.to_bits() ^ ip.to_bits()).checked_shr(128 - self.bits).unwrap_or(0) == 0
                }
                (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(ip: &str) -> Peer {
        Peer::tcp(SocketAddr::new(ip.parse().unwrap(), 9), "127.0.0.1:8808".parse().unwrap())
    }

    fn forwarded(values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (http::HeaderName::from_static("x-forwarded-for"), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_proxy_is_known_by_address_or_network() {
        for (proxy, ip, is) in [
            ("10.0.0.7", "10.0.0.7", true),
            ("10.0.0.7", "10.0.0.8", false),
            ("10.0.0.0/8", "10.9.9.9", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::/0", "fe80::1", true),
            ("10.0.0.7", "::ffff:10.0.0.7", true),
        ] {
            assert_eq!(Proxy::parse(proxy).unwrap().is(&peer(ip)), is, "{proxy} {ip}");
        }
        for text in ["nginx", "", "10.0.0.0/33", "10.0.0.0/x", "::/129"] {
            assert_eq!(Proxy::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_the_proxys_own_word_names_another_source() {
        let proxy = Proxy::parse("10.0.0.7");
        let told = forwarded(&["1.1.1.1", "2.2.2.2, 3.3.3.3"]);
        assert_eq!(peer("10.0.0.7").source_of(&told, proxy.as_ref()), peer("3.3.3.3").source());
        assert_eq!(peer("10.0.0.8").source_of(&told, proxy.as_ref()), peer("10.0.0.8").source());
        assert_eq!(peer("10.0.0.7").source_of(&told, None), peer("10.0.0.7").source());
        for odd in [&[][..], &["unknown"], &["3.3.3.3, "]] {
            assert_eq!(
                peer("10.0.0.7").source_of(&forwarded(odd), proxy.as_ref()),
                peer("10.0.0.7").source()
            );
        }
    }

    #[test]
    fn neighbours_in_ipv6_are_one_source() {
        assert_eq!(peer("2001:db8::1").source(), peer("2001:db8::ffff:1").source());
        assert_ne!(peer("2001:db8::1").source(), peer("2001:db8:0:1::1").source());
    }

    #[test]
    fn by_a_socket_comes_the_proxy_if_there_is_one() {
        let (proxy, far) = (Proxy::parse("127.0.0.1"), forwarded(&["9.9.9.9, 8.8.8.8"]));
        assert_eq!(Peer::Unix.source_of(&far, proxy.as_ref()), Source::of("8.8.8.8".parse().unwrap()));
        assert_eq!(Peer::Unix.source_of(&far, None), Source::Unix);
        assert_eq!(Peer::Unix.source_of(&forwarded(&[]), proxy.as_ref()), Source::Unix);
    }
}
