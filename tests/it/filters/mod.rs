//! What filters hide is neither listed nor reached: every kind of item, every method, every door, both eras.
#![expect(clippy::disallowed_types, reason = "the parties of a test make their own messages")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

pub(crate) mod server;
pub(crate) mod way;

use crate::http::house::{House, settled};
use mcp_braid::config::Config;
use mcp_braid::config::file::from_text;
use mcp_braid::mcp::caller::{Grant, Principal};
use mcp_braid::upstream::dial::Dial;
use serde_json::{Value, json};
use server::Server;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use tokio::task::LocalSet;
use way::Way;

const CONFIG: &str = r#"
[defaults]
sharing = "shared"
protocol = "handshake"
resources.deny = ["*secret*"]
[servers.files]
command = "x"
tools.deny = ["delete_*"]
prompts.allow = ["p?"]
resources.deny = ["demo://secret*", "hid://{x}", "*ghost{i*"]
tool.old.enabled = false
[servers.notes]
command = "x"
read_only = true
tool.get.name = "fetch"
[groups.dev]
servers = ["files", "notes"]
tools.deny = ["*/write"]
prompts.allow = ["notes/*"]
resources.deny = ["notes/*", "files/demo://{id}"]
[groups.reads]
servers = ["files"]
read_only = true
resources.allow = ["*/demo://a"]
"#;

/// Something that a server lists.
#[derive(Debug, Clone, Copy)]
struct Thing {
    kind: &'static str,
    server: &'static str,
    own: &'static str,
    /// What it is called behind its prefix.
    called: &'static str,
    /// By which doors it is to be seen.
    doors: &'static [&'static str],
}

const ALL: &str = "all";
const DEV: &str = "dev";
const READS: &str = "reads";
const FILES: &str = "files";
const NOTES: &str = "notes";

const fn thing(
    kind: &'static str,
    server: &'static str,
    own: &'static str,
    doors: &'static [&'static str],
) -> Thing {
    Thing { kind, server, own, called: own, doors }
}

const THINGS: &[Thing] = &[
    thing("tools", "files", "read", &[ALL, DEV, READS, FILES]),
    thing("tools", "files", "write", &[ALL, FILES]),
    thing("tools", "files", "delete_all", &[]),
    thing("tools", "files", "old", &[]),
    Thing { called: "fetch", ..thing("tools", "notes", "get", &[ALL, DEV, NOTES]) },
    thing("tools", "notes", "set", &[]),
    thing("prompts", "files", "p1", &[ALL, READS, FILES]),
    thing("prompts", "files", "quiz", &[]),
    thing("prompts", "notes", "remind", &[ALL, DEV, NOTES]),
    thing("resources", "files", "demo://a", &[ALL, READS, FILES]),
    thing("resources", "files", "demo://secret/1", &[]),
    thing("resources", "files", "other://1", &[ALL, DEV, FILES]),
    thing("resources", "files", "file:///etc/../srv/a", &[ALL, DEV, FILES]),
    thing("resources", "notes", "note://1", &[ALL, NOTES]),
    thing("resources", "notes", "note://secret", &[]),
    thing("resourceTemplates", "files", "demo://{id}", &[ALL, FILES]),
    thing("resourceTemplates", "files", "hid://{x}", &[]),
    thing("resourceTemplates", "files", "far://ghost{id}", &[]),
    thing("resourceTemplates", "notes", "note://{n}", &[ALL, NOTES]),
];

impl Thing {
    fn is_shown(&self, door: &str) -> bool {
        self.doors.contains(&door)
    }

    fn is_behind(&self, door: &str) -> bool {
        match door {
            READS => self.server == "files",
            FILES | NOTES => self.server == door,
            _ => true,
        }
    }

    fn is_addressed(&self) -> bool {
        self.kind.starts_with("resource")
    }

    /// What clients call it by a door.
    fn exposed(&self, door: &str) -> String {
        match (door, self.is_addressed()) {
            (FILES | NOTES, _) => self.called.to_owned(),
            (_, true) => format!("{}+{}", self.server, self.called),
            (_, false) => format!("{}__{}", self.server, self.called),
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
                let uri = json!({"uri": name.replace("{id}", "7").replace("{x}", "7").replace("{n}", "7")});
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
                    let reads = ["read", "get"].contains(&thing.own);
                    json!({"name": thing.own, "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": reads}})
                }
                "prompts" => json!({"name": thing.own}),
                "resources" => json!({"uri": thing.own, "name": "n"}),
                _ => json!({"uriTemplate": thing.own, "name": "n"}),
            })
            .collect()
    };
    Server::new(json!({"tools": listed("tools"), "prompts": listed("prompts"),
        "resources": listed("resources"), "resourceTemplates": listed("resourceTemplates")}))
}

pub(crate) fn config(text: &str) -> Config {
    let loaded = from_text(text, "braid.toml", Path::new("/"), &|_| None);
    loaded.unwrap_or_else(|report| panic!("{}", report.render(false))).config
}

fn house() -> (House, [Server; 2]) {
    let servers = [server("files"), server("notes")];
    let dials = servers.iter().map(|server| -> Arc<dyn Dial> { Arc::new(server.clone()) }).collect();
    (House::over(config(CONFIG), dials), servers)
}

/// Everything that a door lists, by kind.
pub(crate) async fn listed(way: &mut Way) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for (kind, method, key) in [
        ("tools", "tools/list", "name"),
        ("prompts", "prompts/list", "name"),
        ("resources", "resources/list", "uri"),
        ("resourceTemplates", "resources/templates/list", "uriTemplate"),
    ] {
        let answer = way.ask(method, json!({})).await;
        for item in answer["result"][kind].as_array().unwrap_or_else(|| panic!("{answer}")) {
            found.insert((kind.to_owned(), item[key].as_str().unwrap().to_owned()));
        }
    }
    found
}

/// An error without what was asked for.
pub(crate) fn plain(answer: &Value, name: &str) -> String {
    assert!(answer.get("error").is_some(), "{name}: {answer}");
    answer["error"].to_string().replace(name, "NAME")
}

/// Compares one door with what it lists, request by request; gives back how many there were.
async fn judge(label: &str, door: &str, way: &mut Way, servers: &[Server; 2]) -> usize {
    let list = listed(way).await;
    let expected: BTreeSet<_> = THINGS
        .iter()
        .filter(|thing| thing.is_shown(door))
        .map(|thing| (thing.kind.to_owned(), thing.exposed(door)))
        .collect();
    assert_eq!(list, expected, "{label}");
    let mut count = 0;
    for thing in THINGS {
        let is_listed = list.contains(&(thing.kind.to_owned(), thing.exposed(door)));
        // A server that is alone at its door is asked for every URI that no filter hides.
        let is_alone = ![ALL, DEV].contains(&door);
        if is_alone && thing.is_addressed() && !thing.is_behind(door) {
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
        assert!(thing.is_behind(door) || !is_listed, "{label}: {thing:?}");
    }
    count
}

#[tokio::test(start_paused = true)]
async fn h09_what_is_listed_is_what_can_be_reached_by_every_door_and_method_in_both_eras() {
    let matrix = async {
        let (house, servers) = house();
        let nobody = Grant::plain(Principal::anonymous());
        let mut count = 0;
        for (door, of_play, path) in [
            (ALL, None, "/mcp"),
            (DEV, Some("in dev"), "/mcp/dev"),
            (READS, Some("in reads"), "/mcp/reads"),
            (FILES, Some("at files"), "/servers/files/mcp"),
            (NOTES, Some("at notes"), "/servers/notes/mcp"),
        ] {
            let mut ways = vec![
                ("a pipe", Way::pipe(&house, of_play, false).await),
                ("a pipe, each by itself", Way::pipe(&house, of_play, true).await),
                ("HTTP", Way::session(&house, path, &nobody).await),
                ("HTTP, each by itself", Way::alone(&house, path, &nobody)),
            ];
            if door == ALL {
                ways.push(("HTTP+SSE", Way::sse(&house, &nobody).await));
            }
            for (name, way) in &mut ways {
                count += judge(&format!("{door} over {name}"), door, way, &servers).await;
            }
        }
        assert_eq!(count, 1472);
    };
    LocalSet::new().run_until(matrix).await;
}
