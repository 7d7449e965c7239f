//! What a client is asked in an answer, and who may come back with it.

use super::client::Client;
use crate::http::house::{House, group, settled, wait};
use crate::http::server::Server;
use mcp_braid::config::Sharing;
use mcp_braid::mcp::caller::Principal;
use serde_json::{Value, json};
use std::time::Duration;

/// A call that waits for its client's form, and its handle.
async fn parked(server: &Server, client: &Client) -> (Value, String) {
    let reply = client.post("tools/call", json!({"name": "s__slow", "arguments": {"n": 1}}));
    let heard = server.hear_method("tools/call").await;
    server.ask(0, 70).await;
    let answer = reply.await.unwrap().json().await;
    let result = &answer["result"];
    assert_eq!(result["resultType"], "input_required", "{answer}");
    assert_eq!(result["inputRequests"]["ask-1"]["method"], "elicitation/create");
    (heard.message["id"].clone(), result["requestState"].as_str().unwrap().to_owned())
}

fn back(handle: &str) -> Value {
    json!({"arguments": {"n": 1}, "requestState": handle, "inputResponses": {"ask-1": {"action": "accept", "content": {}}}})
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_its_client_and_holds_nothing_of_others() {
    let server = Server::new(&["slow", "echo"]);
    let house = House::new(&[("s", &server)], Sharing::Shared, |config| {
        config.limits.total_in_flight_max = 1;
        config.servers[0].in_flight_max = 1;
    });
    let client = Client::of(&house);
    let (call, handle) = parked(&server, &client).await;
    assert_eq!((house.hub.in_flight(), house.hub.parked()), (0, 1));
    assert_eq!(client.call("s__echo", json!({})).await.0, 200);
    let reply = client.post("tools/call", {
        let mut more = back(&handle);
        more["name"] = "s__slow".into();
        more
    });
    let answer = server.hear().await;
    assert_eq!((&answer.message["id"], &answer.message["result"]["action"]), (&json!(70), &json!("accept")));
    assert_eq!((house.hub.in_flight(), house.hub.parked()), (1, 0));
    server.say(0, json!({"jsonrpc": "2.0", "id": call, "result": {"n": 1}})).await;
    assert_eq!(reply.await.unwrap().json().await["result"]["n"], 1);
    server.is_silent().await;
    assert_eq!(house.hub.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_handle_is_nothing_to_anybody_else() {
    let server = Server::new(&["slow"]);
    let house = House::new(&[("s", &server)], Sharing::Shared, |config| {
        config.groups = vec![group("work", &["s"])];
    });
    let client = Client::of(&house);
    let (_, handle) = parked(&server, &client).await;
    // Every bit of it,
    for at in 0..handle.len() {
        for bit in 0..7 {
            let mut bytes = handle.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let other = String::from_utf8(bytes).unwrap();
            assert_eq!(client.call("s__slow", back(&other)).await.0, 400, "{other}");
        }
    }
    for other in [
        String::new(),
        handle.to_uppercase(),
        format!("{handle}-TAMPERED"),
        format!(" {handle}"),
        handle[1..].to_owned(),
    ] {
        assert_eq!(client.call("s__slow", back(&other)).await.0, 400, "{other}");
    }
    // what is no text at all,
    for other in ["7", "null", "{}", "[]", "true", r#""\ud800""#, &format!("[\"{handle}\"]")] {
        let reply = client.bring_back("s__slow", back(""), other).await.unwrap();
        let (status, said) = (reply.status, reply.json().await);
        assert_eq!((status.as_u16(), &said["error"]["code"]), (400, &json!(-32602)), "{other}");
    }
    // another principal, another door, another tool by which the same is called.
    let stranger = Client { principal: Principal::bearer(), ..client.clone() };
    let (status, refusal) = stranger.call("s__slow", back(&handle)).await;
    assert_eq!((status, &refusal["error"]["code"]), (400, &json!(-32602)));
    for path in ["/mcp/work", "/servers/s/mcp"] {
        let elsewhere = Client { path, ..client.clone() };
        let tool = if path.starts_with("/servers") { "slow" } else { "s__slow" };
        assert_eq!(elsewhere.call(tool, back(&handle)).await.0, 400, "{path}");
    }
    assert_eq!(client.call("slow", back(&handle)).await.0, 400);
    server.is_silent().await;
    // It still works for whom it was made.
    let reply = client.post("tools/call", {
        let mut more = back(&handle);
        more["name"] = "s__slow".into();
        more
    });
    assert_eq!(server.hear().await.message["id"], 70);
    // But once.
    let (status, again) = client.call("s__slow", back(&handle)).await;
    assert_eq!((status, again), (400, refusal));
    server.is_silent().await;
    drop(reply);
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_too_late_finds_nothing_and_its_call_is_cancelled() {
    let server = Server::new(&["slow"]);
    let house = House::shared(&server);
    let client = Client::of(&house);
    let (call, handle) = parked(&server, &client).await;
    wait(Duration::from_secs(601)).await;
    let mut heard = [server.hear().await.message, server.hear().await.message];
    heard.sort_by_key(|message| message["method"].is_null());
    assert_eq!(
        (&heard[0]["method"], &heard[0]["params"]["requestId"]),
        (&json!("notifications/cancelled"), &call)
    );
    assert_eq!((&heard[1]["id"], heard[1]["error"].is_object()), (&json!(70), true));
    assert_eq!(client.call("s__slow", back(&handle)).await.0, 400);
    server.is_silent().await;
    assert_eq!(house.hub.parked(), 0);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_states_wait_and_each_comes_back_once() {
    const MANY: usize = 10_000;
    let server = Server::modern(&["state", "echo"]);
    let house = House::new(&[("s", &server)], Sharing::Shared, |config| {
        config.limits.parked_max = 4 * MANY;
    });
    let client = Client::of(&house);
    let call = |n: usize, more: Value| {
        let mut params = json!({"arguments": {"state": format!("state {n}")}});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        params
    };
    let mut handles = Vec::new();
    for n in 0..MANY {
        let (_, answer) = client.call("s__state", call(n, json!({}))).await;
        let handle = answer["result"]["requestState"].as_str().unwrap().to_owned();
        assert!(!answer.to_string().contains(&format!("state {n}")), "what the server gave stays here");
        handles.push(handle);
    }
    assert_eq!(house.hub.parked(), MANY);
    // One more finds no place, since one among many has a quarter; others are not held up.
    let (status, refused) = client.call("s__state", call(MANY, json!({}))).await;
    assert_eq!((status, &refused["error"]["data"]["reason"]), (200, &json!("busy")));
    assert_eq!(client.call("s__echo", json!({})).await.0, 200);
    let other = Client { principal: Principal::bearer(), ..client.clone() };
    let (_, answer) = other.call("s__state", call(0, json!({}))).await;
    assert!(answer["result"]["requestState"].is_string(), "{answer}");
    for n in [0, 1, MANY / 2, MANY - 1] {
        let more = json!({"requestState": handles[n], "inputResponses": {"r": {"roots": []}}});
        let (_, answer) = client.call("s__state", call(n, more.clone())).await;
        assert_eq!(answer["result"]["structuredContent"]["state"], format!("state {n}"));
        assert_eq!(client.call("s__state", call(n, more)).await.0, 400);
    }
    assert_eq!(house.hub.parked(), MANY - 4 + 1);
    // In their time all of them are forgotten though nobody comes, and there is room again.
    wait(Duration::from_secs(601)).await;
    assert_eq!(house.hub.parked(), 0);
    client.call("s__state", call(0, json!({}))).await;
    settled().await;
    assert_eq!(house.hub.parked(), 1);
}

#[tokio::test(start_paused = true)]
async fn as_many_calls_wait_as_there_are_places_for_and_none_runs_twice() {
    // Of a link that is shared nothing says which of two calls asks: so each has its own server here.
    const SERVERS: usize = 16;
    let servers: Vec<_> = (0..SERVERS).map(|_| Server::new(&["slow"])).collect();
    let names: Vec<_> = (0..SERVERS).map(|n| format!("s{n}")).collect();
    let named: Vec<_> = names.iter().map(String::as_str).zip(&servers).collect();
    let house = House::new(&named, Sharing::Shared, |config| {
        config.limits.parked_max = 4 * (SERVERS - 1);
    });
    let client = Client::of(&house);
    let mut busy = 0;
    for (name, server) in &named {
        let reply = client.post("tools/call", json!({"name": format!("{name}__slow")}));
        server.hear_method("tools/call").await;
        server.ask(0, 7).await;
        let answer = reply.await.unwrap().json().await;
        match answer["result"]["resultType"].as_str() {
            Some(kind) => assert_eq!(kind, "input_required"),
            None => {
                assert_eq!(answer["error"]["data"]["reason"], "busy", "{answer}");
                busy += 1;
            }
        }
    }
    assert_eq!((house.hub.parked(), busy, house.hub.in_flight()), (SERVERS - 1, 1, 0));
    // What found no place was cancelled, and what nobody comes back for is.
    wait(Duration::from_secs(601)).await;
    for server in &servers {
        let (mut cancelled, mut refused) = (0, 0);
        for _ in 0..2 {
            let heard = server.hear().await.message;
            match heard["method"].as_str() {
                Some(method) => {
                    assert_eq!(method, "notifications/cancelled", "{heard}");
                    cancelled += 1;
                }
                None => refused += 1,
            }
        }
        assert_eq!((cancelled, refused), (1, 1));
        server.is_silent().await;
    }
    assert_eq!(house.hub.parked(), 0);
}

#[tokio::test(start_paused = true)]
async fn states_that_nobody_brought_back_give_their_room_to_new_ones() {
    const LARGE: usize = 300 << 10;
    let server = Server::modern(&["state"]);
    let house = House::new(&[("s", &server)], Sharing::Shared, |config| {
        config.limits.buffered_bytes_max = 16 << 20;
    });
    let client = Client::of(&house);
    let asked = async || {
        let call = json!({"arguments": {"state": "s".repeat(LARGE)}});
        let (_, answer) = client.call("s__state", call).await;
        match answer["result"]["requestState"].as_str() {
            Some(_) => true,
            None => {
                assert_eq!(answer["error"]["data"]["reason"], "busy", "{answer}");
                false
            }
        }
    };
    for _ in 0..3 {
        let mut kept = 0;
        while asked().await {
            kept += 1;
        }
        assert!((4..16).contains(&kept), "{kept}");
        wait(Duration::from_secs(601)).await;
    }
}

/// A handle by which a state waits, and how the call goes on that brings it back.
async fn state(client: &Client) -> String {
    let (_, answer) = client.call("s__state", json!({"arguments": {"state": "s"}})).await;
    answer["result"]["requestState"].as_str().unwrap().to_owned()
}

fn with_state(handle: &str) -> Value {
    json!({"arguments": {"state": "s"}, "requestState": handle, "inputResponses": {"r": {"roots": []}}})
}

#[tokio::test(start_paused = true)]
async fn a_handle_whose_request_was_not_sent_works_once_more() {
    let server = Server::modern(&["state", "slow"]);
    let house = House::new(&[("s", &server)], Sharing::Shared, |config| {
        config.limits.parked_max = 4;
        config.servers[0].in_flight_max = 1;
        config.servers[0].waiting_max = 1;
    });
    let client = Client::of(&house);
    let handle = state(&client).await;
    let slow = client.post("tools/call", json!({"name": "s__slow"}));
    let heard = server.hear_method("tools/call").await;
    // One that waits for its turn leaves,
    let reply = client.post("tools/call", {
        let mut more = with_state(&handle);
        more["name"] = "s__state".into();
        more
    });
    settled().await;
    // while it is on its way nobody else can use it,
    assert_eq!(client.call("s__state", with_state(&handle)).await.0, 400);
    reply.abort();
    settled().await;
    // another finds no place at all.
    let waiting = client.post("tools/call", json!({"name": "s__slow"}));
    settled().await;
    let (_, refused) = client.call("s__state", with_state(&handle)).await;
    assert_eq!(refused["error"]["data"]["outcome"], "not_sent", "{refused}");
    assert_eq!(house.hub.parked(), 1);
    server.answer(&heard, json!({})).await;
    let heard = server.hear_method("tools/call").await;
    server.answer(&heard, json!({})).await;
    slow.await.unwrap();
    waiting.await.unwrap();
    let (_, answer) = client.call("s__state", with_state(&handle)).await;
    assert_eq!(answer["result"]["structuredContent"]["state"], "s", "{answer}");
    assert_eq!(client.call("s__state", with_state(&handle)).await.0, 400);
    assert_eq!((house.hub.parked(), house.hub.in_flight()), (0, 0));
    // One that was put back is forgotten in its time as well.
    let handle = state(&client).await;
    let slow = client.post("tools/call", json!({"name": "s__slow"}));
    let heard = server.hear_method("tools/call").await;
    let reply = client.bring_back("s__state", with_state(""), &format!("\"{handle}\""));
    settled().await;
    reply.abort();
    settled().await;
    assert_eq!(house.hub.parked(), 1);
    wait(Duration::from_secs(60)).await;
    server.answer(&heard, json!({})).await;
    slow.await.unwrap();
    wait(Duration::from_secs(541)).await;
    assert_eq!(house.hub.parked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_handle_is_what_it_says_and_works_for_one_alone() {
    let server = Server::modern(&["state"]);
    let client = Client::of(&House::shared(&server));
    // However it is spelled,
    let handle = state(&client).await;
    let spelled: String = handle.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    let reply = client.bring_back("s__state", with_state(""), &format!("\"{spelled}\"")).await.unwrap();
    assert_eq!(reply.json().await["result"]["structuredContent"]["state"], "s");
    for again in [&handle, &spelled] {
        let reply = client.bring_back("s__state", with_state(""), &format!("\"{again}\"")).await.unwrap();
        assert_eq!(reply.status, 400, "{again}");
    }
    // and whoever else comes in the same moment.
    let handle = state(&client).await;
    let both = [(); 2].map(|()| client.bring_back("s__state", with_state(""), &format!("\"{handle}\"")));
    let mut won = 0;
    for reply in both {
        let reply = reply.await.unwrap();
        won += usize::from(reply.status == 200);
    }
    assert_eq!(won, 1);
    let server = Server::new(&["slow"]);
    let client = Client::of(&House::shared(&server));
    let (call, handle) = parked(&server, &client).await;
    let both = [(); 2].map(|()| client.bring_back("s__slow", back(""), &format!("\"{handle}\"")));
    assert_eq!(server.hear().await.message["id"], 70);
    server.is_silent().await;
    server.say(0, json!({"jsonrpc": "2.0", "id": call, "result": {"n": 1}})).await;
    let mut won = 0;
    for reply in both {
        let reply = reply.await.unwrap();
        won += usize::from(reply.status == 200);
    }
    assert_eq!(won, 1);
    server.is_silent().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_retry_is_gone_is_cancelled_and_its_handle_is_used() {
    let server = Server::new(&["slow"]);
    let house = House::shared(&server);
    let client = Client::of(&house);
    let (call, handle) = parked(&server, &client).await;
    let reply = client.bring_back("s__slow", back(""), &format!("\"{handle}\""));
    assert_eq!(server.hear().await.message["id"], 70);
    reply.abort();
    let cancelled = server.hear_method("notifications/cancelled").await;
    assert_eq!(cancelled.message["params"]["requestId"], call);
    let reply = client.bring_back("s__slow", back(""), &format!("\"{handle}\"")).await.unwrap();
    assert_eq!(reply.status, 400);
    settled().await;
    assert_eq!((house.hub.parked(), house.hub.in_flight()), (0, 0));
}
