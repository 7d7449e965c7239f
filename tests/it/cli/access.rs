//! What commands say of rules: to whom something is shown, and by which of them.

use super::with_config;

const CONFIG: &str = r#"
[servers.notes]
command = "${braid}"
args = ["demo-server", "notes"]
[servers.workshop]
command = "${braid}"
args = ["demo-server", "workshop"]
[groups.bench]
servers = ["workshop"]
[access.people]
principals = ["oauth:*"]
scopes = ["read"]
servers = ["notes"]
tools.deny = ["*/delete"]
[access.adders]
principals = ["oauth:ana", "cert:*"]
tools = ["notes/add", "notes/nothing_*"]
[access.door]
principals = ["cert:*"]
groups = ["bench"]
servers = ["workshop"]
read_only = true
"#;

fn said(args: &[&str]) -> super::Said {
    with_config(CONFIG, args)
}

#[test]
fn the_command_line_is_held_to_no_rule() {
    let list = said(&["list"]).fine();
    assert!(list.contains("notes__delete") && list.contains("workshop__add"), "{list}");
    assert_eq!(said(&["call", "workshop__add", "a=2", "b=3"]).fine(), "{\"sum\":5}\n");
    let leads = said(&["explain", "notes__delete"]).fine();
    assert!(!leads.contains("`access.") && !leads.contains("hidden"), "{leads}");
}

#[test]
fn a_list_may_be_as_somebody_sees_it() {
    let names = |args: &[&str]| -> Vec<String> {
        let list = said(&[&["list", "tools", "--as"], args].concat()).fine();
        list.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&["oauth:ana"]), ["notes__add"]);
    let both = names(&["oauth:ana", "--scopes", "read,write"]);
    assert!(both.len() == 3 && !both.contains(&"notes__delete".to_owned()), "{both:?}");
    assert_eq!(names(&["bearer"]), Vec::<String>::new());
    let door = names(&["cert:x", "--group", "bench"]);
    assert!(!door.is_empty() && door.iter().all(|name| name.starts_with("workshop__")), "{door:?}");
    let all = said(&["list", "tools", "notes", "--all", "--as", "oauth:ana"]).fine();
    assert!(all.contains("hidden: no pattern of `access.adders.tools.allow` matches it"), "{all}");
}

#[test]
fn explain_says_which_rule_gives_something_and_why_none_does() {
    for (what, whom, line) in [
        ("notes__add", &["oauth:ana"][..], "`oauth:ana` sees it: `access.adders` gives it"),
        (
            "notes__add",
            &["oauth:ana", "--scopes", "read"],
            "`oauth:ana` sees it: `access.people` and `access.adders` give it",
        ),
        (
            "notes__delete",
            &["oauth:ana", "--scopes", "read"],
            "`oauth:ana` does not see it, as if it were not there: none of `access.people`, `access.adders` shows it",
        ),
        (
            "notes__delete",
            &["oauth:ana"],
            "`oauth:ana` does not see it, as if it were not there: no pattern of `access.adders.tools.allow` matches it",
        ),
        (
            "workshop__add",
            &["oauth:ana"],
            "`oauth:ana` does not see it, as if it were not there: `access.adders` gives nothing of `workshop` there",
        ),
        (
            "workshop__add",
            &["local"],
            "`local` does not see it, as if it were not there: no rule of `[access]` is for them",
        ),
    ] {
        let said = said(&[&["explain", what, "--as"], whom].concat()).fine();
        assert!(said.contains(&format!("  {line}\n")), "{line}\n{said}");
    }
    let by_door = said(&["explain", "workshop__add", "--as", "cert:x"]).fine();
    assert!(by_door.contains("`cert:x` does not see it, as if it were not there: "), "{by_door}");
    assert!(by_door.contains("by the door of the group `bench`"), "{by_door}");
    let unruled =
        with_config(&CONFIG[..CONFIG.find("[access").unwrap()], &["explain", "notes__add", "--as", "local"]);
    assert!(unruled.fine().contains("`local` sees it: there is no rule for that"));
    assert!(said(&["explain", "notes__add", "--as", "ana"]).with_code(2).err.contains("token:NAME"));
    assert!(said(&["explain", "notes__add", "--scopes", "x"]).with_code(2).err.contains("--as"));
}

#[test]
fn check_warns_of_a_rule_whose_pattern_is_like_nothing() {
    let said = said(&["check"]).fine();
    let line =
        "BRAID-N005 `access.adders.tools.allow` has `notes/nothing_*`, which matches nothing that there is";
    assert_eq!(said.matches(line).count(), 1, "{said}");
    assert_eq!(said.matches("BRAID-N005").count(), 1, "{said}");
}

#[test]
fn what_a_rule_says_is_shown_as_it_is_understood() {
    let shown = with_config(CONFIG, &["config", "show"]).fine();
    let rule = shown.split("[access.adders]").nth(1).unwrap();
    for line in [
        "principals = [\"oauth:ana\", \"cert:*\"]",
        "prompts.allow = []",
        "resources.allow = []",
        "groups = []",
    ] {
        assert!(rule.contains(line), "{line}\n{shown}");
    }
}
