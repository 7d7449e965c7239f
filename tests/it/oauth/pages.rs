//! Clients that are sent to a page where a server wants a login.

use super::browser::Browser;
use super::client::Client;
use super::gateway::{ALICE, BOB, Gateway, home};
use super::home::Home;
use super::issuer::Issuer;
use serde_json::{Value, json};

fn url() -> Value {
    json!({"elicitation": {"form": {}, "url": {}}})
}

/// A user who has logged in, and his client.
fn logged_in(issuer: &Issuer, capabilities: &Value) -> (Home, Client) {
    let home = Home::before(issuer, "");
    assert_eq!(home.login(&[]).code, 0);
    let client = Client::able(&home, capabilities);
    (home, client)
}

/// The same, whose login ended while the client is there.
fn ended(issuer: &Issuer, capabilities: &Value) -> (Home, Client) {
    let (home, mut client) = logged_in(issuer, capabilities);
    client.all_fine(1);
    ends(issuer);
    (home, client)
}

fn ends(issuer: &Issuer) {
    issuer.forgets_tokens();
    issuer.world().refuses = true;
}

fn call(text: &str) -> Value {
    json!({"name": "far__echo", "arguments": {"text": text}})
}

/// The page that an answer of 2025-11-25 sends its client to, and what it is known by.
fn page(answer: &Value) -> (String, String) {
    assert_eq!(answer["error"]["code"], -32042, "{answer}");
    let asked = &answer["error"]["data"]["elicitations"];
    assert_eq!((asked.as_array().map(Vec::len), &asked[0]["mode"]), (Some(1), &json!("url")), "{answer}");
    let text = |key: &str| asked[0][key].as_str().unwrap().to_owned();
    assert!(text("message").contains("`far`"), "{answer}");
    (text("url"), text("elicitationId"))
}

#[test]
fn a_client_with_a_handshake_is_sent_to_a_page_and_told_when_the_login_is_there() {
    let issuer = Issuer::start();
    let (home, mut client) = ended(&issuer, &url());
    let (page, number) = page(&client.calls(1)[0]);
    let (same, _) = self::page(&client.calls(1)[0]);
    assert_eq!(page, same, "one page for one login");
    assert!(page.starts_with("http://localhost:") && !page.contains(&number), "{page}");
    let mut browser = Browser::default();
    let seen = browser.get(&page);
    assert_eq!(seen.status, 200);
    assert!(seen.text.contains("Log in to far") && seen.text.contains(&issuer.base), "{}", seen.text);
    assert_eq!(issuer.asked("authorize"), 1, "nothing happens before somebody agrees");
    let sent = browser.post(&page, "");
    assert!(sent.status == 200 && sent.text.contains(&issuer.base), "it says where that is: {sent:?}");
    let done = browser.follows(sent);
    assert!(done.status == 200 && done.text.contains("Logged in to far"), "{done:?}");
    let told = client.told();
    assert_eq!(
        (&told["method"], &told["params"]["elicitationId"]),
        (&json!("notifications/elicitation/complete"), &json!(number))
    );
    client.all_fine(3);
    assert_eq!(issuer.world().faults, Vec::<String>::new());
    let kept = std::fs::read_to_string(home.logins()).unwrap();
    assert_eq!(kept.matches("access_token").count(), 1, "it takes the place of the one before");
}

#[test]
fn who_never_logged_in_is_asked_once_when_there_are_no_tools() {
    let issuer = Issuer::start();
    let home = Home::before(&issuer, "");
    let mut client = Client::greets(&home, &url());
    let lists = |client: &mut Client, id: u64| {
        client.say(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/list"}));
    };
    lists(&mut client, 1);
    lists(&mut client, 2);
    let told: Vec<Value> = (0..3).map(|_| client.told()).collect();
    let asks: Vec<&Value> = told.iter().filter(|told| told["method"] == "elicitation/create").collect();
    assert_eq!(asks.len(), 1, "{told:?}");
    assert_eq!(told.iter().filter(|told| told["result"]["tools"] == json!([])).count(), 2, "{told:?}");
    client.say(&json!({"jsonrpc": "2.0", "id": asks[0]["id"], "result": {"action": "accept"}}));
    let page = asks[0]["params"]["url"].as_str().unwrap();
    assert_eq!(self::page(&client.calls(1)[0]).0, page, "a call is sent to the same");
    let mut browser = Browser::default();
    let sent = browser.post(page, "");
    assert_eq!(browser.follows(sent).status, 200);
    let mut told: Vec<Value> = (0..2).map(|_| client.told()["method"].clone()).collect();
    told.sort_by_key(Value::to_string);
    assert_eq!(told, ["notifications/elicitation/complete", "notifications/tools/list_changed"]);
    client.all_fine(1);
}

#[test]
fn a_right_that_is_lacking_is_asked_for_on_a_page() {
    let issuer = Issuer::start();
    let (_home, mut client) = logged_in(&issuer, &url());
    issuer.world().needs = ["write".to_owned()].into();
    let (page, _) = page(&client.calls(1)[0]);
    let mut browser = Browser::default();
    let sent = browser.post(&page, "");
    assert!(sent.to.contains("scope=") && sent.to.contains("write"), "{}", sent.to);
    assert_eq!(browser.follows(sent).status, 200);
    client.all_fine(2);
}

#[test]
fn who_cannot_be_sent_to_a_page_reads_what_to_do() {
    let issuer = Issuer::start();
    for capabilities in [json!({}), json!({"elicitation": {}}), json!({"elicitation": {"form": {}}})] {
        let (_home, mut client) = ended(&issuer, &capabilities);
        let answer = &client.calls(1)[0];
        assert_eq!(answer["error"]["data"]["code"], "BRAID-A003", "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("braid login far"), "{answer}");
        issuer.world().refuses = false;
    }
}

/// A request of 2026-07-28.
fn modern(id: u64, more: &Value) -> Value {
    let mut params = call("modern");
    params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": url()});
    for (key, value) in more.as_object().unwrap() {
        params[key] = value.clone();
    }
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
}

#[test]
fn a_client_without_a_handshake_is_asked_in_the_answer_and_its_next_request_waits_for_the_login() {
    let issuer = Issuer::start();
    let (_home, mut client) = ended(&issuer, &json!({}));
    client.say(&modern(1, &json!({})));
    let answer = client.answer();
    let result = &answer["result"];
    assert_eq!(result["resultType"], "input_required", "{answer}");
    let asked = &result["inputRequests"]["login"];
    assert_eq!((&asked["method"], &asked["params"]["mode"]), (&json!("elicitation/create"), &json!("url")));
    assert!(asked["params"]["elicitationId"].is_null(), "{answer}");
    let page = asked["params"]["url"].as_str().unwrap().to_owned();
    let agreed =
        json!({"requestState": result["requestState"], "inputResponses": {"login": {"action": "accept"}}});
    client.say(&modern(2, &agreed));
    let mut browser = Browser::default();
    let sent = browser.post(&page, "");
    assert_eq!(browser.follows(sent).status, 200);
    let answer = client.answer();
    assert_eq!(
        (&answer["id"], &answer["result"]["content"][0]["text"]),
        (&json!(2), &json!("modern")),
        "{answer}"
    );
    assert_eq!(issuer.world().calls.iter().filter(|(text, _)| text == "modern").count(), 1);
}

#[test]
fn who_does_not_want_to_log_in_is_not_asked_again() {
    let issuer = Issuer::start();
    let (_home, mut client) = ended(&issuer, &json!({}));
    client.say(&modern(1, &json!({})));
    let state = client.answer()["result"]["requestState"].clone();
    client
        .say(&modern(2, &json!({"requestState": state, "inputResponses": {"login": {"action": "decline"}}})));
    let answer = client.answer();
    assert!(answer["error"]["code"].is_number() && answer["id"] == 2, "{answer}");
}

#[test]
fn h11_what_one_browser_was_sent_out_for_counts_in_no_other() {
    let issuer = Issuer::start();
    let (home, mut client) = ended(&issuer, &url());
    let (page, _) = page(&client.calls(1)[0]);
    let before = std::fs::read_to_string(home.logins()).unwrap();
    let (mut asked, mut victim) = (Browser::default(), Browser::default());
    let sent = asked.post(&page, "");
    let back = victim.get(&sent.to).to;
    let refused = victim.get(&back);
    assert_eq!(refused.status, 404, "{refused:?}");
    for broken in [back.replace("state=", "state=x"), back.replace("code=", "c="), format!("{back}&code=x")] {
        assert_eq!(asked.get(&broken).status, 404, "{broken}");
    }
    assert_eq!(std::fs::read_to_string(home.logins()).unwrap(), before, "nothing is kept");
    assert_eq!(asked.get(&back).status, 200, "in the browser that was sent out it counts,");
    // The page is over by then, and so is its place on this machine, in a moment.
    let again = std::panic::catch_unwind(move || asked.get(&back).status);
    assert!(again.is_err() || again.is_ok_and(|status| status == 404), "and once");
}

#[test]
fn a_form_counts_from_its_own_page_alone() {
    let issuer = Issuer::start();
    let (_home, mut client) = ended(&issuer, &url());
    let (page, _) = page(&client.calls(1)[0]);
    let mut browser = Browser::default();
    for headers in
        ["", "Origin: null\r\n", "Origin: http://evil.example\r\n", "Origin: http://localhost:1\r\n"]
    {
        assert_eq!(browser.ask(&page, "POST", headers, "").status, 403, "{headers}");
    }
    let port = page.split([':', '/']).nth(4).unwrap().to_owned();
    let evil = format!("Host: evil.example:{port}\r\nOrigin: http://evil.example:{port}\r\n");
    assert_eq!(browser.ask(&page, "POST", &evil, "").status, 404, "another name of ours is nobody's");
    for (method, status) in [("PUT", 405), ("DELETE", 405)] {
        assert_eq!(browser.ask(&page, method, "", "").status, status);
    }
    for other in ["/login/", "/login/0", "/", "/callback", "/callback?code=a&state=b"] {
        let url = format!("http://localhost:{port}{other}");
        assert_eq!(browser.get(&url).status, 404, "{other}");
    }
    let long = "x".repeat(9 * 1024);
    assert_eq!(browser.post(&page, &format!("token={long}")).status, 413);
    assert_eq!(issuer.asked("authorize"), 1);
    let shown = browser.get(&page);
    for wanted in ["cache-control: no-store", "x-frame-options: DENY", "frame-ancestors 'none'", "nosniff"] {
        assert!(shown.head.to_lowercase().contains(&wanted.to_lowercase()), "{wanted}: {}", shown.head);
    }
}

/// What the client of whoever shows this token is answered, with a handshake that says that it goes to pages.
fn called(gateway: &Gateway, token: &str) -> Value {
    let mut headers = format!("Authorization: Bearer {token}\r\n");
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": url(), "clientInfo": {"name": "c", "version": "1"}}});
    let (session, _) = gateway.post(&headers, &hello);
    headers += &format!("Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-11-25\r\n");
    gateway.post(&headers, &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    gateway.post(&headers, &json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}));
    let call = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": call(token)});
    gateway.post(&headers, &call).1
}

#[test]
fn h08_a_page_is_opened_by_who_was_asked_and_nobody_else() {
    let issuer = Issuer::start();
    let home = home(&issuer, "per_principal = true");
    for whose in ["token:alice", "token:bob"] {
        assert_eq!(home.login(&["--as", whose]).code, 0);
    }
    let gateway = Gateway::of(&home);
    for token in [ALICE, BOB] {
        assert_eq!(called(&gateway, token)["result"]["content"][0]["text"], token);
    }
    ends(&issuer);
    let (page, _) = page(&called(&gateway, ALICE));
    assert!(
        page.starts_with("http://localhost:") && !page.contains(&format!(":{}/", gateway.port)),
        "{page}"
    );
    let mut browser = Browser::default();
    assert!(browser.get(&page).text.contains("token:alice"));
    for form in
        ["", "token=", "token=wrong", &format!("token={BOB}"), &format!("token={ALICE}&token={ALICE}")]
    {
        let refused = browser.post(&page, form);
        assert_eq!((refused.status, refused.to.as_str()), (403, ""), "{form}");
    }
    // The page is over by then, and so is its place on this machine, in a moment.
    let again = std::panic::catch_unwind(|| Browser::default().post(&page, &format!("token={ALICE}")).status);
    assert!(again.is_err() || again.is_ok_and(|status| status == 404), "and not again and again");
    assert_eq!(issuer.asked("authorize"), 2);
    let (page, _) = self::page(&called(&gateway, ALICE));
    let sent = browser.post(&page, &format!("token={ALICE}"));
    assert_eq!(sent.status, 200, "{sent:?}");
    assert!(!sent.text.contains(ALICE) && !sent.head.contains(ALICE) && !sent.to.contains(ALICE));
    assert_eq!(browser.follows(sent).status, 200);
    assert_eq!(called(&gateway, ALICE)["result"]["content"][0]["text"], ALICE);
    let (bobs, _) = self::page(&called(&gateway, BOB));
    assert_ne!(page, bobs, "what is Alice's is not Bob's");
}

#[test]
fn h08_a_login_that_all_share_is_no_guests_to_make() {
    let issuer = Issuer::start();
    let home = home(&issuer, "per_principal = false");
    assert_eq!(home.login(&[]).code, 0);
    let gateway = Gateway::of(&home);
    assert_eq!(called(&gateway, ALICE)["result"]["content"][0]["text"], ALICE);
    ends(&issuer);
    let answer = called(&gateway, ALICE);
    assert_eq!(answer["error"]["data"]["code"], "BRAID-A003", "{answer}");
    let token = std::fs::read_to_string(home.folder.path().join(".local/state/braid/token")).unwrap();
    let (page, _) = page(&called(&gateway, token.trim()));
    let mut browser = Browser::default();
    let sent = browser.post(&page, &format!("token={}", token.trim()));
    assert_eq!(browser.follows(sent).status, 200);
    assert_eq!(called(&gateway, ALICE)["result"]["content"][0]["text"], ALICE);
}

/// A gateway that browsers reach as somebody says, and what they call it.
fn told_where(issuer: &Issuer) -> (Home, Gateway, &'static str) {
    let home = home(issuer, "per_principal = true");
    let file = home.folder.path().join("braid.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let base = "http://localhost:9/braid";
    let config = config.replace("[listen]\n", &format!("[listen]\npublic_url = \"{base}\"\n"));
    std::fs::write(&file, config + &format!("\n[servers.other]\nurl = \"{}/mcp\"\n", issuer.base)).unwrap();
    assert_eq!(home.login(&["--as", "token:alice"]).code, 0);
    let gateway = Gateway::of(&home);
    (home, gateway, base)
}

#[test]
fn h11_what_is_for_one_server_counts_nowhere_else() {
    let issuer = Issuer::start();
    let (_home, gateway, base) = told_where(&issuer);
    assert_eq!(called(&gateway, ALICE)["result"]["content"][0]["text"], ALICE);
    ends(&issuer);
    let (page, _) = page(&called(&gateway, ALICE));
    assert!(page.starts_with(&format!("{base}/login/")), "{page}");
    let reached = |url: &str| url.replace(base, &format!("http://localhost:{}", gateway.port));
    let mut browser = Browser::default();
    let form = format!("token={ALICE}");
    let elsewhere = format!("Origin: http://localhost:{}\r\n", gateway.port);
    assert_eq!(
        browser.ask(&reached(&page), "POST", &elsewhere, &form).status,
        403,
        "browsers call us otherwise"
    );
    let sent = browser.ask(&reached(&page), "POST", "Origin: http://localhost:9\r\n", &form);
    assert_eq!(sent.status, 200, "{sent:?}");
    let back = browser.get(&sent.to).to;
    assert!(back.starts_with(&format!("{base}/login/callback/far?")), "{back}");
    let back = reached(&back);
    for other in ["/login/callback/other?", "/login/callback/far/?", "/login/signed-in?", "/login/callback?"]
    {
        let refused = browser.get(&back.replace("/login/callback/far?", other));
        assert_eq!(refused.status, 404, "{other}");
    }
    assert_eq!(issuer.asked("code"), 1, "nobody was shown the code");
    assert_eq!(browser.get(&back).status, 200);
    assert_eq!(called(&gateway, ALICE)["result"]["content"][0]["text"], ALICE);
}

#[test]
fn two_tabs_of_one_browser_may_both_be_out() {
    let issuer = Issuer::start();
    let (_home, mut client) = ended(&issuer, &url());
    let (page, _) = page(&client.calls(1)[0]);
    let mut browser = Browser::default();
    let (first, second) = (browser.post(&page, ""), browser.post(&page, ""));
    assert_ne!(first.to, second.to);
    assert_eq!(issuer.asked("register"), 1, "an issuer that knows us is not asked to know us again");
    assert_eq!(browser.follows(first).status, 200);
    client.all_fine(1);
}

#[test]
fn what_no_person_can_change_sends_nobody_to_a_page() {
    let issuer = Issuer::start();
    let (_home, mut client) = logged_in(&issuer, &url());
    issuer.forgets_tokens();
    issuer.world().fails = true;
    let answer = &client.calls(1)[0];
    assert!(answer["error"]["code"] != -32042 && answer["error"]["data"]["code"] != "BRAID-A003", "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("could not be renewed"), "{answer}");
    issuer.world().fails = false;
    client.all_fine(1);
}

#[test]
fn c05_a_right_that_repeats_a_token_is_quoted_nowhere() {
    let issuer = Issuer::start();
    let (home, mut client) = logged_in(&issuer, &json!({}));
    client.all_fine(1);
    let token = issuer.world().calls[0].1.clone();
    issuer.world().needs = ["more".to_owned(), token.clone()].into();
    let answer = &client.calls(1)[0];
    assert!(!answer.to_string().contains(&token), "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("braid login far"), "{answer}");
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(home.logins()).unwrap()).unwrap();
    assert!(!kept["logins"][0]["wanted"].to_string().contains(&token));
}
