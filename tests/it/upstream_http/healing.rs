//! Lost servers come back by themselves, and no call is carried out twice.

use super::far::{Events, Far, Seen};
use super::stage::{Client, Stage, greets, result};
use mcp_braid::config::{Backoff, Command, Reach, Restart};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

async fn called(far: &mut Far, client: &mut Client, id: u64) -> Seen {
    client.call(json!(id)).await;
    far.post("tools/call").await
}

async fn answered(far: &mut Far, client: &mut Client, id: u64) {
    let call = called(far, client, id).await;
    let own = call.id();
    call.json(&result(&own, "fine"));
    assert_eq!(client.answer(&json!(id)).await, result(&json!(id), "fine"));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ended_is_begun_anew_at_once() {
    let mut far = Far::in_memory();
    let mut stage = Stage::before(&far);
    let (mut client, events) = stage.ready(&mut far).await;
    let first = called(&mut far, &mut client, 7).await;
    let second = called(&mut far, &mut client, 8).await;
    let since = Instant::now();
    second.answer(404, &[("content-type", "text/plain")], "no such session");
    let (text, _, outcome) = client.fault(&json!(8)).await;
    assert_eq!(text, "far: ended the session; it is begun anew, and the call was not carried out");
    assert_eq!(outcome, "not_sent");
    let (_, _, outcome) = client.fault(&json!(7)).await;
    assert_eq!(outcome, "unknown");
    drop(first);
    let hello = far.post("initialize").await;
    assert_eq!((hello.header("mcp-session-id"), since.elapsed()), (None, Duration::ZERO));
    hello.greet("2025-11-25", Some("s-2"));
    far.post("notifications/initialized").await.accepted();
    events.is_left().await;
    far.get().await.events().keep();
    let list = far.post("tools/list").await;
    assert_eq!(list.header("mcp-session-id"), Some("s-2"));
    list.lists();
    answered(&mut far, &mut client, 9).await;
    assert_eq!(
        far.left(),
        Vec::<String>::new(),
        "neither call was sent again, nor a session ended that is over"
    );
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_meets_a_server_on_its_way_back_waits_for_it() {
    let mut far = Far::in_memory();
    let mut stage = Stage::before(&far);
    let (mut client, events) = stage.ready(&mut far).await;
    called(&mut far, &mut client, 7).await.answer(404, &[], "");
    client.fault(&json!(7)).await;
    client.call(json!(8)).await;
    greets(&mut far, "2025-11-25", Some("s-2")).await.keep();
    let call = far.post("tools/call").await;
    let id = call.id();
    call.json(&result(&id, "fine"));
    assert_eq!(client.answer(&json!(8)).await, result(&json!(8), "fine"));
    drop(events);
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn sessions_that_end_at_once_are_begun_anew_ever_more_slowly() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, |server| {
        server.backoff.min = Duration::from_secs(60);
        server.backoff.max = Duration::from_secs(60);
    });
    let mut client = stage.client("2025-11-25", json!({})).await;
    let mut at_once = 0;
    for _ in 0..6 {
        let since = Instant::now();
        far.post("initialize").await.greet("2025-11-25", Some("s"));
        at_once += usize::from(since.elapsed() == Duration::ZERO);
        far.post("notifications/initialized").await.accepted();
        far.post("tools/list").await.answer(404, &[], "");
    }
    assert!(at_once <= 4, "{at_once} of 6 without a pause");
    assert_eq!(client.left(), Vec::<Value>::new());
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_404_that_answers_the_call_is_the_servers_own_word() {
    let mut far = Far::in_memory();
    let mut stage = Stage::before(&far);
    let (mut client, _events) = stage.ready(&mut far).await;
    let call = called(&mut far, &mut client, 7).await;
    let body = json!({"jsonrpc": "2.0", "id": call.id(), "error": {"code": -32601, "message": "no"}});
    call.answer(404, &[("content-type", "application/json")], &body.to_string());
    assert_eq!(client.answer(&json!(7)).await["error"]["code"], -32601);
    answered(&mut far, &mut client, 8).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_404_in_a_session_ends_it_whatever_error_it_bears() {
    let mut far = Far::in_memory();
    let mut stage = Stage::before(&far);
    let (mut client, events) = stage.ready(&mut far).await;
    let open = called(&mut far, &mut client, 6).await;
    let call = called(&mut far, &mut client, 7).await;
    let body =
        json!({"jsonrpc": "2.0", "id": call.id(), "error": {"code": -32001, "message": "Session not found"}});
    call.answer(404, &[("content-type", "application/json")], &body.to_string());
    assert_eq!(client.fault(&json!(7)).await.2, "not_sent");
    // Of the other nobody knows whether it was carried out, and nobody says so.
    let (text, _, outcome) = client.fault(&json!(6)).await;
    assert_eq!((text.as_str(), outcome.as_str()), ("far: ended the session", "unknown"));
    drop((open, events));
    greets(&mut far, "2025-11-25", Some("s-2")).await.keep();
    answered(&mut far, &mut client, 8).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_404_to_a_notification_that_is_not_known_ends_nothing() {
    let mut far = Far::in_memory();
    let mut stage = Stage::before(&far);
    let mut client = stage.client("2025-11-25", json!({"roots": {"listChanged": true}})).await;
    let _events = greets(&mut far, "2025-11-25", Some("s-1")).await;
    let open = called(&mut far, &mut client, 6).await;
    client.say(json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"})).await;
    let body = json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32601, "message": "no"}});
    let note = far.post("notifications/roots/list_changed").await;
    note.answer(404, &[("content-type", "application/json")], &body.to_string());
    answered(&mut far, &mut client, 7).await;
    let id = open.id();
    open.json(&result(&id, "fine"));
    assert_eq!(client.answer(&json!(6)).await, result(&json!(6), "fine"));
    // Any other says that there is no session.
    client.say(json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"})).await;
    far.post("notifications/roots/list_changed").await.answer(404, &[], "");
    far.post("initialize").await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_404_without_a_session_fails_one_call() {
    let mut far = Far::in_memory();
    let mut stage = Stage::before(&far);
    let mut client = stage.client("2025-11-25", json!({})).await;
    let _events = greets(&mut far, "2025-11-25", None).await;
    called(&mut far, &mut client, 7).await.answer(404, &[], "");
    let (text, _, outcome) = client.fault(&json!(7)).await;
    assert_eq!((text.as_str(), outcome.as_str()), ("far: answered 404 Not Found", "unknown"));
    answered(&mut far, &mut client, 8).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_be_reached_is_reached_for_again_when_it_is_needed() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, |server| {
        let years = Duration::from_secs(10 * 365 * 24 * 3600);
        (server.backoff.min, server.backoff.max) = (years, years);
    });
    let (mut client, events) = stage.ready(&mut far).await;
    let open = called(&mut far, &mut client, 6).await;
    called(&mut far, &mut client, 7).await.was_not_sent();
    let (text, reason, outcome) = client.fault(&json!(7)).await;
    assert_eq!(text, "far: far.test refuses connections");
    assert_eq!((reason.as_str(), outcome.as_str()), ("unreachable", "not_sent"));
    // What can still be answered is: that one could not be sent says nothing of the others.
    let id = open.id();
    open.json(&result(&id, "all the same"));
    assert_eq!(client.answer(&json!(6)).await, result(&json!(6), "all the same"));
    drop(events);
    called(&mut far, &mut client, 8).await.was_not_sent();
    assert_eq!(client.fault(&json!(8)).await.2, "not_sent");
    sleep(Duration::from_secs(600)).await;
    assert!(!far.left().iter().any(|left| left.contains("initialize")), "nobody needs it");
    // The network is down: it is needed, and tried, and not hammered.
    let since = Instant::now();
    for n in 0..5 {
        client.call(json!(n)).await;
        assert_eq!(client.fault(&json!(n)).await.2, "not_sent");
        far.post("initialize").await.was_not_sent();
    }
    assert_eq!(since.elapsed(), Duration::from_secs(8), "at most every two seconds");
    // The network is back.
    let since = Instant::now();
    client.call(json!(99)).await;
    assert_eq!(client.fault(&json!(99)).await.2, "not_sent");
    greets(&mut far, "2025-11-25", None).await.keep();
    answered(&mut far, &mut client, 8).await;
    assert!(since.elapsed() <= Duration::from_secs(5), "{:?}", since.elapsed());
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_link_that_died_heals_by_itself() {
    for dies in
        [|ping: Seen| drop(ping), |ping: Seen| ping.was_not_sent(), |ping: Seen| ping.answer(502, &[], "")]
    {
        let mut far = Far::in_memory();
        let mut stage = Stage::with(&far, |server| server.backoff = Backoff::default());
        let mut client = stage.client("2025-11-25", json!({})).await;
        far.post("initialize").await.greet("2025-11-25", None);
        far.post("notifications/initialized").await.accepted();
        far.get().await.answer(405, &[], "");
        far.post("tools/list").await.lists();
        let since = Instant::now();
        let ping = far.post("ping").await;
        assert_eq!(since.elapsed().as_secs(), 30);
        dies(ping);
        far.post("initialize").await.greet("2025-11-25", None);
        assert!(since.elapsed() <= Duration::from_secs(75), "{:?}", since.elapsed());
        far.post("notifications/initialized").await.accepted();
        far.post("tools/list").await.lists();
        answered(&mut far, &mut client, 8).await;
        stage.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_half_open_link_is_found_by_a_ping_without_answer() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, |server| server.backoff = Backoff::default());
    let (client, _events) = stage.ready(&mut far).await;
    let since = Instant::now();
    let _ping = far.post("ping").await;
    let _hello = far.post("initialize").await;
    let took = since.elapsed();
    assert!((Duration::from_secs(45)..=Duration::from_secs(46)).contains(&took), "{took:?}");
    drop(client);
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_link_is_back_75_seconds_after_the_network_at_the_latest() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, |server| server.backoff = Backoff::default());
    let (mut client, events) = stage.ready(&mut far).await;
    events.breaks().await;
    let back = Instant::now() + Duration::from_secs(600);
    loop {
        let seen = far.expect("a request", |_| true).await;
        if Instant::now() >= back {
            seen.greet("2025-11-25", None);
            break;
        }
        seen.was_not_sent();
    }
    assert!(back.elapsed() <= Duration::from_secs(75), "{:?}", back.elapsed());
    far.post("notifications/initialized").await.accepted();
    far.get().await.answer(405, &[], "");
    far.post("tools/list").await.lists();
    answered(&mut far, &mut client, 8).await;
    stage.close().await;
}

/// The server begins a new session, and no time has passed since.
async fn begins_anew(far: &mut Far, client: &mut Client, since: Instant) {
    let hello = far.post("initialize").await;
    assert_eq!((hello.header("mcp-session-id"), since.elapsed()), (None, Duration::ZERO));
    hello.greet("2025-11-25", Some("s-2"));
    far.post("notifications/initialized").await.accepted();
    far.get().await.events().keep();
    far.post("tools/list").await.lists();
    answered(far, client, 99).await;
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_meets_400_in_a_session_begins_it_anew_at_once() {
    for body in [
        "",
        r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"No valid session ID provided"},"id":null}"#,
    ] {
        let mut far = Far::in_memory();
        let mut stage = Stage::before(&far);
        let (mut client, _events) = stage.ready(&mut far).await;
        let ping = far.post("ping").await;
        let since = Instant::now();
        ping.answer(400, &[("content-type", "application/json")], body);
        begins_anew(&mut far, &mut client, since).await;
        stage.close().await;
    }
}

/// A server without a stream beside its answers, which is called all the time.
async fn in_steady_use() -> (Far, Stage, Client) {
    let mut far = Far::in_memory();
    let mut stage = Stage::before(&far);
    let client = stage.client("2025-11-25", json!({})).await;
    far.post("initialize").await.greet("2025-11-25", Some("s-1"));
    far.post("notifications/initialized").await.accepted();
    far.get().await.answer(405, &[], "");
    far.post("tools/list").await.lists();
    (far, stage, client)
}

const NO_SESSION: &str =
    r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"No valid session ID provided"},"id":null}"#;

#[tokio::test(start_paused = true)]
async fn a_call_that_meets_400_has_the_session_asked_after_at_once() {
    let (mut far, stage, mut client) = in_steady_use().await;
    let open = called(&mut far, &mut client, 6).await;
    let call = called(&mut far, &mut client, 7).await;
    let since = Instant::now();
    call.answer(400, &[("content-type", "application/json")], NO_SESSION);
    assert_eq!(client.answer(&json!(7)).await["error"]["code"], -32000, "the call keeps its error");
    let ping = far.post("ping").await;
    assert_eq!(ping.header("mcp-session-id"), Some("s-1"));
    ping.answer(400, &[("content-type", "application/json")], NO_SESSION);
    assert_eq!(client.fault(&json!(6)).await.2, "unknown");
    drop(open);
    begins_anew(&mut far, &mut client, since).await;
    assert_eq!(far.left(), Vec::<String>::new(), "nothing was sent again");
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_still_known_outlives_the_400s_of_its_calls() {
    let (mut far, stage, mut client) = in_steady_use().await;
    let mut pings = 0;
    for id in 0..40 {
        called(&mut far, &mut client, id).await.answer(400, &[], "");
        client.fault(&json!(id)).await;
        sleep(Duration::from_millis(100)).await;
        while far.left().iter().any(|left| left.contains("ping")) {
            far.post("ping").await.result(json!({}));
            pings += 1;
        }
    }
    assert!((3..=5).contains(&pings), "once a second at most: {pings}");
    // One that does not answer while it is busy is not lost.
    let call = called(&mut far, &mut client, 50).await;
    called(&mut far, &mut client, 51).await.answer(400, &[], "");
    let _ping = far.post("ping").await;
    sleep(Duration::from_secs(60)).await;
    let id = call.id();
    call.json(&result(&id, "fine"));
    assert_eq!(client.answer(&json!(50)).await, result(&json!(50), "fine"));
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_400_that_names_its_call_casts_no_doubt() {
    let (mut far, stage, mut client) = in_steady_use().await;
    let call = called(&mut far, &mut client, 7).await;
    let error = json!({"jsonrpc": "2.0", "id": call.id(), "error": {"code": -32602, "message": "no"}});
    call.answer(400, &[("content-type", "application/json")], &error.to_string());
    assert_eq!(client.answer(&json!(7)).await["error"]["code"], -32602);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(far.left(), Vec::<String>::new());
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_meets_400_when_asked_for_again_begins_the_session_anew_at_once() {
    let mut far = Far::in_memory();
    let mut stage = Stage::before(&far);
    let (mut client, events) = stage.ready(&mut far).await;
    events.breaks().await;
    let get = far.get().await;
    assert_eq!(get.header("mcp-session-id"), Some("s-1"));
    let since = Instant::now();
    get.answer(400, &[], "");
    begins_anew(&mut far, &mut client, since).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_cannot_be_asked_for_again_ends_an_idle_link_only() {
    let mut far = Far::in_memory();
    let mut stage = Stage::before(&far);
    let (mut client, events) = stage.ready(&mut far).await;
    let call = called(&mut far, &mut client, 7).await;
    events.breaks().await;
    far.get().await.was_not_sent();
    let get = far.get().await;
    let id = call.id();
    call.json(&result(&id, "fine"));
    assert_eq!(client.answer(&json!(7)).await, result(&json!(7), "fine"));
    get.was_not_sent();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(stage.down(&client).as_deref(), Some("far: far.test refuses connections"));
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_open_is_asked_for_again_after_a_refusal() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, |server| server.timeouts.ping = None);
    let (mut client, events) = stage.ready(&mut far).await;
    drop(events);
    let mut pauses = Vec::new();
    for status in [409, 501, 403, 502, 409] {
        far.get().await.answer(status, &[], "");
        let since = Instant::now();
        let get = far.get().await;
        pauses.push(since.elapsed().as_secs());
        get.answer(409, &[], "");
    }
    assert_eq!(pauses, [2, 8, 32, 60, 60], "ever more slowly");
    let events = far.get().await.events();
    far.post("tools/list").await.lists();
    events.say(&json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})).await;
    far.post("tools/list").await.lists();
    drop(events);
    // What it says it has not is not asked for.
    far.get().await.answer(405, &[], "");
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(far.left(), Vec::<String>::new());
    answered(&mut far, &mut client, 8).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_that_is_cut_now_and_then_is_asked_for_again_soon() {
    let mut far = Far::in_memory();
    let mut stage = Stage::before(&far);
    let (_client, mut events) = stage.ready(&mut far).await;
    for _ in 0..10 {
        for _ in 0..4 {
            sleep(Duration::from_secs(15)).await;
            events.raw(": keep-alive\n\n").await;
        }
        drop(events);
        let since = Instant::now();
        events = far.get().await.events();
        assert_eq!(since.elapsed().as_secs(), 1);
    }
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn any_answer_to_a_ping_is_a_sign_of_life() {
    let mut far = Far::in_memory();
    let mut stage = Stage::before(&far);
    let (_client, _events) = stage.ready(&mut far).await;
    for n in 0..14 {
        let since = Instant::now();
        let ping = far.post("ping").await;
        assert_eq!(since.elapsed().as_secs(), 30);
        let id = ping.id();
        let no = json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no"}});
        match n % 7 {
            0 => ping.result(json!({})),
            2 => ping.answer(401, &[], ""),
            3 => ping.answer(403, &[], "not through here"),
            4 => ping.answer(405, &[], ""),
            1 => ping.json(&no),
            // Some send with 400 what they know nothing of, and their session is fine.
            5 => ping.answer(400, &[("content-type", "application/json")], &no.to_string()),
            _ => ping.answer(429, &[], ""),
        }
    }
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn no_ping_is_sent_while_the_server_talks_or_works() {
    let mut far = Far::in_memory();
    let mut stage = Stage::before(&far);
    let (mut client, events) = stage.ready(&mut far).await;
    for _ in 0..20 {
        sleep(Duration::from_secs(15)).await;
        events.raw(": keep-alive\n\n").await;
    }
    assert_eq!(far.left(), Vec::<String>::new());
    let call = called(&mut far, &mut client, 7).await;
    sleep(Duration::from_secs(110)).await;
    assert_eq!(far.left(), Vec::<String>::new());
    let id = call.id();
    call.json(&result(&id, "long"));
    client.answer(&json!(7)).await;
    let since = Instant::now();
    far.post("ping").await.result(json!({}));
    assert!(since.elapsed() <= Duration::from_secs(35), "{:?}", since.elapsed());
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn pings_can_be_turned_off() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, |server| server.timeouts.ping = None);
    let (_client, _events) = stage.ready(&mut far).await;
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(far.left(), Vec::<String>::new());
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_our_credentials_is_not_stormed() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, |server| server.backoff = Backoff::default());
    let mut client = stage.client("2025-11-25", json!({})).await;
    let since = Instant::now();
    let mut greetings = 0;
    for n in 0..600 {
        client.call(json!(n)).await;
        sleep(Duration::from_secs(1)).await;
        while far.left().iter().any(|left| left.contains("initialize")) {
            far.post("initialize").await.answer(401, &[], "");
            greetings += 1;
        }
    }
    assert!((5..=20).contains(&greetings), "{greetings} in {:?}", since.elapsed());
    sleep(Duration::from_secs(1)).await;
    let (text, _, outcome) = client.fault(&json!(599)).await;
    assert!(
        text.contains("far: answered 401 Unauthorized: it wants other credentials (servers.far.headers)"),
        "{text}"
    );
    assert_eq!(outcome, "not_sent");
    stage.close().await;
}

/// A server, a client, and a program that makes `Bearer 1`, `Bearer 2` and so on.
#[cfg(unix)]
async fn with_made_credentials(folder: &std::path::Path) -> (Far, Stage, Client) {
    let (far, stage, client, events) = with_made_credentials_and_events(folder).await;
    events.keep();
    (far, stage, client)
}

/// The same, and the stream on which the server says what belongs to no answer.
#[cfg(unix)]
async fn with_made_credentials_and_events(folder: &std::path::Path) -> (Far, Stage, Client, Events) {
    let mut command = Command::new("sh", folder);
    let script = r#"echo x >> made && printf '{"Authorization":"Bearer %s"}' $(wc -l < made)"#;
    command.args = vec!["-c".to_owned(), script.to_owned()];
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, |server| {
        let Reach::Http(remote) = &mut server.reach else { panic!("a URL") };
        remote.headers_command = Some(command);
    });
    let (client, events) = stage.ready(&mut far).await;
    (far, stage, client, events)
}

#[cfg(unix)]
const MADE_ANEW: &str =
    "far: answered 401 Unauthorized: its credentials were made anew (servers.far.headers_command); try again";

#[cfg(unix)]
#[tokio::test]
async fn credentials_that_a_program_makes_are_made_anew_in_a_session_that_stays() {
    let folder = tempfile::TempDir::new().unwrap();
    let (mut far, stage, mut client) = with_made_credentials(folder.path()).await;
    let open = called(&mut far, &mut client, 6).await;
    // Several are refused at once, and the program runs once.
    let (first, second) = (called(&mut far, &mut client, 7).await, called(&mut far, &mut client, 8).await);
    for call in [first, second] {
        assert_eq!(call.header("authorization"), Some("Bearer 1"));
        call.answer(401, &[], "");
    }
    for id in [7, 8] {
        let (text, _, outcome) = client.fault(&json!(id)).await;
        assert_eq!((text.as_str(), outcome.as_str()), (MADE_ANEW, "not_sent"));
    }
    let call = called(&mut far, &mut client, 9).await;
    assert_eq!((call.header("authorization"), call.header("x-key")), (Some("Bearer 2"), Some("s3cret")));
    assert_eq!(call.header("mcp-session-id"), Some("s-1"));
    let id = call.id();
    call.json(&result(&id, "fine"));
    assert_eq!(client.answer(&json!(9)).await, result(&json!(9), "fine"));
    // What was taken and is refused so soon is no matter of age.
    called(&mut far, &mut client, 10).await.answer(401, &[], "");
    let (text, _, outcome) = client.fault(&json!(10)).await;
    assert!(text.ends_with("it wants other credentials (servers.far.headers_command)"), "{text}");
    assert_eq!(outcome, "not_sent");
    let id = open.id();
    open.json(&result(&id, "all the same"));
    assert_eq!(client.answer(&json!(6)).await, result(&json!(6), "all the same"));
    assert_eq!(called(&mut far, &mut client, 11).await.header("authorization"), Some("Bearer 2"));
    stage.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn credentials_that_were_made_anew_in_vain_end_an_idle_link() {
    let folder = tempfile::TempDir::new().unwrap();
    let (mut far, stage, mut client) = with_made_credentials(folder.path()).await;
    let open = called(&mut far, &mut client, 6).await;
    called(&mut far, &mut client, 7).await.answer(401, &[], "");
    assert_eq!(client.fault(&json!(7)).await.0, MADE_ANEW);
    // What others may still be answered is not given up for it.
    called(&mut far, &mut client, 8).await.answer(401, &[], "");
    assert_eq!(client.fault(&json!(8)).await.2, "not_sent");
    drop(open);
    client.fault(&json!(6)).await;
    called(&mut far, &mut client, 9).await.answer(401, &[], "");
    assert_eq!(client.fault(&json!(9)).await.2, "not_sent");
    // What is refused again is not asked for again at once.
    client.call(json!(10)).await;
    let (text, _, _) = client.fault(&json!(10)).await;
    assert!(text.contains("it wants other credentials (servers.far.headers_command)"), "{text}");
    assert!(!far.left().iter().any(|left| left.contains("initialize")));
    stage.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_no_request_goes_again_with_other_credentials() {
    let folder = tempfile::TempDir::new().unwrap();
    let (mut far, stage, mut client, events) = with_made_credentials_and_events(folder.path()).await;
    let call = called(&mut far, &mut client, 7).await;
    events
        .say(&json!({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create",
            "params": {"message": "why", "requestedSchema": {"type": "object", "properties": {}}}}))
        .await;
    let asked = client.method("elicitation/create").await;
    client.say(json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "decline"}})).await;
    let late = far.reply().await;
    assert_eq!(late.header("authorization"), Some("Bearer 1"));
    late.answer(401, &[], "");
    let again = far.reply().await;
    assert_eq!((again.header("authorization"), &again.message()["id"]), (Some("Bearer 2"), &json!("q")));
    // Once: refused again it ends nobody's call.
    again.answer(401, &[], "");
    let id = call.id();
    call.json(&result(&id, "fine"));
    assert_eq!(client.answer(&json!(7)).await, result(&json!(7), "fine"));
    assert!(!far.left().iter().any(|left| left.starts_with("POST")));
    stage.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_that_fails_to_make_credentials_anew_is_said_to() {
    let folder = tempfile::TempDir::new().unwrap();
    let (mut far, stage, mut client) = with_made_credentials(folder.path()).await;
    std::fs::remove_file(folder.path().join("made")).unwrap();
    std::fs::create_dir(folder.path().join("made")).unwrap();
    called(&mut far, &mut client, 7).await.answer(401, &[], "");
    let (text, _, outcome) = client.fault(&json!(7)).await;
    let why = "far: answered 401 Unauthorized, and others could not be made: `headers_command`: `sh` ";
    assert!(text.starts_with(why), "{text}");
    assert_eq!(outcome, "not_sent");
    answered(&mut far, &mut client, 8).await;
    stage.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_stop_does_not_wait_for_a_program_that_makes_headers() {
    let folder = tempfile::TempDir::new().unwrap();
    let fifo = folder.path().join("begun");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut command = Command::new("sh", folder.path());
    command.args = vec!["-c".to_owned(), "echo x > begun; exec sleep 8".to_owned()];
    let far = Far::in_memory();
    let mut stage = Stage::with(&far, |server| {
        let Reach::Http(remote) = &mut server.reach else { panic!("a URL") };
        remote.headers_command = Some(command);
    });
    let _client = stage.client("2025-11-25", json!({})).await;
    tokio::fs::read(&fifo).await.unwrap();
    let since = Instant::now();
    stage.close().await;
    assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_never_restarted_stays_down() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, |server| server.restart = Restart::Never);
    let (mut client, _events) = stage.ready(&mut far).await;
    called(&mut far, &mut client, 7).await.answer(404, &[], "");
    client.fault(&json!(7)).await;
    client.call(json!(8)).await;
    assert_eq!(client.fault(&json!(8)).await.2, "not_sent");
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(far.left(), Vec::<String>::new());
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_initialize_is_said_as_the_server_says_it() {
    for (status, body, why) in [
        (
            400,
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"not today"}}"#,
            "far: refused initialize: not today (-32000)",
        ),
        (500, "", "far: answered 500 Internal Server Error"),
        (202, "", "far: answered 202 without an answer: it has no body that could be one"),
        (200, "", "far: answered 200 without an answer: it has no body that could be one"),
    ] {
        let mut far = Far::in_memory();
        let mut stage = Stage::before(&far);
        let client = stage.client("2025-11-25", json!({})).await;
        far.post("initialize").await.answer(status, &[], body);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(stage.down(&client).as_deref(), Some(why));
        stage.close().await;
    }
}

#[tokio::test]
async fn a_restarted_server_is_found_again_over_real_sockets() {
    let mut far = Far::at_a_port().await;
    let address = far.address();
    let mut stage = Stage::with(&far, |server| {
        server.backoff.min = Duration::from_millis(10);
        server.backoff.max = Duration::from_millis(50);
    });
    let (mut client, events) = stage.ready(&mut far).await;
    let call = called(&mut far, &mut client, 7).await;
    far.go_down();
    let (_, _, outcome) = client.fault(&json!(7)).await;
    assert_eq!(outcome, "unknown");
    drop((call, events));
    client.call(json!(8)).await;
    let (text, _, outcome) = client.fault(&json!(8)).await;
    assert_eq!(outcome, "not_sent", "{text}");
    let mut far = Far::at(address).await;
    let _events = greets(&mut far, "2025-11-25", Some("s-2")).await;
    answered(&mut far, &mut client, 9).await;
    let end = async { far.delete().await.answer(200, &[], "") };
    tokio::join!(stage.close(), end);
}
