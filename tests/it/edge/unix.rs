//! Unix sockets: whose they are, and what becomes of their files.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mcp_braid::config::{Address, Auth};
use mcp_braid::downstream::edge::bound::Bound;
use tokio::net::{UnixListener, UnixStream};

use super::raw::{Raw, within};
use super::rig::Rig;

async fn connect(path: &Path) -> Raw<UnixStream> {
    Raw::over(within(UnixStream::connect(path)).await.unwrap())
}

async fn rig_at(path: &Path) -> Rig {
    let address = Address::Unix(path.to_owned());
    Rig::with(|listen| listen.addresses = vec![address]).await
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("mcp.sock");
    (home, path)
}

fn entries(home: &tempfile::TempDir) -> usize {
    std::fs::read_dir(home.path()).unwrap().count()
}

#[tokio::test]
async fn a_socket_is_its_owners_and_gone_with_us() {
    let (home, path) = place();
    let rig = rig_at(&path).await;
    let found = std::fs::symlink_metadata(&path).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    assert_eq!(entries(&home), 1, "nothing else is left there");
    rig.end().await;
    assert_eq!(entries(&home), 0);
}

#[tokio::test]
async fn over_a_socket_any_host_will_do_and_the_token_is_still_needed() {
    let (_home, path) = place();
    let rig = rig_at(&path).await;
    let token = format!("Authorization: Bearer {}\r\n", rig.token);
    for (line, more, status) in [
        ("GET /who HTTP/1.1", "", 200),
        ("GET /who HTTP/1.1", "Host: localhost\r\n", 200),
        ("GET /who HTTP/1.1", "Host: evil.example\r\n", 200),
        ("GET /who HTTP/1.1", "Host: /run/braid/mcp.sock\r\n", 200),
        ("GET /who HTTP/1.1", "Host: \r\n", 200),
        ("GET /who HTTP/1.0", "", 200),
        ("GET http://a/who HTTP/1.1", "Host: a\r\n", 200),
        ("GET http://a/who HTTP/1.1", "Host: b\r\n", 403),
        ("GET http://a/who HTTP/1.1", "", 403),
        ("GET /who HTTP/1.1", "Host: a\r\nHost: a\r\n", 403),
        ("GET /who HTTP/1.1", "Origin: http://evil.example\r\n", 403),
        ("GET /who HTTP/1.1", "Origin: http://localhost:1\r\n", 200),
    ] {
        let answer = connect(&path).await.ask(format!("{line}\r\n{token}{more}\r\n")).await;
        assert_eq!(answer.status, status, "{line} {more}");
    }
    let answer = connect(&path).await.ask("GET /who HTTP/1.1\r\n\r\n").await;
    assert!(answer.status == 401 && answer.body.contains(&rig.token_file), "{answer:?}");
    rig.end().await;
}

#[tokio::test]
async fn no_limit_of_one_address_holds_for_a_socket() {
    let (_home, path) = place();
    let address = Address::Unix(path.clone());
    let rig = Rig::with(|listen| {
        listen.addresses = vec![address, super::rig::loopback()];
        listen.auth = Auth::None;
        listen.limits.connections_per_address_max = 1;
        listen.limits.connections_max = 10;
    })
    .await;
    let mut all = Vec::new();
    for _ in 0..10 {
        let mut raw = connect(&path).await;
        raw.say("GET /hold HTTP/1.1\r\n\r\n").await;
        rig.hold.entered().await;
        all.push(raw);
    }
    assert_eq!(connect(&path).await.ask("GET /who HTTP/1.1\r\n\r\n").await.status, 503);
    assert_eq!(rig.ask("GET /who", "", "").await.status, 503, "all listeners share the places");
    all.iter().for_each(|_| rig.hold.release());
    for raw in &mut all {
        assert_eq!(raw.answer().await.status, 200);
    }
    rig.end().await;
}

#[tokio::test]
async fn only_a_socket_that_nobody_answers_on_is_replaced() {
    let (_home, path) = place();
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "left behind, as by a run that was killed");
    let rig = rig_at(&path).await;
    assert_eq!(connect(&path).await.ask("GET /healthz HTTP/1.1\r\n\r\n").await.status, 200);
    let address = [Address::Unix(path.clone())];
    let error = Bound::bind(&address, None).await.unwrap_err().to_string();
    assert!(error.contains("mcp.sock`: somebody else does already"), "{error}");
    assert_eq!(
        connect(&path).await.ask("GET /healthz HTTP/1.1\r\n\r\n").await.status,
        200,
        "the first is unharmed"
    );
    rig.end().await;
    std::fs::write(&path, "precious").unwrap();
    let error = Bound::bind(&address, None).await.unwrap_err().to_string();
    assert!(error.contains("is there and is no socket"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    let nowhere = [Address::Unix(path.with_file_name("no/folder/s"))];
    let error = Bound::bind(&nowhere, None).await.unwrap_err().to_string();
    assert!(error.contains("no/folder/s`"), "{error}");
}

#[tokio::test]
async fn another_socket_in_its_place_is_left_alone() {
    let (_home, path) = place();
    let rig = rig_at(&path).await;
    std::fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    rig.end().await;
    assert!(path.exists());
    drop(other);
}
