//! The one check that every request passes before any route sees it: `Host`, `Origin`, the token.
//!
//! Pure but for the count of failures: it reads a head and says who asks, or what is answered instead. It
//! never reads a body or looks at the clock, and waits for nothing but an identity provider, about a token that nobody knows.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use parking_lot::Mutex;

use super::authority::{Authority, Host};
use super::cors::{Asked, Cors};
use super::failures::Failures;
use super::holders::Holders;
use super::origin::{self, Origin};
use super::reply::{Reply, Why};
use super::source::{Peer, Proxy, Source};
use super::token::{Digest, Token};
use crate::config::{Address, Auth, Listen};
use crate::downstream::login::{PAGES_PREFIX, Proofs};
use crate::downstream::oauth::Issuer;
use crate::downstream::oauth::issuer::{Doubt, Pass};
use crate::downstream::oauth::resource::{Doors, Refusal, is_metadata};
use crate::mcp::caller::{Grant, Principal, Scopes};
use crate::mcp::own_token::{OwnToken, OwnTokens};
use crate::wire::same::is_same;

/// Who may ask. One for all listeners.
#[derive(Debug)]
pub struct Guard {
    /// TCP only.
    bound: Vec<SocketAddr>,
    /// The port that a `Host` without one means.
    default_port: u16,
    hosts: Vec<Authority>,
    origins: Vec<Origin>,
    key: Option<Key>,
    proxy: Option<Proxy>,
    failures: Mutex<Failures>,
    anonymous: Grant,
}

/// What a bearer must show.
#[derive(Debug)]
struct Key {
    holders: Arc<Holders>,
    /// Where one of the tokens is.
    file: Option<PathBuf>,
    /// Whose tokens let in besides.
    issuer: Option<Arc<Issuer>>,
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Judged {
    LetIn(Admitted),
    Refused(Reply),
    /// It shows a token that must be asked about first.
    Asks(Box<Inquiry>),
}

/// A request whose token nobody knows yet. Its `Debug` shows nothing of it.
pub(super) struct Inquiry {
    token: Box<[u8]>,
    issuer: Arc<Issuer>,
    authorization: Box<[u8]>,
    path: Box<str>,
    source: Source,
    peer: Peer,
    cors: Cors,
}

/// Leave to ask a route. In the request's extensions.
#[derive(Debug, Clone)]
pub struct Admitted {
    pub principal: Principal,
    /// What its token says that it may do.
    pub scopes: Scopes,
    /// When its token ends, if it does.
    pub ends: Option<Instant>,
    /// Holds the token, where a server is reached with what is made of it.
    pub own_token: OwnToken,
    pub peer: Peer,
    /// Every answer is dressed with it.
    pub cors: Cors,
}

/// What let the last request of a connection in. Whoever shows the same again is not looked at as closely: this guard's
/// hosts and key never change; where they could, it would have to be forgotten.
///
/// Kept as long as the connection, the token itself as well, and nowhere shown. Copied: what was read of a head would keep
/// all that was read with it.
#[derive(Default)]
pub struct Shown {
    host: Box<[u8]>,
    bearer: Option<Bearer>,
    /// In whose name the connection itself is. A token that is shown on it says more: it is of the one request, and whoever
    /// passes on what others ask shows theirs. One that is wrong is refused; it does not become the certificate's.
    certificate: Option<Grant>,
}

/// A header that let somebody in, and in whose name.
struct Bearer {
    authorization: Box<[u8]>,
    grant: Grant,
    /// Until when. `None`: as long as we run.
    until: Option<Instant>,
    /// When the token itself ends.
    ends: Option<Instant>,
    doors: Doors,
    /// Where the token is held, and at which turn it came there.
    held: Option<(Arc<OwnTokens>, u64)>,
}

/// Why nobody is let in at all.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GuardError {
    #[error("`listen.allowed_hosts`: `{0}` is no host name or address")]
    Host(String),
    #[error(
        "`listen.allowed_origins`: `{0}` is no origin; write it as a browser does, such as `https://app.example.com`"
    )]
    Origin(String),
    #[error(
        "`listen.auth` is \"none\", and {0} can be reached from other machines; use a token, or listen on 127.0.0.1"
    )]
    Open(SocketAddr),
    #[error(
        "the token would cross the network in clear text to {0}; set `listen.tls`, or name what ends TLS before us in `listen.trusted_proxy`"
    )]
    Clear(SocketAddr),
    #[error("`listen.auth` asks for a token, and there is none")]
    NoToken,
    #[error("`listen.auth` is \"oauth\", and there is no identity provider")]
    NoIssuer,
    #[error("the token of `{0}` in `listen.tokens` is somebody else's as well; make one of its own for each")]
    SameToken(String),
    #[error("the scopes of `{0}` in `listen.tokens` cannot be used")]
    Scopes(String),
}

impl Admitted {
    fn new(grant: &Grant, peer: &Peer, cors: Cors) -> Self {
        let Grant { principal, scopes, own_token } = grant.clone();
        Self { principal, scopes, ends: None, own_token, peer: peer.clone(), cors }
    }

    fn until(self, ends: Option<Instant>) -> Self {
        Self { ends, ..self }
    }

    /// In whose name it is, and what that was granted.
    pub fn grant(self) -> Grant {
        Grant { principal: self.principal, scopes: self.scopes, own_token: self.own_token }
    }
}

impl Guard {
    /// `bound` are the addresses really listened on. A token is needed where `listen.auth` asks for one.
    pub fn new(listen: &Listen, bound: &[Address], token: Option<&Token>) -> Result<Self, GuardError> {
        Self::with_issuer(listen, bound, token, None)
    }

    /// The same where tokens of an identity provider let in, which is needed where `listen.auth` asks for them.
    pub fn with_issuer(
        listen: &Listen,
        bound: &[Address],
        token: Option<&Token>,
        issuer: Option<Arc<Issuer>>,
    ) -> Result<Self, GuardError> {
        let bound: Vec<SocketAddr> = bound
            .iter()
            .filter_map(|address| match address {
                Address::Tcp(address) => Some(*address),
                Address::Unix(_) => None,
            })
            .collect();
        let key = match listen.auth {
            Auth::None => None,
            Auth::Token => {
                let token = token.ok_or(GuardError::NoToken)?;
                let holders = Arc::new(Holders::new(Some(token), &listen.tokens)?);
                Some(Key { holders, file: Some(token.file().to_owned()), issuer: None })
            }
            Auth::OAuth => {
                let issuer = Some(issuer.ok_or(GuardError::NoIssuer)?);
                let holders = Arc::new(Holders::new(None, &listen.tokens)?);
                Some(Key { holders, file: None, issuer })
            }
        };
        if let Some(open) = bound.iter().find(|address| !address.ip().to_canonical().is_loopback()) {
            if key.is_none() {
                return Err(GuardError::Open(*open));
            }
            if listen.tls.is_none() && listen.trusted_proxy.is_none() {
                return Err(GuardError::Clear(*open));
            }
        }
        let host =
            |text: &String| Authority::of_a_setting(text).ok_or_else(|| GuardError::Host(text.clone()));
        let origin = |text: &String| Origin::parse(text).ok_or_else(|| GuardError::Origin(text.clone()));
        Ok(Self {
            bound,
            default_port: if listen.tls.is_some() { 443 } else { 80 },
            hosts: listen.hosts.iter().map(host).collect::<Result<_, _>>()?,
            origins: listen.origins.iter().map(origin).collect::<Result<_, _>>()?,
            key,
            proxy: listen.trusted_proxy.as_deref().and_then(Proxy::parse),
            failures: Mutex::new(Failures::default()),
            anonymous: Grant::plain(Principal::anonymous()),
        })
    }

    /// By what people prove on a page who they are: by what lets their clients in.
    pub fn proofs(&self, listen: &Listen) -> Proofs {
        let key = self.key.as_ref();
        let holders = key.map(|key| key.holders.clone());
        Proofs::of(listen, holders, key.and_then(|key| key.issuer.clone()))
    }

    /// Who asks, or what is answered instead. For every request on every route.
    ///
    /// What must be asked about first is refused here: whoever serves requests asks by `judge_next`.
    pub fn judge(&self, head: &Parts, peer: &Peer, now: Instant) -> Result<Admitted, Reply> {
        match self.judge_next(&mut Shown::default(), head, peer, || now) {
            Judged::LetIn(admitted) => Ok(admitted),
            Judged::Refused(reply) => Err(reply),
            Judged::Asks(inquiry) => Err(inquiry.refused(Doubt::Away(Duration::ZERO))),
        }
    }

    /// The same for the next request of a connection. `now`: for those who fail, and for tokens that end.
    pub(super) fn judge_next(
        &self,
        shown: &mut Shown,
        head: &Parts,
        peer: &Peer,
        now: impl Fn() -> Instant,
    ) -> Judged {
        let open = self.key.is_none().then(|| shown.certificate.as_ref().unwrap_or(&self.anonymous));
        if let Some((grant, ends)) = shown.as_before(head, open, &now)
            && !self.is_everybodys(head)
        {
            let cors = if self.origins.is_empty() { Cors::Off } else { Cors::Unlisted };
            return Judged::LetIn(Admitted::new(grant, peer, cors).until(ends));
        }
        if !shown.is_same_host(head) {
            if !self.is_our_host(head, peer) {
                return Judged::Refused(Reply { why: Why::Host, cors: Cors::Off });
            }
            shown.host = only(&head.headers, &HOST);
        }
        // A page looks itself where its form was sent from: only it knows what browsers call us.
        let of_own_page = || is_login(head).then_some(Cors::Off);
        let Some(cors) = self.cors(&head.headers).or_else(of_own_page) else {
            return Judged::Refused(Reply { why: Why::Origin, cors: Cors::Off });
        };
        if is_preflight(head) {
            let why = match cors {
                Cors::Off | Cors::Unlisted => Why::Origin,
                Cors::Listed(_) => Why::Preflight(Asked::of(&head.headers)),
            };
            return Judged::Refused(Reply { why, cors });
        }
        if self.is_everybodys(head) {
            return Judged::LetIn(Admitted::new(&self.anonymous, peer, cors));
        }
        if is_login(head) {
            // A browser has no token. What it may do, and whose page it is, that page asks.
            let grant = shown.certificate.as_ref().unwrap_or(&self.anonymous);
            return Judged::LetIn(Admitted::new(grant, peer, cors));
        }
        let Some(key) = &self.key else {
            let grant = shown.certificate.as_ref().unwrap_or(&self.anonymous);
            return Judged::LetIn(Admitted::new(grant, peer, cors));
        };
        if let Some(known) = shown.same_bearer(head, &now) {
            return Judged::LetIn(Admitted::new(&known.grant, peer, cors).until(known.ends));
        }
        self.judge_token(key, shown, head, peer, cors, now)
    }

    fn judge_token(
        &self,
        key: &Key,
        shown: &mut Shown,
        head: &Parts,
        peer: &Peer,
        cors: Cors,
        now: impl Fn() -> Instant,
    ) -> Judged {
        let authorization = at_most_one(&head.headers, &AUTHORIZATION);
        if let (Ok(None), Some(grant)) = (&authorization, &shown.certificate) {
            return Judged::LetIn(Admitted::new(grant, peer, cors));
        }
        let token = match authorization {
            Err(Repeated) => Err(Refusal::InvalidToken),
            Ok(value) => value.and_then(bearer).ok_or(Refusal::NoToken),
        };
        let token = match token {
            Ok(token) => token,
            Err(refusal) => return self.refused(key, refusal, head, peer, cors, now),
        };
        let digest = Digest::of(token);
        // The right token is served whatever came before it from the same source: else anyone beside its bearer could lock
        // the bearer out.
        if let Some(grant) = key.holders.whose(&digest) {
            let authorization = only(&head.headers, &AUTHORIZATION);
            shown.bearer = Some(Bearer {
                authorization,
                grant: grant.clone(),
                until: None,
                ends: None,
                doors: Doors::All,
                held: None,
            });
            return Judged::LetIn(Admitted::new(grant, peer, cors));
        }
        let Some(issuer) = &key.issuer else {
            return self.refused(key, Refusal::InvalidToken, head, peer, cors, now);
        };
        let inquiry = || Inquiry {
            token: Box::from(token),
            issuer: issuer.clone(),
            authorization: only(&head.headers, &AUTHORIZATION),
            path: Box::from(head.uri.path()),
            source: peer.source_of(&head.headers, self.proxy.as_ref()),
            peer: peer.clone(),
            cors: cors.clone(),
        };
        match issuer.known(&digest, now()) {
            Some(pass) => match inquiry().passed(pass, shown, now()) {
                Ok(admitted) => Judged::LetIn(admitted),
                Err(reply) => Judged::Refused(reply),
            },
            None => Judged::Asks(Box::new(inquiry())),
        }
    }

    /// Finishes what `judge_next` could not say. Waits for the identity provider, if for anything, and not for long.
    pub(super) async fn inquire(
        &self,
        inquiry: Box<Inquiry>,
        shown: &Mutex<Shown>,
        now: impl Fn() -> Instant,
    ) -> Result<Admitted, Reply> {
        // Whoever guesses would have the provider asked as often as he likes, in our name. One that can be read here is
        // read, however many were wrong: that costs nobody but us, and little. Nor is who was let in before kept out by others
        // of his address.
        if inquiry.issuer.is_opaque(&inquiry.token)
            && !inquiry.issuer.was_good(&inquiry.token)
            && let Some(retry_after) = self.failures.lock().rest(inquiry.source, now())
        {
            return Err(Reply { why: Why::Throttled { retry_after }, cors: inquiry.cors });
        }
        match inquiry.issuer.judge(&inquiry.token, &now).await {
            Ok(pass) => inquiry.passed(pass, &mut shown.lock(), now()),
            Err(doubt @ Doubt::Away(_)) => Err(inquiry.refused(doubt)),
            Err(doubt @ Doubt::Invalid(_)) => match self.failures.lock().count(inquiry.source, now()) {
                Ok(()) => Err(inquiry.refused(doubt)),
                Err(retry_after) => Err(Reply { why: Why::Throttled { retry_after }, cors: inquiry.cors }),
            },
        }
    }

    /// Who shows no token, or one that cannot be anybody's.
    fn refused(
        &self,
        key: &Key,
        refusal: Refusal,
        head: &Parts,
        peer: &Peer,
        cors: Cors,
        now: impl Fn() -> Instant,
    ) -> Judged {
        // Whoever comes through a proxy may be anywhere, even where the proxy is on this machine and nobody named it.
        let is_passed_on = || PASSED_ON.iter().any(|name| head.headers.contains_key(*name));
        let is_here = peer.is_local() && !self.is_proxy(peer) && !is_passed_on();
        let file = || key.file.as_ref().filter(|_| is_here).map(|file| file.display().to_string());
        let why = match (&key.issuer, refusal) {
            // So every client begins, to learn where to get one (2026-07-28, basic/authorization): it guesses nothing.
            (Some(issuer), Refusal::NoToken) => {
                let why = Why::unproven(issuer.resource(), head.uri.path(), refusal, "there is none");
                return Judged::Refused(Reply { why, cors });
            }
            (Some(issuer), _) => {
                Why::unproven(issuer.resource(), head.uri.path(), refusal, "there is more than one")
            }
            (None, Refusal::NoToken) => Why::TokenMissing { file: file() },
            (None, _) => Why::TokenWrong { file: file() },
        };
        let source = peer.source_of(&head.headers, self.proxy.as_ref());
        let why = match self.failures.lock().count(source, now()) {
            Ok(()) => why,
            Err(retry_after) => Why::Throttled { retry_after },
        };
        Judged::Refused(Reply { why, cors })
    }

    /// What is no secret: that we are alive, and who makes the tokens that we ask for.
    fn is_everybodys(&self, head: &Parts) -> bool {
        let has_issuer = || self.key.as_ref().is_some_and(|key| key.issuer.is_some());
        is_read(head) && (is_health(head) || (is_metadata(head.uri.path()) && has_issuer()))
    }

    /// Whom no limit of one address holds for: this machine's own people, and a proxy behind which are many.
    pub fn is_exempt(&self, peer: &Peer) -> bool {
        peer.is_local() || self.is_proxy(peer)
    }

    fn is_proxy(&self, peer: &Peer) -> bool {
        self.proxy.is_some_and(|proxy| proxy.is(peer))
    }

    /// DNS rebinding ends here: a page of `evil.example` that was made to reach us still says `evil.example`.
    fn is_our_host(&self, head: &Parts, peer: &Peer) -> bool {
        let Ok(host) = at_most_one(&head.headers, &HOST) else { return false };
        let host = match (host, peer) {
            (None, Peer::Unix) => return head.uri.authority().is_none(),
            (None, Peer::Tcp { .. }) => return false,
            (Some(host), _) => host.to_str().ok().and_then(Authority::parse),
        };
        match (host, peer) {
            // Programs write whatever they like there, even the socket's path.
            (None, Peer::Unix) => head.uri.authority().is_none(),
            (None, Peer::Tcp { .. }) => false,
            (Some(host), Peer::Unix) => self.agrees(&host, head),
            (Some(host), Peer::Tcp { local, .. }) => {
                self.agrees(&host, head) && self.is_allowed(&host, *local)
            }
        }
    }

    /// RFC 9112, 3.2.2: an absolute URI replaces `Host`. Whoever reads the other one would see another request.
    fn agrees(&self, host: &Authority, head: &Parts) -> bool {
        let Some(authority) = head.uri.authority() else { return true };
        let port = match head.uri.scheme_str() {
            None => self.default_port,
            Some(scheme) => match origin::port_of(scheme) {
                Some(port) => port,
                None => return false,
            },
        };
        Authority::parse(authority.as_str()).is_some_and(|authority| {
            authority.host == host.host && authority.port.unwrap_or(port) == host.port.unwrap_or(port)
        })
    }

    fn is_allowed(&self, host: &Authority, local: SocketAddr) -> bool {
        let port = host.port.unwrap_or(self.default_port);
        let is_at = |ip: IpAddr| !ip.is_unspecified() && host.host == Host::Ip(ip);
        let loopback = || {
            let ours = |port: u16| self.bound.iter().any(|bound| bound.port() == port);
            host.host.is_loopback() && host.port.is_none_or(ours)
        };
        let bound = || self.bound.iter().any(|bound| is_at(bound.ip()) && bound.port() == port);
        // Where we listen on all addresses, the one that was reached.
        let reached = || is_at(local.ip()) && local.port() == port;
        let listed = || {
            let fits = |one: &Authority| one.host == host.host && one.port.is_none_or(|one| one == port);
            self.hosts.iter().any(fits)
        };
        loopback() || bound() || reached() || listed()
    }

    /// `None`: the origin is not allowed. A request without one is no page's.
    fn cors(&self, headers: &HeaderMap) -> Option<Cors> {
        let unlisted = if self.origins.is_empty() { Cors::Off } else { Cors::Unlisted };
        let Some(value) = at_most_one(headers, &ORIGIN).ok()? else { return Some(unlisted) };
        let origin = Origin::parse(value.to_str().ok()?)?;
        if self.origins.contains(&origin) {
            return Some(Cors::Listed(value.clone()));
        }
        origin.is_loopback().then_some(unlisted)
    }
}

impl Inquiry {
    /// What a good token opens here.
    fn passed(self, pass: Pass, shown: &mut Shown, now: Instant) -> Result<Admitted, Reply> {
        let Pass { mut grant, until, ends, lives, doors } = pass;
        if !doors.open(&self.path) {
            return Err(self.refused(Doubt::Invalid("it was made for another door")));
        }
        let resource = self.issuer.resource();
        if !grant.scopes.has_all(resource.needed()) {
            return Err(Reply { why: Why::insufficient(resource, &self.path), cors: self.cors });
        }
        let own_tokens = self.issuer.own_tokens();
        let held = Some((own_tokens.clone(), own_tokens.turn()));
        grant.own_token = own_tokens.keep(&grant, &self.token, lives, now);
        let admitted = Admitted::new(&grant, &self.peer, self.cors).until(ends);
        let authorization = self.authorization;
        shown.bearer = Some(Bearer { authorization, grant, until: Some(until), ends, doors, held });
        Ok(admitted)
    }

    fn refused(self, doubt: Doubt) -> Reply {
        let why = match doubt {
            Doubt::Invalid(why) => {
                Why::unproven(self.issuer.resource(), &self.path, Refusal::InvalidToken, why)
            }
            Doubt::Away(retry_after) => Why::Unjudged { retry_after },
        };
        Reply { why, cors: self.cors }
    }
}

impl fmt::Debug for Inquiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Shown {
    /// Of a connection whose certificate names somebody.
    pub(super) fn of(certificate: Option<Principal>) -> Self {
        Self { certificate: certificate.map(Grant::plain), ..Self::default() }
    }

    /// In whose name a head comes that shows the same again, each once, and comes from no page: one look at each header.
    /// `open`: in whose, if no token is asked for. With it, when the token ends that was shown.
    fn as_before<'a>(
        &'a self,
        head: &Parts,
        open: Option<&'a Grant>,
        now: impl Fn() -> Instant,
    ) -> Option<(&'a Grant, Option<Instant>)> {
        let known = match open {
            Some(_) => None,
            None => Some(self.bearer.as_ref().filter(|bearer| bearer.holds(head, now))?),
        };
        let (mut hosts, mut bearers) = (0, 0);
        for (name, value) in &head.headers {
            if *name == HOST {
                hosts += 1;
                if self.host.is_empty() || *value.as_bytes() != *self.host {
                    return None;
                }
            } else if *name == AUTHORIZATION {
                bearers += 1;
                // Takes as long for a near miss as for any other of its length.
                if known.is_some_and(|known| !is_same(value.as_bytes(), &known.authorization)) {
                    return None;
                }
            } else if *name == ORIGIN {
                return None;
            }
        }
        // What the URI says is compared with the host as well.
        let fits = head.uri.authority().is_none() && hosts == 1 && (known.is_none() || bearers == 1);
        let who = known.map(|known| (&known.grant, known.ends)).or_else(|| open.map(|grant| (grant, None)));
        who.filter(|_| fits)
    }

    fn is_same_host(&self, head: &Parts) -> bool {
        let host = at_most_one(&head.headers, &HOST);
        let is_same = |host: &HeaderValue| !self.host.is_empty() && *host.as_bytes() == *self.host;
        // What the URI says is compared with it as well.
        head.uri.authority().is_none() && matches!(host, Ok(Some(host)) if is_same(host))
    }

    /// Takes as long for a near miss as for any other of its length.
    fn same_bearer(&self, head: &Parts, now: impl Fn() -> Instant) -> Option<&Bearer> {
        let known = self.bearer.as_ref().filter(|bearer| bearer.holds(head, now))?;
        let value = at_most_one(&head.headers, &AUTHORIZATION).ok().flatten()?;
        is_same(value.as_bytes(), &known.authorization).then_some(known)
    }
}

impl Bearer {
    /// Whether it still lets in, and there.
    fn holds(&self, head: &Parts, now: impl Fn() -> Instant) -> bool {
        let is_held = self.held.as_ref().is_none_or(|(own_tokens, turn)| own_tokens.turn() == *turn);
        is_held && self.until.is_none_or(|until| now() < until) && self.doors.open(head.uri.path())
    }
}

/// Says nothing of what it holds.
impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A copy of a header that is there once; nothing of one that is not.
fn only(headers: &HeaderMap, name: &HeaderName) -> Box<[u8]> {
    let value = at_most_one(headers, name).ok().flatten();
    value.map(|value| Box::from(value.as_bytes())).unwrap_or_default()
}

/// A header that may stand once stands more often.
struct Repeated;

fn at_most_one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Repeated> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (first, None) => Ok(first),
        (_, Some(_)) => Err(Repeated),
    }
}

/// The token of RFC 6750, 2.1. The scheme's name knows no case.
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked(BEARER.len())?;
    if !scheme.eq_ignore_ascii_case(BEARER) || !token.starts_with(b" ") {
        return None;
    }
    Some(token.trim_ascii()).filter(|token| !token.is_empty())
}

/// A browser asks for leave before it sends what a form could not.
fn is_preflight(head: &Parts) -> bool {
    head.method == Method::OPTIONS
        && head.headers.contains_key(ORIGIN)
        && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

fn is_read(head: &Parts) -> bool {
    head.method == Method::GET || head.method == Method::HEAD
}

/// Whether we are alive is no secret, and those who ask have no token.
fn is_health(head: &Parts) -> bool {
    head.uri.path() == "/healthz" || head.uri.path() == "/readyz"
}

/// A page on which people log in, or where their browsers come back to.
fn is_login(head: &Parts) -> bool {
    [Method::GET, Method::HEAD, Method::POST].contains(&head.method)
        && head.uri.path().starts_with(PAGES_PREFIX)
}

const BEARER: &[u8] = b"bearer";
/// What a proxy says of itself.
const PASSED_ON: [&str; 3] = ["x-forwarded-for", "forwarded", "via"];

#[cfg(test)]
mod tests;
