//! The form of an answer: JSON when it comes first and soon, else a stream of events.

use super::events::Said;
use super::house::{House, call};
use super::server::Server;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_first_and_soon_is_json() {
    let server = Server::new(&["echo"]);
    let client = House::shared(&server).client().await;
    let reply = client.post(call(1, "s__echo", json!({"nonce": 7}))).await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.header("mcp-session-id")), (200, None));
    let answer = reply.json().await;
    assert_eq!((&answer["id"], &answer["result"]["structuredContent"]["nonce"]), (&json!(1), &json!(7)));
}

#[tokio::test(start_paused = true)]
async fn what_comes_before_an_answer_makes_a_stream_of_it() {
    let server = Server::new(&["slow"]);
    let client = House::shared(&server).client().await;
    let begun = Instant::now();
    let reply = client.post(call(1, "s__slow", json!({})));
    let heard = server.hear_method("tools/call").await;
    server.progress(&heard, 1).await;
    let mut events = reply.await.unwrap().events();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    events.opened(client.revision).await;
    let (first, note) = events.message().await;
    assert_eq!((&note["params"]["progressToken"], &note["params"]["progress"]), (&json!("t"), &json!(1)));
    server.answer(&heard, json!({"content": []})).await;
    let (second, answer) = events.message().await;
    assert_eq!(answer, json!({"jsonrpc": "2.0", "id": 1, "result": {"content": []}}));
    assert_ne!(first, second);
    events.ends().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_long_comes_on_a_stream() {
    let server = Server::new(&["slow"]);
    let client = House::shared(&server).client().await;
    let begun = Instant::now();
    let reply = client.post(call(1, "s__slow", json!({})));
    let heard = server.hear_method("tools/call").await;
    let mut events = reply.await.unwrap().events();
    assert_eq!(begun.elapsed(), Duration::from_millis(100));
    events.opened(client.revision).await;
    server.answer(&heard, json!({"content": []})).await;
    assert_eq!(events.message().await.1["result"], json!({"content": []}));
    events.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_kept_alive() {
    let server = Server::new(&["slow"]);
    let client = House::shared(&server).client().await;
    let reply = client.post(call(1, "s__slow", json!({})));
    let heard = server.hear_method("tools/call").await;
    let (mut answer, mut general) = (reply.await.unwrap().events(), client.listen().await);
    answer.opened(client.revision).await;
    let begun = Instant::now();
    for silence in 1..=3 {
        let alive = || Some(Said::Comment("alive".to_owned()));
        assert_eq!(tokio::join!(answer.next(), general.next()), (alive(), alive()));
        assert_eq!(begun.elapsed(), Duration::from_secs(15 * silence));
    }
    server.answer(&heard, json!({})).await;
    assert_eq!(answer.message().await.1["id"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_primed_for_2025_11_25_alone() {
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let server = Server::new(&["slow"]);
        let client = House::shared(&server).client_of(revision).await;
        let reply = client.post(call(1, "s__slow", json!({})));
        let heard = server.hear_method("tools/call").await;
        server.progress(&heard, 1).await;
        let (mut answer, mut general) =
            (reply.await.unwrap().events(), client.get(None).await.unwrap().events());
        let mut first = Vec::new();
        for events in [&mut answer, &mut general] {
            first.push(events.next().await.unwrap());
        }
        let is_primed = revision == "2025-11-25";
        assert_eq!(first[0] == Said::Retry(1000), is_primed, "{revision}");
        match is_primed {
            true => assert_eq!(first[1], Said::Retry(1000)),
            // No older client is shown an event without data.
            false => {
                assert_eq!(first, [Said::Comment("open".to_owned()), Said::Comment("open".to_owned())]);
                let next = answer.next().await.unwrap();
                assert!(matches!(&next, Said::Event { data, .. } if data.contains("progress")), "{next:?}");
                general.is_silent().await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn equal_ids_at_once_each_get_their_own_answer_and_progress() {
    let server = Server::new(&["slow"]);
    let client = House::shared(&server).client().await;
    let mut replies = Vec::new();
    for nonce in 0..8 {
        replies.push(client.post(call(1, "s__slow", json!({"nonce": nonce}))));
    }
    let mut heard = Vec::new();
    for _ in 0..8 {
        heard.push(server.hear_method("tools/call").await);
    }
    let minted: HashSet<String> = heard.iter().map(|heard| heard.message["id"].to_string()).collect();
    assert_eq!(minted.len(), 8);
    // The last that came is answered first.
    for heard in heard.iter().rev() {
        let nonce = heard.message["params"]["arguments"]["nonce"].clone();
        server.progress(heard, 1000 + nonce.as_u64().unwrap()).await;
        server.answer(heard, json!({"nonce": nonce})).await;
    }
    for (nonce, reply) in replies.into_iter().enumerate() {
        let mut events = reply.await.unwrap().events();
        events.opened(client.revision).await;
        let (_, note) = events.message().await;
        assert_eq!(note["params"], json!({"progressToken": "t", "progress": 1000 + nonce}));
        let (_, answer) = events.message().await;
        assert_eq!(answer, json!({"jsonrpc": "2.0", "id": 1, "result": {"nonce": nonce}}));
        events.ends().await;
    }
}

#[tokio::test(start_paused = true)]
async fn ids_of_events_are_unique_in_a_session() {
    let server = Server::new(&["slow"]);
    let client = House::own(&server).client().await;
    let mut ids = Vec::new();
    for id in 1..=3 {
        let reply = client.post(call(id, "s__slow", json!({})));
        let heard = server.hear_method("tools/call").await;
        server.progress(&heard, 1).await;
        let mut events = reply.await.unwrap().events();
        ids.extend(events.opened(client.revision).await);
        server.answer(&heard, json!({})).await;
        ids.push(events.message().await.0);
        ids.push(events.message().await.0);
        let mut general = client.get(None).await.unwrap().events();
        ids.extend(general.opened(client.revision).await);
        server.log(0, "something").await;
        ids.push(general.message().await.0);
    }
    assert_eq!(ids.len(), 15);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 15, "{ids:?}");
}

#[tokio::test(start_paused = true)]
async fn a_message_on_many_lines_is_one_line_to_its_server_and_one_event_to_its_client() {
    let server = Server::new(&["slow"]);
    let client = House::shared(&server).client().await;
    let pretty = serde_json::to_string_pretty(&call(1, "s__slow", json!({"deep": {"er": [1]}}))).unwrap();
    assert!(pretty.contains('\n'));
    let reply = client.post_text(pretty.replace('\n', "\r\n"));
    let heard = server.hear_method("tools/call").await;
    assert_eq!(heard.message["params"]["arguments"], json!({"deep": {"er": [1]}}));
    server.answer(&heard, Value::Null).await;
    assert_eq!(reply.await.unwrap().json().await["id"], 1);
}
