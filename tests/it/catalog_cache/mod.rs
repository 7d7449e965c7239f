//! Lists that outlive a run: the real binary started twice in one home, its servers held back by a file.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod files;
mod home;

use home::{Home, LIST};

#[test]
fn the_second_start_lists_before_a_server_speaks_and_its_calls_reach_it() {
    let home = Home::new("");
    let first = home.stdio(&[]).ask(LIST);
    assert!(first.contains("notes__"), "{first}");
    home.hold();
    let mut client = home.stdio(&[]);
    assert_eq!(client.ask(LIST), first);
    client.say(
        r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"notes__list","arguments":{}}}"#,
    );
    client.say(
        r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"notes__gone","arguments":{}}}"#,
    );
    // The call waits, and so must whoever reads.
    let status = home.status();
    assert!(
        status.contains(r#""cached_lists":true"#) && status.contains(r#""state":"starting""#),
        "{status}"
    );
    home.release();
    let answers = [client.hear(), client.hear()];
    let of = |id: &str| answers.iter().find(|answer| answer.contains(id)).unwrap();
    assert!(of(r#""id":2,"#).contains(r#""result""#), "{answers:?}");
    assert!(of(r#""id":3,"#).contains("unknown tool: notes__gone"), "{answers:?}");
    // Nothing was said in between: the lists are the same.
    assert_eq!(client.ask(LIST), first);
    assert!(home.status().contains(r#""cached_lists":false"#));
    assert_eq!(home.logged("its lists are those of the last run"), 1);
}

#[test]
fn another_configuration_of_a_server_begins_anew() {
    let home = Home::new("timeouts.first_list = \"50ms\"");
    home.stdio(&[]).ask(LIST);
    home.hold();
    assert!(home.stdio(&[]).ask(LIST).contains("notes__"));
    for variables in [&[("ACCOUNT", "other")][..], &[("TOKEN", "other")]] {
        let list = home.stdio(variables).ask(LIST);
        assert!(!list.contains("notes__"), "{list}");
    }
    home.configure("servers.notes.args = [\"-c\", \"true\"]");
    assert!(!home.stdio(&[]).ask(LIST).contains("notes__"));
}

#[test]
fn filters_and_names_are_those_of_this_run() {
    let home = Home::new("");
    let whole = home.stdio(&[]).ask(LIST);
    assert!(whole.contains("notes__list") && whole.contains("notes__add"), "{whole}");
    home.hold();
    home.configure("servers.notes.prefix = \"n\"\nservers.notes.tools = { deny = [\"add\"] }");
    let shown = home.stdio(&[]).ask(LIST);
    assert!(shown.contains("n__list") && !shown.contains("n__add"), "{shown}");
    home.configure("servers.notes.enabled = false\nservers.other = { command = \"true\" }");
    assert!(!home.stdio(&[]).ask(LIST).contains("notes"));
}

#[test]
fn commands_show_what_is_there_and_nothing_else() {
    let home = Home::new("");
    home.stdio(&[]).ask(LIST);
    home.configure("timeouts.start = \"300ms\"");
    home.hold();
    for args in [&["list"][..], &["check"], &["call", "notes__list"]] {
        let said = home.braid(args);
        assert!(!said.out.contains("notes__list"), "{said:?}");
    }
    assert!(home.stdio(&[]).ask(LIST).contains("notes__list"));
}

#[test]
fn several_runs_keep_lists_in_one_folder_at_the_same_time() {
    let home = Home::new("");
    let first = home.stdio(&[]).ask(LIST);
    std::fs::remove_dir_all(home.lists_folder()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(home.stdio(&[]).ask(LIST), first));
        }
    });
    home.hold();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(home.stdio(&[]).ask(LIST), first));
        }
    });
    assert_eq!((home.lists().len(), home.logged("not used"), home.logged("not kept")), (1, 0, 0));
}

#[test]
fn without_the_setting_nothing_is_written() {
    let home = Home::new("admin.catalog_cache = false");
    home.stdio(&[]).ask(LIST);
    assert!(!home.lists_folder().exists() && !home.key().exists());
}

#[test]
fn lists_of_the_last_run_are_those_of_the_configuration_that_holds() {
    let own = "timeouts.first_list = \"1s\"\nadmin.watch_config = false";
    let home = Home::new("");
    let first = home.stdio(&[]).ask(LIST);
    home.configure(own);
    home.hold();
    let mut client = home.stdio(&[]);
    assert_eq!(client.ask(LIST), first);
    let reload = |more: &str| {
        home.configure(&format!("{own}\n{more}"));
        let said = home.braid(&["reload"]);
        assert!(said.out.contains("notes"), "{said:?}");
    };
    let mut list = || {
        client.say(LIST);
        // It may be told in between that its list is another.
        std::iter::repeat_with(|| client.hear()).find(|line| line.contains(r#""id":1,"#)).unwrap()
    };
    reload("servers.notes.env = { OTHER = \"1\" }");
    let other = list();
    assert!(!other.contains("notes__"), "{other}");
    // What is kept of the configuration that holds again is found again.
    reload("");
    let limit = std::time::Instant::now() + crate::said::PATIENCE;
    while list() != first {
        assert!(std::time::Instant::now() < limit, "it is not found");
    }
    assert_eq!(home.logged("its lists are those of the last run"), 2);
}
