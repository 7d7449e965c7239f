//! Which addresses are of the public network, for URLs that others name.
//!
//! A server may say where its authorization server is, and must not make us ask what only we can reach: this machine, the
//! network that we are in, a cloud's own services. Pure, but for the one look at a name; it connects to nothing. What the
//! configuration names is not judged here.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures::future::BoxFuture;

/// Where requests may go.
#[derive(Clone)]
pub(super) enum Bounds {
    /// Wherever a URL of the configuration leads.
    None,
    /// To the public network alone, by addresses that are judged after their name was looked up, and are then used.
    Public { names: Names },
}

/// Looks up a host and a port. All addresses that it gives are judged, and only those that it gave are connected to.
pub(super) type Names = Arc<dyn Fn(String, u16) -> Looked + Send + Sync>;
pub(super) type Looked = BoxFuture<'static, io::Result<Vec<SocketAddr>>>;

/// By the system's own resolver.
pub(super) fn by_the_system() -> Names {
    Arc::new(|host, port| {
        Box::pin(
            async move { Ok(tokio::net::lookup_host((host, port)).await?.take(ADDRESSES_MAX).collect()) },
        )
    })
}

impl Bounds {
    /// Whether a host may be asked for at all, before it is looked up. `host` as a URL has it; an address is judged here,
    /// because nobody looks it up.
    pub(super) fn admit(&self, host: &str) -> bool {
        let Self::Public { .. } = self else { return true };
        let bare = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
        match bare.parse::<IpAddr>() {
            Ok(address) => is_public(address),
            Err(_) => !is_of_this_machine(bare),
        }
    }
}

fn is_of_this_machine(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.is_empty() || name == "localhost" || name.ends_with(".localhost")
}

/// Whether an address is one that anybody on the network can reach: of the registries of special addresses
/// (RFC 6890 and what followed) none.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = u32::from(address);
    !SPECIAL_V4.iter().any(|(network, length)| bits >> (32 - length) == u32::from(*network) >> (32 - length))
}

/// Only what is given out as global unicast, and of that nothing that leads elsewhere: an address of version 4 in one of
/// version 6 (6to4, Teredo) is not looked into but refused.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let bits = u128::from(address);
    let within =
        |network: &Ipv6Addr, length: u32| bits >> (128 - length) == u128::from(*network) >> (128 - length);
    within(&Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3)
        && !SPECIAL_V6.iter().any(|(network, length)| within(network, *length))
}

const SPECIAL_V4: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    // Of carriers, between them and their customers.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local; clouds answer there.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

const SPECIAL_V6: [(Ipv6Addr, u32); 4] = [
    // Teredo, ORCHID, benchmarks and other protocols' own.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    // 6to4.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Addresses of one name that are looked at.
pub(super) const ADDRESSES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn public() -> Bounds {
        Bounds::Public { names: by_the_system() }
    }

    #[test]
    fn h10_what_only_we_can_reach_is_not_public() {
        for host in [
            "127.0.0.1",
            "127.1.2.3",
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.169.254",
            "169.254.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "192.168.255.255",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "[::]",
            "[::1]",
            "[::2]",
            "[::ffff:127.0.0.1]",
            "[::ffff:10.0.0.1]",
            "[::ffff:8.8.8.8]",
            "[::8.8.8.8]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b::808:808]",
            "[64:ff9b:1::1]",
            "[100::1]",
            "[2001::1]",
            "[2001:0:4136:e378::1]",
            "[2001:2::1]",
            "[2001:10::1]",
            "[2001:20::1]",
            "[2001:db8::1]",
            "[2002:7f00:1::1]",
            "[2002:a00:1::]",
            "[2002:808:808::1]",
            "[3fff::1]",
            "[3fff:fff::1]",
            "[5f00::1]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "[febf::1]",
            "[fec0::1]",
            "[ff02::1]",
            "[ff0e::1]",
            "[4000::1]",
            "[1fff::1]",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
            "A.B.LocalHost.",
            "",
        ] {
            assert!(!public().admit(host), "{host}");
            assert!(Bounds::None.admit(host), "{host}");
        }
    }

    #[test]
    fn what_anybody_reaches_is_public() {
        for host in [
            "8.8.8.8",
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "169.253.0.1",
            "192.0.1.1",
            "192.167.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "[2606:4700::1]",
            "[2001:200::1]",
            "[2003::1]",
            "[2a00:1450::1]",
            "[3ffe::1]",
            "example.com",
            "localhost.example.com",
            "notlocalhost",
        ] {
            assert!(public().admit(host), "{host}");
        }
    }
}
