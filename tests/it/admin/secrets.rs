//! C-05: what is secret in a configuration or in a call is in nothing that whoever looks after a run can see.

use super::nest::{DEMO, Nest, until};
use serde_json::json;

/// One for each place in which a secret may stand.
const CANARIES: [(&str, &str); 7] = [
    ("env", "canaryenv5f2a"),
    ("env_file", "canaryfile91bc"),
    ("arg", "canaryarg77d0"),
    ("header", "canaryheader3e8f"),
    ("query", "canaryquery0a6d"),
    ("call", "canarycallb4c2"),
    ("variable", "canaryvariable8e1f"),
];

fn canary(of: &str) -> &'static str {
    CANARIES.iter().find(|(name, _)| *name == of).unwrap().1
}

/// As it may be written as well.
fn forms(secret: &str) -> [String; 3] {
    let hex = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    [secret.to_owned(), hex, percent]
}

#[test]
fn c05_no_secret_is_in_anything_that_is_shown() {
    let config = format!(
        r#"
        [log]
        level = "trace"
        file = "all.out"
        [admin]
        audit = "audit.jsonl"
        {DEMO}
        env = {{ TOKEN = "{}", OTHER = "${{SECRET}}" }}
        env_file = "vars"
        [servers.args]
        command = "false"
        args = ["--token", "{}"]
        [servers.far]
        url = "http://127.0.0.1:9/mcp?key={}"
        headers = {{ Authorization = "Bearer {}" }}
        "#,
        canary("env"),
        canary("arg"),
        canary("query"),
        canary("header"),
    );
    let nest = Nest::new(&config);
    nest.write("vars", &format!("FILED={}\n", canary("env_file")));
    // The client's words are nobody's but its server's.
    let mut client = {
        let mut command = nest.command(&["stdio"]);
        command.env("SECRET", canary("variable"));
        nest.client_of(command)
    };
    let passing = std::fs::File::create(nest.path().join("tap.out")).unwrap();
    let mut tap = nest.command(&["tap", "--json"]).stdout(passing).spawn().unwrap();
    until(|| {
        client.call("workshop__add", json!({"a": 2, "b": 3, "note": canary("call")}));
        let seen = std::fs::read_to_string(nest.path().join("tap.out")).unwrap();
        seen.contains("workshop").then_some(())
    });
    client.call("far__anything", json!({"note": canary("call")}));
    client.call("args__anything", json!({}));
    until(|| (nest.status()["servers"][3]["state"] == "failed").then_some(()));
    let mut shown = String::new();
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["logs", "workshop"],
        &["logs", "args"],
        &["restart", "far"],
        &["status", "--ready"],
    ] {
        let said = nest.braid(args);
        shown.push_str(&format!("{args:?}\n{}{}\n", said.out, said.err));
    }
    shown.push_str(&nest.get("/metrics"));
    client.leave();
    // With its run.
    tap.wait().unwrap();
    for file in ["all.out", "audit.jsonl", "tap.out"] {
        let text = std::fs::read_to_string(nest.path().join(file)).unwrap();
        assert!(text.contains("workshop"), "{file}");
        shown.push_str(&text);
    }
    shown.push_str(&nest.logs());
    for (place, secret) in CANARIES {
        for form in forms(secret) {
            let found = shown.lines().find(|line| line.contains(&form));
            assert_eq!(found, None, "{place}");
        }
    }
}
