//! Claims about requests, against servers on this machine that say what is written here byte for byte.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::*;
use crate::upstream::fetch::{BodyError, Departure, read_whole};

mod bodies;
mod connections;
mod public;

/// What no error and no `Debug` may hold: it is in every request, as a header, in the query and in the body.
const CANARY: &str = "s3cret";

fn client() -> Client {
    Client::new(None, Proxies::none()).unwrap()
}

fn through(variables: &[(&str, String)]) -> Client {
    let environment = variables.iter().map(|(name, value)| ((*name).into(), value.into()));
    Client::new(None, Proxies::of(environment).unwrap()).unwrap()
}

fn request(method: Method, url: String) -> FetchRequest {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Bearer s3cret"));
    headers.insert("x-s3cret", HeaderValue::from_static("one"));
    let body = if method == Method::POST { Bytes::from_static(b"{\"s3cret\":1}") } else { Bytes::new() };
    let url = Address::new(&format!("{url}?{CANARY}"));
    FetchRequest { method, url, common: Arc::default(), headers, body, departure: None }
}

fn post(url: impl Into<String>) -> FetchRequest {
    request(Method::POST, url.into())
}

/// The error of a request, after a look for secrets.
async fn error(client: &Client, request: FetchRequest) -> FetchError {
    let error = client.fetch(request).await.expect_err("it was answered");
    assert!(!format!("{error} {error:?}").contains(CANARY), "{error:?}");
    error
}

fn not_sent(text: impl Into<String>) -> FetchError {
    FetchError::NotSent(text.into())
}

fn broken(text: impl Into<String>) -> FetchError {
    FetchError::Broken(text.into())
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Answers one connection after the other and closes each. Gives what was asked, as text.
fn answer_each(listener: TcpListener, answers: Vec<String>) -> JoinHandle<Vec<String>> {
    tokio::spawn(async move {
        let mut heard = Vec::new();
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            heard.push(hear(&mut socket).await.unwrap());
            // Who is answered too much may have gone.
            let _ = socket.write_all(answer.as_bytes()).await;
            let _ = socket.shutdown().await;
        }
        heard
    })
}

async fn served(answers: &[&str]) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let (listener, address) = listen().await;
    (address, answer_each(listener, answers.iter().map(|answer| (*answer).to_owned()).collect()))
}

/// One request: its head, and as much body as it announces.
async fn hear(socket: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut heard = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&heard).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Ok(text);
            }
        }
        if socket.read_buf(&mut heard).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
    }
}

const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";

#[tokio::test]
async fn a_request_arrives_as_it_is_and_so_does_its_answer() {
    let zipped = "HTTP/1.1 202 Accepted\r\ncontent-encoding: gzip\r\nset-cookie: a=1\r\nx-two: 1\r\n\
                  x-two: 2\r\ncontent-length: 3\r\n\r\nraw";
    let (address, heard) = served(&[zipped, FINE]).await;
    let client = client();
    let response = client.fetch(post(format!("http://{address}/mcp"))).await.unwrap();
    assert_eq!(response.status, 202);
    assert_eq!(response.headers.text(&header::CONTENT_ENCODING), Some("gzip"));
    assert_eq!(response.headers.get_all(&HeaderName::from_static("x-two")).collect::<Vec<_>>(), [b"1", b"2"]);
    assert_eq!(read_whole(response.body, 99).await, Ok("raw".into()));

    let response = client.fetch(request(Method::GET, format!("http://{address}/mcp"))).await.unwrap();
    assert_eq!(read_whole(response.body, 99).await, Ok("fine".into()));
    let heard = heard.await.unwrap();
    let head =
        "POST /mcp?s3cret HTTP/1.1\r\nauthorization: Bearer s3cret\r\nx-s3cret: one\r\naccept: */*\r\n";
    assert_eq!(heard[0], format!("{head}host: {address}\r\ncontent-length: 12\r\n\r\n{{\"s3cret\":1}}"));
    let head = "GET /mcp?s3cret HTTP/1.1\r\nauthorization: Bearer s3cret\r\nx-s3cret: one\r\naccept: */*\r\n";
    assert_eq!(heard[1], format!("{head}host: {address}\r\n\r\n"), "no cookie, no encoding, no referrer");
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        for _ in 0..3 {
            hear(&mut socket).await.unwrap();
            socket.write_all(FINE.as_bytes()).await.unwrap();
        }
        listener
    });
    let client = client();
    for _ in 0..3 {
        let response = client.fetch(post(format!("http://{address}/"))).await.unwrap();
        assert_eq!(read_whole(response.body, 99).await, Ok("fine".into()));
    }
    assert!(server.await.unwrap().accept().now_or_never().is_none());
}

#[tokio::test]
async fn a_body_comes_as_it_is_written() {
    let (listener, address) = listen().await;
    let (tell, mut told) = mpsc::channel::<()>(1);
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        hear(&mut socket).await.unwrap();
        socket.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        for chunk in ["3\r\none\r\n", "3\r\ntwo\r\n"] {
            told.recv().await.unwrap();
            socket.write_all(chunk.as_bytes()).await.unwrap();
        }
        // Until the client has gone, which it does by dropping the body.
        assert_eq!(socket.read(&mut [0; 9]).await.unwrap_or_default(), 0);
    });
    let mut response = client().fetch(post(format!("http://{address}/"))).await.unwrap();
    assert!(response.body.next().now_or_never().is_none());
    tell.send(()).await.unwrap();
    assert_eq!(response.body.next().await, Some(Ok("one".into())));
    assert!(response.body.next().now_or_never().is_none());
    tell.send(()).await.unwrap();
    assert_eq!(response.body.next().await, Some(Ok("two".into())));
    drop(response);
    server.await.unwrap();
}

#[tokio::test]
async fn a_dropped_request_is_a_closed_connection() {
    let (listener, address) = listen().await;
    let fetching = tokio::spawn(client().fetch(post(format!("http://{address}/"))));
    let (mut socket, _) = listener.accept().await.unwrap();
    hear(&mut socket).await.unwrap();
    fetching.abort();
    assert_eq!(socket.read(&mut [0; 9]).await.unwrap_or_default(), 0);
}

#[tokio::test]
async fn a_body_over_its_bound_is_not_read() {
    let (address, _server) = served(&["HTTP/1.1 200 OK\r\n\r\n0123456789"]).await;
    let response = client().fetch(post(format!("http://{address}/"))).await.unwrap();
    assert_eq!(read_whole(response.body, 9).await, Err(BodyError::TooLarge { bytes_max: 9 }));
}

fn redirect_to(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
}

#[tokio::test]
async fn a_redirect_within_one_origin_is_followed_with_its_body() {
    let (listener, address) = listen().await;
    let absolute = format!("HTTP://{address}/b?x#fragment");
    let answers =
        vec![redirect_to(307, "/a/"), redirect_to(308, &absolute), redirect_to(307, "c"), FINE.into()];
    let heard = answer_each(listener, answers);
    let response = client().fetch(post(format!("http://{address}/mcp"))).await.unwrap();
    assert_eq!(read_whole(response.body, 99).await, Ok("fine".into()));
    let heard = heard.await.unwrap();
    let firsts: Vec<&str> = heard.iter().map(|request| request.lines().next().unwrap()).collect();
    let wanted = ["/mcp?s3cret", "/a/", "/b?x", "/c"].map(|path| format!("POST {path} HTTP/1.1"));
    assert_eq!(firsts, wanted);
    for request in heard {
        assert!(request.contains("authorization: Bearer s3cret\r\n") && request.ends_with("{\"s3cret\":1}"));
    }
}

#[tokio::test]
async fn a_loop_of_redirects_ends() {
    let (listener, address) = listen().await;
    let server = answer_each(listener, vec![redirect_to(307, "/again"); 4]);
    let found = error(&client(), post(format!("http://{address}/"))).await;
    assert_eq!(found, broken(format!("{address} redirects more than 3 times")));
    assert_eq!(server.await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_redirect_elsewhere_is_not_followed() {
    let (elsewhere, other) = listen().await;
    let (client, port) = (client(), other.port());
    for location in [
        format!("http://{other}/?s3cret"),
        format!("http://localhost:{port}/"),
        format!("//{other}/"),
        "https://mcp.test/s3cret".to_owned(),
        "ftp://mcp.test/".to_owned(),
    ] {
        for status in [301, 302, 303, 307, 308] {
            let (listener, address) = listen().await;
            let _server = answer_each(listener, vec![redirect_to(status, &location)]);
            let found = error(&client, post(format!("http://{address}/"))).await.to_string();
            let target = origin(&Url::parse(&format!("http://{address}/")).unwrap().join(&location).unwrap());
            let why = "that is not where `url` points; if it is right, change `url`";
            assert_eq!(found, format!("{address} redirects ({status}) to {target}; {why}"));
        }
    }
    assert!(elsewhere.accept().now_or_never().is_none());
}

#[tokio::test]
async fn a_redirect_from_tls_to_none_is_not_followed() {
    let issuer = Authority::new();
    let (listener, address) = listen().await;
    let location = format!("http://{address}/");
    let server = serve_tls(listener, issuer.acceptor("127.0.0.1"), redirect_to(307, &location));
    let client = Client::new(Some(&issuer.file), Proxies::none()).unwrap();
    let found = error(&client, post(format!("https://{address}/"))).await.to_string();
    assert!(found.starts_with(&format!("{address} redirects (307) to http://{address}; that is not")));
    server.await.unwrap();
}

#[tokio::test]
async fn a_redirect_that_loses_the_request_is_not_followed() {
    let client = client();
    for status in [301, 302, 303] {
        let (listener, address) = listen().await;
        let _server = answer_each(listener, vec![redirect_to(status, "/mcp/?s3cret")]);
        let found = error(&client, post(format!("http://{address}/mcp"))).await;
        let why = "which would lose what is sent; if it is right, change `url`";
        assert_eq!(found, broken(format!("{address} redirects ({status}) to http://{address}/mcp/, {why}")));
    }
}

#[tokio::test]
async fn a_redirect_to_nowhere_or_with_a_user_is_not_followed() {
    let (listener, address) = listen().await;
    let user = redirect_to(307, &format!("http://user:s3cret@{address}/"));
    let none = "HTTP/1.1 307 X\r\ncontent-length: 0\r\n\r\n".to_owned();
    let _server = answer_each(listener, vec![user, none, redirect_to(307, "http://[")]);
    let client = client();
    let found = error(&client, post(format!("http://{address}/"))).await.to_string();
    assert!(found.starts_with(&format!("{address} redirects (307) to http://{address}; that is not")));
    for _ in 0..2 {
        let found = error(&client, post(format!("http://{address}/"))).await;
        assert_eq!(found, broken(format!("{address} redirects (307) and does not say where")));
    }
}

#[tokio::test]
async fn other_answers_are_answers_whatever_they_say() {
    let answers = [300, 304, 305, 401, 404, 500].map(|status| redirect_to(status, "http://mcp.test/"));
    let (listener, address) = listen().await;
    let _server = answer_each(listener, answers.to_vec());
    let client = client();
    for status in [300, 304, 305, 401, 404, 500] {
        let response = client.fetch(post(format!("http://{address}/"))).await.unwrap();
        assert_eq!(response.status, status);
    }
}

#[tokio::test]
async fn what_is_not_reached_was_not_sent() {
    let (listener, address) = listen().await;
    drop(listener);
    let found = error(&client(), post(format!("http://{address}/"))).await;
    assert_eq!(found, not_sent(format!("connection refused at {address}")));

    // A name that no resolver takes on, so that nobody is asked.
    let name = "x".repeat(64);
    let found = error(&client(), post(format!("http://{name}/"))).await;
    assert_eq!(found, not_sent(format!("the name `{name}` cannot be resolved")));

    let found = error(&client(), post("http://")).await;
    assert_eq!(found, not_sent("the URL cannot be used: empty host"));
    assert!(matches!(error(&client(), post("ftp://h/")).await, FetchError::NotSent(_)));
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_not_waited_for_for_ever() {
    let (listener, address) = listen().await;
    // It takes the connection, and says nothing to the first word of TLS.
    let found = error(&client(), post(format!("https://{address}/"))).await;
    assert_eq!(found, not_sent(format!("no connection to {address} within 5 s")));
    drop(listener);
}

#[tokio::test]
async fn what_breaks_after_the_request_may_have_been_heard() {
    let (address, _server) = served(&["", "HTTP/1.1 200 OK\r\nconte", "no HTTP\r\n\r\n"]).await;
    let client = client();
    let early = format!("{address} closed the connection before it had answered");
    assert_eq!(error(&client, post(format!("http://{address}/"))).await, broken(early.clone()));
    assert_eq!(error(&client, post(format!("http://{address}/"))).await, broken(early));
    let found = error(&client, post(format!("http://{address}/"))).await;
    assert_eq!(found, broken(format!("what {address} answered is no HTTP")));
}

/// Whether a body may leave, and what is told of it.
struct Told {
    may: bool,
    begun: mpsc::Sender<()>,
    _over: oneshot::Sender<()>,
}

impl Departure for Told {
    fn begins(&self) -> bool {
        self.begun.try_send(()).unwrap();
        self.may
    }
}

#[tokio::test]
async fn a_body_is_told_to_be_gone_when_the_last_of_it_is_written() {
    let (listener, address) = listen().await;
    let (begun, mut begins) = mpsc::channel(1);
    let (_over, mut over) = oneshot::channel();
    let departure = Told { may: true, begun, _over };
    let body = vec![b'x'; 32 * 1024 * 1024];
    let large = FetchRequest {
        body: body.clone().into(),
        departure: Some(Box::new(departure)),
        ..post(format!("http://{address}/"))
    };
    let fetched = tokio::spawn(client().fetch(large));
    let (mut socket, _) = listener.accept().await.unwrap();
    begins.recv().await.unwrap();
    let mut head = [0; 16];
    socket.read_exact(&mut head).await.unwrap();
    assert_eq!(over.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    let mut rest = body;
    socket.read_exact(&mut rest).await.unwrap();
    assert!(over.await.is_err());
    socket.write_all(FINE.as_bytes()).await.unwrap();
    assert_eq!(fetched.await.unwrap().unwrap().status, 200);
}

#[tokio::test]
async fn a_body_that_was_taken_back_does_not_leave() {
    let (listener, address) = listen().await;
    let (begun, mut begins) = mpsc::channel(1);
    let (_over, over) = oneshot::channel();
    let departure = Told { may: false, begun, _over };
    let request = FetchRequest { departure: Some(Box::new(departure)), ..post(format!("http://{address}/")) };
    let fetched = tokio::spawn(async move { client().fetch(request).await.map(drop) });
    let (mut socket, _) = listener.accept().await.unwrap();
    begins.recv().await.unwrap();
    assert!(matches!(fetched.await.unwrap(), Err(FetchError::Broken(_))));
    assert!(over.await.is_err());
    let mut heard = Vec::new();
    socket.read_to_end(&mut heard).await.ok();
    assert!(!String::from_utf8(heard).unwrap().contains("s3cret\":1"));
}

#[tokio::test]
async fn a_long_body_goes_where_a_short_one_was_led() {
    let (listener, address) = listen().await;
    let answers = [
        redirect_to(307, "/b/"),
        FINE.into(),
        FINE.into(),
        FINE.into(),
        FINE.into(),
        redirect_to(308, "/b/"),
    ];
    let server = answer_each(listener, answers.into());
    let client = client();
    let long = || FetchRequest {
        body: vec![b'x'; KEPT_BYTES_MAX + 1].into(),
        ..post(format!("http://{address}/a"))
    };
    client.fetch(post(format!("http://{address}/a"))).await.unwrap();
    client.fetch(long()).await.unwrap();
    // It does so no longer than short ones do.
    client.fetch(post(format!("http://{address}/a"))).await.unwrap();
    client.fetch(long()).await.unwrap();
    let why = "redirects (308) what is too long to be kept until then; change `url` to where it leads";
    assert_eq!(error(&client, long()).await, broken(format!("{address} {why}")));
    let heard = server.await.unwrap();
    let paths: Vec<&str> = heard.iter().map(|heard| heard.split(['?', ' ']).nth(1).unwrap()).collect();
    assert_eq!(paths, ["/a", "/b/", "/b/", "/a", "/a", "/a"]);
}

/// Lasts as long as the wait itself: the clock is the system's.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_nobody_takes_breaks_the_connection() {
    let (listener, address) = listen().await;
    let large =
        FetchRequest { body: vec![b'x'; 64 * 1024 * 1024].into(), ..post(format!("http://{address}/")) };
    let found = error(&client(), large).await;
    let why = "gave no sign for too long: it is gone, or too busy to read what was sent";
    assert_eq!(found, broken(format!("{address} {why}")));
    drop(listener);
}

#[tokio::test]
async fn a_body_that_ends_early_is_broken() {
    let short = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort";
    let chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n9\r\n";
    let (address, _server) = served(&[short, chunk]).await;
    for _ in 0..2 {
        let mut response = client().fetch(post(format!("http://{address}/"))).await.unwrap();
        assert_eq!(response.body.next().await, Some(Ok("short".into())));
        let found = response.body.next().await.unwrap().unwrap_err();
        assert!(!format!("{found:?}").contains(CANARY));
        let early = format!("{address} closed the connection in the middle of its answer");
        assert_eq!(found, broken(early));
    }
}

#[tokio::test]
async fn a_head_has_its_bounds() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: 1\r\n".repeat(1000));
    let long = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "s3cret".repeat(1024 * 1024));
    let (address, _server) = served(&[&many, &long]).await;
    for _ in 0..2 {
        let found = error(&client(), post(format!("http://{address}/"))).await;
        assert_eq!(found, broken(format!("the answer of {address} has too large a head")));
    }
}

/// A private issuer, whose certificate stands in a file.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let (mut params, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let folder = tempfile::tempdir().unwrap();
        // Each is called otherwise, or a stranger would be one of us with a wrong signature.
        params.distinguished_name.push(rcgen::DnType::CommonName, folder.path().display().to_string());
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), file, folder }
    }

    fn acceptor(&self, name: &str) -> tokio_rustls::TlsAcceptor {
        self.acceptor_with(CertificateParams::new(vec![name.to_owned()]).unwrap())
    }

    fn acceptor_with(&self, params: CertificateParams) -> tokio_rustls::TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        let config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
                .unwrap();
        tokio_rustls::TlsAcceptor::from(Arc::new(config))
    }
}

/// One connection; gives the request, or nothing if there was no handshake.
fn serve_tls(
    listener: TcpListener,
    acceptor: tokio_rustls::TlsAcceptor,
    answer: String,
) -> JoinHandle<Option<String>> {
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        converse_tls(socket, acceptor, answer).await
    })
}

async fn converse_tls(
    socket: impl AsyncRead + AsyncWrite + Unpin,
    acceptor: tokio_rustls::TlsAcceptor,
    answer: String,
) -> Option<String> {
    let mut socket = acceptor.accept(socket).await.ok()?;
    let heard = hear(&mut socket).await.ok()?;
    socket.write_all(answer.as_bytes()).await.unwrap();
    socket.shutdown().await.unwrap();
    Some(heard)
}

#[tokio::test]
async fn a_private_issuer_is_trusted_when_it_is_named() {
    let issuer = Authority::new();
    let (listener, address) = listen().await;
    let server = serve_tls(listener, issuer.acceptor("127.0.0.1"), FINE.to_owned());
    let client = Client::new(Some(&issuer.file), Proxies::none()).unwrap();
    let response = client.fetch(post(format!("https://{address}/mcp"))).await.unwrap();
    assert_eq!(read_whole(response.body, 99).await, Ok("fine".into()));
    assert!(server.await.unwrap().unwrap().starts_with("POST /mcp?s3cret HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_certificate_that_is_not_accepted_is_told_in_plain_words() {
    let (issuer, stranger) = (Authority::new(), Authority::new());
    let client = Client::new(Some(&issuer.file), Proxies::none()).unwrap();
    let ours = || CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let (mut old, mut early) = (ours(), ours());
    old.not_after = rcgen::date_time_ymd(2001, 1, 1);
    early.not_before = rcgen::date_time_ymd(4000, 1, 1);
    let unknown = "is from an issuer that this machine does not trust; `ca_file` can name one";
    for (acceptor, why) in [
        (stranger.acceptor("127.0.0.1"), unknown),
        (issuer.acceptor("127.0.0.2"), "is for another name"),
        (issuer.acceptor_with(old), "has expired"),
        (issuer.acceptor_with(early), "is not valid yet; is the clock right?"),
    ] {
        let (listener, address) = listen().await;
        let server = serve_tls(listener, acceptor, FINE.to_owned());
        let found = error(&client, post(format!("https://{address}/"))).await;
        assert_eq!(found, not_sent(format!("the certificate of {address} {why}")));
        assert_eq!(server.await.unwrap(), None, "nothing was sent");
    }
}

#[tokio::test]
async fn who_speaks_no_tls_is_said_to() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        socket
    });
    let found = error(&client(), post(format!("https://{address}/"))).await;
    assert_eq!(found, not_sent(format!("{address} does not speak TLS")));
    server.await.unwrap();
}

#[test]
fn a_file_of_certificates_that_cannot_be_used_is_named() {
    let issuer = Authority::new();
    let put = |name: &str, text: &str| {
        let file = issuer.folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let broken = "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n";
    let strange = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (file, why) in [
        (issuer.folder.path().join("absent.pem"), "No such file or directory (os error 2)"),
        (put("empty.pem", "nothing here\n"), "holds no certificate"),
        (put("broken.pem", broken), "is no PEM: "),
        (put("strange.pem", strange), "invalid peer certificate: BadEncoding"),
    ] {
        let found = Client::new(Some(&file), Proxies::none()).unwrap_err().to_string();
        assert!(found.starts_with(&format!("`ca_file` {}: {why}", file.display())), "{found}");
    }
}

#[tokio::test]
async fn plain_requests_go_to_the_proxy_whole() {
    let (listener, address) = listen().await;
    let client = through(&[("http_proxy", format!("http://user:s3cr%65t@{address}"))]);
    let heard = answer_each(listener, vec![FINE.to_owned()]);
    let response = client.fetch(post("http://mcp.test/mcp")).await.unwrap();
    assert_eq!(read_whole(response.body, 99).await, Ok("fine".into()));
    let heard = heard.await.unwrap().remove(0);
    assert!(heard.starts_with("POST http://mcp.test/mcp?s3cret HTTP/1.1\r\n"), "{heard}");
    assert!(heard.contains("host: mcp.test\r\n"), "{heard}");
    assert!(heard.contains("proxy-authorization: Basic dXNlcjpzM2NyZXQ=\r\n"), "{heard}");
}

#[tokio::test]
async fn requests_over_tls_go_through_the_proxy_unseen() {
    let issuer = Authority::new();
    let (listener, address) = listen().await;
    let acceptor = issuer.acceptor("mcp.test");
    let proxy = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let asked = hear(&mut socket).await.unwrap();
        socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        (asked, converse_tls(socket, acceptor, FINE.to_owned()).await.unwrap())
    });
    let environment = [("HTTPS_PROXY".into(), address.to_string().into())];
    let client = Client::new(Some(&issuer.file), Proxies::of(environment).unwrap()).unwrap();
    let response = client.fetch(post("https://mcp.test/mcp")).await.unwrap();
    assert_eq!(read_whole(response.body, 99).await, Ok("fine".into()));
    let (asked, heard) = proxy.await.unwrap();
    assert_eq!(asked, "CONNECT mcp.test:443 HTTP/1.1\r\nHost: mcp.test:443\r\n\r\n");
    assert!(heard.starts_with("POST /mcp?s3cret HTTP/1.1\r\n"));
}

#[tokio::test]
async fn requests_go_through_a_proxy_that_speaks_socks() {
    let (listener, address) = listen().await;
    let proxy = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut greeting = [0; 2];
        socket.read_exact(&mut greeting).await.unwrap();
        let mut methods = vec![0; usize::from(greeting[1])];
        socket.read_exact(&mut methods).await.unwrap();
        socket.write_all(&[5, 0]).await.unwrap();
        let mut asked = vec![0; 5 + "mcp.test".len() + 2];
        socket.read_exact(&mut asked).await.unwrap();
        socket.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]).await.unwrap();
        let heard = hear(&mut socket).await.unwrap();
        socket.write_all(FINE.as_bytes()).await.unwrap();
        (asked, heard)
    });
    let client = through(&[("all_proxy", format!("socks5h://{address}"))]);
    let response = client.fetch(post("http://mcp.test/mcp")).await.unwrap();
    assert_eq!(read_whole(response.body, 99).await, Ok("fine".into()));
    let (asked, heard) = proxy.await.unwrap();
    assert_eq!(asked, b"\x05\x01\x00\x03\x08mcp.test\x00\x50");
    assert!(heard.starts_with("POST /mcp?s3cret HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_proxy_that_does_not_help_is_named_and_nothing_was_sent() {
    let (gone, nobody) = listen().await;
    drop(gone);
    let client = through(&[("HTTP_PROXY", format!("http://{nobody}"))]);
    let found = error(&client, post("http://mcp.test/")).await;
    assert_eq!(found, not_sent(format!("connection refused at the proxy {nobody} (`HTTP_PROXY`)")));

    let refusals = ["HTTP/1.1 407 X\r\n\r\n", "HTTP/1.1 403 X\r\n\r\n"];
    let (address, _server) = served(&refusals).await;
    let client = through(&[("ALL_PROXY", format!("http://user:s3cret@{address}"))]);
    let found = error(&client, post("https://mcp.test/")).await;
    let why = "wants another user and password";
    assert_eq!(found, not_sent(format!("the proxy {address} (`ALL_PROXY`) {why}")));
    let found = error(&client, post("https://mcp.test/")).await;
    let why = "makes no connection to mcp.test:443";
    assert_eq!(found, not_sent(format!("the proxy {address} (`ALL_PROXY`) {why}")));
}

#[tokio::test]
async fn this_machine_is_reached_without_a_proxy() {
    let (address, heard) = served(&[FINE]).await;
    let (proxy, place) = listen().await;
    let client = through(&[("ALL_PROXY", format!("http://{place}"))]);
    let response = client.fetch(post(format!("http://{address}/"))).await.unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(heard.await.unwrap().len(), 1);
    assert!(proxy.accept().now_or_never().is_none());
}

#[tokio::test]
async fn nothing_that_is_shown_of_a_client_holds_a_secret() {
    let (listener, address) = listen().await;
    let client = through(&[("ALL_PROXY", format!("http://user:s3cret@{address}"))]);
    let shown = format!("{client:?}");
    assert!(!shown.contains(CANARY), "{shown}");
    drop(listener);
    let _ = TcpStream::connect(address).await.unwrap_err();
}

#[tokio::test]
async fn a_connection_that_is_reset_is_broken() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        // What is closed with something unread in it is reset.
        socket.readable().await.unwrap();
        drop(socket);
    });
    let found = error(&client(), post(format!("http://{address}/"))).await.to_string();
    assert!(found.ends_with("before it had answered"), "{found}");
    server.await.unwrap();
}
