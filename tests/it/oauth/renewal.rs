//! Tokens that end while calls go on.

use super::client::Client;
use super::home::Home;
use super::issuer::Issuer;
use serde_json::json;

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
