//! A catalog of three servers, and by hand where each way of asking leads.

use std::sync::{Arc, LazyLock};

use mcp_braid::config::{Names, Prefix, Uris};
use mcp_braid::mcp::capabilities::Capabilities;
use mcp_braid::mcp::method::Kind;
use mcp_braid::routing::catalog::{Catalog, Offer, Presence};
use mcp_braid::routing::item::Item;
use mcp_braid::routing::names::NamePlan;

pub const SERVERS: usize = 3;

/// Whose a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// That server's, which calls it so.
    To(usize, &'static str),
    /// Nobody's, with this code.
    Refused(i32),
}

/// What tools are called as, and where that leads.
pub const TOOLS: [(&str, Way); 9] = [
    ("a__read", Way::To(0, "read")),
    ("b__write", Way::To(1, "write")),
    ("b__only_b", Way::To(1, "only_b")),
    ("only_b", Way::To(1, "only_b")),
    ("read", Way::To(2, "read")),
    ("write", Way::Refused(-32602)),
    ("a__only_b", Way::Refused(-32602)),
    ("c__read", Way::Refused(-32602)),
    ("", Way::Refused(-32602)),
];

/// What resources are called as, and where that leads.
pub const RESOURCES: [(&str, Way); 14] = [
    ("a+demo://1", Way::To(0, "demo://1")),
    ("b+demo://1", Way::To(1, "demo://1")),
    ("A+demo://1", Way::To(0, "demo://1")),
    ("a+demo://1/part", Way::To(0, "demo://1/part")),
    ("b+demo://1?x", Way::To(1, "demo://1?x")),
    ("a+file:///d/", Way::To(0, "file:///d/")),
    ("file:///d/", Way::To(0, "file:///d/")),
    ("file:///d/e", Way::To(0, "file:///d/e")),
    ("note://7", Way::To(1, "note://7")),
    ("https://host/x", Way::To(2, "https://host/x")),
    ("plain:1", Way::To(2, "plain:1")),
    ("plain:10", Way::To(2, "plain:10")),
    ("demo://1", Way::Refused(-32602)),
    ("zzz:1", Way::Refused(-32002)),
];

/// Of which a server may say that they changed.
pub const CHANGING: [&str; 10] = [
    "demo://1",
    "demo://1/part",
    "demo://1/part/of#it",
    "demo://1?x",
    "demo://10",
    "file:///d/e",
    "note://7",
    "plain:1",
    "plain:10",
    "https://host/x?y",
];

/// `a` and `b` with prefixes, `c` without.
pub static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let servers = [
        ("a", &Prefix::Key, Uris::Prefixed),
        ("b", &Prefix::Key, Uris::Prefixed),
        ("c", &Prefix::Bare, Uris::Prefixed),
    ];
    let offers = [
        offer(&["read", "write"], &["demo://1", "file:///d/"], &[]),
        offer(&["write", "only_b"], &["demo://1"], &["note://{id}"]),
        offer(&["read"], &["https://host/x", "plain:1"], &[]),
    ];
    Catalog::merge(&NamePlan::new(&Names::default(), &servers), &offers, 100)
});

fn offer(tools: &[&str], resources: &[&str], templates: &[&str]) -> Offer {
    let items = |kind: Kind, names: &[&str]| {
        let item = |name: &&str| {
            let text = format!(r#"{{"{}":"{name}"}}"#, kind.key());
            Item::parse(kind, text.into()).expect("an item")
        };
        Arc::new(names.iter().map(item).collect())
    };
    Offer {
        presence: Presence::Shown,
        capabilities: Capabilities::read(r#"{"tools":{},"resources":{"subscribe":true}}"#),
        completes: false,
        spoken: None,
        holds: Default::default(),
        exposure: None,
        lists: [
            items(Kind::Tools, tools),
            Arc::default(),
            items(Kind::Resources, resources),
            items(Kind::Templates, templates),
        ],
    }
}
