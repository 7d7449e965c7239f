//! `braid login` and `braid logout` of the real program, with a person who agrees at once.

use super::home::Home;
use super::issuer::Issuer;
use crate::said::PATIENCE;
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn a_login_lets_calls_in_and_a_logout_takes_it_back() {
    let issuer = Issuer::start();
    let home = Home::before(&issuer, "");
    let before = home.braid(&["call", "far__echo", "text=hi", "--json"]);
    assert_ne!(before.code, 0);
    assert!(before.err.contains("braid login far"), "{before:?}");

    let check = home.braid(&["check"]);
    assert!(check.out.contains("BRAID-A003") && check.out.contains("fix: braid login far"), "{check:?}");

    let login = home.login(&[]);
    assert_eq!(login.code, 0, "{login:?}");
    let said: serde_json::Value = serde_json::from_str(login.out.lines().last().unwrap()).unwrap();
    assert_eq!((&said["server"], &said["issuer"]), (&json!("far"), &json!(issuer.base)));
    assert_eq!(said["scopes"], json!(["mcp"]));
    let mode = fs::metadata(home.logins()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let call = home.braid(&["call", "far__echo", "text=hi"]);
    assert_eq!((call.code, call.out.trim()), (0, "hi"), "{call:?}");
    assert_eq!(issuer.world().faults, Vec::<String>::new());

    let logout = home.braid(&["logout", "far"]);
    assert_eq!((logout.code, logout.out.trim()), (0, "far: logged out"), "{logout:?}");
    assert_eq!(issuer.asked("revoke"), 2);
    assert_ne!(home.braid(&["call", "far__echo", "text=hi"]).code, 0);
    let again = home.braid(&["logout", "far"]);
    assert_eq!((again.code, again.out.trim()), (0, "far: there is no login"));
}

#[test]
fn a_name_that_an_issuer_gave_is_used_again() {
    let issuer = Issuer::start();
    let home = Home::before(&issuer, "");
    for _ in 0..3 {
        assert_eq!(home.login(&[]).code, 0);
    }
    assert_eq!(issuer.asked("register"), 1);
    assert_eq!(issuer.world().faults, Vec::<String>::new());
}

#[test]
fn a_right_that_is_lacking_is_asked_for_at_the_next_login() {
    let issuer = Issuer::start();
    let home = Home::before(&issuer, "");
    assert_eq!(home.login(&[]).code, 0);
    issuer.world().needs = ["mcp".to_owned(), "write".to_owned()].into();
    let refused = home.braid(&["call", "far__echo", "text=hi"]);
    assert!(refused.err.contains("(mcp write)") && refused.err.contains("braid login far"), "{refused:?}");
    let login = home.login(&[]);
    let said: serde_json::Value = serde_json::from_str(login.out.lines().last().unwrap()).unwrap();
    assert_eq!(said["scopes"], json!(["mcp", "write"]), "what it had, and what was wanted");
    assert_eq!(home.braid(&["call", "far__echo", "text=hi"]).code, 0);
}

#[test]
fn a_login_needs_no_browser_on_this_machine() {
    let issuer = Issuer::start();
    let home = Home::before(&issuer, "");
    let login = home.braid(&["login", "far", "--device"]);
    assert_eq!(login.code, 0, "{login:?}");
    assert!(
        login.err.contains(&format!("{}/page", issuer.base)) && login.err.contains("WDJB-MJHT"),
        "{login:?}"
    );
    assert_eq!((issuer.asked("device token"), issuer.asked("authorize")), (2, 0));
    assert_eq!(home.braid(&["call", "far__echo", "text=hi"]).out.trim(), "hi");
    assert_eq!(issuer.world().faults, Vec::<String>::new());
    for secret in &issuer.world().secrets {
        assert!(!login.out.contains(secret) && !login.err.contains(secret), "{login:?}");
    }
    issuer.world().says.insert("verification_uri", json!("javascript:alert(1)"));
    let refused = home.braid(&["login", "far", "--device"]);
    assert!(refused.code == 4 && !refused.err.contains("alert"), "{refused:?}");
}

#[test]
fn h11_what_does_not_fit_together_ends_a_login_before_any_token() {
    let other = Issuer::start();
    for (what, says, iss, word) in [
        ("another issuer in its metadata", json!({"issuer": other.base}), None, "says that it is"),
        ("a slash at the issuer's end", json!({"issuer": "BASE/"}), None, "says that it is"),
        ("another server's metadata", json!({"resource": other.base}), None, "says at"),
        ("a part of the server", json!({"resource": "BASE/mcp/more"}), None, "says at"),
        (
            "no issuer that answers",
            json!({"authorization_servers": ["http://127.0.0.1:1"]}),
            None,
            "127.0.0.1:1",
        ),
        (
            "an issuer in clear text",
            json!({"authorization_servers": ["http://id.example.com"]}),
            None,
            "is not https",
        ),
        ("an issuer that is no URL", json!({"authorization_servers": ["id"]}), None, "is no URL"),
        ("no PKCE", json!({"code_challenge_methods_supported": null}), None, "PKCE"),
        ("plain PKCE alone", json!({"code_challenge_methods_supported": ["plain"]}), None, "PKCE"),
        ("no page", json!({"authorization_endpoint": null}), None, "names no place where people log in"),
        (
            "a page in clear text",
            json!({"authorization_endpoint": "http://id.example.com/a"}),
            None,
            "is not https",
        ),
        ("a page that is code", json!({"authorization_endpoint": "javascript:alert(1)"}), None, "no URL"),
        (
            "a page that is a file",
            json!({"authorization_endpoint": "file://x/etc/passwd"}),
            None,
            "is no https URL",
        ),
        ("no token endpoint", json!({"token_endpoint": null}), None, "names no place where tokens are given"),
        (
            "a token endpoint in clear text",
            json!({"token_endpoint": "http://id.example.com/t"}),
            None,
            "is not https",
        ),
        ("no registration", json!({"registration_endpoint": null}), None, "oauth.client_id"),
        ("an answer of another issuer", json!({}), Some(other.base.clone()), "it names another"),
        ("an answer with a slash more", json!({}), Some("BASE/".to_owned()), "it names another"),
        ("an answer of nobody", json!({}), Some(String::new()), "it names none"),
    ] {
        let issuer = Issuer::start();
        let placed = |text: &str| text.replace("BASE", &issuer.base);
        for (key, value) in says.as_object().unwrap() {
            let value = serde_json::from_str(&placed(&value.to_string())).unwrap();
            issuer.world().says.insert(Box::leak(key.clone().into_boxed_str()), value);
        }
        issuer.world().iss = iss.map(|iss| placed(&iss));
        let home = Home::before(&issuer, "");
        let login = home.login(&[]);
        assert_ne!(login.code, 0, "{what}");
        assert!(login.err.contains(word), "{what}: {login:?}");
        assert_eq!((issuer.asked("code"), other.asked("code")), (0, 0), "{what}");
        assert_eq!((other.asked("register"), other.asked("authorize")), (0, 0), "{what}");
        assert!(!home.logins().exists(), "{what}");
    }
}

#[test]
fn c05_no_token_is_seen_anywhere_but_in_its_file() {
    let issuer = Issuer::start();
    let home = Home::before(&issuer, "[log]\nlevel = \"trace\"\n");
    let mut said = Vec::new();
    said.push(home.login(&[]));
    said.push(home.braid(&["call", "far__echo", "text=hi"]));
    issuer.forgets_tokens();
    said.push(home.braid(&["call", "far__echo", "text=hi", "--log-level", "trace"]));
    issuer.world().refuses = true;
    issuer.forgets_tokens();
    for words in [
        &["call", "far__echo", "text=hi", "--log-level", "trace"][..],
        &["check", "--log-level", "trace"],
        &["check", "--json"],
        &["list", "--log-level", "trace"],
        &["config", "show"],
        &["logout", "far", "--log-level", "trace"],
    ] {
        said.push(home.braid(words));
    }
    let secrets = issuer.world().secrets.clone();
    assert!(secrets.len() >= 5);
    for secret in &secrets {
        for said in &said {
            assert!(!said.out.contains(secret) && !said.err.contains(secret), "{secret}: {said:?}");
        }
    }
}

/// What the program in `BROWSER` was started with, if it was: how many arguments, and the first.
fn opened(home: &Home, is_awaited: bool) -> Option<(String, String)> {
    let folder = home.folder.path();
    let browser = folder.join("browser");
    fs::write(&browser, "#!/bin/sh\nprintf '%s\\n' \"$#\" \"$1\" > seen.draft && mv seen.draft seen\n")
        .unwrap();
    fs::set_permissions(&browser, fs::Permissions::from_mode(0o700)).unwrap();
    let mut child = home
        .command(&["login", "far", "--json"])
        .env("BROWSER", &browser)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let seen = folder.join("seen");
    let until = Instant::now() + PATIENCE;
    while !seen.exists() && Instant::now() < until {
        let has_ended = child.try_wait().unwrap().is_some();
        if has_ended && !is_awaited {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().ok();
    child.wait().unwrap();
    let said = fs::read_to_string(&seen).ok()?;
    let (count, first) = said.trim_end().split_once('\n')?;
    Some((count.to_owned(), first.to_owned()))
}

#[test]
fn h12_a_page_is_one_argument_of_one_program_and_no_shell_reads_it() {
    let issuer = Issuer::start();
    let home = Home::before(&issuer, "");
    let hostile = format!("{}/authorize?a=$(touch${{IFS}}pwned)&b=`touch$IFS./pwned`;c|d'e\"f", issuer.base);
    issuer.world().says.insert("authorization_endpoint", json!(hostile));
    let (count, page) = opened(&home, true).unwrap();
    assert_eq!(count, "1");
    assert!(page.starts_with(&format!("{}/authorize?a=%24%28touch", issuer.base)), "{page}");
    assert!(
        page.bytes().all(|byte| byte.is_ascii_graphic() && !b"$`;|'\"()<>{}*!\\".contains(&byte)),
        "{page}"
    );
    assert!(!home.folder.path().join("pwned").exists());
    for hostile in [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://id.example.com/a",
        "--help",
        "x",
        "https://x/\n--flag",
        "https://x/a b",
        "https://x\\@y/",
    ] {
        let home = Home::before(&issuer, "");
        issuer.world().says.insert("authorization_endpoint", json!(hostile));
        assert_eq!(opened(&home, false), None, "{hostile}");
    }
}
