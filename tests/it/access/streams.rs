//! Events, progress and cancels of one principal, as another may name them: it hears of none, and ends none.

use super::foreign::{alone, everybodys, maker, named, others, said};
use crate::http::house::{Client, House, cancel, settled};
use crate::http::server::Server;
use crate::modern::client::{Client as Alone, message};
use mcp_braid::config::Sharing;
use mcp_braid::mcp::caller::{Grant, Principal};
use serde_json::{Value, json};

/// A call that wants to hear of its progress by a token of its client's choice.
fn call(id: u64, token: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {"name": "s__slow", "arguments": {}, "_meta": {"progressToken": token}}})
}

fn progress(token: &Value) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": 99}})
}

#[tokio::test(start_paused = true)]
async fn s01_an_event_of_another_is_as_one_that_never_was() {
    let server = Server::new(&["slow"]);
    // Each client has a server of its own, which may say something beside its answers.
    let house = everybodys(&server, Sharing::Session);
    let mine = house.stranger_of(&maker()).begun().await;
    let mut general = mine.listen().await;
    server.log(0, "mine").await;
    let (of_general, _) = general.message().await;
    server.log(0, "mine").await;
    settled().await;
    let reply = mine.post(call(1, &json!("t")));
    let heard = server.hear_method("tools/call").await;
    server.progress(&heard, 1).await;
    let mut events = reply.await.unwrap().events();
    let primed = events.opened(mine.revision).await.unwrap();
    let (of_answer, _) = events.message().await;
    server.progress(&heard, 2).await;
    settled().await;
    drop((general, events));
    let all = [of_general.as_str(), &primed, &of_answer];
    let never = |id: &str| format!("{}99-0", &id[..1]);
    for other in others() {
        let theirs = Client { session: mine.session.clone(), ..house.stranger_of(&other) };
        let nobodys = Client { session: Some("0".repeat(64)), ..theirs.clone() };
        let none = house.stranger_of(&other);
        for id in all {
            // By itself, and with the session that it is of.
            for client in [&none, &theirs] {
                let shown = said(client.get(Some(id)).await.unwrap()).await;
                assert_eq!(shown, said(client.get(Some(&never(id))).await.unwrap()).await, "{other:?} {id}");
                assert_eq!(shown.0, if client.session.is_some() { 404 } else { 400 });
            }
            let unknown = said(nobodys.get(Some(id)).await.unwrap()).await;
            assert_eq!(said(theirs.get(Some(id)).await.unwrap()).await, unknown, "{other:?} {id}");
            // With a session of its own: what was never there is a new stream, or none.
            let (own, another) =
                (house.stranger_of(&other).begun().await, house.stranger_of(&other).begun().await);
            let (shown, forged) =
                (own.get(Some(id)).await.unwrap(), another.get(Some(&never(id))).await.unwrap());
            assert_eq!((shown.status, &shown.headers), (forged.status, &forged.headers), "{other:?} {id}");
            if id != of_general {
                assert_eq!(said(shown).await, said(forged).await);
                continue;
            }
            let (mut shown, mut forged) = (shown.events(), forged.events());
            assert_eq!(shown.opened(own.revision).await, forged.opened(another.revision).await);
            server.log(0, "mine").await;
            shown.is_silent().await;
            forged.is_silent().await;
        }
        // Without sessions there is nothing to come back for, whatever is named.
        let guest = alone(&house, &other);
        for id in all {
            let listen = guest.message("subscriptions/listen", json!({"notifications": {}}));
            let listen =
                guest.post_with(listen, |head| drop(head.insert("last-event-id", id.parse().unwrap())));
            let mut events = listen.await.unwrap().events();
            assert_eq!(message(&mut events).await["method"], "notifications/subscriptions/acknowledged");
            events.is_silent().await;
        }
    }
    // Whoever made them comes back, by this door alone.
    let elsewhere = Client { path: "/servers/s/mcp", ..mine.clone() };
    let nowhere = Client { session: Some("0".repeat(64)), ..elsewhere.clone() };
    for id in all {
        assert_eq!(
            said(elsewhere.get(Some(id)).await.unwrap()).await,
            said(nowhere.get(Some(id)).await.unwrap()).await
        );
    }
    let mut events = mine.read_on(&of_answer).await;
    assert_eq!(events.message().await.1["params"]["progress"], 2);
    assert_eq!(mine.read_on(&of_general).await.message().await.1["params"]["data"], "mine");
    server.is_silent().await;
}

/// Two with a session and two without, each somebody else.
async fn four(house: &House) -> (Vec<Client>, Vec<Alone>) {
    let of = |name: &str| named(Principal::token(name), &["read"]);
    let begun = [house.stranger_of(&of("ana")).begun().await, house.stranger_of(&of("bob")).begun().await];
    let more = Grant { principal: Principal::oauth("ana"), ..of("ana") };
    (begun.into(), vec![alone(house, &more), alone(house, &named(Principal::certificate("ana"), &[]))])
}

#[tokio::test(start_paused = true)]
async fn s01_a_token_of_progress_is_its_clients_own_whoever_else_has_the_same() {
    let server = Server::new(&["slow"]);
    let house = everybodys(&server, Sharing::Shared);
    let (begun, guests) = four(&house).await;
    for token in [json!("p"), json!(1), json!("1")] {
        let (mut heard, mut open) = (Vec::new(), Vec::new());
        for client in &begun {
            open.push(client.post(call(7, &token)));
            heard.push(server.hear_method("tools/call").await);
        }
        for guest in &guests {
            let params = json!({"name": "s__slow", "arguments": {}, "_meta": {"progressToken": token}});
            open.push(guest.post("tools/call", params));
            heard.push(server.hear_method("tools/call").await);
        }
        // Each is told of its own alone, whatever a server thinks of first.
        for at in [2, 0, 3, 1] {
            server.progress(&heard[at], at as u64).await;
        }
        settled().await;
        for (at, heard) in heard.iter().enumerate() {
            server.answer(heard, json!({"content": [], "of": at})).await;
        }
        for (at, open) in open.into_iter().enumerate() {
            let text = open.await.unwrap().text().await;
            let said: Vec<Value> = text
                .lines()
                .filter_map(|line| line.strip_prefix("data: ").filter(|data| !data.is_empty()))
                .map(|data| serde_json::from_str(data).unwrap())
                .collect();
            let [note, answer] = said.as_slice() else { panic!("{text}") };
            assert_eq!((&note["params"]["progressToken"], &note["params"]["progress"]), (&token, &json!(at)));
            assert_eq!(answer["result"]["of"], at);
        }
    }
    server.is_silent().await;
}

#[tokio::test(start_paused = true)]
async fn s01_nobody_cancels_what_another_began_nor_says_how_far_it_is() {
    let server = Server::new(&["slow"]);
    let house = everybodys(&server, Sharing::Shared);
    let mine = house.stranger_of(&maker()).begun().await;
    let mut open = mine.post(call(7, &json!("p")));
    let heard = server.hear_method("tools/call").await;
    let guest = alone(&house, &maker());
    let params = json!({"name": "s__slow", "arguments": {}, "_meta": {"progressToken": "p"}});
    let mut alone_open = guest.post("tools/call", params);
    let alone_heard = server.hear_method("tools/call").await;
    for other in others() {
        let (theirs, stranger) = (house.stranger_of(&other).begun().await, alone(&house, &other));
        // By the id and the token of either client, and by those that the server was given.
        let ids = [json!(7), json!("i"), heard.message["id"].clone(), alone_heard.message["id"].clone()];
        let tokens =
            [&heard, &alone_heard].map(|heard| heard.message["params"]["_meta"]["progressToken"].clone());
        let tokens = [json!("p"), tokens[0].clone(), tokens[1].clone()];
        for id in &ids {
            let mut cancels = cancel(0);
            cancels["params"]["requestId"] = id.clone();
            assert_eq!(theirs.post(cancels).await.unwrap().status, 202);
            let note = stranger.message("notifications/cancelled", json!({"requestId": id}));
            stranger.post_text(&note, without_id(&note), |_| {}).await.unwrap();
        }
        for token in &tokens {
            assert_eq!(theirs.post(progress(token)).await.unwrap().status, 202);
            let note =
                stranger.message("notifications/progress", json!({"progressToken": token, "progress": 99}));
            stranger.post_text(&note, without_id(&note), |_| {}).await.unwrap();
        }
        server.is_silent().await;
        assert_eq!(house.hub.in_flight(), 2, "{other:?}");
    }
    assert!(!open.is_finished() && !alone_open.is_finished());
    for (open, heard) in [(&mut open, &heard), (&mut alone_open, &alone_heard)] {
        server.progress(heard, 3).await;
        server.answer(heard, json!({"content": []})).await;
        let text = open.await.unwrap().text().await;
        assert!(
            text.contains("\"progress\":3") && !text.contains("99") && text.contains("\"content\""),
            "{text}"
        );
    }
    // Its own id cancels, so the others' were understood.
    let gone = mine.post(call(8, &json!("p")));
    let heard = server.hear_method("tools/call").await;
    mine.post(cancel(8)).await.unwrap();
    assert_eq!(
        server.hear_method("notifications/cancelled").await.message["params"]["requestId"],
        heard.message["id"]
    );
    drop(gone);
}

fn without_id(message: &Value) -> String {
    let mut note = message.clone();
    note.as_object_mut().unwrap().remove("id");
    note.to_string()
}
