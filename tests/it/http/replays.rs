//! Clients that lost a stream and come back: what they find, and how much of it is kept.

use super::events::{Events, Said};
use super::house::{House, call, cancel, settled, wait};
use super::server::{Heard, Server};
use mcp_braid::config::{Config, Sharing};
use serde_json::{Value, json};
use std::time::Duration;

/// Progress so far.
fn done(message: &Value) -> u64 {
    message["params"]["progress"].as_u64().unwrap_or_else(|| panic!("no progress: {message}"))
}

/// A call that has a stream: the id of its first event, progress 1.
async fn streaming(client: &super::house::Client, server: &Server, id: u64) -> (Heard, Events, String) {
    let reply = client.post(call(id, "s__slow", json!({})));
    let heard = server.hear_method("tools/call").await;
    server.progress(&heard, 1).await;
    let mut events = reply.await.unwrap().events();
    events.opened(client.revision).await;
    let (first, note) = events.message().await;
    assert_eq!(done(&note), 1);
    (heard, events, first)
}

fn house(server: &Server, set: impl FnOnce(&mut Config)) -> House {
    House::new(&[("s", server)], Sharing::Shared, set)
}

#[tokio::test(start_paused = true)]
async fn a_cut_answer_is_read_on_where_it_was_cut() {
    let server = Server::new(&["slow"]);
    let client = House::shared(&server).client().await;
    let (heard, events, first) = streaming(&client, &server, 1).await;
    drop(events);
    server.progress(&heard, 2).await;
    server.progress(&heard, 3).await;
    settled().await;
    let mut events = client.read_on(&first).await;
    let (second, note) = events.message().await;
    assert_eq!(done(&note), 2);
    drop(events);
    server.answer(&heard, json!({"content": []})).await;
    settled().await;
    // As often as it is asked for, and the same each time.
    for _ in 0..2 {
        let mut events = client.read_on(&second).await;
        let (third, note) = events.message().await;
        assert_eq!(done(&note), 3);
        let (last, answer) = events.message().await;
        assert_eq!(answer, json!({"jsonrpc": "2.0", "id": 1, "result": {"content": []}}));
        events.ends().await;
        let mut events = client.read_on(&third).await;
        assert_eq!(events.message().await, (last.clone(), answer));
        let reply = client.get(Some(&last)).await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.text().await.as_str()), (204, ""));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_only_primed_is_read_on_as_well() {
    let server = Server::new(&["slow"]);
    let client = House::shared(&server).client().await;
    let reply = client.post(call(1, "s__slow", json!({})));
    let heard = server.hear_method("tools/call").await;
    let mut events = reply.await.unwrap().events();
    let primed = events.opened(client.revision).await.unwrap();
    drop(events);
    server.answer(&heard, json!({})).await;
    settled().await;
    let mut events = client.read_on(&primed).await;
    assert_eq!(events.message().await.1["id"], 1);
    events.ends().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_the_same_breath_as_what_comes_before_it_is_kept_too() {
    let server = Server::new(&["slow"]);
    let client = House::shared(&server).client().await;
    let reply = client.post(call(1, "s__slow", json!({})));
    let heard = server.hear_method("tools/call").await;
    server.progress(&heard, 1).await;
    server.answer(&heard, json!({})).await;
    let mut events = reply.await.unwrap().events();
    // The answer is there before the client has read anything.
    settled().await;
    events.opened(client.revision).await;
    let (first, _) = events.message().await;
    drop(events);
    let mut events = client.read_on(&first).await;
    assert_eq!(events.message().await.1["id"], 1);
    events.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_cut_get_stream_is_read_on_where_it_was_cut() {
    let server = Server::new(&["slow"]);
    let client = House::own(&server).client().await;
    let mut events = client.listen().await;
    for data in ["a", "b", "c"] {
        server.log(0, data).await;
    }
    let (first, note) = events.message().await;
    assert_eq!(note["params"]["data"], "a");
    // The others are on the stream already.
    settled().await;
    drop(events);
    server.log(0, "d").await;
    settled().await;
    let mut events = client.read_on(&first).await;
    for data in ["b", "c", "d"] {
        assert_eq!(events.message().await.1["params"]["data"], data);
    }
    events.is_silent().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_back_takes_the_stream_over() {
    let server = Server::new(&["slow"]);
    let client = House::shared(&server).client().await;
    let (heard, old, first) = streaming(&client, &server, 1).await;
    let mut events = client.read_on(&first).await;
    server.progress(&heard, 2).await;
    assert_eq!(done(&events.message().await.1), 2);
    old.ends().await;
    server.answer(&heard, json!({})).await;
    assert_eq!(events.message().await.1["id"], 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_replayed_of_another_stream() {
    let server = Server::new(&["slow"]);
    let client = House::own(&server).client().await;
    let mut general = client.listen().await;
    server.log(0, "general").await;
    let (general_first, _) = general.message().await;
    let (one, one_events, one_first) = streaming(&client, &server, 1).await;
    let (other, other_events, other_first) = streaming(&client, &server, 1).await;
    drop((general, one_events, other_events));
    server.progress(&one, 10).await;
    server.progress(&other, 20).await;
    server.answer(&other, json!({"other": true})).await;
    server.answer(&one, json!({"one": true})).await;
    settled().await;
    for (first, progress, name) in [(one_first, 10, "one"), (other_first, 20, "other")] {
        let mut events = client.read_on(&first).await;
        assert_eq!(done(&events.message().await.1), progress);
        assert_eq!(events.message().await.1["result"], json!({name: true}));
        events.ends().await;
    }
    client.read_on(&general_first).await.is_silent().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_replayed_of_another_session() {
    let server = Server::new(&["slow"]);
    let house = House::own(&server);
    let (one, other) = (house.client().await, house.client().await);
    let (heard, events, first) = streaming(&one, &server, 1).await;
    drop(events);
    server.answer(&heard, json!({"secret": true})).await;
    settled().await;
    // The other has no such stream, and later one of its own by the same name.
    let refused = other.get(Some(&first)).await.unwrap();
    assert_eq!(refused.status, 400);
    let (_, _events, same) = streaming(&other, &server, 1).await;
    assert_eq!(same, first);
    other.read_on(&first).await.is_silent().await;
    let mut general = one.listen().await;
    server.log(0, "secret").await;
    let (first, _) = general.message().await;
    other.read_on(&first).await.is_silent().await;
}

/// A call with so much progress that its client has read all, and then the answer: what may be read again after the
/// first event.
async fn replayed(set: impl FnOnce(&mut Config), notes: u64, padding: usize) -> Vec<Value> {
    let server = Server::new(&["slow"]);
    let client = house(&server, set).client().await;
    let (heard, mut events, first) = streaming(&client, &server, 1).await;
    for at in 2..=notes {
        let params = json!({"progressToken": heard.message["params"]["_meta"]["progressToken"], "progress": at,
            "message": "x".repeat(padding)});
        server.say(0, json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})).await;
        assert_eq!(done(&events.message().await.1), at);
    }
    drop(events);
    server.answer(&heard, json!({})).await;
    settled().await;
    let mut events = client.read_on(&first).await;
    let mut read = Vec::new();
    loop {
        let (_, message) = events.message().await;
        let is_answer = message["id"] == 1;
        read.push(if is_answer { json!("answer") } else { message["params"]["progress"].clone() });
        if is_answer {
            events.ends().await;
            return read;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_is_kept_than_so_many_events_of_a_stream() {
    let all = replayed(|_| {}, 6, 0).await;
    assert_eq!(all, [json!(2), json!(3), json!(4), json!(5), json!(6), json!("answer")]);
    let few = replayed(|config| config.listen.limits.replay_events_max = 3, 6, 0).await;
    assert_eq!(few, [json!(5), json!(6), json!("answer")]);
}

#[tokio::test(start_paused = true)]
async fn no_more_is_kept_than_so_many_bytes_of_a_stream() {
    // Two notes of a thousand bytes and the answer.
    let few = replayed(|config| config.listen.limits.replay_bytes_max = 2500, 6, 1000).await;
    assert_eq!(few, [json!(5), json!(6), json!("answer")]);
    // No note is kept at all; the answer is.
    let none = replayed(|config| config.listen.limits.replay_bytes_max = 500, 6, 1000).await;
    assert_eq!(none, [json!("answer")]);
}

#[tokio::test(start_paused = true)]
async fn no_more_is_kept_than_so_many_bytes_of_all_streams() {
    let server = Server::new(&["slow"]);
    // Three events, the part of one client; a stream's own past makes room for what comes.
    let total = |config: &mut Config| config.listen.limits.replay_total_bytes_max = 12 * 256;
    let few = replayed(total, 6, 0).await;
    assert_eq!(few, [json!(5), json!(6), json!("answer")]);
    let house = house(&server, total);
    let mut crowd = Vec::new();
    for _ in 0..4 {
        let greedy = house.client().await;
        let (theirs, mut events, _) = streaming(&greedy, &server, 1).await;
        for at in 2..=5 {
            server.progress(&theirs, at).await;
            events.message().await;
        }
        crowd.push((greedy, events));
    }
    let poor = house.client().await;
    let (heard, mut events, first) = streaming(&poor, &server, 1).await;
    for at in 2..=3 {
        server.progress(&heard, at).await;
        assert_eq!(done(&events.message().await.1), at);
    }
    drop(events);
    settled().await;
    // Nothing that was read is kept: what comes next is the next that it hears.
    let mut events = poor.read_on(&first).await;
    events.is_silent().await;
    server.answer(&heard, json!({})).await;
    assert_eq!(events.message().await.1["id"], 1);
    // What is over makes room.
    let (greedy, mut events) = crowd.pop().unwrap();
    assert_eq!(greedy.delete().await.unwrap().status, 204);
    server.hear_method("notifications/cancelled").await;
    assert_eq!(events.message().await.1["error"]["data"]["outcome"], "unknown");
    events.ends().await;
    let (heard, mut events, first) = streaming(&poor, &server, 1).await;
    server.progress(&heard, 2).await;
    events.message().await;
    drop(events);
    assert_eq!(done(&poor.read_on(&first).await.message().await.1), 2);
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_for_an_answer_that_was_not_kept_is_not_told_that_it_has_all() {
    let server = Server::new(&["slow"]);
    let house = house(&server, |config| {
        config.listen.limits.replay_events_max = 0;
        config.listen.limits.replay_bytes_max = 0;
    });
    let client = house.client().await;
    let reply = client.post(call(1, "s__slow", json!({})));
    let heard = server.hear_method("tools/call").await;
    let mut events = reply.await.unwrap().events();
    let first = events.opened(client.revision).await.unwrap();
    drop(events);
    settled().await;
    server.answer(&heard, json!({})).await;
    settled().await;
    let resumed = client.get(Some(&first)).await.unwrap();
    assert_eq!(resumed.status, 400, "neither silence nor 204");
}

#[tokio::test(start_paused = true)]
async fn at_its_part_of_what_is_kept_a_client_loses_its_own_oldest_answers_first() {
    let server = Server::new(&["slow"]);
    let house = house(&server, |config| config.listen.limits.replay_total_bytes_max = 16 * 256);
    let (greedy, other) = (house.client().await, house.client().await);
    let mut firsts = Vec::new();
    for client in [&other, &greedy, &greedy] {
        let (heard, events, first) = streaming(client, &server, 1).await;
        drop(events);
        server.answer(&heard, json!({})).await;
        settled().await;
        firsts.push(first);
    }
    // Four events were kept of it, its whole part. Those of the answer that is older make room.
    let (heard, mut events, first) = streaming(&greedy, &server, 2).await;
    server.progress(&heard, 2).await;
    events.message().await;
    drop(events);
    assert_eq!(greedy.get(Some(&firsts[1])).await.unwrap().status, 400);
    assert_eq!(greedy.read_on(&firsts[2]).await.message().await.1["id"], 1);
    assert_eq!(done(&greedy.read_on(&first).await.message().await.1), 2);
    assert_eq!(other.read_on(&firsts[0]).await.message().await.1["id"], 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_for_longer_than_is_set() {
    let server = Server::new(&["slow"]);
    let house = house(&server, |config| config.listen.limits.replay_kept = Duration::from_secs(60));
    let client = house.client().await;
    let mut firsts = Vec::new();
    for id in 1..=2 {
        let (heard, events, first) = streaming(&client, &server, id).await;
        drop(events);
        server.answer(&heard, json!({})).await;
        firsts.push(first);
    }
    wait(Duration::from_secs(50)).await;
    // Who reads it again does not prolong its time: it has ended, and nothing more will come.
    assert_eq!(client.read_on(&firsts[0]).await.message().await.1["id"], 1);
    assert_eq!(client.read_on(&firsts[1]).await.message().await.1["id"], 2);
    wait(Duration::from_secs(20)).await;
    for first in firsts {
        assert_eq!(client.get(Some(&first)).await.unwrap().status, 400);
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_for_a_call_that_was_cancelled_is_told_to_come_no_more() {
    let server = Server::new(&["slow"]);
    let client = House::shared(&server).client().await;
    let (_heard, events, first) = streaming(&client, &server, 1).await;
    client.post(cancel(1)).await.unwrap();
    events.ends().await;
    for _ in 0..3 {
        let reply = client.get(Some(&first)).await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.text().await.as_str()), (204, ""));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_cancelled_before_it_has_a_stream_has_nothing_to_come_back_for() {
    let server = Server::new(&["slow"]);
    let client = House::shared(&server).client().await;
    let reply = client.post(call(1, "s__slow", json!({})));
    server.hear_method("tools/call").await;
    client.post(cancel(1)).await.unwrap();
    let mut events = reply.await.unwrap().events();
    assert_eq!(events.next().await, Some(Said::Comment("open".to_owned())));
    events.ends().await;
}

#[tokio::test(start_paused = true)]
async fn the_last_64_answers_are_kept_however_often_somebody_comes_back() {
    let server = Server::new(&["slow"]);
    let client = House::shared(&server).client().await;
    let mut firsts = Vec::new();
    for id in 0..65 {
        let (heard, events, first) = streaming(&client, &server, id).await;
        drop(events);
        server.answer(&heard, json!({})).await;
        firsts.push(first);
    }
    settled().await;
    for _ in 0..100 {
        assert_eq!(client.read_on(&firsts[64]).await.message().await.1["id"], 64);
    }
    assert_eq!(client.read_on(&firsts[1]).await.message().await.1["id"], 1);
    assert_eq!(client.get(Some(&firsts[0])).await.unwrap().status, 400);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_goes_on_for_long_keeps_its_stream() {
    let server = Server::new(&["slow"]);
    let client = House::shared(&server).client().await;
    let (heard, events, first) = streaming(&client, &server, 1).await;
    drop(events);
    wait(Duration::from_secs(100)).await;
    server.answer(&heard, json!({})).await;
    settled().await;
    let mut events = client.read_on(&first).await;
    assert_eq!(events.message().await.1["id"], 1);
}

#[tokio::test(start_paused = true)]
async fn the_first_event_of_a_stream_can_be_read_again() {
    let server = Server::new(&["slow"]);
    let client = House::shared(&server).client().await;
    let reply = client.post(call(1, "s__slow", json!({})));
    let heard = server.hear_method("tools/call").await;
    server.progress(&heard, 1).await;
    let mut events = reply.await.unwrap().events();
    let primed = events.opened(client.revision).await.unwrap();
    drop(events);
    server.answer(&heard, json!({})).await;
    settled().await;
    let mut events = client.read_on(&primed).await;
    assert_eq!(done(&events.message().await.1), 1);
    assert!(events.message().await.1["result"].is_object());
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_for_an_answer_that_was_too_long_to_keep_hears_of_it() {
    let server = Server::new(&["slow"]);
    let client = House::shared(&server).client().await;
    let reply = client.post(call(1, "s__slow", json!({})));
    let heard = server.hear_method("tools/call").await;
    let mut events = reply.await.unwrap().events();
    let primed = events.opened(client.revision).await.unwrap();
    drop(events);
    server.answer(&heard, json!({"content": [], "x": "x".repeat(1_100_000)})).await;
    settled().await;
    let (_, answer) = client.read_on(&primed).await.message().await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(1), &json!(1004)));
    assert_eq!(answer["error"]["data"]["outcome"], "unknown");
}

/// A call whose stream is there when this answer comes, read to its end: how it ended, and what a client then finds that
/// comes back for it.
async fn cut_while_it_came(set: impl FnOnce(&mut Config), bytes: usize) -> (u16, Value) {
    let server = Server::new(&["slow"]);
    let client = house(&server, set).client().await;
    let (heard, mut events, first) = streaming(&client, &server, 1).await;
    server.answer(&heard, json!({"content": [], "x": "x".repeat(bytes)})).await;
    let (last, answer) = events.message().await;
    assert_eq!(answer["result"]["x"].as_str().unwrap().len(), bytes);
    events.ends().await;
    // As far as we know it has got all of it, but the network may have lost it. It is the same each time.
    let mut found = Value::Null;
    for _ in 0..2 {
        let mut events = client.read_on(&first).await;
        let (number, message) = events.message().await;
        assert_eq!(number, last);
        events.ends().await;
        found = message;
    }
    (client.get(Some(&last)).await.unwrap().status.as_u16(), found)
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_cut_and_is_not_kept_is_not_lost_without_a_word() {
    let total = |config: &mut Config| config.listen.limits.replay_total_bytes_max = 0;
    for (found, setting) in [
        (cut_while_it_came(|_| {}, 1_100_000).await, "replay_size"),
        (cut_while_it_came(total, 100).await, "replay_total"),
    ] {
        let (status, answer) = found;
        assert_eq!(status, 204);
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(1), &json!(1004)));
        assert_eq!(answer["error"]["data"]["outcome"], "unknown");
        assert!(answer["error"]["message"].as_str().unwrap().contains(setting), "{answer}");
    }
}
