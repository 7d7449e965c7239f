//! Where runs are found, by whom, and that nothing of them is left.

use super::nest::{DEMO, Nest, until};
use serde_json::json;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};

#[test]
fn a_run_is_found_as_long_as_it_is_there() {
    let nest = Nest::demo();
    let none = nest.braid(&["status"]).with_code(4);
    assert!(none.err.starts_with("braid: no run of Braid was found"), "{none:?}");
    let client = nest.client(&[]);
    let status = nest.status();
    assert_eq!(status["instance"]["pid"], client.pid());
    let sockets = nest.sockets();
    assert_eq!(sockets.len(), 1);
    let found = std::fs::symlink_metadata(&sockets[0]).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    let folder = std::fs::metadata(sockets[0].parent().unwrap()).unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
    assert_eq!(status["instance"]["socket"], sockets[0].to_str().unwrap());
    client.leave();
    assert_eq!(nest.sockets().len(), 0);
    nest.braid(&["status"]).with_code(4);
}

#[test]
fn of_several_runs_the_one_that_is_meant_is_asked() {
    let nest = Nest::demo();
    nest.write("other.toml", DEMO);
    let (one, other) = (nest.client(&[]), nest.client(&["-c", "other.toml"]));
    let text = nest.braid(&["status"]).with_code(0).out;
    assert!(text.contains(&format!("pid {}", one.pid())) && text.contains(&format!("pid {}", other.pid())));
    let which = nest.braid(&["logs", "notes"]).with_code(2).err;
    assert!(which.starts_with("braid: 2 runs are there; say which is meant"), "{which}");
    assert!(which.contains("braid.toml") && which.contains("other.toml"), "{which}");
    let meant = nest.braid(&["status", "--json", "-c", "other.toml"]).json();
    assert_eq!(meant["instances"][0]["instance"]["pid"], other.pid());
    nest.braid(&["logs", "notes", "-c", "other.toml"]).with_code(0);
    let socket = meant["instances"][0]["instance"]["socket"].as_str().unwrap().to_owned();
    nest.braid(&["logs", "notes", "--socket", &socket]).with_code(0);
    nest.write("third.toml", DEMO);
    let none = nest.braid(&["status", "-c", "third.toml"]).with_code(4);
    assert!(none.err.contains("no run serves `third.toml`"), "{none:?}");
    one.leave();
    other.leave();
}

#[test]
fn what_a_killed_run_left_is_swept_by_whoever_comes_next() {
    let nest = Nest::demo();
    nest.client(&[]).kill();
    assert_eq!(nest.sockets().len(), 1);
    let next = nest.client(&[]);
    until(|| (nest.sockets().len() == 1).then_some(()));
    assert_eq!(nest.status()["instance"]["pid"], next.pid());
    next.kill();
    nest.braid(&["status"]).with_code(4);
    assert_eq!(nest.sockets().len(), 0);
}

#[test]
fn a_run_has_no_socket_or_one_elsewhere_if_it_is_told_so() {
    let nest = Nest::new(&format!("[admin]\nsocket = \"off\"\n{DEMO}"));
    let client = nest.client(&[]);
    assert_eq!(nest.sockets().len(), 0);
    nest.braid(&["status"]).with_code(4);
    client.leave();
    // Somebody else's, on which nobody answers any more.
    drop(std::os::unix::net::UnixListener::bind(nest.path().join("theirs.sock")).unwrap());
    nest.write("braid.toml", &format!("[admin]\nsocket = \"here.sock\"\n{DEMO}"));
    let client = nest.client(&[]);
    let status = nest.braid(&["status", "--json", "--socket", "here.sock"]).json();
    assert_eq!(status["instances"][0]["instance"]["pid"], client.pid());
    let said = nest.braid(&["stdio"]).with_code(1);
    assert!(
        said.err.contains("admin.socket: cannot listen on") && said.err.contains("somebody else"),
        "{said:?}"
    );
    client.leave();
    assert!(!nest.path().join("here.sock").exists());
    assert!(nest.path().join("theirs.sock").exists());
}

#[test]
fn where_no_socket_can_be_the_client_is_served_all_the_same() {
    let nest = Nest::demo();
    std::fs::write(nest.path().join("rt/braid"), "in the way").unwrap();
    let mut client = nest.client(&[]);
    assert!(client.call("workshop__add", json!({"a": 2, "b": 3}))["result"]["isError"].is_null());
    client.leave();
    assert!(nest.logs().contains("no admin socket"), "{}", nest.logs());
}

#[test]
fn a_client_is_served_where_another_has_the_address_for_http() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let nest =
        Nest::new(&format!("[listen]\nhttp = [\"127.0.0.1:0\"]\n[admin]\nhttp = \"{address}\"\n{DEMO}"));
    let client = nest.client(&[]);
    let status = nest.status();
    assert_eq!(status["instance"]["pid"], client.pid());
    assert_eq!(status["instance"]["listening"], json!([]));
    let refused = nest.braid(&["serve"]).with_code(1);
    assert!(refused.err.contains("admin.http: cannot listen on"), "{refused:?}");
    client.leave();
}
