//! Servers that are reached with a token made of the caller's own (RFC 8693): whose it is, to whom the caller's is shown, and
//! when nothing is sent.

mod gateway;
mod world;

use self::gateway::{Gateway, braid, config};
use self::world::World;
use serde_json::json;
use std::fs;
use std::thread;
use std::time::Duration;

/// Nothing of a client was sent to the server, and nothing of it stands anywhere that we write.
fn nothing_leaks(world: &World, gateway: &Gateway) {
    let inside = world.inside();
    for seen in &inside.seen_by_server {
        assert!(!seen.contains("c4nary") && !seen.contains("s3cret") && !seen.contains("eyJ"), "{seen}");
        assert!(!seen.contains("nightly"), "{seen}");
    }
    // Beside what is judged and exchanged, the issuer sees no token either.
    for seen in inside.seen_by_issuer.iter().filter(|seen| seen.contains("c4nary") || seen.contains("eyJ")) {
        assert!(seen.starts_with("POST /token\n") || seen.starts_with("POST /introspect\n"), "{seen}");
    }
    let made: Vec<&String> = inside.exchanges.iter().map(|(_, made)| made).collect();
    let secrets = |text: &str| {
        ["c4nary", "s3cret-of-ours", "eyJ"].iter().any(|secret| text.contains(secret))
            || made.iter().any(|made| text.contains(made.as_str()))
    };
    for words in [&["status", "--json"][..], &["status"], &["top", "--once"], &["list"], &["config", "show"]]
    {
        let said = gateway.braid(words);
        assert!(!secrets(&said), "{words:?}: {said}");
    }
    let log = gateway.log.lock().unwrap().clone();
    assert!(!secrets(&log), "{log}");
    let mut folders = vec![gateway.folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.ends_with("braid.toml") => {}
                false => {
                    let text = fs::read(&path).unwrap_or_default();
                    assert!(!secrets(&String::from_utf8_lossy(&text)), "{}", path.display());
                }
            }
        }
    }
}

#[test]
fn h07_s03_two_people_are_two_at_the_server_in_both_eras() {
    let world = World::start();
    let gateway = Gateway::of(&world);
    // JWTs and such as only the issuer can read.
    let (ana, bob) = (world.jwt("ana", "mcp", 600), world.opaque("bob", "mcp", 600));
    let (anas, bobs) = (gateway.session(&ana), gateway.session(&bob));
    for _ in 0..2 {
        assert_eq!(gateway.call(&ana, &anas), "ana for mcp");
        assert_eq!(gateway.call(&bob, &bobs), "bob for mcp");
        assert_eq!(gateway.call_alone(&ana), "ana for mcp");
        assert_eq!(gateway.call_alone(&bob), "bob for mcp");
    }
    let inside = world.inside();
    let mut subjects: Vec<&String> = inside.exchanges.iter().map(|(subject, _)| subject).collect();
    subjects.sort();
    let mut both = vec![&ana, &bob];
    both.sort();
    assert_eq!(subjects, both, "one exchange for each of them, however they come");
    for (shown, sub, _) in &inside.calls {
        let (subject, _) = inside.exchanges.iter().find(|(_, made)| made == shown).unwrap();
        assert_eq!(subject, if sub == "ana" { &ana } else { &bob });
    }
    assert_eq!(inside.calls.len(), 8);
    drop(inside);
    nothing_leaks(&world, &gateway);
}

#[test]
fn h07_a_narrower_token_does_not_act_by_what_a_broader_one_gave() {
    let world = World::start();
    let gateway = Gateway::of(&world);
    let (broad, narrow) = (world.jwt("ana", "mcp write", 600), world.jwt("ana", "mcp", 600));
    let (broads, narrows) = (gateway.session(&broad), gateway.session(&narrow));
    for _ in 0..2 {
        assert_eq!(gateway.call(&broad, &broads), "ana for mcp write");
        assert_eq!(gateway.call(&narrow, &narrows), "ana for mcp");
        assert_eq!(gateway.call_alone(&broad), "ana for mcp write");
        assert_eq!(gateway.call_alone(&narrow), "ana for mcp");
    }
    // The session of the one is none of the other's.
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    assert_eq!(gateway.post(&narrow, &broads, &ping).status, 404);
    assert_eq!(world.inside().exchanges.len(), 2);
    // The same with a server of each client's own.
    drop(gateway);
    let gateway = Gateway::with(&config(&world, "sharing = \"session\""));
    let (broads, narrows) = (gateway.session(&broad), gateway.session(&narrow));
    assert_eq!(gateway.call(&broad, &broads), "ana for mcp write");
    assert_eq!(gateway.call(&narrow, &narrows), "ana for mcp");
    assert_eq!(gateway.call_alone(&narrow), "ana for mcp");
    nothing_leaks(&world, &gateway);
}

#[test]
fn a_hundred_calls_at_once_have_one_token_made() {
    let world = World::start();
    let gateway = Gateway::of(&world);
    let ana = world.jwt("ana", "mcp", 600);
    thread::scope(|scope| {
        let calls: Vec<_> = (0..100).map(|_| scope.spawn(|| gateway.call_alone(&ana))).collect();
        for call in calls {
            assert_eq!(call.join().unwrap(), "ana for mcp");
        }
    });
    assert_eq!(world.counts(), (1, 100));
    // What was made is worth nothing any more: one other is made for all.
    world.forgets();
    thread::scope(|scope| {
        let calls: Vec<_> = (0..100).map(|_| scope.spawn(|| gateway.call_alone(&ana))).collect();
        for call in calls {
            assert_eq!(call.join().unwrap(), "ana for mcp");
        }
    });
    assert_eq!(world.counts(), (2, 200));
}

#[test]
fn what_was_made_ends_with_the_token_that_it_was_made_of() {
    let world = World::start();
    let gateway = Gateway::of(&world);
    let short = world.jwt("ana", "mcp", 2);
    let session = gateway.session(&short);
    assert_eq!(gateway.call(&short, &session), "ana for mcp");
    thread::sleep(Duration::from_millis(2500));
    // It still lets in, as clocks differ; but nothing is made of it, and nothing of before is worn.
    let ended = gateway.call(&short, &session);
    assert!(ended.contains("call with a fresh one") && ended.contains("BRAID-A003"), "{ended}");
    assert_eq!(world.counts(), (1, 1));
    // A fresh one goes on in the same session.
    let fresh = world.jwt("ana", "mcp", 600);
    let tools = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
    let tools = gateway.post(&fresh, &session, &tools).message.to_string();
    assert!(tools.contains("far__who"), "{tools}");
    assert_eq!(gateway.call(&fresh, &session), "ana for mcp");
    assert_eq!(world.inside().exchanges.last().unwrap().0, fresh);
    nothing_leaks(&world, &gateway);
}

#[test]
fn what_is_made_for_a_while_is_made_anew_of_the_token_that_lives_longest() {
    let world = World::start();
    world.inside().lives = Some(2);
    let gateway = Gateway::of(&world);
    let (first, second) = (world.jwt("ana", "mcp", 600), world.jwt("ana", "mcp", 900));
    let session = gateway.session(&first);
    assert_eq!(gateway.call(&first, &session), "ana for mcp");
    // Shown by another of ana's programs.
    assert_eq!(gateway.call(&second, &session), "ana for mcp");
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(gateway.call(&first, &session), "ana for mcp");
    let exchanges = world.inside().exchanges.clone();
    assert_eq!((exchanges.first().unwrap().0.as_str(), &exchanges.last().unwrap().0), (&*first, &second));
}

#[test]
fn who_has_no_token_of_the_provider_is_refused_and_nothing_is_sent() {
    let world = World::start();
    let gateway = Gateway::of(&world);
    let nightly = "nightlys-token-that-only-this-test-knows";
    let session = gateway.session(nightly);
    for said in [gateway.call(nightly, &session), gateway.call_alone(nightly)] {
        assert!(said.contains("`token:nightly` has none of the identity provider"), "{said}");
        assert!(said.contains("BRAID-A003"), "{said}");
    }
    // So is the command line, which shows none at all.
    let said = gateway.braid(&["call", "far__who"]);
    assert!(said.contains("`local` has none of the identity provider"), "{said}");
    assert_eq!((world.seen_by_server(), world.counts()), (0, (0, 0)));
    let said = gateway.braid(&["login", "far"]);
    assert!(said.contains("nobody logs in there"), "{said}");
    let ana = world.jwt("ana", "mcp", 600);
    assert_eq!(gateway.call_alone(&ana), "ana for mcp", "others are served");
}

#[test]
fn what_a_hostile_or_broken_issuer_answers_is_a_sentence() {
    let world = World::start();
    let gateway = Gateway::of(&world);
    let long = "x".repeat(300 * 1024);
    for (at, (status, text, said)) in [
        (400, r#"{"error":"invalid_request"}"#, "`invalid_request`"),
        (400, r#"{"error":"invalid_target"}"#, "`invalid_target`"),
        (503, "<html>", "answered 503"),
        (200, &*long, "more than 262144 bytes"),
        (200, "{}", "answered no token"),
    ]
    .into_iter()
    .enumerate()
    {
        world.inside().answers = Some((status, text.to_owned()));
        let token = world.jwt(&format!("person{at}"), "mcp", 600);
        let refused = gateway.call_alone(&token);
        assert!(refused.contains(said), "{text:.40}: {refused}");
    }
    // Where it sends us on, nobody's token goes: not even to the server, least of all there.
    world.inside().answers = None;
    world.inside().redirects = Some(format!("{}/token", world.server));
    let token = world.jwt("redirected", "mcp", 600);
    let refused = gateway.call_alone(&token);
    assert!(refused.contains("far: "), "{refused}");
    nothing_leaks(&world, &gateway);
}

#[test]
fn h11_a_server_that_names_another_issuer_is_shown_nothing_and_nobody_else_either() {
    let (world, other) = (World::start(), World::start());
    world.inside().names = Some(other.issuer.clone());
    let gateway = Gateway::of(&world);
    let ana = world.jwt("ana", "mcp", 600);
    let refused = gateway.call_alone(&ana);
    assert!(refused.contains("does not name the issuer"), "{refused}");
    assert_eq!(other.inside().seen_by_issuer.len(), 0);
    assert_eq!(world.inside().exchanges.len(), 0);
    nothing_leaks(&world, &gateway);
}

#[test]
fn a_token_that_was_taken_back_is_no_basis_any_more() {
    let world = World::start();
    let gateway = Gateway::of(&world);
    let ana = world.opaque("ana", "mcp", 600);
    assert_eq!(gateway.call_alone(&ana), "ana for mcp");
    world.revokes(&ana);
    world.forgets();
    // For some seconds it is still believed here; its issuer believes it no more.
    let refused = gateway.call_alone(&ana);
    assert!(refused.contains("`invalid_request`") && refused.contains("call with a fresh one"), "{refused}");
    assert_eq!(world.inside().exchanges.len(), 1);
}

#[test]
fn where_the_last_of_somebody_has_left_nothing_is_left_of_him() {
    let world = World::start();
    let gateway = Gateway::of(&world);
    let ana = world.jwt("ana", "mcp", 600);
    let sessions = [gateway.session(&ana), gateway.session(&ana)];
    let of = |session: &String| gateway.call(&ana, session);
    assert_eq!(sessions.each_ref().map(of), ["ana for mcp", "ana for mcp"]);
    assert_eq!((world.counts(), gateway.links()), ((1, 2), 1));
    assert_eq!(gateway.leave(&ana, &sessions[0]), 204);
    assert_eq!((of(&sessions[1]).as_str(), world.counts()), ("ana for mcp", (1, 3)));
    assert_eq!(gateway.leave(&ana, &sessions[1]), 204);
    gateway.until(|gateway| gateway.links() == 0);
    // Who comes again is somebody who comes.
    let session = gateway.session(&ana);
    assert_eq!((of(&session).as_str(), world.counts()), ("ana for mcp", (2, 4)));
    nothing_leaks(&world, &gateway);
}

#[test]
fn a_server_that_comes_later_is_reached_by_who_is_there_already() {
    let world = World::start();
    let whole = config(&world, "");
    let (before, _) = whole.split_once("[servers.far]").unwrap();
    let other = "[servers.other]\ncommand = \"false\"\nrestart = \"never\"\n";
    let gateway = Gateway::with(&format!("{before}{other}"));
    let ana = world.jwt("ana", "mcp", 600);
    let session = gateway.session(&ana);
    fs::write(gateway.folder.path().join("braid.toml"), &whole).unwrap();
    gateway.until(|gateway| gateway.call(&ana, &session) == "ana for mcp");
    assert_eq!(gateway.call_alone(&ana), "ana for mcp");
    nothing_leaks(&world, &gateway);
}

#[test]
fn without_an_identity_provider_the_configuration_is_refused() {
    let world = World::start();
    let folder = tempfile::tempdir().unwrap();
    let written = config(&world, "").replace("auth = \"oauth\"", "auth = \"token\"");
    fs::write(folder.path().join("braid.toml"), written).unwrap();
    let out = braid(folder.path(), &["serve"]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(6), "{said}");
    assert!(said.contains("`token_exchange` needs `listen.auth = \"oauth\"`"), "{said}");
}
