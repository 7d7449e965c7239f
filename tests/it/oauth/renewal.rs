//! Tokens that end while calls go on.

use super::home::Home;
use super::issuer::Issuer;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

/// One client of `braid stdio`.
struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Client {
    fn of(home: &Home) -> Self {
        let mut child = home
            .command(&["stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut client = Self { child, stdin, stdout };
        client.say(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}}));
        client.answer();
        client.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        client.say(&json!({"jsonrpc": "2.0", "id": 0, "method": "tools/list"}));
        let list = client.answer();
        assert_eq!(list["result"]["tools"][0]["name"], "far__echo", "{list}");
        client
    }

    fn say(&mut self, message: &Value) {
        writeln!(self.stdin.as_mut().unwrap(), "{message}").unwrap();
    }

    /// The next answer; what is none is passed over.
    fn answer(&mut self) -> Value {
        loop {
            let mut line = String::new();
            assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0, "it has left");
            let message: Value = serde_json::from_str(&line).unwrap();
            if !message["id"].is_null() && message["method"].is_null() {
                return message;
            }
        }
    }

    /// So many calls at once; their answers, which may come in any order.
    fn calls(&mut self, count: usize) -> Vec<Value> {
        for number in 1..=count {
            self.say(&json!({"jsonrpc": "2.0", "id": number, "method": "tools/call",
                "params": {"name": "far__echo", "arguments": {"text": number.to_string()}}}));
        }
        let answers: Vec<Value> = (0..count).map(|_| self.answer()).collect();
        let ids: BTreeSet<u64> = answers.iter().map(|answer| answer["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), count);
        answers
    }

    fn all_fine(&mut self, count: usize) {
        for answer in self.calls(count) {
            assert_eq!(answer["result"]["content"][0]["text"], answer["id"].to_string(), "{answer}");
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.stdin.take());
        self.child.wait().ok();
    }
}

fn logged_in(issuer: &Issuer) -> Home {
    let home = Home::before(issuer, "[limits]\nsession_in_flight = 128\n");
    assert_eq!(home.login(&[]).code, 0);
    home
}

#[test]
fn a_hundred_calls_on_a_token_that_has_ended_cause_one_refresh_and_no_failure() {
    let issuer = Issuer::start();
    issuer.world().lives = Some(3);
    let home = logged_in(&issuer);
    let mut client = Client::of(&home);
    client.all_fine(1);
    let before = issuer.asked("refresh");
    issuer.world().lives = Some(3600);
    std::thread::sleep(std::time::Duration::from_millis(3100));
    client.all_fine(100);
    assert_eq!(issuer.asked("refresh"), before + 1);
    let calls = issuer.world().calls.iter().filter(|(text, _)| text == "7").count();
    assert_eq!(calls, 1, "and none ran twice");
}

#[test]
fn a_hundred_calls_on_a_token_that_was_taken_back_cause_one_refresh_and_no_failure() {
    let issuer = Issuer::start();
    let home = logged_in(&issuer);
    let mut client = Client::of(&home);
    client.all_fine(1);
    issuer.forgets_tokens();
    client.all_fine(100);
    assert_eq!(issuer.asked("refresh"), 1);
    let mut ran: Vec<String> = issuer.world().calls.iter().skip(1).map(|(text, _)| text.clone()).collect();
    ran.sort();
    ran.dedup();
    assert_eq!((ran.len(), issuer.world().calls.len()), (100, 101), "each ran once");
}

#[test]
fn two_programs_renew_one_login_once() {
    let issuer = Issuer::start();
    let home = logged_in(&issuer);
    let (mut one, mut other) = (Client::of(&home), Client::of(&home));
    issuer.forgets_tokens();
    std::thread::scope(|scope| {
        scope.spawn(|| one.all_fine(20));
        scope.spawn(|| other.all_fine(20));
    });
    assert_eq!(issuer.asked("refresh"), 1, "a refresh token works once");
}

#[test]
fn a_login_that_ended_is_said_once_and_taken_up_again() {
    let issuer = Issuer::start();
    let home = logged_in(&issuer);
    let mut client = Client::of(&home);
    issuer.world().refuses = true;
    issuer.forgets_tokens();
    for answer in client.calls(10) {
        let error = &answer["error"];
        assert_eq!(
            (&error["code"], &error["data"]["outcome"]),
            (&json!(1002), &json!("not_sent")),
            "{answer}"
        );
        assert!(error["message"].as_str().unwrap().contains("run `braid login far`"), "{answer}");
    }
    assert_eq!(issuer.asked("refresh"), 1, "what was refused is not shown again");
    issuer.world().refuses = false;
    assert_eq!(home.login(&[]).code, 0);
    client.all_fine(1);
}

#[test]
fn a_machine_has_its_own_tokens_and_takes_the_rights_that_a_call_wants() {
    let issuer = Issuer::start();
    issuer.world().says.insert("token_endpoint_auth_methods_supported", json!(["client_secret_basic"]));
    let home = Home::before(&issuer, "");
    let config = format!(
        "[servers.far]\nurl = \"{0}/mcp\"\n[servers.far.oauth]\ngrant = \"client_credentials\"\nclient_id = \"machine\"\nclient_secret = \"s3cret\"\nissuer = \"{0}\"\n",
        issuer.base
    );
    std::fs::write(home.folder.path().join("braid.toml"), config).unwrap();
    let mut client = Client::of(&home);
    client.all_fine(20);
    assert_eq!(issuer.asked("machine"), 1);
    issuer.world().needs = ["mcp".to_owned(), "write".to_owned()].into();
    client.all_fine(1);
    assert_eq!(issuer.asked("machine"), 2);
    issuer.forgets_tokens();
    client.all_fine(20);
    assert_eq!((issuer.asked("machine"), issuer.asked("authorize")), (3, 0));
    assert!(!home.logins().exists(), "nothing of it is kept");
    assert_eq!(home.login(&[]).code, 2, "nobody logs in there");
}
