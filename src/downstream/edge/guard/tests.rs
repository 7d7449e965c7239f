//! What a guard says of listeners and clients that no test may have: other addresses than loopback.

use super::*;
use crate::config::{IdentityProvider, NamedToken, Secret, Tls};
use crate::downstream::oauth::issuer::Ways;
use crate::upstream::fetch::{Fetch, FetchError, FetchRequest, FetchResponse};
use futures::future::BoxFuture;
use http::Request;
use std::time::Duration;

fn tcp(address: &str) -> Address {
    Address::Tcp(address.parse().unwrap())
}

fn peer(remote: &str, local: &str) -> Peer {
    Peer::tcp(remote.parse().unwrap(), local.parse().unwrap())
}

fn token() -> (tempfile::TempDir, Token) {
    let home = tempfile::tempdir().unwrap();
    let token = Token::find_or_make(Some(&home.path().join("token")), |_| None).unwrap();
    (home, token)
}

fn head(headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().uri("/mcp");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn why(judged: Result<Admitted, Reply>) -> Option<Why> {
    judged.err().map(|reply| reply.why)
}

/// What was judged of a request about which nobody must be asked.
fn next_of(judged: Judged) -> Result<Admitted, Reply> {
    match judged {
        Judged::LetIn(admitted) => Ok(admitted),
        Judged::Refused(reply) => Err(reply),
        Judged::Asks(_) => panic!("nobody is there to be asked"),
    }
}

/// One that is away.
struct Nowhere;

fn nowhere() -> Ways {
    Ways { named: Arc::new(Nowhere), others: Arc::new(Nowhere) }
}

impl Fetch for Nowhere {
    fn fetch(&self, _: FetchRequest) -> BoxFuture<'static, Result<FetchResponse, FetchError>> {
        Box::pin(async { Err(FetchError::NotSent("it is away".to_owned())) })
    }
}

#[test]
fn h02_off_loopback_there_is_a_token_and_it_does_not_travel_in_clear_text() {
    let (_home, token) = token();
    let oauth = IdentityProvider::new("https://id.example.com", "https://gw.example.com/mcp");
    let issuer = Issuer::new(&oauth, nowhere()).unwrap();
    let tls = || Some(Tls { cert: PathBuf::new(), key: PathBuf::new(), clients: None });
    let proxy = || Some("10.0.0.7".to_owned());
    let unix = || Address::Unix(PathBuf::from("/run/s"));
    const OPEN: Option<&str> = Some("is \"none\"");
    const CLEAR: Option<&str> = Some("in clear text");
    let mut rows = 0;
    for (bound, is_off) in [
        (vec![tcp("127.0.0.1:1")], false),
        (vec![tcp("[::1]:1")], false),
        (vec![tcp("127.9.9.9:1")], false),
        (vec![unix()], false),
        (vec![unix(), tcp("127.0.0.1:1"), tcp("[::1]:1")], false),
        (vec![tcp("0.0.0.0:1")], true),
        (vec![tcp("[::]:1")], true),
        (vec![tcp("192.168.1.5:1")], true),
        (vec![tcp("[fd00::1]:1")], true),
        (vec![tcp("[::ffff:10.0.0.1]:1")], true),
        (vec![tcp("127.0.0.1:1"), tcp("0.0.0.0:1")], true),
        (vec![unix(), tcp("192.168.1.5:1")], true),
    ] {
        for (auth, tls, trusted_proxy, refused) in [
            (Auth::None, None, None, OPEN),
            (Auth::None, tls(), None, OPEN),
            (Auth::None, None, proxy(), OPEN),
            (Auth::None, tls(), proxy(), OPEN),
            (Auth::Token, None, None, CLEAR),
            (Auth::Token, tls(), None, None),
            (Auth::Token, None, proxy(), None),
            (Auth::Token, tls(), proxy(), None),
            (Auth::OAuth, None, None, CLEAR),
            (Auth::OAuth, tls(), None, None),
            (Auth::OAuth, None, proxy(), None),
            (Auth::OAuth, tls(), proxy(), None),
        ] {
            let listen = Listen { auth, tls, trusted_proxy, ..Listen::default() };
            let made = Guard::with_issuer(&listen, &bound, Some(&token), Some(issuer.clone()));
            let made = made.map(drop).map_err(|error| error.to_string());
            match refused.filter(|_| is_off) {
                Some(sentence) => assert!(made.unwrap_err().contains(sentence), "{bound:?} {listen:?}"),
                None => assert_eq!(made, Ok(()), "{bound:?} {listen:?}"),
            }
            rows += 1;
        }
    }
    assert_eq!(rows, 144);
    assert_eq!(Guard::new(&Listen::default(), &[], None).map(|_| ()), Err(GuardError::NoToken));
}

#[test]
fn what_cannot_be_read_of_the_settings_is_named() {
    let (_home, token) = token();
    for host in ["", "a b", "*.example.com", "https://a"] {
        let listen = Listen { hosts: vec![host.to_owned()], ..Listen::default() };
        let error = Guard::new(&listen, &[], Some(&token)).unwrap_err();
        assert_eq!(error, GuardError::Host(host.to_owned()));
    }
    for origin in ["", "*", "null", "a.example", "https://a.example/"] {
        let listen = Listen { origins: vec![origin.to_owned()], ..Listen::default() };
        let error = Guard::new(&listen, &[], Some(&token)).unwrap_err();
        assert_eq!(error, GuardError::Origin(origin.to_owned()));
    }
}

#[test]
fn a_wildcard_listener_is_asked_for_by_the_address_that_was_reached() {
    let (_home, token) = token();
    let listen = Listen { trusted_proxy: Some("10.0.0.7".to_owned()), ..Listen::default() };
    let bound = [tcp("0.0.0.0:8808"), tcp("10.0.0.2:80")];
    let guard = Guard::new(&listen, &bound, Some(&token)).unwrap();
    let reached = peer("192.168.1.9:5", "192.168.1.5:8808");
    let bearer = format!("Bearer {}", token.value().expose());
    for (host, is_ours) in [
        ("192.168.1.5:8808", true),
        ("localhost:8808", true),
        ("10.0.0.2:80", true),
        ("10.0.0.2", true),
        ("192.168.1.5", false),
        ("192.168.1.5:80", false),
        ("192.168.1.6:8808", false),
        ("10.0.0.2:8808", false),
        ("0.0.0.0:8808", false),
        ("evil.example:8808", false),
    ] {
        let head = head(&[("host", host), ("authorization", &bearer)]);
        let judged = guard.judge(&head, &reached, Instant::now());
        assert_eq!(why(judged), (!is_ours).then_some(Why::Host), "{host}");
    }
}

#[test]
fn who_was_let_in_before_is_judged_as_if_it_came_anew() {
    let (_home, token) = token();
    let bearer = format!("Bearer {}", token.value().expose());
    let bound = [tcp("127.0.0.1:8808")];
    let reached = peer("127.0.0.1:5", "127.0.0.1:8808");
    let own = [("host", "localhost:8808"), ("authorization", bearer.as_str())];
    let others = [
        ("host", "localhost:8808"),
        ("host", "evil.example"),
        ("authorization", bearer.as_str()),
        ("authorization", "Bearer wrong"),
        ("origin", "https://evil.example"),
        ("origin", "http://localhost:1"),
        ("origin", "https://app.example"),
        ("x-other", "a"),
    ];
    for (auth, origins) in
        [(Auth::Token, vec![]), (Auth::Token, vec!["https://app.example".to_owned()]), (Auth::None, vec![])]
    {
        let listen = Listen { auth, origins, ..Listen::default() };
        // A new one for each judgement: failures are counted.
        let guard = || Guard::new(&listen, &bound, Some(&token)).unwrap();
        let mut shown = Shown::default();
        let told = |judged: Result<Admitted, Reply>| match judged {
            Ok(Admitted { principal, cors, .. }) => Ok((principal, cors)),
            Err(reply) => Err(format!("{reply:?}")),
        };
        let mut let_in = 0;
        for other in others {
            let [host, authorization] = own;
            let all = [vec![], vec![host], vec![authorization], vec![host, authorization]];
            let with = all.iter().map(|some| [some.as_slice(), &[other]].concat());
            for headers in all.clone().into_iter().chain(with) {
                // As it is after one that was let in.
                next_of(guard().judge_next(&mut shown, &head(&own), &reached, Instant::now)).unwrap();
                let head = head(&headers);
                let next = told(next_of(guard().judge_next(&mut shown, &head, &reached, Instant::now)));
                let anew = told(guard().judge(&head, &reached, Instant::now()));
                assert_eq!(next, anew, "{headers:?}");
                let_in += usize::from(next.is_ok());
            }
        }
        assert!(let_in > 0);
    }
}

#[test]
fn s01_each_token_is_a_principal_of_its_own_on_one_connection_too() {
    let (_home, token) = token();
    let named = |name: &str, scopes: &[&str]| NamedToken {
        name: name.to_owned(),
        token: Secret::new(format!("{name}-{}", "x".repeat(32))),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
    };
    let tokens = vec![named("ana", &["read"]), named("bob", &[])];
    let shows: Vec<String> =
        tokens.iter().map(|holder| format!("Bearer {}", holder.token.expose())).collect();
    let listen = Listen { tokens, ..Listen::default() };
    let guard = Guard::new(&listen, &[tcp("127.0.0.1:1")], Some(&token)).unwrap();
    let bearer = format!("Bearer {}", token.value().expose());
    let [ana, bob] = ["ana", "bob"].map(Principal::token);
    let reached = peer("127.0.0.1:5", "127.0.0.1:1");
    let mut shown = Shown::default();
    // In turns, as a proxy before us may send them: what let the last one in lets nobody else in.
    for (authorization, principal, scopes) in [
        (&shows[0], &ana, "read"),
        (&shows[0], &ana, "read"),
        (&shows[1], &bob, ""),
        (&bearer, &Principal::bearer(), ""),
        (&shows[0], &ana, "read"),
        (&shows[1], &bob, ""),
        (&shows[1], &bob, ""),
    ] {
        let head = head(&[("host", "localhost:1"), ("authorization", authorization)]);
        let admitted = next_of(guard.judge_next(&mut shown, &head, &reached, Instant::now)).unwrap();
        let granted: Vec<&str> = admitted.scopes.iter().collect();
        assert_eq!((&admitted.principal, granted.join(" ").as_str()), (principal, scopes));
    }
    let wrong = format!("{}x", shows[0]);
    let head = head(&[("host", "localhost:1"), ("authorization", &wrong)]);
    let judged = next_of(guard.judge_next(&mut shown, &head, &reached, Instant::now));
    assert!(matches!(why(judged), Some(Why::TokenWrong { .. })));
}

#[test]
fn s01_a_token_that_ends_is_forgotten_on_its_connection_too() {
    let oauth = IdentityProvider::new("https://id.example.com", "https://gw.example.com/mcp");
    let issuer = Issuer::new(&oauth, nowhere()).unwrap();
    let listen = Listen { auth: Auth::OAuth, oauth: Some(oauth), ..Listen::default() };
    let bound = [tcp("127.0.0.1:1")];
    assert_eq!(Guard::new(&listen, &bound, None).map(drop), Err(GuardError::NoIssuer));
    let guard = Guard::with_issuer(&listen, &bound, None, Some(issuer)).unwrap();
    let reached = peer("127.0.0.1:5", "127.0.0.1:1");
    let (now, mut shown) = (Instant::now(), Shown::default());
    let own = head(&[("host", "localhost:1"), ("authorization", "Bearer a.b.c")]);
    let ask = |shown: &mut Shown, head: &Parts, seconds: u64| {
        guard.judge_next(shown, head, &reached, || now + Duration::from_secs(seconds))
    };
    let Judged::Asks(inquiry) = ask(&mut shown, &own, 0) else { panic!("nobody knows it") };
    assert_eq!(format!("{inquiry:?}"), "[redacted]");
    let pass = Pass {
        grant: Grant::plain(Principal::oauth("ana")),
        until: now + Duration::from_secs(10),
        ends: Some(now + Duration::from_secs(99)),
        lives: now + Duration::from_secs(10),
        doors: Doors::These(Arc::from([Box::from("/mcp")])),
    };
    let ends = Some(now + Duration::from_secs(99));
    let admitted = inquiry.passed(pass, &mut shown, now).unwrap();
    assert_eq!((admitted.principal, admitted.ends), (Principal::oauth("ana"), ends));
    let is_in = |judged| match judged {
        Judged::LetIn(admitted) => (admitted.principal, admitted.ends) == (Principal::oauth("ana"), ends),
        Judged::Refused(_) | Judged::Asks(_) => false,
    };
    assert!(is_in(ask(&mut shown, &own, 0)) && is_in(ask(&mut shown, &own, 9)));
    // By way of an origin it is looked at another way.
    let page = [("host", "localhost:1"), ("authorization", "Bearer a.b.c"), ("origin", "http://localhost:2")];
    assert!(is_in(ask(&mut shown, &head(&page), 9)));
    for later in [head(&page), own] {
        assert!(matches!(ask(&mut shown, &later, 10), Judged::Asks(_)), "it has ended");
        let mut elsewhere = later;
        elsewhere.uri = "/mcp/dev".parse().unwrap();
        assert!(matches!(ask(&mut shown, &elsewhere, 0), Judged::Asks(_)), "it was made for one door");
    }
}

#[test]
fn h07_a_token_is_held_only_where_it_is_wanted_and_while_somebody_is_there() {
    let oauth = IdentityProvider::new("https://id.example.com", "https://gw.example.com/mcp");
    let issuer = Issuer::new(&oauth, nowhere()).unwrap();
    let own_tokens = issuer.own_tokens().clone();
    let listen = Listen { auth: Auth::OAuth, oauth: Some(oauth), ..Listen::default() };
    let guard = Guard::with_issuer(&listen, &[tcp("127.0.0.1:1")], None, Some(issuer)).unwrap();
    let reached = peer("127.0.0.1:5", "127.0.0.1:1");
    let (now, mut shown) = (Instant::now(), Shown::default());
    let own = head(&[("host", "localhost:1"), ("authorization", "Bearer c4nary.b.c")]);
    let pass = || Pass {
        grant: Grant::plain(Principal::oauth("ana")),
        until: now + Duration::from_secs(100),
        ends: None,
        lives: now + Duration::from_secs(60),
        doors: Doors::All,
    };
    let comes = |shown: &mut Shown| match guard.judge_next(shown, &own, &reached, || now) {
        Judged::LetIn(admitted) => (admitted, false),
        Judged::Asks(inquiry) => (inquiry.passed(pass(), shown, now).unwrap(), true),
        Judged::Refused(_) => panic!("it is a good one"),
    };
    let (admitted, is_asked) = comes(&mut shown);
    assert!(is_asked && !admitted.own_token.is_kept());
    assert!(!comes(&mut shown).1, "it is known on its connection");
    // A server comes that is reached with what is made of it: the connection's token is looked at once more.
    let wanted = own_tokens.want();
    let (admitted, is_asked) = comes(&mut shown);
    assert!(is_asked && admitted.own_token.is_kept() && !comes(&mut shown).1);
    assert!(!format!("{admitted:?} {shown:?} {guard:?}").contains("c4nary"));
    assert_eq!(own_tokens.of(&admitted.clone().grant(), now)[0].token.expose(), "c4nary.b.c");
    // By its own word it ends before it must be judged again.
    assert!(own_tokens.of(&admitted.clone().grant(), now + Duration::from_secs(60)).is_empty());
    comes(&mut shown);
    let session = admitted.grant();
    shown = Shown::default();
    assert_eq!(own_tokens.count(), 0, "it has ended, and was forgotten when it was looked for");
    let (admitted, _) = comes(&mut shown);
    drop((shown, session));
    assert_eq!(own_tokens.count(), 1, "a request holds it");
    drop(admitted);
    assert_eq!(own_tokens.count(), 0);
    drop(wanted);
}

#[test]
fn who_is_elsewhere_does_not_learn_where_the_token_is() {
    let (_home, token) = token();
    let file = token.file().display().to_string();
    for (proxy, remote, told) in [
        (None, "203.0.113.1:5", None),
        (None, "127.0.0.1:5", Some(&file)),
        // Behind a proxy on this machine anyone may be.
        (Some("127.0.0.1"), "127.0.0.1:5", None),
        (Some("::1"), "127.0.0.1:5", Some(&file)),
    ] {
        let listen = Listen {
            hosts: vec!["a".to_owned()],
            tls: Some(Tls { cert: PathBuf::new(), key: PathBuf::new(), clients: None }),
            trusted_proxy: proxy.map(str::to_owned),
            ..Listen::default()
        };
        let guard = Guard::new(&listen, &[tcp("0.0.0.0:443")], Some(&token)).unwrap();
        let ask = |headers: &[(&'static str, &str)]| {
            why(guard.judge(&head(headers), &peer(remote, "10.0.0.1:443"), Instant::now()))
        };
        let file = told.cloned();
        assert_eq!(
            ask(&[("host", "a")]),
            Some(Why::TokenMissing { file: file.clone() }),
            "{proxy:?} {remote}"
        );
        let wrong = ask(&[("host", "a"), ("authorization", "Bearer wrong")]);
        assert_eq!(wrong, Some(Why::TokenWrong { file }), "{proxy:?} {remote}");
        // Nor behind one that nobody named.
        for said in [("x-forwarded-for", "203.0.113.1"), ("forwarded", "for=203.0.113.1"), ("via", "1.1 a")] {
            let passed_on = ask(&[("host", "a"), said]);
            assert_eq!(passed_on, Some(Why::TokenMissing { file: None }), "{said:?} {remote}");
        }
    }
}

#[test]
fn h16_failures_are_their_sources_own_and_pass() {
    let (_home, token) = token();
    let listen = Listen {
        hosts: vec!["a".to_owned()],
        trusted_proxy: Some("10.0.0.7".to_owned()),
        ..Listen::default()
    };
    let guard = Guard::new(&listen, &[tcp("0.0.0.0:80")], Some(&token)).unwrap();
    let (start, wrong) = (Instant::now(), ("authorization", "Bearer wrong"));
    let asks = |remote: &str, through: &str, after: u64| {
        let headers = [("host", "a"), wrong, ("x-forwarded-for", through)];
        let now = start + Duration::from_secs(after);
        match why(guard.judge(&head(&headers), &peer(remote, "10.0.0.1:80"), now)).unwrap() {
            Why::TokenWrong { .. } => None,
            Why::Throttled { retry_after } => Some(retry_after.as_secs()),
            Why::Preflight(_)
            | Why::Host
            | Why::Origin
            | Why::TokenMissing { .. }
            | Why::Unproven { .. }
            | Why::Insufficient { .. }
            | Why::Unjudged { .. } => {
                panic!("of another kind")
            }
        }
    };
    for second in 0..10 {
        assert_eq!(asks("203.0.113.1:5", "198.51.100.1", second), None, "its own word names no source");
    }
    assert_eq!(asks("203.0.113.1:6", "198.51.100.2", 10), Some(50));
    assert_eq!(asks("203.0.113.2:5", "", 10), None);
    assert_eq!(asks("203.0.113.1:5", "", 60), None);
    for _ in 0..10 {
        assert_eq!(asks("10.0.0.7:5", "203.0.113.9, 198.51.100.1", 0), None);
    }
    assert_eq!(asks("10.0.0.7:5", "198.51.100.1", 0), Some(60), "the proxy's word does");
    assert_eq!(asks("10.0.0.7:5", "198.51.100.2", 0), None);
}
