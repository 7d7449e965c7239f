//! Names and URIs over whatever bytes a configuration and its servers may come up with.
//!
//! The first two bytes choose the rules. Of the rest, 0xff ends a server and 0xfe a text: the first text
//! of a server is its key, the others are the names, and the URIs, that it lists.

#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use mcp_braid::config::{Names, Prefix, PrefixMode, Uris};
use mcp_braid::routing::names::{LENGTH_MIN, NamePlan};
use mcp_braid::routing::uris::{UriMap, claimant};

fuzz_target!(|data: &[u8]| check(data));

fn check(data: &[u8]) {
    let [style, bare, rest @ ..] = data else { return };
    let mut servers: Vec<Vec<String>> = Vec::new();
    for server in rest.split(|byte| *byte == 0xff).take(16) {
        let texts: Vec<String> = server
            .split(|byte| *byte == 0xfe)
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .collect();
        // Keys are distinct: they are keys of one table.
        if servers.iter().all(|other| other.first() != texts.first()) {
            servers.push(texts);
        }
    }
    let names = names(*style);
    let prefixes: Vec<Prefix> = (0..servers.len()).map(|place| prefix(*bare, place)).collect();
    let configured: Vec<(&str, &Prefix, Uris)> = servers
        .iter()
        .zip(&prefixes)
        .map(|(texts, prefix)| (texts[0].as_str(), prefix, Uris::Prefixed))
        .collect();
    let plan = NamePlan::new(&names, &configured);
    let own: Vec<Vec<&str>> =
        servers.iter().map(|texts| texts[1..].iter().map(String::as_str).collect()).collect();
    names_lead_back(&plan, &own, names.length_max.max(LENGTH_MIN));
    order_changes_nothing(&names, &configured, &plan, &own);
    uris_lead_back(&plan, &own);
}

fn names(style: u8) -> Names {
    let prefix = match style & 3 {
        0 => PrefixMode::OnCollision,
        1 => PrefixMode::Never,
        _ => PrefixMode::Always,
    };
    let separator = ["__", "_", "-", "--", "_x_", "a", "", "-_"][usize::from(style >> 2 & 7)].to_owned();
    let length_max = [52, 0, 32, 128][usize::from(style >> 5 & 3)];
    Names { prefix, separator, length_max }
}

fn prefix(bare: u8, place: usize) -> Prefix {
    match bare >> (place % 8) & 1 {
        1 => Prefix::Bare,
        _ => Prefix::Key,
    }
}

/// Every name is legal, and a table of them leads each one back to where it came from.
fn names_lead_back(plan: &NamePlan, own: &[Vec<&str>], length_max: usize) {
    let exposed = plan.expose(own);
    assert_eq!(exposed.len(), own.len());
    let mut table = HashMap::new();
    for (server, (exposed, own)) in exposed.iter().zip(own).enumerate() {
        assert_eq!(exposed.len(), own.len());
        for (place, item) in exposed.iter().enumerate() {
            let name = &item.name;
            assert!(name.starts_with(|char: char| char.is_ascii_alphabetic()), "{name}");
            assert!(
                name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')),
                "{name}"
            );
            assert!(name.len() <= length_max, "{name}");
            assert_eq!(table.insert(name.clone(), (server, place)), None, "{name}");
        }
    }
}

fn order_changes_nothing(
    names: &Names,
    configured: &[(&str, &Prefix, Uris)],
    plan: &NamePlan,
    own: &[Vec<&str>],
) {
    let (mut turned, mut own_turned) = (configured.to_vec(), own.to_vec());
    turned.reverse();
    own_turned.reverse();
    let turned = NamePlan::new(names, &turned);
    assert!(turned.servers().iter().rev().eq(plan.servers()));
    let mut exposed = turned.expose(&own_turned);
    exposed.reverse();
    assert_eq!(exposed, plan.expose(own));
}

/// Every URI comes back as it was, to the server it came from.
fn uris_lead_back(plan: &NamePlan, own: &[Vec<&str>]) {
    for (server, (name, own)) in plan.servers().iter().zip(own).enumerate() {
        let map = UriMap::new(name);
        for uri in own {
            let exposed = map.expose(uri);
            match map.own(&exposed) {
                Some(back) => {
                    assert_eq!(back, *uri);
                    assert_eq!(claimant(plan.servers(), &exposed), Some(server));
                }
                None => assert_eq!(exposed, *uri),
            }
        }
    }
}
