//! `braid login` and `braid logout`: leave at a server that wants OAuth, by a person in a browser.
//!
//! Owns what the person reads and when the browser opens. What is asked of whom, and what is kept, is `upstream::oauth`'s; who
//! runs already takes a login up when its server is begun anew.

use reqwest::Url;

use super::exit::Exit;
use super::instance;
use super::{Globals, Source, browser, log, out, run, socket, source};
use crate::config::{Config, Grant, OAuth, Reach, Remote, ServerConfig, toml_key};
use crate::upstream::oauth::{
    Attempt, CallbackEar, Device, EVERYBODY, Kept, Login, Port, Store, Wanted, Web, canonical, probe, revoke,
};
use crate::wire::members::quote;
use crate::wire::percent::encoded;

/// How a login is made.
pub(super) struct How<'a> {
    pub(super) server: &'a str,
    pub(super) browser: Browser,
    /// For whom, if it is not for all.
    pub(super) whose: Option<&'a str>,
}

/// In which browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Browser {
    Opened,
    /// The page is printed, and nothing is opened.
    Printed,
    /// Of any machine: what is printed holds there too.
    Elsewhere,
}

/// A server that may be logged in at.
struct Place {
    key: String,
    url: Url,
    remote: Remote,
    oauth: OAuth,
    store: Store,
    /// For whom.
    whose: String,
}

/// `braid login SERVER`.
pub(super) fn login(how: &How<'_>, from: &Source, globals: &Globals) -> Exit {
    let config = match source::load(from, globals) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let _log = log::start(&config.log, Some("error"), globals);
    let place = match place(&config, how.server, how.whose, globals) {
        Ok(place) => place,
        Err(exit) => return exit,
    };
    let done = run::runtime_for_one().map(|runtime| runtime.block_on(logged_in(&place, how, globals)));
    match done {
        Ok(Ok(login)) => welcome(&place, &login, globals),
        Ok(Err((exit, why))) => out::fail(exit, &format!("{}: {why}", place.key), globals),
        Err(error) => out::fail(Exit::Unexpected, &error.to_string(), globals),
    }
}

/// `braid logout SERVER`.
pub(super) fn logout(server: &str, whose: Option<&str>, from: &Source, globals: &Globals) -> Exit {
    let config = match source::load(from, globals) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let _log = log::start(&config.log, Some("error"), globals);
    let place = match place(&config, server, whose, globals) {
        Ok(place) => place,
        Err(exit) => return exit,
    };
    let name = canonical(&place.url);
    let removed = match place.store.change(|kept| kept.remove(&name, &place.whose)) {
        Ok(removed) => removed,
        Err(error) => return out::fail(Exit::Unexpected, &error.to_string(), globals),
    };
    let Some(login) = removed else {
        let text = format!("{}: there is no login", place.key);
        return match globals.json() {
            true => out::print(&format!(r#"{{"server":{},"was_logged_in":false}}"#, quote(&place.key))),
            false => out::print(&text),
        };
    };
    // It is not here any more, whatever its issuer says to that.
    let revoked = run::runtime_for_one().map(|runtime| {
        runtime.block_on(async {
            let web = web(&place).map_err(|(_, why)| why)?;
            revoke(&web, &login).await.map_err(|error| error.to_string())
        })
    });
    if let Ok(Err(why)) = &revoked {
        out::warn(&format!("{}: its issuer was not told: {why}", place.key), globals);
    }
    tell_runs(&place.key, globals);
    match globals.json() {
        true => out::print(&format!(r#"{{"server":{},"was_logged_in":true}}"#, quote(&place.key))),
        false => out::print(&format!("{}: logged out", place.key)),
    }
}

fn place(config: &Config, key: &str, whose: Option<&str>, globals: &Globals) -> Result<Place, Exit> {
    let fail = |text: String| out::fail(Exit::Usage, &text, globals);
    let Some(server) = config.servers.iter().find(|server| server.key == key) else {
        let remote = |server: &&ServerConfig| matches!(server.reach, Reach::Http(_));
        let known: Vec<&str> =
            config.servers.iter().filter(remote).map(|server| server.key.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(fail(format!("there is no server `{key}`; remote ones are: {known}")));
    };
    let Reach::Http(remote) = &server.reach else {
        return Err(fail(format!(
            "{key}: a program on this machine wants no login; what it must know goes into `env`"
        )));
    };
    let Some(oauth) = &remote.oauth else {
        return Err(fail(format!(
            "{key}: it has a header `Authorization` of its own, or `oauth.enabled` is false; take that out first"
        )));
    };
    if oauth.grant == Grant::Client {
        return Err(fail(format!("{key}: nobody logs in there: `oauth.grant` is \"client_credentials\"")));
    }
    if oauth.grant == Grant::Exchange {
        return Err(fail(format!(
            "{key}: nobody logs in there: whoever calls is known by the token that it shows to `braid serve` (`oauth.grant` is \"token_exchange\")"
        )));
    }
    let setting = format!("servers.{}.oauth.per_principal", toml_key(key));
    let whose = match whose {
        Some(whose) if oauth.is_per_principal => whose,
        None if oauth.is_per_principal => {
            return Err(fail(format!(
                "{key}: say whose login it is to be, with --as token:NAME ({setting})"
            )));
        }
        Some(_) => {
            return Err(fail(format!(
                "{key}: one login serves all there; {setting} = true gives each their own"
            )));
        }
        None => EVERYBODY,
    };
    let url = Url::parse(&remote.url).map_err(|_| fail(format!("{key}: its URL cannot be used")))?;
    let store = Store::of_user(|name| std::env::var_os(name));
    let store = store.map_err(|error| out::fail(Exit::Unexpected, &error.to_string(), globals))?;
    Ok(Place {
        key: key.to_owned(),
        url,
        remote: remote.clone(),
        oauth: OAuth::clone(oauth),
        store,
        whose: whose.to_owned(),
    })
}

fn web(place: &Place) -> Result<Web, (Exit, String)> {
    let issuer = place.oauth.issuer.as_deref().and_then(|issuer| Url::parse(issuer).ok());
    Web::new(&place.url, issuer.as_ref(), place.remote.ca_file.as_deref())
        .map_err(|error| (Exit::Unexpected, error.to_string()))
}

async fn logged_in(place: &Place, how: &How<'_>, globals: &Globals) -> Result<Login, (Exit, String)> {
    let unreachable = |error: &dyn std::fmt::Display| (Exit::Unreachable, error.to_string());
    let unexpected = |error: &dyn std::fmt::Display| (Exit::Unexpected, error.to_string());
    let web = web(place)?;
    let (is_let_in, challenge) = probe(&web, &place.url).await.map_err(|error| unreachable(&error))?;
    if is_let_in && challenge.is_none() && place.oauth.issuer.is_none() {
        return Err((Exit::Usage, "it lets us in as we are; there is nothing to log in to".to_owned()));
    }
    let kept: Kept = place.store.read().map_err(|error| unexpected(&error))?;
    let before = kept.login(&canonical(&place.url), &place.whose);
    if how.browser == Browser::Elsewhere {
        let wanted =
            Wanted { server: &place.url, oauth: &place.oauth, challenge: challenge.as_ref(), before };
        let login = elsewhere(place, &web, &wanted, &kept, globals).await?;
        return keep(place, login);
    }
    let ear = CallbackEar::bind(Port::of(&place.oauth, || before.and_then(Login::callback_port)));
    let ear = ear.map_err(|error| unexpected(&error))?;
    let wanted = Wanted { server: &place.url, oauth: &place.oauth, challenge: challenge.as_ref(), before };
    let attempt = Attempt::begin(&web, &wanted, &ear.redirect_uri(), &kept).await;
    let attempt = attempt.map_err(|error| unreachable(&error))?;
    let url = browser::judge(attempt.url().as_str()).map_err(|why| {
        (Exit::Unreachable, format!("where it wants people to log in cannot be opened: {why}"))
    })?;
    send_out(place, &attempt, &url, how, globals);
    let callback = ear.hear(attempt.state()).await.map_err(|error| unreachable(&error))?;
    let granted = attempt.finish(&web, callback, &place.url, &place.whose).await;
    keep(place, granted.map_err(|error| unreachable(&error))?.0)
}

fn keep(place: &Place, login: Login) -> Result<Login, (Exit, String)> {
    let kept = login.clone();
    let changed = place.store.change(|all| all.keep(kept));
    changed.map_err(|error| (Exit::Unexpected, error.to_string()))?;
    Ok(login)
}

/// Logs in by a page and a code, in a browser that need not be here.
async fn elsewhere(
    place: &Place,
    web: &Web,
    wanted: &Wanted<'_>,
    kept: &Kept,
    globals: &Globals,
) -> Result<Login, (Exit, String)> {
    let unreachable = |error: &dyn std::fmt::Display| (Exit::Unreachable, error.to_string());
    let device = Device::begin(web, wanted, kept).await.map_err(|error| unreachable(&error))?;
    let page = browser::judge(device.page()).map_err(|why| {
        (Exit::Unreachable, format!("where it wants people to log in cannot be opened: {why}"))
    })?;
    let code: String = device.code().chars().filter(|c| !c.is_control()).take(CODE_CHARS_MAX).collect();
    if globals.json() {
        let (server, code) = (quote(&place.key), quote(&code));
        out::print_on(&format!(r#"{{"server":{server},"open":{},"code":{code}}}"#, quote(&page)));
    } else {
        let rights = said_of(device.scopes());
        out::say_unless_json(
            &format!("{} wants you to log in{rights}. Open this page anywhere:", place.key),
            globals,
        );
        out::say(&format!("\n  {page}\n"));
        out::say(&format!(
            "The code there is {}. Waiting until you have agreed (Ctrl-C ends it) …",
            super::printable::line(&code)
        ));
    }
    let granted = device.finish(web, &place.url, &place.whose).await;
    Ok(granted.map_err(|error| unreachable(&error))?.0)
}

fn said_of(scopes: &[String]) -> String {
    if scopes.is_empty() { String::new() } else { format!(", for: {}", scopes.join(" ")) }
}

/// Says where the person is sent before anything opens.
fn send_out(place: &Place, attempt: &Attempt, url: &str, how: &How<'_>, globals: &Globals) {
    let rights = said_of(attempt.scopes());
    if globals.json() {
        let (server, host) = (quote(&place.key), quote(attempt.host()));
        out::print_on(&format!(r#"{{"server":{server},"host":{host},"open":{}}}"#, quote(url)));
    } else {
        out::say_unless_json(
            &format!("{} wants you to log in at {}{rights}", place.key, attempt.host()),
            globals,
        );
    }
    let is_open = how.browser == Browser::Opened && browser::open(url, |name| std::env::var_os(name));
    if globals.json() {
        return;
    }
    match is_open {
        true => out::say("Your browser opens. If it does not, open this page:"),
        false => out::say("Open this page in a browser on this machine:"),
    }
    out::say(&format!("\n  {url}\n"));
    out::say("Waiting for you to come back from there (Ctrl-C ends it) …");
}

fn welcome(place: &Place, login: &Login, globals: &Globals) -> Exit {
    tell_runs(&place.key, globals);
    let (issuer, scopes) = (login.issuer(), login.scopes());
    if globals.json() {
        let scopes: Vec<String> = scopes.iter().map(|scope| quote(scope)).collect();
        let ends = login.expires_at().map(|at| format!(r#","expires_at":{at}"#)).unwrap_or_default();
        return out::print(&format!(
            r#"{{"server":{},"issuer":{},"scopes":[{}]{ends}}}"#,
            quote(&place.key),
            quote(issuer),
            scopes.join(",")
        ));
    }
    let rights = said_of(scopes);
    let file = place.store.file().display();
    let text =
        format!("{}: logged in at {issuer}{rights}\nIt is kept in {file}, for this server alone.", place.key);
    out::print(&super::printable::text(&text))
}

/// Runs that have the server begin it anew, and find what there is now.
fn tell_runs(key: &str, globals: &Globals) {
    for run in instance::running() {
        if run.status.servers.iter().any(|server| server.name == key) {
            let told = socket::ask(&run.socket, "POST", &format!("/restart/{}", encoded(key)));
            if told.is_err() {
                let pid = run.status.instance.pid;
                out::warn(
                    &format!("the run of pid {pid} was not told; `braid restart {key}` does that"),
                    globals,
                );
            }
        }
    }
}

/// Codes are short: people type them.
const CODE_CHARS_MAX: usize = 64;
