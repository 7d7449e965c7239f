//! Which of a profile's allocations are ours, by the place in our code.

#![expect(clippy::disallowed_types, reason = "a profile is no message")]

use serde_json::Value;
use std::collections::BTreeMap;

/// A place in our code, and what it calls that allocates.
pub(crate) struct Site {
    pub(crate) blocks: u64,
    bytes: u64,
    function: String,
    what: String,
}

impl Site {
    /// For a person: how often and how many bytes for each of so many requests, and where.
    pub(crate) fn line(&self, requests: usize) -> String {
        let Self { blocks, bytes, function, what } = self;
        let each = |sum: u64| sum as f64 / requests as f64;
        format!("{:6.2} {:7.0} B  {function}  {what}", each(*blocks), each(*bytes))
    }
}

/// The most frequent first. `profile`: as DHAT writes it.
pub(crate) fn ours(profile: &str) -> Vec<Site> {
    let profile: Value = serde_json::from_str(profile).expect("a profile");
    let frames: Vec<&str> = array(&profile, "ftbl").iter().filter_map(Value::as_str).collect();
    let mut sites: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
    for point in array(&profile, "pps") {
        let stack = array(point, "fs").iter().filter_map(Value::as_u64);
        let stack: Vec<&str> = stack.filter_map(|at| frames.get(at as usize).copied()).collect();
        let Some(site) = ours_in(&stack) else { continue };
        let count = |key: &str| point.get(key).and_then(Value::as_u64).unwrap_or_default();
        let sum = sites.entry(site).or_default();
        *sum = (sum.0 + count("tbk"), sum.1 + count("tb"));
    }
    let sites = sites.into_iter();
    let mut sites: Vec<Site> =
        sites.map(|((function, what), (blocks, bytes))| Site { blocks, bytes, function, what }).collect();
    sites.sort_by_key(|site| std::cmp::Reverse(site.blocks));
    sites
}

/// Our innermost function on the stack, and what it called; nothing, if what allocates is somebody else's.
fn ours_in(stack: &[&str]) -> Option<(String, String)> {
    let mut what = String::new();
    // Innermost first. The last that is nobody's is what our function has called.
    for frame in stack {
        let (_, frame) = frame.split_once(": ")?;
        let (function, place) = frame.rsplit_once(" (").unwrap_or((frame, ""));
        match whose(function) {
            Whose::Ours => {
                let place = place.trim_end_matches(')').rsplit_once(':').map_or(place, |(place, _)| place);
                return Some((format!("{} ({place})", short(function)), what));
            }
            Whose::Other => return None,
            Whose::Nobodys => what = short(function),
        }
    }
    None
}

enum Whose {
    Ours,
    /// A peer's or the HTTP library's.
    Other,
    /// Of a library that whoever called it answers for.
    Nobodys,
}

fn whose(function: &str) -> Whose {
    let of = |name: &str| function.strip_prefix('<').unwrap_or(function).starts_with(name);
    if of("mcp_braid::") {
        Whose::Ours
    } else if ["allocations::", "axum", "http::", "http_body", "hyper"].iter().any(|name| of(name)) {
        Whose::Other
    } else {
        Whose::Nobodys
    }
}

fn short(function: &str) -> String {
    function.replace("mcp_braid::", "").replace("::{{closure}}", "{}")
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
