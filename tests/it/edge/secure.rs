//! TLS of our own.

use std::sync::Arc;
use std::time::Duration;

use mcp_braid::config::Tls;
use mcp_braid::downstream::edge::bound::Bound;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::raw::{Raw, within};
use super::rig::{Rig, file, loopback, tls};

/// Speaks to `localhost` as its certificate says.
async fn secure(rig: &Rig, protocols: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("localhost.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = within(TcpStream::connect(rig.address())).await?;
    let name = ServerName::try_from("localhost").unwrap();
    within(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

async fn guarded() -> Rig {
    Rig::with(|listen| {
        listen.tls = Some(tls());
        listen.limits.head_within = Duration::from_millis(500);
    })
    .await
}

#[tokio::test]
async fn requests_are_served_over_tls() {
    let rig = guarded().await;
    let stream = secure(&rig, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let mut raw = Raw::over(stream);
    let request = rig.request("POST /mcp", "Content-Length: 100000\r\n", &"x".repeat(100_000));
    for _ in 0..3 {
        assert_eq!(raw.ask(&request).await.body, "read 100000");
    }
    let mut raw = Raw::over(secure(&rig, &[]).await.unwrap());
    assert_eq!(raw.ask("GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n").await.status, 403);
    assert!(secure(&rig, &["h2"]).await.is_err(), "no protocol in common");
    rig.end().await;
}

#[tokio::test]
async fn h14_a_handshake_has_the_time_of_a_head() {
    let rig = guarded().await;
    let mut silent = rig.connect().await;
    let mut half = rig.connect().await;
    half.say(b"\x16\x03\x01\x02\x00\x01\x00").await;
    assert_eq!((silent.end().await, half.end().await), (String::new(), String::new()));
    let mut raw = Raw::over(secure(&rig, &[]).await.unwrap());
    raw.say("GET / HTTP/1.1\r\nX").await;
    assert_eq!(raw.end().await, "", "and the head behind it its own");
    rig.end().await;
}

#[tokio::test]
async fn clear_text_is_not_served_where_tls_is() {
    let rig = guarded().await;
    let mut raw = rig.connect().await;
    raw.say(rig.request("GET /who", "", "")).await;
    let mut read = Vec::new();
    within(tokio::io::AsyncReadExt::read_to_end(&mut raw.into_stream(), &mut read)).await.ok();
    assert!(!read.starts_with(b"HTTP"), "{read:?}");
    assert!(secure(&rig, &[]).await.is_ok());
    rig.end().await;
}

#[tokio::test]
async fn every_error_names_its_file() {
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let broken = write("broken.pem", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    let empty = write("empty.pem", "");
    let forged = write("forged.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let missing = home.path().join("missing.pem");
    let (cert, key) = (file("localhost.pem"), file("localhost.key"));
    for (cert, key, said) in [
        (missing.clone(), key.clone(), "missing.pem"),
        (cert.clone(), missing, "missing.pem"),
        (empty.clone(), key.clone(), "empty.pem` holds no certificate"),
        (key.clone(), key.clone(), "localhost.key` holds no certificate"),
        (cert.clone(), empty, "empty.pem` holds no private key"),
        (cert.clone(), cert.clone(), "localhost.pem` holds no private key"),
        (broken, key.clone(), "broken.pem` is no PEM"),
        (forged, key, "forged.pem`"),
        (cert, file("other.key"), "other.key` cannot be used together"),
        (home.path().to_owned(), file("other.key"), "`listen.tls`: `/"),
    ] {
        let tls = Tls { cert, key };
        let error = Bound::bind(&[loopback()], Some(&tls)).await.unwrap_err().to_string();
        assert!(error.starts_with("`listen.tls`: ") && error.contains(said), "{said}: {error}");
    }
}
