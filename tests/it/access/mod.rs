//! What rules do not give is neither listed nor reached: every principal, kind of item, method, door and era; and what was
//! made for one is nothing to another.
#![expect(clippy::disallowed_types, reason = "the parties of a test make their own messages")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod ends;
mod foreign;
mod streams;
mod told;

use crate::filters::server::Server;
use crate::filters::way::Way;
use crate::filters::{config, listed, plain};
use crate::http::house::{House, settled};
use http::StatusCode;
use mcp_braid::mcp::caller::{Grant, Principal, Scopes};
use mcp_braid::upstream::dial::Dial;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::LocalSet;

const CONFIG: &str = r#"
[defaults]
sharing = "shared"
protocol = "handshake"
[servers.files]
command = "x"
tools.deny = ["delete_*"]
[servers.notes]
command = "x"
[servers.far]
url = "https://far.example/mcp"
headers = { Authorization = "Bearer s" }
[groups.dev]
servers = ["files", "notes"]
tools.deny = ["*/write"]
[groups.far]
servers = ["far"]
[listen.tokens]
ci = "0123456789012345678901234567890123456789"
ana = { token = "9876543210987654321098765432109876543210", scopes = ["read"] }
[access.ci]
principals = ["token:ci"]
tools = ["files/read"]
resources = ["files/demo://*"]
[access.readers]
principals = ["token:ana"]
scopes = ["read"]
servers = ["files", "notes"]
read_only = true
[access.writers]
principals = ["token:a*"]
scopes = ["write"]
servers = ["n*s"]
[access.by_the_door]
principals = ["bearer"]
groups = ["dev"]
servers = ["files"]
[access.here]
principals = ["local", "oauth:*"]
servers = ["files"]
tools.deny = ["*/write"]
[access.whoever]
principals = ["anonymous"]
servers = ["notes", "far"]
prompts = ["*"]
"#;

/// Something that a server lists.
#[derive(Debug, Clone, Copy)]
struct Thing {
    kind: &'static str,
    server: &'static str,
    own: &'static str,
    /// A tool that says that it changes nothing.
    reads: bool,
}

const fn thing(kind: &'static str, server: &'static str, own: &'static str) -> Thing {
    Thing { kind, server, own, reads: false }
}

const THINGS: &[Thing] = &[
    Thing { reads: true, ..thing("tools", "files", "read") },
    thing("tools", "files", "write"),
    thing("tools", "files", "delete_all"),
    Thing { reads: true, ..thing("tools", "notes", "get") },
    thing("tools", "notes", "set"),
    thing("tools", "far", "go"),
    thing("prompts", "files", "p1"),
    thing("prompts", "notes", "remind"),
    thing("prompts", "far", "away"),
    thing("resources", "files", "demo://a"),
    thing("resources", "files", "other://1"),
    thing("resources", "notes", "note://1"),
    thing("resourceTemplates", "files", "demo://{id}"),
    thing("resourceTemplates", "notes", "note://{n}"),
];

const ALL: &str = "all";
const DEV: &str = "dev";
const FAR: &str = "a group of far";

/// Somebody, and what the rules above give them: written down anew, so that both can be wrong only alike by chance.
struct Somebody {
    name: &'static str,
    grant: Grant,
    may: fn(&Thing, &str) -> bool,
}

fn somebody(
    name: &'static str,
    principal: Principal,
    scopes: &[&str],
    may: fn(&Thing, &str) -> bool,
) -> Somebody {
    let scopes = Scopes::of(scopes.iter().copied()).unwrap();
    Somebody { name, grant: Grant::of(principal, scopes), may }
}

fn everybody() -> Vec<Somebody> {
    let ana = || Principal::token("ana");
    let ci = |it: &Thing, _: &str| {
        it.server == "files"
            && (it.own == "read" || it.kind.starts_with("resource") && it.own.starts_with("demo://"))
    };
    let reads = |it: &Thing, _: &str| it.server != "far" && (it.kind != "tools" || it.reads);
    let writes = |it: &Thing, _: &str| it.server == "notes";
    let both = |it: &Thing, _: &str| {
        it.server == "notes" || it.server == "files" && (it.kind != "tools" || it.reads)
    };
    let here = |it: &Thing, _: &str| it.server == "files" && it.own != "write";
    vec![
        somebody("ci", Principal::token("ci"), &[], ci),
        somebody("ci with scopes", Principal::token("ci"), &["read", "write"], ci),
        somebody("ana", ana(), &[], |_, _| false),
        somebody("ana who reads", ana(), &["read"], reads),
        somebody("ana who writes", ana(), &["write"], writes),
        somebody("ana who does both", ana(), &["read", "write"], both),
        somebody("the bearer", Principal::bearer(), &["read"], |it, door| {
            door == DEV && it.server == "files"
        }),
        somebody("bob", Principal::token("bob"), &["read"], |_, _| false),
        somebody("an account", Principal::oauth("x"), &[], here),
        somebody("whoever", Principal::anonymous(), &[], |it, _| {
            it.server == "notes" && it.kind == "prompts"
        }),
        somebody("the person here", Principal::local(), &[], here),
    ]
}

impl Thing {
    /// Whether whoever may use everything sees it by a door.
    fn is_behind(&self, door: &str) -> bool {
        let is_its = match door {
            ALL => true,
            DEV => self.server != "far" && self.own != "write",
            FAR => self.server == "far",
            _ => self.server == door,
        };
        is_its && self.own != "delete_all"
    }

    fn is_shown(&self, who: &Somebody, door: &str) -> bool {
        self.is_behind(door) && (who.may)(self, door)
    }

    fn is_addressed(&self) -> bool {
        self.kind.starts_with("resource")
    }

    /// What clients call it by a door.
    fn exposed(&self, door: &str) -> String {
        match ([ALL, DEV, FAR].contains(&door), self.is_addressed()) {
            (false, _) => self.own.to_owned(),
            (true, true) => format!("{}+{}", self.server, self.own),
            (true, false) => format!("{}__{}", self.server, self.own),
        }
    }

    /// Every request by which it could be reached under a name.
    fn requests(&self, name: &str, stands: bool) -> Vec<(&'static str, Value)> {
        let argument = json!({"name": "a", "value": ""});
        let completion =
            |reference: Value| ("completion/complete", json!({"ref": reference, "argument": argument}));
        match self.kind {
            "tools" => vec![("tools/call", json!({"name": name}))],
            "prompts" => vec![
                ("prompts/get", json!({"name": name})),
                completion(json!({"type": "ref/prompt", "name": name})),
            ],
            _ => {
                let mut requests = vec![completion(json!({"type": "ref/resource", "uri": name}))];
                // What a template leads to is read, not the template.
                let uri = json!({"uri": name.replace("{id}", "7").replace("{n}", "7")});
                requests.push(("resources/read", uri.clone()));
                if !stands {
                    requests.push(("resources/subscribe", uri.clone()));
                    requests.push(("resources/unsubscribe", uri));
                }
                requests
            }
        }
    }
}

fn server(name: &str) -> Server {
    let listed = |kind: &str| -> Vec<Value> {
        let of_kind = THINGS.iter().filter(|thing| thing.server == name && thing.kind == kind);
        of_kind
            .map(|thing| match kind {
                "tools" => {
                    json!({"name": thing.own, "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": thing.reads}})
                }
                "prompts" => json!({"name": thing.own}),
                "resources" => json!({"uri": thing.own, "name": "n"}),
                _ => json!({"uriTemplate": thing.own, "name": "n"}),
            })
            .collect()
    };
    Server::new(json!({"tools": listed("tools"), "prompts": listed("prompts"),
        "resources": listed("resources"), "resourceTemplates": listed("resourceTemplates"),
        "instructions": format!("words of {name}")}))
}

fn house() -> (House, Vec<Server>) {
    let servers: Vec<Server> = ["files", "notes", "far"].into_iter().map(server).collect();
    let dials = servers.iter().map(|server| -> Arc<dyn Dial> { Arc::new(server.clone()) }).collect();
    (House::over(config(CONFIG), dials), servers)
}

/// Compares what somebody is listed by a door with what they can reach, request by request; gives back how many there were.
async fn judge(who: &Somebody, door: &str, way: &mut Way, servers: &[Server]) -> usize {
    let label = format!("{} by {door}", who.name);
    let list = listed(way).await;
    let shown = || THINGS.iter().filter(|thing| thing.is_shown(who, door));
    let expected: BTreeSet<_> = shown().map(|thing| (thing.kind.to_owned(), thing.exposed(door))).collect();
    assert_eq!(list, expected, "{label}");
    let given: BTreeSet<&str> = shown().map(|thing| thing.server).collect();
    let mut count = 0;
    for thing in THINGS {
        let is_listed = list.contains(&(thing.kind.to_owned(), thing.exposed(door)));
        // A server that is alone is asked for every URI that nothing hides, whosever it would be elsewhere.
        let is_alone = given.len() == 1;
        if is_alone && thing.is_addressed() && !given.contains(thing.server) {
            assert!(!is_listed, "{label}: {thing:?}");
            continue;
        }
        // No other server has the own name, so that it leads there as well.
        for name in [thing.exposed(door), thing.own.to_owned()] {
            let unknown = match thing.is_addressed() {
                true => "nobody+none://such".to_owned(),
                false => format!("{name}_nobody"),
            };
            let missing = thing.requests(&unknown, way.stands());
            for ((method, params), (_, nothing)) in
                thing.requests(&name, way.stands()).into_iter().zip(missing)
            {
                count += 1;
                settled().await;
                servers.iter().for_each(|server| drop(server.asked()));
                let answer = way.ask(method, params.clone()).await;
                settled().await;
                let asked: usize = servers.iter().map(|server| server.asked().len()).sum();
                let what = format!("{label}: {method} {params}: {answer}");
                if is_listed {
                    assert!(answer.get("result").is_some(), "{what}");
                    assert_eq!(asked, 1, "{what}");
                    continue;
                }
                assert_eq!(asked, 0, "{what}");
                let places = [&params["uri"], &params["name"], &params["ref"]["uri"], &params["ref"]["name"]];
                let said = places.into_iter().find_map(Value::as_str).unwrap();
                if is_alone && thing.is_addressed() {
                    assert!(plain(&answer, said).contains("resource not found: NAME"), "{what}");
                    continue;
                }
                let nobodys = way.ask(method, nothing.clone()).await;
                assert_eq!(plain(&answer, said), plain(&nobodys, &unknown), "{what}");
            }
        }
    }
    count
}

/// A door by which somebody may use nothing is to them as one that is not there.
async fn is_no_door(house: &House, path: &'static str, who: &Somebody) {
    let mut said = Vec::new();
    for path in [path, "/mcp/nobody", "/servers/nobody/mcp"] {
        let client = crate::http::house::Client { path, ..house.stranger_of(&who.grant) };
        let reply = client.greet().await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{} by {path}", who.name);
        let headers = format!("{:?}", reply.headers);
        said.push((headers, reply.text().await));
        assert_eq!(client.get(None).await.unwrap().status, StatusCode::NOT_FOUND);
        assert_eq!(client.delete().await.unwrap().status, StatusCode::NOT_FOUND);
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn h09_what_somebody_is_listed_is_what_they_can_reach_by_every_door_and_method_in_both_eras() {
    let matrix = async {
        let (house, servers) = house();
        let (mut count, mut closed) = (0, 0);
        for who in everybody() {
            for (door, of_play, path) in [
                (ALL, None, "/mcp"),
                (DEV, Some("in dev"), "/mcp/dev"),
                (FAR, Some("in far"), "/mcp/far"),
                ("files", Some("at files"), "/servers/files/mcp"),
                ("notes", Some("at notes"), "/servers/notes/mcp"),
                ("far", Some("at far"), "/servers/far/mcp"),
            ] {
                if who.grant.principal == Principal::local() {
                    for stands in [false, true] {
                        let mut way = Way::pipe(&house, of_play, stands).await;
                        count += judge(&who, door, &mut way, &servers).await;
                    }
                    continue;
                }
                if door != ALL && !THINGS.iter().any(|thing| thing.is_shown(&who, door)) {
                    is_no_door(&house, path, &who).await;
                    closed += 1;
                    continue;
                }
                let mut ways =
                    vec![Way::session(&house, path, &who.grant).await, Way::alone(&house, path, &who.grant)];
                if door == ALL {
                    ways.push(Way::sse(&house, &who.grant).await);
                }
                for way in &mut ways {
                    count += judge(&who, door, way, &servers).await;
                }
            }
        }
        assert_eq!((count, closed), (3460, 33));
    };
    LocalSet::new().run_until(matrix).await;
}
