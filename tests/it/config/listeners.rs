//! Which listeners are opened and which are refused: one table for the file and for `--listen`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use mcp_braid::config::codes::Code;
use mcp_braid::config::file::{self, Loaded};
use mcp_braid::config::listen::{Danger, TOKENS_MAX};
use mcp_braid::config::problem::{Report, Severity};
use mcp_braid::config::{
    Address, Algorithm, Auth, ClientCertificates, IdentityProvider, Introspection, KeySource, Listen,
    ListenLimits, NamedToken, Secret, Tls,
};
use mcp_braid::downstream::edge::guard::Guard;
use mcp_braid::downstream::edge::token::Token;
use mcp_braid::downstream::oauth::Issuer;
use mcp_braid::downstream::oauth::issuer::Ways;
use mcp_braid::upstream::fetch::{Fetch, FetchError, FetchRequest, FetchResponse};

const TLS: &str = "tls = { cert = \"c.pem\", key = \"k.pem\" }\n";
const PROXY: &str = "trusted_proxy = \"10.0.0.5\"\n";
const NONE: &str = "auth = \"none\"\n";
const OAUTH: &str = "auth = \"oauth\"\noauth = { issuer = \"https://id.example.com\", resource = \"https://gw.example.com/mcp\" }\n";

fn read(listen: &str) -> Result<Loaded, Report> {
    let text = format!("[servers.a]\ncommand = \"x\"\n[listen]\n{listen}");
    file::from_text(&text, "braid.toml", Path::new("/etc/braid"), &|_| None)
}

fn errors(report: &Report) -> Vec<Code> {
    let errors = report.problems.iter().filter(|problem| problem.severity == Severity::Error);
    errors.map(|problem| problem.code).collect()
}

/// An identity provider that is away.
struct Nowhere;

impl Fetch for Nowhere {
    fn fetch(&self, _: FetchRequest) -> BoxFuture<'static, Result<FetchResponse, FetchError>> {
        Box::pin(async { Err(FetchError::NotSent("it is away".to_owned())) })
    }
}

/// Addresses, what else stands in `[listen]`, and the code of the refusal.
fn table() -> Vec<(&'static str, String, Option<Code>)> {
    let none_tls = [NONE, TLS].concat();
    let none_proxy = [NONE, PROXY].concat();
    let both = [TLS, PROXY].concat();
    let (oauth_tls, oauth_proxy) = ([OAUTH, TLS].concat(), [OAUTH, PROXY].concat());
    let token = "auth = \"token\"\n";
    let mut table = Vec::new();
    // Whoever is on this machine may be served with anything.
    for address in [
        "127.0.0.1:8808",
        "127.0.0.2:1",
        "[::1]:8808",
        "localhost:8808",
        "127.0.0.1:0",
        "unix:/run/b",
        "[::ffff:127.0.0.1]:1",
    ] {
        for rest in ["", token, NONE, TLS, OAUTH] {
            table.push((address, rest.to_owned(), None));
        }
    }
    // Whoever is not needs a token, and a way on which nobody reads it.
    for address in [
        "0.0.0.0:8808",
        "[::]:8808",
        "192.168.1.5:8808",
        "10.1.2.3:0",
        "[fd00::1]:443",
        "[::ffff:10.0.0.1]:1",
        "169.254.0.1:80",
    ] {
        for rest in ["", token, NONE, OAUTH, &none_tls, &none_proxy] {
            table.push((address, rest.to_owned(), Some(Code::Exposed)));
        }
        for rest in [TLS, PROXY, &both, &oauth_tls, &oauth_proxy] {
            table.push((address, rest.to_owned(), None));
        }
    }
    for address in [
        "8808",
        ":8808",
        "*:8808",
        "127.0.0.1",
        "::1:8808:",
        "example.com:80",
        "https://127.0.0.1:1",
        "127.0.0.1:65536",
        "unix:",
        "unix:/",
        "",
    ] {
        table.push((address, TLS.to_owned(), Some(Code::BadText)));
    }
    table
}

#[test]
fn h02_a_listener_is_safe_or_refused_wherever_its_address_is_written() {
    let table = table();
    assert!(table.len() >= 40);
    for (address, rest, refusal) in &table {
        let row = format!("{address} {rest}");
        let written = read(&format!("http = [\"{address}\"]\n{rest}"));
        match (&written, refusal) {
            (Ok(loaded), None) => {
                let expected = Address::parse(address).unwrap();
                assert_eq!(loaded.config.listen.addresses, [expected], "{row}");
            }
            (Err(report), Some(code)) => assert_eq!(errors(report), [*code], "{row}"),
            (Ok(_), Some(_)) => panic!("taken: {row}"),
            (Err(report), None) => panic!("refused: {row}\n{}", report.render(false)),
        }
        let asked = read(rest).unwrap().config.listen.with_addresses(&[(*address).to_owned()]);
        match (&asked, refusal) {
            (Ok(listen), None) => assert_eq!(*listen, written.unwrap().config.listen, "{row}"),
            (Err(report), Some(code)) => assert_eq!(errors(report), [*code], "--listen {row}"),
            (Ok(_), Some(_)) => panic!("taken: --listen {row}"),
            (Err(report), None) => panic!("refused: --listen {row}\n{}", report.render(false)),
        }
    }
}

#[test]
fn the_guard_before_every_route_takes_what_the_configuration_took() {
    let folder = tempfile::tempdir().unwrap();
    let token = Token::find_or_make(Some(&folder.path().join("token")), |_| None).unwrap();
    let guard = |listen: &Listen, address: &Address| {
        let token = (listen.auth == Auth::Token).then_some(&token);
        let issuer = listen.oauth.as_ref().map(|oauth| {
            Issuer::new(oauth, Ways { named: Arc::new(Nowhere), others: Arc::new(Nowhere) }).unwrap()
        });
        Guard::with_issuer(listen, std::slice::from_ref(address), token, issuer).map(drop)
    };
    for (address, rest, _) in table() {
        let Ok(address) = Address::parse(address) else { continue };
        let listen = read(&rest).unwrap().config.listen;
        assert_eq!(guard(&listen, &address).is_ok(), listen.danger(&address).is_none(), "{address} {rest}");
    }
    for line in [
        "allowed_hosts = [\"mcp.example.com\", \"a_b\", \"10.0.0.5\", \"[fd00::1]\", \"fd00::1\"]",
        "allowed_origins = [\"https://App.example.com:443\", \"http://[fd00::1]:3000\", \"vscode-webview://a1\"]",
    ] {
        let listen = read(line).unwrap().config.listen;
        guard(&listen, &listen.addresses[0]).unwrap();
    }
}

#[test]
fn one_unsafe_address_among_many_is_enough() {
    let many = "http = [\"127.0.0.1:1\", \"0.0.0.0:2\", \"unix:/run/b\", \"[::]:3\"]\n";
    assert_eq!(errors(&read(many).unwrap_err()), [Code::Exposed, Code::Exposed]);
    assert!(read(&[many, TLS].concat()).is_ok());
}

#[test]
fn names_and_origins_are_written_out() {
    for (line, refusal) in [
        ("allowed_hosts = [\"mcp.example.com\", \"10.0.0.5\", \"[fd00::1]\", \"fd00::1\"]", None),
        ("allowed_hosts = [\"*\"]", Some(Code::BadText)),
        ("allowed_hosts = [\"*.example.com\"]", Some(Code::BadText)),
        ("allowed_hosts = [\"x:80\"]", Some(Code::BadText)),
        ("allowed_hosts = [\"https://x\"]", Some(Code::BadText)),
        ("allowed_hosts = [\"\"]", Some(Code::BadText)),
        (
            "allowed_origins = [\"https://App.example.com:443\", \"http://x:3000\", \"vscode-webview://a1\"]",
            None,
        ),
        ("allowed_origins = [\"*\"]", Some(Code::BadText)),
        ("allowed_origins = [\"https://*\"]", Some(Code::BadText)),
        ("allowed_origins = [\"null\"]", Some(Code::BadText)),
        ("allowed_origins = [\"app.example.com\"]", Some(Code::BadText)),
        ("allowed_origins = [\"https://x/\"]", Some(Code::BadText)),
        ("allowed_origins = [\"https://u@x\"]", Some(Code::BadText)),
        ("allowed_origins = [\"https://x:99999\"]", Some(Code::BadText)),
        ("allowed_origins = [\"http://::1:80\"]", Some(Code::BadText)),
        ("allowed_origins = [\"https://\"]", Some(Code::BadText)),
        ("trusted_proxy = \"10.0.0.0/8\"", None),
        ("trusted_proxy = \"nginx\"", Some(Code::BadText)),
        ("trusted_proxy = \"*\"", Some(Code::BadText)),
        ("public_url = \"https://mcp.example.com\"", None),
        ("public_url = \"http://127.0.0.1:8808\"", None),
        ("public_url = \"http://mcp.example.com\"", Some(Code::BadText)),
        ("public_url = \"mcp.example.com\"", Some(Code::BadText)),
        ("public_url = \"https://u:p@mcp.example.com\"", Some(Code::BadText)),
        ("tls.cert = \"c.pem\"", Some(Code::MissingKey)),
        ("tls.key = \"k.pem\"", Some(Code::MissingKey)),
        ("http = []", Some(Code::OutOfBounds)),
        ("http = [\"127.0.0.1:1\", \"localhost:1\"]", Some(Code::StandsTwice)),
        ("http = [\"unix:b\", \"unix:/etc/braid/b\"]", Some(Code::StandsTwice)),
        ("limits.replay_size = \"1GiB\"", Some(Code::Contradiction)),
    ] {
        match (read(line), refusal) {
            (Ok(_), None) => {}
            (Err(report), Some(code)) => assert_eq!(errors(&report), [code], "{line}"),
            (Ok(_), Some(_)) => panic!("taken: {line}"),
            (Err(report), None) => panic!("refused: {line}\n{}", report.render(false)),
        }
    }
}

#[test]
fn what_is_written_is_what_holds() {
    let loaded = read(
        "http = [\"unix:run/b.sock\"]\ntoken_file = \"token\"\n\
         tokens = { ana = \"a-token-of-the-one-who-is-called-ana\", \"b@c.d\" = { token = \"another-token-of-somebody-who-has-mail\", scopes = [\"x\"] } }\n\
         allowed_hosts = [\"MCP.example.com\"]\n\
         allowed_origins = [\"https://App.example.com:443\"]\ntls = { cert = \"c.pem\", key = \"/k.pem\" }\n\
         public_url = \"https://mcp.example.com/braid\"\nlegacy_sse = false\nstream_after = \"0\"\nkeep_alive = \"1s\"\nsession_idle = \"1m\"\ngrace = \"0\"\n\
         [listen.limits]\nconnections = 1\nconnections_per_address = 2\nsessions = 3\nsessions_per_principal = 4\n\
         replay_events = 5\nreplay_size = \"6B\"\nreplay_kept = \"0\"\nreplay_total = \"8B\"\nhead_within = \"9s\"\nbody_within = \"10s\"\n",
    )
    .unwrap();
    assert!(loaded.warnings.is_empty());
    let expected = Listen {
        addresses: vec![Address::Unix("/etc/braid/run/b.sock".into())],
        auth: Auth::Token,
        token_file: Some("/etc/braid/token".into()),
        tokens: vec![
            NamedToken {
                name: "ana".to_owned(),
                token: Secret::new("a-token-of-the-one-who-is-called-ana"),
                scopes: Vec::new(),
            },
            NamedToken {
                name: "b@c.d".to_owned(),
                token: Secret::new("another-token-of-somebody-who-has-mail"),
                scopes: vec!["x".to_owned()],
            },
        ],
        oauth: None,
        hosts: vec!["mcp.example.com".to_owned()],
        origins: vec!["https://app.example.com".to_owned()],
        trusted_proxy: None,
        public_url: Some("https://mcp.example.com/braid".to_owned()),
        tls: Some(Tls { cert: "/etc/braid/c.pem".into(), key: "/k.pem".into(), clients: None }),
        legacy_sse: false,
        stream_after: Duration::ZERO,
        keep_alive: Duration::from_secs(1),
        session_idle: Duration::from_secs(60),
        grace: Duration::ZERO,
        limits: ListenLimits {
            connections_max: 1,
            connections_per_address_max: 2,
            sessions_max: 3,
            sessions_per_principal_max: 4,
            replay_events_max: 5,
            replay_bytes_max: 6,
            replay_kept: Duration::ZERO,
            replay_total_bytes_max: 8,
            head_within: Duration::from_secs(9),
            body_within: Duration::from_secs(10),
        },
    };
    assert_eq!(loaded.config.listen, expected);
}

#[test]
fn one_token_has_all_sessions_unless_it_is_written_out() {
    for (line, sessions, of_one) in [
        ("", 1024, 1024),
        ("limits.sessions = 5", 5, 5),
        ("limits.sessions_per_principal = 5", 1024, 5),
        ("limits = { sessions = 9, sessions_per_principal = 5 }", 9, 5),
        // Where there are several, each has a part.
        ("tokens.ana = \"a-token-of-the-one-who-is-called-ana\"", 1024, 64),
        ("tokens.ana = \"a-token-of-the-one-who-is-called-ana\"\nlimits.sessions = 5", 5, 5),
        (
            "tokens.ana = \"a-token-of-the-one-who-is-called-ana\"\nlimits.sessions_per_principal = 100",
            1024,
            100,
        ),
    ] {
        let limits = read(line).unwrap().config.listen.limits;
        assert_eq!((limits.sessions_max, limits.sessions_per_principal_max), (sessions, of_one), "{line}");
    }
}

#[test]
fn what_is_not_written_is_loopback_with_a_token() {
    let listen = read("").unwrap().config.listen;
    assert_eq!(listen, Listen::default());
    let addresses: Vec<_> = listen.addresses.iter().map(Address::to_string).collect();
    assert_eq!((addresses.as_slice(), listen.auth), (&["127.0.0.1:8808".to_owned()][..], Auth::Token));
    assert_eq!(listen.danger(&Address::parse("0.0.0.0:1").unwrap()), Some(Danger::Readable));
}

#[test]
fn so_many_may_hold_tokens() {
    let tokens = |count: usize| -> String {
        (0..count)
            .map(|number| format!("tokens.n{number} = \"a-token-that-is-long-enough-{number:05}\"\n"))
            .collect()
    };
    assert_eq!(read(&tokens(TOKENS_MAX)).unwrap().config.listen.tokens.len(), TOKENS_MAX);
    assert_eq!(errors(&read(&tokens(TOKENS_MAX + 1)).unwrap_err()), [Code::OutOfBounds]);
}

const TWO: &str = "issuer = \"https://id.example.com\"\nresource = \"https://gw.example.com/mcp\"\n";

fn oauth(lines: &str) -> Result<Loaded, Report> {
    read(&format!("auth = \"oauth\"\n[listen.oauth]\n{lines}"))
}

#[test]
fn what_is_written_of_an_identity_provider_is_what_holds() {
    let plain = IdentityProvider::new("https://id.example.com", "https://gw.example.com/mcp");
    let listen = oauth(TWO).unwrap().config.listen;
    assert_eq!((listen.auth, listen.oauth.as_ref()), (Auth::OAuth, Some(&plain)));
    assert_eq!(listen.limits.sessions_per_principal_max, 64);
    let lines = format!(
        "{TWO}audiences = [\"api://braid\"]\nscopes = [\"read\"]\nalgorithms = [\"EdDSA\", \"RS384\"]\njwks_file = \"keys.json\"\n\
         principal = \"email\"\nca_file = \"ca.pem\"\nintrospection = {{ url = \"https://id.example.com/i\", client_id = \"b\", client_secret = \"s\" }}\n"
    );
    let expected = IdentityProvider {
        audiences: vec!["api://braid".to_owned()],
        scopes: vec!["read".to_owned()],
        algorithms: vec![Algorithm::EdDsa, Algorithm::Rs384],
        keys: KeySource::File(PathBuf::from("/etc/braid/keys.json")),
        principal: "email".to_owned(),
        introspection: Some(Introspection {
            url: Some("https://id.example.com/i".to_owned()),
            client_id: "b".to_owned(),
            client_secret: Secret::new("s"),
        }),
        ca_file: Some(PathBuf::from("/etc/braid/ca.pem")),
        ..plain
    };
    assert_eq!(oauth(&lines).unwrap().config.listen.oauth, Some(expected));
    let at = oauth(&format!("{TWO}jwks_uri = \"https://id.example.com/k?a\"")).unwrap().config.listen.oauth;
    assert_eq!(at.unwrap().keys, KeySource::At("https://id.example.com/k?a".to_owned()));
    let tls = "tls = { cert = \"c\", key = \"k\", client_ca = \"ca.pem\" }\n";
    let listen = read(tls).unwrap().config.listen;
    let clients = ClientCertificates { ca: "/etc/braid/ca.pem".into(), are_required: true };
    assert_eq!(listen.tls.unwrap().clients, Some(clients));
    assert_eq!(listen.limits.sessions_per_principal_max, 64);
}

#[test]
fn h06_an_identity_provider_that_cannot_be_relied_on_is_refused() {
    let with = |line: &str| format!("{TWO}{line}");
    for (lines, code) in [
        (String::new(), Code::MissingKey),
        ("issuer = \"https://id.example.com\"".to_owned(), Code::MissingKey),
        ("resource = \"https://gw.example.com/mcp\"".to_owned(), Code::MissingKey),
        (
            "issuer = \"http://id.example.com\"\nresource = \"https://gw.example.com/mcp\"".to_owned(),
            Code::BadText,
        ),
        ("issuer = \"https://id.example.com\"\nresource = \"gw.example.com\"".to_owned(), Code::BadText),
        (with("algorithms = [\"none\"]"), Code::BadText),
        (with("algorithms = [\"RS256\", \"HS256\"]"), Code::BadText),
        (with("algorithms = []"), Code::OutOfBounds),
        (with("scopes = [\"offline_access\"]"), Code::BadText),
        (with("scopes = [\"a b\"]"), Code::BadText),
        (with("jwks_uri = \"http://id.example.com/k\""), Code::BadText),
        (with("jwks_uri = \"https://a\"\njwks_file = \"k\""), Code::Contradiction),
        (with("principal = \"\""), Code::BadText),
        (with("introspection = { client_id = \"b\" }"), Code::MissingKey),
        (with("introspection = { client_secret = \"b\" }"), Code::MissingKey),
        (with("introspection = { url = \"https://a\" }"), Code::MissingKey),
    ] {
        assert_eq!(errors(&oauth(&lines).unwrap_err()), [code], "{lines}");
    }
    assert_eq!(errors(&read("auth = \"oauth\"").unwrap_err()), [Code::MissingKey]);
    assert_eq!(errors(&read("tls = { client_ca = \"ca.pem\" }").unwrap_err()), [Code::MissingKey]);
    assert_eq!(oauth(&with("introspection = {}")).unwrap().config.listen.oauth.unwrap().introspection, None);
    for lines in [format!("[listen.oauth]\n{TWO}"), format!("{OAUTH}token_file = \"t\"\n")] {
        let warnings = read(&lines).unwrap().warnings;
        assert_eq!(
            warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(),
            [Code::NoEffect],
            "{lines}"
        );
    }
}
