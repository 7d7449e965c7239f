//! TLS of our own.

use std::sync::Arc;
use std::time::Duration;

use mcp_braid::config::{Auth, ClientCertificates, Tls};
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
        let tls = Tls { cert, key, clients: None };
        let error = Bound::bind(&[loopback()], Some(&tls)).await.unwrap_err().to_string();
        assert!(error.starts_with("`listen.tls`: ") && error.contains(said), "{said}: {error}");
    }
}

/// Who makes certificates, in PEM, and one of each of these names.
struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: rcgen::Issuer::new(params, key), pem }
    }

    /// With this common name; `days`: until its end, from now.
    fn certificate(&self, name: &str, days: i64) -> Identity {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
        let day =
            |days: i64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs((now + days * 86_400) as u64);
        (params.not_before, params.not_after) = (day(days.min(0) - 9), day(days));
        let key = rcgen::KeyPair::generate().unwrap();
        let made = params.signed_by(&key, &self.issuer).unwrap();
        Identity { chain: vec![made.der().clone()], key: key.serialize_der() }
    }
}

struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

/// As somebody, or as nobody.
async fn secure_as(rig: &Rig, who: Option<&Identity>) -> Option<Raw<TlsStream<TcpStream>>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("localhost.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match who {
        Some(who) => {
            let key = rustls::pki_types::PrivatePkcs8KeyDer::from(who.key.clone()).into();
            config.with_client_auth_cert(who.chain.clone(), key).unwrap()
        }
        None => config.with_no_client_auth(),
    };
    let stream = within(TcpStream::connect(rig.address())).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    within(TlsConnector::from(Arc::new(config)).connect(name, stream)).await.ok().map(Raw::over)
}

/// What `/who` says; `None`: there was no answer.
async fn who(rig: &Rig, identity: Option<&Identity>, more: &str) -> Option<(u16, String)> {
    let mut raw = secure_as(rig, identity).await?;
    let text = format!("GET /who HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n");
    // In TLS 1.3 a client hears of its refusal with the first answer.
    raw.try_say(text).await.ok()?;
    let answer = raw.try_answer().await?;
    Some((answer.status, answer.body))
}

async fn asking_for(authority: &Authority, are_required: bool, auth: Auth) -> (Rig, tempfile::TempDir) {
    let home = tempfile::tempdir().unwrap();
    let ca = home.path().join("ca.pem");
    std::fs::write(&ca, &authority.pem).unwrap();
    let clients = Some(ClientCertificates { ca, are_required });
    let rig = Rig::with(|listen| {
        listen.tls = Some(Tls { clients, ..tls() });
        listen.auth = auth;
    });
    (rig.await, home)
}

#[tokio::test]
async fn a_certificate_says_who_a_client_is() {
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let (ana, eve) = (ours.certificate("ana", 9), others.certificate("ana", 9));
    let (late, nobody) = (ours.certificate("ana", -1), ours.certificate("", 9));
    for auth in [Auth::Token, Auth::None] {
        for are_required in [true, false] {
            let (rig, _home) = asking_for(&ours, are_required, auth).await;
            let is_open = auth == Auth::None;
            assert_eq!(who(&rig, Some(&ana), "").await, Some((200, "Principal(\"cert:ana\")".to_owned())));
            for bad in [&eve, &late] {
                assert_eq!(who(&rig, Some(bad), "").await, None, "it is refused before a word is said");
            }
            let without = who(&rig, None, "").await.map(|(status, _)| status);
            let unnamed = who(&rig, Some(&nobody), "").await.map(|(status, _)| status);
            let expected = Some(if is_open { 200 } else { 401 });
            assert_eq!(without, expected.filter(|_| !are_required), "{auth:?} {are_required}");
            assert_eq!(unnamed, expected, "one that names nobody is nobody's");
            rig.end().await;
        }
    }
}

#[tokio::test]
async fn a_token_beside_a_certificate_says_more_and_a_wrong_one_is_refused() {
    let ours = Authority::new("ours");
    let ana = ours.certificate("ana", 9);
    let (rig, _home) = asking_for(&ours, true, Auth::Token).await;
    let is = |status, principal: &str| Some((status, format!("Principal(\"{principal}\")")));
    let bearer = format!("Authorization: Bearer {}\r\n", rig.token);
    assert_eq!(who(&rig, Some(&ana), &bearer).await, is(200, "bearer"));
    for wrong in ["Bearer wrong", "Bearer", "Basic YQ==", "", "Bearer a\r\nAuthorization: Bearer b"] {
        let answer = who(&rig, Some(&ana), &format!("Authorization: {wrong}\r\n")).await;
        assert_eq!(answer.map(|(status, _)| status), Some(401), "{wrong}");
    }
    // In turns on one connection.
    let mut raw = secure_as(&rig, Some(&ana)).await.unwrap();
    for (more, principal) in [("", "cert:ana"), (&*bearer, "bearer"), ("", "cert:ana"), ("", "cert:ana")] {
        let answer = raw.ask(format!("GET /who HTTP/1.1\r\nHost: localhost\r\n{more}\r\n")).await;
        assert_eq!(answer.body, format!("Principal(\"{principal}\")"));
    }
    drop(raw);
    rig.end().await;
}

#[tokio::test]
async fn who_makes_certificates_of_clients_must_be_readable() {
    let home = tempfile::tempdir().unwrap();
    let empty = home.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for (ca, said) in [
        (empty, "empty.pem` holds no certificate"),
        (home.path().join("missing.pem"), "missing.pem"),
        (file("localhost.key"), "localhost.key` holds no certificate"),
    ] {
        let clients = Some(ClientCertificates { ca, are_required: true });
        let tls = Tls { clients, ..tls() };
        let error = Bound::bind(&[loopback()], Some(&tls)).await.unwrap_err().to_string();
        assert!(error.starts_with("`listen.tls`: ") && error.contains(said), "{said}: {error}");
    }
}
