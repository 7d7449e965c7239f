//! What commands say of what is hidden, and of settings that nothing is like.

use super::with_config;

const CONFIG: &str = r#"
[defaults]
tools.deny = ["*_nowhere"]
[servers.notes]
command = "${braid}"
args = ["demo-server", "notes"]
tools.deny = ["del*"]
resources.deny = ["note://{id}", "note://ideas"]
tool.list.enabled = false
tool.add.name = "write"
tool.add.description = "Writes it down."
[servers.workshop]
command = "${braid}"
args = ["demo-server", "workshop"]
[servers.workshop.tool.add]
defaults = { b = 3 }
hidden = ["b"]
[groups.bench]
servers = ["notes", "workshop"]
tools.deny = ["workshop/ad?"]
resources.allow = []
"#;

fn said(args: &[&str]) -> super::Said {
    with_config(CONFIG, args)
}

#[test]
fn a_list_shows_what_clients_see_and_on_request_the_rest_with_its_reason() {
    let list = said(&["list", "tools", "notes"]).fine();
    let names: Vec<&str> = list.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["notes__write", "notes__search"]);
    assert!(list.contains("(add) Writes it down."), "{list}");
    let all = said(&["list", "tools", "notes", "--all"]).fine();
    assert!(
        all.contains("notes__delete") && all.contains("hidden: `servers.notes.tools.deny` has `del*`"),
        "{all}"
    );
    assert!(all.contains("hidden: `servers.notes.tool.list.enabled` is false"), "{all}");
    let json = said(&["list", "tools", "notes", "--all", "--json"]).fine();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let hidden = json["tools"].as_array().unwrap().iter().filter(|tool| tool["hidden"].is_string());
    assert_eq!(hidden.map(|tool| tool["own"].as_str().unwrap()).collect::<Vec<_>>(), ["list", "delete"]);
    assert_eq!(said(&["list", "templates", "notes"]).fine(), "");
}

#[test]
fn a_list_may_be_that_of_a_groups_door() {
    let list = said(&["list", "--group", "bench"]).fine();
    assert!(list.contains("workshop__countdown") && !list.contains("workshop__add"), "{list}");
    assert_eq!(said(&["list", "resources", "--group", "bench"]).fine(), "");
    let all = said(&["list", "--group", "bench", "--all"]).fine();
    assert!(all.contains("hidden: `groups.bench.tools.deny` has `workshop/ad?`"), "{all}");
    assert!(said(&["list", "--group", "bnech"]).with_code(6).err.contains("did you mean `bench`?"));
}

#[test]
fn explain_names_the_setting_that_hides_a_name_or_gives_it() {
    for (what, why) in [
        ("notes__delete", "`servers.notes.tools.deny` has `del*`"),
        ("delete", "`servers.notes.tools.deny` has `del*`"),
        ("notes__list", "`servers.notes.tool.list.enabled` is false"),
        ("notes+note://ideas", "`servers.notes.resources.deny` has `note://{id}`"),
        ("notes+note://{id}", "`servers.notes.resources.deny` has `note://{id}`"),
        ("notes+note://of-nobody", "`servers.notes.resources.deny` has `note://{id}`"),
    ] {
        let said = said(&["explain", what]).fine();
        assert!(said.contains(&format!("it is hidden, as if it were not there: {why}\n")), "{said}");
    }
    // What leads somewhere is what is meant.
    let more =
        format!("{CONFIG}[servers.more]\ncommand = \"${{braid}}\"\nargs = [\"demo-server\", \"notes\"]\n");
    let leads = with_config(&more, &["explain", "delete"]).fine();
    assert!(leads.contains("leads to the tool `delete` of `more`"), "{leads}");
    let renamed = said(&["explain", "notes__write"]).fine();
    assert!(renamed.contains("`servers.notes.tool.add.name` gives it this name\n"), "{renamed}");
    let elsewhere = said(&["explain", "workshop__add"]).fine();
    let why = "by the door of the group `bench` it is hidden: `groups.bench.tools.deny` has `workshop/ad?`";
    assert!(elsewhere.contains(why), "{elsewhere}");
}

#[test]
fn what_is_hidden_is_called_and_read_like_what_is_not_there() {
    for (args, message) in [
        (&["call", "notes__delete", "id=ideas"][..], "unknown tool: notes__delete"),
        (&["call", "delete", "id=ideas"], "unknown tool: delete"),
        (&["read", "notes+note://ideas"], "resource not found: notes+note://ideas"),
    ] {
        let said = said(args).with_code(5);
        assert!(said.err.contains(message), "{said:?}");
    }
    assert_eq!(said(&["call", "workshop__add", "a=2"]).fine(), "{\"sum\":5}\n");
    let refused = said(&["call", "workshop__add", "a=2", "b=4"]).with_code(5);
    assert!(refused.err.contains("`workshop__add` takes no argument `b` from clients"), "{refused:?}");
}

#[test]
fn check_counts_what_is_hidden_and_warns_of_what_nothing_is_like() {
    let fine = said(&["check"]).fine();
    assert!(fine.contains("2 tools 2 prompts 6 hidden"), "{fine}");
    // One that stands in the defaults is warned of once, and only if it matches nowhere.
    assert_eq!(fine.matches("`*_nowhere`").count(), 1, "{fine}");
    let config = format!(
        "{CONFIG}\n[servers.notes.tool.ad]\ntimeout = \"1s\"\n[servers.workshop.tool.greet]\nenabled = true\n[servers.notes.tool.search]\ndefaults = {{ qery = \"x\" }}\nhidden = [\"query\"]\n[groups.odd]\nservers = [\"notes\"]\nprompts.deny = [\"notes/x*\"]\n"
    );
    let said = with_config(&config, &["check", "--strict"]).with_code(7);
    for line in [
        "BRAID-N006 `servers.notes.tool.ad` is of a tool that `notes` does not have; did you mean `add`?",
        "BRAID-N006 `servers.workshop.tool.greet` is of a tool that `workshop` does not have",
        "BRAID-N007 `servers.notes.tool.search.defaults` names `qery`, which the tool does not take; did you mean `query`?",
        "BRAID-N007 `servers.notes.tool.search.hidden` has `query`, which every call needs",
        "BRAID-N005 `groups.odd.prompts.deny` has `notes/x*`, which matches nothing that there is",
    ] {
        assert!(said.out.contains(line), "{line}\n{said:?}");
    }
    with_config(&config, &["check", "--strict", "--offline"]).with_code(0);
}

#[test]
fn what_is_put_in_is_not_shown() {
    let config =
        format!("{CONFIG}\n[servers.notes.tool.search]\ndefaults = {{ query = \"s3cret\", n = 1.50 }}\n");
    let shown = with_config(&config, &["config", "show"]).fine();
    assert!(!shown.contains("s3cret") && shown.contains("n = 1.50"), "{shown}");
    assert!(shown.contains("tools.deny = [\"del*\"]") && shown.contains("resources.allow = []"), "{shown}");
    let odd = format!("{config}bad = 1\n");
    let refused = with_config(&odd, &["list"]).with_code(6);
    assert!(!refused.err.contains("s3cret"), "{refused:?}");
}
