//! C-10: whoever may look may look, and only two of all routes do anything, over the socket alone.

use super::names::watched;
use crate::http::house::House;
use crate::http::server::Server;
use mcp_braid::config::{Admin, AdminSocket, Auth, IdentityProvider, Listen, NamedToken, Secret};
use mcp_braid::downstream::admin::open::{Doors, IfTaken, Serving};
use mcp_braid::upstream::tap::WATCHERS_MAX;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
const PATHS: [&str; 10] =
    ["/healthz", "/readyz", "/status", "/metrics", "/logs/s", "/tap", "/reload", "/restart/s", "/", "/mcp"];

/// Both doors of one house.
struct Open {
    _folder: tempfile::TempDir,
    socket: PathBuf,
    http: SocketAddr,
    serving: Serving,
    house: House,
}

async fn open() -> Open {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s.sock");
    let http = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let admin = Admin { socket: AdminSocket::At(socket.clone()), http, ..Admin::default() };
    let doors = Doors::bind(&admin, &Listen::default(), IfTaken::Fails, |_| None).await.unwrap();
    let server = Server::new(&["echo"]);
    let house = House::shared(&server);
    house.client().await;
    let http = doors.http().unwrap();
    let serving = doors.serve(watched(&house));
    Open { _folder: folder, socket, http, serving, house }
}

/// The status, and what comes within a moment.
fn ask(mut stream: impl Read + Write, method: &str, path: &str) -> u16 {
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n").unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    std::str::from_utf8(&head[9..]).unwrap().parse().unwrap()
}

impl Open {
    async fn over_socket(&self, method: &'static str, path: &'static str) -> u16 {
        let socket = self.socket.clone();
        tokio::task::spawn_blocking(move || ask(UnixStream::connect(socket).unwrap(), method, path))
            .await
            .unwrap()
    }

    async fn over_http(&self, method: &'static str, path: &'static str) -> u16 {
        let http = self.http;
        let ask = move || {
            let mut stream = TcpStream::connect(http).unwrap();
            write!(stream, "{method} {path} HTTP/1.0\r\nHost: {http}\r\nContent-Length: 0\r\n\r\n").unwrap();
            let mut head = [0; 12];
            stream.read_exact(&mut head).unwrap();
            std::str::from_utf8(&head[9..]).unwrap().parse().unwrap()
        };
        tokio::task::spawn_blocking(ask).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c10_two_routes_do_something_and_all_others_are_read() {
    let open = open().await;
    let restarts = || open.house.hub.survey().servers[0].counts.restarted();
    for method in METHODS {
        for path in PATHS {
            let reads = method == "GET" || method == "HEAD";
            let is_read = |known: &[&str]| known.contains(&path) && reads;
            let over_socket = match path {
                "/reload" if method == "POST" => 501,
                "/restart/s" if method == "POST" => 200,
                "/" | "/mcp" => 404,
                _ if is_read(&PATHS[..6]) => 200,
                _ => 405,
            };
            assert_eq!(open.over_socket(method, path).await, over_socket, "{method} {path}");
            let over_http = match path {
                _ if is_read(&PATHS[..4]) => 200,
                _ if PATHS[..4].contains(&path) => 405,
                _ => 404,
            };
            assert_eq!(open.over_http(method, path).await, over_http, "{method} {path}");
        }
    }
    assert!(restarts() <= 1);
    assert_eq!(open.over_socket("GET", "/logs/nobody").await, 404);
    assert_eq!(open.over_socket("GET", "/tap?server=nobody").await, 404);
    open.serving.end().await;
    assert!(!open.socket.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_from_elsewhere_reads_nothing() {
    let open = open().await;
    let http = open.http;
    let ask = move |head: String| {
        let mut stream = TcpStream::connect(http).unwrap();
        write!(stream, "GET /status HTTP/1.0\r\n{head}\r\n").unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said.split(' ').nth(1).unwrap().to_owned()
    };
    let heads = [
        (format!("Host: {http}\r\n"), "200"),
        ("Host: evil.example\r\n".to_owned(), "403"),
        (format!("Host: {http}\r\nOrigin: http://evil.example\r\n"), "403"),
    ];
    for (head, status) in heads {
        assert_eq!(tokio::task::spawn_blocking(move || ask(head)).await.unwrap(), status);
    }
    open.serving.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn off_this_machine_it_is_refused_without_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let http = Some(SocketAddr::from(([0, 0, 0, 0], 0)));
    let admin = Admin { socket: AdminSocket::Off, http, ..Admin::default() };
    let listen = Listen { token_file: Some(folder.path().join("token")), ..Listen::default() };
    let error = Doors::bind(&admin, &listen, IfTaken::Fails, |_| None).await.unwrap_err().to_string();
    assert!(error.starts_with("admin.http: "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lets_clients_in_lets_nobody_look_after_us() {
    let folder = tempfile::tempdir().unwrap();
    let http = Some(SocketAddr::from(([0, 0, 0, 0], 0)));
    let admin = Admin { socket: AdminSocket::Off, http, ..Admin::default() };
    let clients = "a-token-that-lets-a-client-in-and-nobody-else";
    let token = Secret::new(clients);
    let listen = Listen {
        auth: Auth::OAuth,
        oauth: Some(IdentityProvider::new("https://id.example.com", "https://gw.example.com/mcp")),
        tokens: vec![NamedToken { name: "ana".to_owned(), token, scopes: Vec::new() }],
        token_file: Some(folder.path().join("token")),
        trusted_proxy: Some("10.0.0.1".to_owned()),
        ..Listen::default()
    };
    let doors = Doors::bind(&admin, &listen, IfTaken::Fails, |_| None).await.unwrap();
    let port = doors.http().unwrap().port();
    let house = House::shared(&Server::new(&["echo"]));
    let serving = doors.serve(watched(&house));
    let ask = move |token: String| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        write!(
            stream,
            "GET /status HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
        .unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        std::str::from_utf8(&head[9..]).unwrap().to_owned()
    };
    let own = std::fs::read_to_string(folder.path().join("token")).unwrap().trim().to_owned();
    for (token, status) in [(own, "200"), (clients.to_owned(), "401")] {
        assert_eq!(tokio::task::spawn_blocking(move || ask(token)).await.unwrap(), status);
    }
    serving.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_watch_than_may() {
    let open = open().await;
    let mut all: Vec<UnixStream> = Vec::new();
    let mut codes = Vec::new();
    for _ in 0..WATCHERS_MAX + 2 {
        let mut stream = UnixStream::connect(&open.socket).unwrap();
        write!(stream, "GET /tap HTTP/1.0\r\n\r\n").unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        codes.push(std::str::from_utf8(&head[9..]).unwrap().to_owned());
        all.push(stream);
    }
    assert!(codes.iter().take(WATCHERS_MAX).all(|code| code == "200"), "{codes:?}");
    assert!(codes.iter().skip(WATCHERS_MAX).all(|code| code == "503"), "{codes:?}");
    open.serving.end().await;
}
