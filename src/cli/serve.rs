//! `braid serve`: many clients over HTTP.
//!
//! Owns the order of starting and stopping: nothing listens before we know who may come, and servers end after the
//! last client has its answer.

use super::admin::{self, Mode};
use super::exit::Exit;
use super::reload::{Asked, Given, Reloader};
use super::run::{Run, left, runtime_for_many, to_its_end};
use super::source::Origin;
use super::{Globals, Source, log, out, source};
use crate::config::{Address, Auth, Config, Listen, Reach, ServerConfig};
use crate::downstream::admin::Reload;
use crate::downstream::admin::open::IfTaken;
use crate::downstream::edge::accept::{self, Stop};
use crate::downstream::edge::bound::Bound;
use crate::downstream::edge::guard::Guard;
use crate::downstream::edge::token::Token;
use crate::downstream::http::endpoint::Front;
use crate::downstream::http::routes::Routes;
use crate::downstream::login::{AtListener, OnThisMachine, Reached};
use crate::downstream::oauth::issuer::Ways;
use crate::downstream::oauth::{Issuer, IssuerError};
use crate::mcp::caller::Principal;
use crate::system::Leaving;
use crate::upstream::fetch::Proxies;
use crate::upstream::oauth::{EVERYBODY, Store, canonical};
use reqwest::Url;
use std::fmt::Write;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// `listen`: instead of the addresses of the configuration.
pub(super) fn run(from: &Source, listen: &[String], globals: &Globals) -> Exit {
    let (mut config, origin) = match source::load_to_stay(from, globals) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    config.listen = match config.listen.with_addresses(listen) {
        Ok(listen) => listen,
        Err(report) => return source::refused(&report, globals),
    };
    let _log = log::start(&config.log, None, globals);
    let served = runtime_for_many().and_then(|runtime| {
        let given = Given { group: None, listen: listen.to_vec() };
        to_its_end(runtime, serve(config, origin, given, globals.clone()))
    });
    match served {
        Ok(exit) => exit,
        Err(error) => out::fail(Exit::Unexpected, &format!("cannot start: {error}"), globals),
    }
}

async fn serve(config: Config, origin: Option<Origin>, given: Given, globals: Globals) -> io::Result<Exit> {
    let mut leaving = Leaving::watch()?;
    let listen = config.listen.clone();
    let refused = |text: String| Ok(out::fail(Exit::BadConfig, &text, &globals));
    let token = match listen.auth {
        Auth::None | Auth::OAuth => None,
        Auth::Token => {
            match Token::find_or_make(listen.token_file.as_deref(), |name| std::env::var_os(name)) {
                Ok(token) => Some(token),
                Err(error) => return refused(error.to_string()),
            }
        }
    };
    let issuer = match issuer(&listen).await {
        Ok(issuer) => issuer,
        Err(why) => return refused(why),
    };
    let own_tokens = issuer.as_ref().map(|issuer| issuer.own_tokens().clone()).unwrap_or_default();
    let bound = match Bound::bind(&listen.addresses, listen.tls.as_ref()).await {
        Ok(bound) => bound,
        Err(error) => return Ok(out::fail(Exit::Unexpected, &error.to_string(), &globals)),
    };
    let addresses = bound.addresses();
    let guard = match Guard::with_issuer(&listen, &addresses, token.as_ref(), issuer) {
        Ok(guard) => guard,
        Err(error) => return refused(error.to_string()),
    };
    let proofs = guard.proofs(&listen);
    if listen.auth == Auth::None {
        config.servers.iter().for_each(warn_of_login);
    }
    let run = Run::prepare_with(config, None, own_tokens)?.traced();
    run.recall_lists();
    // Of an identity provider's people nobody knows who will come, and each has servers of its own.
    let warmed = match listen.auth {
        Auth::Token => Some(Principal::bearer()),
        Auth::None => Some(Principal::anonymous()),
        Auth::OAuth => None,
    };
    if let Some(warmed) = warmed.as_ref().filter(|_| !run.behind_itself) {
        for fault in run.hub.warm(warmed) {
            tracing::warn!(why = fault.text, "not started");
        }
    }
    let front = Front::new(run.hub.clone(), listen.clone(), &run.identity, run.behind_itself, warmed);
    if let Ok(store) = Store::of_user(|name| std::env::var_os(name)) {
        match Reached::of(&listen, &addresses) {
            Reached::At(base) => front.has_pages(AtListener::open(&run.hub, store, proofs, base)),
            Reached::Here => OnThisMachine::open(&run.hub, store, proofs),
            Reached::Nowhere => tracing::debug!(
                "clients are sent to no page for logins: `listen.public_url` does not say where browsers reach it"
            ),
        }
    }
    let counted = front.clone();
    let reloader = Reloader::new(&run, origin, given);
    let mode = Mode {
        name: "serve",
        listening: addresses.iter().map(|address| shown(address, &listen)).collect(),
        present: Arc::new(move || counted.present()),
        reload: reloader.clone().map(|reloader| -> Arc<dyn Reload> { Arc::new(Asked(reloader)) }),
        if_taken: IfTaken::Fails,
    };
    let watched = match admin::open(&run, mode).await {
        Ok(watched) => watched,
        Err(error) => {
            run.stop().await;
            return Err(error);
        }
    };
    if let Some(reloader) = &reloader {
        reloader.watch();
    }
    let stop = Stop::default();
    let edge = accept::Front { guard, router: Routes::new(front.clone()), limits: listen.limits.clone() };
    let mut serving = tokio::spawn(accept::serve(bound, edge, stop.clone()));
    out::say(&welcome(&addresses, &listen, token.as_ref()));
    let signal = tokio::select! {
        signal = Reloader::or_leaves(reloader.as_ref(), &mut leaving) => signal,
        _ = &mut serving => return Err(io::Error::other("nobody listens any more")),
    };
    tracing::info!("stopping");
    front.close();
    stop.closing.cancel();
    let finished = async {
        timeout(listen.grace, front.quiet()).await.ok();
        run.stop().await;
        watched.end().await;
        if timeout(LAST_WORDS, &mut serving).await.is_err() {
            stop.now.cancel();
            serving.await.ok();
        }
    };
    tokio::select! {
        () = finished => {}
        // The second signal means now; what we started is swept up by its owners' `Drop`.
        _ = leaving.next() => {}
    }
    Ok(left(signal))
}

/// The identity provider, where its tokens let in. To make what it is asked with blocks for some milliseconds.
async fn issuer(listen: &Listen) -> Result<Option<Arc<Issuer>>, String> {
    if listen.auth != Auth::OAuth {
        return Ok(None);
    }
    let oauth = listen.oauth.clone().ok_or(IssuerError::NoSettings).map_err(|error| error.to_string())?;
    let made = tokio::task::spawn_blocking(move || {
        let ways = Ways::new(oauth.ca_file.as_deref(), || Proxies::of(std::env::vars_os()));
        let ways = ways.map_err(|error| format!("`listen.oauth`: {error}"))?;
        Issuer::new(&oauth, ways).map_err(|error| error.to_string())
    });
    made.await.unwrap_or_else(|error| Err(error.to_string())).map(Some)
}

fn shown(address: &Address, listen: &Listen) -> String {
    let scheme = if listen.tls.is_some() { "https" } else { "http" };
    match address {
        Address::Tcp(address) => format!("{scheme}://{address}/mcp"),
        Address::Unix(file) => file.display().to_string(),
    }
}

/// Says that there is a login which those are not lent who say nothing of who they are.
fn warn_of_login(server: &ServerConfig) {
    let Reach::Http(remote) = &server.reach else { return };
    if server.allow_anonymous || remote.oauth.is_none() {
        return;
    }
    let kept = Store::of_user(|name| std::env::var_os(name)).and_then(|logins| logins.read()).ok();
    if kept
        .zip(Url::parse(&remote.url).ok())
        .is_some_and(|(kept, url)| kept.login(&canonical(&url), EVERYBODY).is_some())
    {
        tracing::warn!(
            event = "access",
            server = server.key,
            "its login is not lent to clients of whom nobody knows who they are (listen.auth = \"none\"): let them show a token, or set `allow_anonymous = true` for the server"
        );
    }
}

/// Where to point a client, and how it proves itself: the file, never what is in it.
fn welcome(addresses: &[Address], listen: &Listen, token: Option<&Token>) -> String {
    let mut text = String::new();
    for address in addresses {
        writeln!(text, "listening on {}", shown(address, listen)).unwrap_or_default();
    }
    match (token, listen.tokens.len()) {
        (Some(token), others) => {
            let others = match others {
                0 => String::new(),
                1 => ", and that of another holder in listen.tokens".to_owned(),
                _ => format!(", and those of {others} other holders in listen.tokens"),
            };
            let file = token.file().display();
            write!(text, "clients send `Authorization: Bearer TOKEN`; the token is in {file}{others}")
        }
        (None, others) if listen.auth == Auth::OAuth => {
            let issuer = listen.oauth.as_ref().map_or("", |oauth| &oauth.issuer);
            let others = match others {
                0 => String::new(),
                1 => ", and that of the holder in listen.tokens".to_owned(),
                _ => format!(", and those of {others} holders in listen.tokens"),
            };
            write!(text, "clients send `Authorization: Bearer TOKEN` with a token of {issuer}{others}")
        }
        (None, _) => write!(text, "anybody who reaches it is served (listen.auth = \"none\")"),
    }
    .unwrap_or_default();
    text
}

/// How long answers that are on their way may take to leave.
const LAST_WORDS: Duration = Duration::from_millis(250);
