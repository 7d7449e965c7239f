//! The configuration of a real run, read anew: by a command, by a signal, by a change of its file.

use super::nest::{Client, DEMO, Nest, until};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;

/// The children of a run that were started with this word in their command line.
fn processes(client: &Client, word: &str) -> Vec<u32> {
    let pid = client.pid();
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let children =
        tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default());
    let children: Vec<u32> = children
        .flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>())
        .collect();
    let is_meant = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|part| part == word.as_bytes())
    };
    children.into_iter().filter(is_meant).collect()
}

/// The only one.
fn process(client: &Client, word: &str) -> u32 {
    until(|| match processes(client, word)[..] {
        [pid] => Some(pid),
        _ => None,
    })
}

fn tools(client: &mut Client) -> Vec<String> {
    let listed = client.ask("tools/list", json!({}));
    let tools = listed["result"]["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

fn is_served(client: &mut Client) -> bool {
    client.call("workshop__add", json!({"a": 2, "b": 3}))["error"].is_null()
}

/// How the last reading went, once this is so of it.
fn reload_once(nest: &Nest, is_so: impl Fn(&Value) -> bool) -> Value {
    until(|| Some(nest.status()["reload"].clone()).filter(|reload| !reload.is_null() && is_so(reload)))
}

const ONE: &str = "[servers.workshop]\ncommand = \"${braid}\"\nargs = [\"demo-server\", \"workshop\"]\n";
/// For those where nothing is to be read before the test says so.
const STILL: &str = "[admin]\nwatch_config = false\n";

#[test]
fn c02_a_command_reads_it_anew_and_says_what_changed() {
    let nest = Nest::new(&format!("{STILL}{DEMO}"));
    let mut client = nest.client(&[]);
    let workshop = process(&client, "workshop");
    let notes = process(&client, "notes");
    let same = nest.braid(&["reload"]).with_code(0).out;
    assert_eq!(same, "nothing changed\nunchanged  notes, workshop\n");
    // It counts for a second, and what happens meanwhile does not touch it.
    let slow = client.send(
        "tools/call",
        json!({"name": "workshop__countdown", "arguments": {"steps": 10, "delay_ms": 100}}),
    );
    nest.write(
        "braid.toml",
        &format!("{STILL}{ONE}[servers.more]\ncommand = \"${{braid}}\"\nargs = [\"demo-server\", \"notes\"]\nenv = {{ NEW = \"1\" }}\n[log]\nlevel = \"warn\"\n"),
    );
    let said = nest.braid(&["reload", "--json"]).json();
    assert_eq!(
        (&said["added"], &said["removed"], &said["unchanged"]),
        (&json!(["more"]), &json!(["notes"]), &json!(["workshop"]))
    );
    assert_eq!((&said["ok"], &said["needs_restart"]), (&json!(true), &json!(["log.level"])));
    let answer = client.hear().unwrap();
    assert_eq!((&answer["id"], &answer["error"]), (&json!(slow), &Value::Null), "{answer}");
    assert_eq!(process(&client, "workshop"), workshop);
    let more = until(|| processes(&client, "notes").into_iter().find(|pid| *pid != notes));
    let environment = String::from_utf8(fs::read(format!("/proc/{more}/environ")).unwrap()).unwrap();
    assert!(environment.split('\0').any(|pair| pair == "NEW=1"), "{environment}");
    until(|| (!processes(&client, "notes").contains(&notes)).then_some(()));
    let listed = until(|| {
        Some(tools(&mut client)).filter(|tools| tools.iter().any(|name| name.starts_with("more__")))
    });
    assert!(!listed.iter().any(|name| name.starts_with("notes__")), "{listed:?}");
    assert_eq!(client.call("notes__search", json!({}))["error"]["code"], -32602);
    let text = nest.braid(&["reload"]).with_code(0).out;
    assert_eq!(text, "nothing changed\nunchanged  workshop, more\nneeds a restart of Braid: log.level\n");
    let status = nest.braid(&["status"]).with_code(0).out;
    assert!(status.contains("nothing changed; 2 unchanged; needs a restart of Braid: log.level"), "{status}");
    client.leave();
}

#[test]
fn another_environment_is_another_process() {
    let nest = Nest::new(&format!("{STILL}{ONE}env = {{ A = \"1\" }}\n"));
    let mut client = nest.client(&[]);
    assert!(is_served(&mut client));
    let before = process(&client, "workshop");
    nest.write("braid.toml", &format!("{STILL}{ONE}env = {{ A = \"2\" }}\n"));
    let said = nest.braid(&["reload", "--json"]).json();
    assert_eq!(said["restarted"], json!(["workshop"]));
    assert!(is_served(&mut client), "it is waited for");
    let now = process(&client, "workshop");
    assert_ne!(now, before);
    let environment = String::from_utf8(fs::read(format!("/proc/{now}/environ")).unwrap()).unwrap();
    assert!(environment.split('\0').any(|pair| pair == "A=2"), "{environment}");
    // Nothing that only hides needs another.
    nest.write("braid.toml", &format!("{STILL}{ONE}env = {{ A = \"2\" }}\ntools.deny = [\"ad*\"]\n"));
    let said = nest.braid(&["reload", "--json"]).json();
    assert_eq!((&said["changed"], &said["restarted"]), (&json!(["workshop"]), &json!([])));
    assert!(!tools(&mut client).contains(&"workshop__add".to_owned()));
    assert_eq!(process(&client, "workshop"), now);
    client.leave();
}

#[test]
fn c02_a_bad_file_changes_nothing_and_is_known_until_it_is_mended() {
    let nest = Nest::new(&format!("{STILL}{DEMO}"));
    let mut client = nest.client(&[]);
    assert!(is_served(&mut client));
    let (workshop, notes) = (process(&client, "workshop"), process(&client, "notes"));
    let bad: [(&str, &[u8], &str); 6] = [
        ("syntax", b"[servers.a\ncommand = 1", "BRAID-C012"),
        ("an unknown key", b"[servers.a]\ncommand = \"x\"\ncomand = \"y\"\n", "BRAID-C001"),
        (
            "a missing reference",
            b"[servers.a]\ncommand = \"x\"\nenv = { A = \"${NO_SUCH_THING}\" }\n",
            "BRAID-C013",
        ),
        ("nothing", b"", "BRAID-C019"),
        ("no text", b"\x00\xff\xfe\x00\x01", "BRAID-C017"),
        ("no server that could be", b"[servers.a]\n", "BRAID-C004"),
    ];
    let mut since = None;
    for (what, text, code) in bad {
        fs::write(nest.path().join("braid.toml"), text).unwrap();
        let said = nest.braid(&["reload"]).with_code(6);
        assert!(said.out.is_empty() && said.err.contains("nothing was changed"), "{what}: {said:?}");
        let reload = nest.status()["reload"].clone();
        assert_eq!(reload["ok"], false, "{what}: {reload}");
        assert_eq!(reload["code"], code, "{what}: {reload}");
        assert!(since.get_or_insert_with(|| reload["since"].clone()) == &reload["since"], "{what}: {reload}");
        assert!(is_served(&mut client), "{what}");
    }
    fs::remove_file(nest.path().join("braid.toml")).unwrap();
    let said = nest.braid(&["reload", "--json", "-c", "braid.toml"]).with_code(6);
    let said: Value = serde_json::from_str(said.err.trim_end()).unwrap();
    assert_eq!((&said["exit"], &said["error"]["data"]["ok"]), (&json!(6), &json!(false)), "{said}");
    let status = nest.braid(&["status"]).with_code(0).out;
    assert!(status.contains("CONFIGURATION BAD since "), "{status}");
    assert_eq!((process(&client, "workshop"), process(&client, "notes")), (workshop, notes));
    assert!(is_served(&mut client));
    nest.write("braid.toml", &format!("{STILL}{DEMO}"));
    assert_eq!(nest.braid(&["reload"]).with_code(0).out, "nothing changed\nunchanged  notes, workshop\n");
    assert_eq!(nest.status()["reload"]["ok"], true);
    // Of a mistake that is there twice, it is spoken once.
    nest.write("braid.toml", "nonsense");
    for _ in 0..3 {
        nest.braid(&["reload"]).with_code(6);
    }
    client.leave();
    assert_eq!(nest.logs().matches("the configuration is bad").count(), 8, "{}", nest.logs());
}

#[test]
fn a_hang_up_without_a_terminal_reads_it_anew() {
    let nest = Nest::new(&format!("{STILL}{DEMO}"));
    let mut client = nest.client(&[]);
    assert!(is_served(&mut client));
    nest.write("braid.toml", &format!("{STILL}{ONE}"));
    let pid = rustix::process::Pid::from_raw(i32::try_from(client.pid()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    let reload = reload_once(&nest, |reload| reload["ok"] == true);
    assert_eq!(reload["removed"], json!(["notes"]));
    assert!(is_served(&mut client));
    until(|| processes(&client, "notes").is_empty().then_some(()));
    client.leave();
    let logs = nest.logs();
    assert!(logs.contains("the configuration was read anew: removed notes; 1 unchanged"), "{logs}");
    assert!(logs.contains("by=signal"), "{logs}");
}

#[test]
fn a_file_that_is_renamed_over_or_swapped_behind_a_link_is_seen() {
    let nest = Nest::new("");
    let path = |name: &str| nest.path().join(name);
    // As a cluster mounts it: a link to a file behind a link that is swapped.
    fs::create_dir(path("v1")).unwrap();
    fs::write(path("v1/braid.toml"), DEMO).unwrap();
    symlink("v1", path("data")).unwrap();
    fs::remove_file(path("braid.toml")).unwrap();
    symlink("data/braid.toml", path("braid.toml")).unwrap();
    let mut client = nest.client(&[]);
    assert!(is_served(&mut client));
    fs::create_dir(path("v2")).unwrap();
    fs::write(path("v2/braid.toml"), ONE).unwrap();
    symlink("v2", path("data.new")).unwrap();
    fs::rename(path("data.new"), path("data")).unwrap();
    assert_eq!(reload_once(&nest, |reload| reload["ok"] == true)["removed"], json!(["notes"]));
    // As an editor writes it.
    nest.write("v2/draft", DEMO);
    fs::rename(path("v2/draft"), path("v2/braid.toml")).unwrap();
    let reload = reload_once(&nest, |reload| reload["removed"] == json!([]));
    assert_eq!(reload["added"], json!(["notes"]));
    // Gone, and there again.
    fs::remove_file(path("v2/braid.toml")).unwrap();
    assert_eq!(reload_once(&nest, |reload| reload["ok"] == false)["code"], "BRAID-C017");
    assert!(is_served(&mut client));
    nest.write("v2/braid.toml", ONE);
    assert_eq!(reload_once(&nest, |reload| reload["ok"] == true)["removed"], json!(["notes"]));
    client.leave();
}

#[test]
fn what_a_reference_names_is_watched_too() {
    let nest = Nest::new(&format!("{ONE}env = {{ KEY = \"${{file:key}}\" }}\n"));
    nest.write("key", "one");
    let mut client = nest.client(&[]);
    assert!(is_served(&mut client));
    nest.write("key", "two");
    assert_eq!(reload_once(&nest, |reload| reload["ok"] == true)["restarted"], json!(["workshop"]));
    assert!(is_served(&mut client));
    let environment = fs::read(format!("/proc/{}/environ", process(&client, "workshop"))).unwrap();
    assert!(String::from_utf8(environment).unwrap().split('\0').any(|pair| pair == "KEY=two"));
    assert!(!nest.logs().contains("two"));
    client.leave();
}

#[test]
fn two_at_once_are_done_one_after_the_other() {
    let nest = Nest::new(&format!("{STILL}{DEMO}"));
    let mut client = nest.client(&[]);
    assert!(is_served(&mut client));
    nest.write("braid.toml", &format!("{STILL}{ONE}"));
    let said: Vec<Value> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| nest.braid(&["reload", "--json"]).json())).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let removed: Vec<_> = said.iter().filter(|said| said["removed"] == json!(["notes"])).collect();
    assert_eq!((said.len(), removed.len()), (4, 1), "{said:?}");
    assert!(is_served(&mut client));
    client.leave();
}

#[test]
fn a_run_without_a_file_says_that_it_has_none() {
    let nest = Nest::new("");
    let braid = env!("CARGO_BIN_EXE_braid");
    let client = nest.client(&["--", braid, "demo-server", "notes"]);
    let said = nest.braid(&["reload"]).with_code(1);
    assert!(said.err.contains("cannot be read anew"), "{said:?}");
    client.leave();
}
