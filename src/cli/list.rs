//! `braid list`: what clients see, and whose it is.

use super::exit::Exit;
use super::run::Run;
use super::table::{self, ItemRow};
use super::{Globals, Source, check, log, out, source};
use crate::mcp::method::Kind;
use crate::routing::catalog::Entry;
use crate::wire::members::{member, quote, string};
use clap::ValueEnum;

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum What {
    Servers,
    Tools,
    Prompts,
    Resources,
    Templates,
}

pub(super) fn run(what: What, server: Option<&str>, from: &Source, globals: &Globals) -> Exit {
    let config = match source::load(from, globals) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let _log = log::start(&config.log, Some("error"), globals);
    if let Some(unknown) = server.filter(|server| config.servers.iter().all(|known| known.key != *server)) {
        let known: Vec<&str> = config.servers.iter().map(|server| server.key.as_str()).collect();
        let text = format!("no server `{unknown}`; there are {}", known.join(", "));
        return out::fail(Exit::Usage, &text, globals);
    }
    Run::with(config, globals, async |run| listed(what, server, run, globals).await)
}

async fn listed(what: What, server: Option<&str>, run: &Run, globals: &Globals) -> Exit {
    run.greet().await;
    let kind = match what {
        What::Servers => return check::servers(run, server, globals),
        What::Tools => Kind::Tools,
        What::Prompts => Kind::Prompts,
        What::Resources => Kind::Resources,
        What::Templates => Kind::Templates,
    };
    let catalog = run.seat.view().catalog();
    let keys: Vec<&str> = run.hub.config().servers.iter().map(|server| server.key.as_str()).collect();
    let key = |entry: &Entry| keys.get(entry.server).copied().unwrap_or_default();
    let entries =
        catalog.entries(kind).iter().filter(|entry| server.is_none_or(|server| key(entry) == server));
    let printed = match globals.json() {
        true => out::print(&json(kind, entries, key)),
        false => {
            let rows: Vec<ItemRow> = entries.map(|entry| row(entry, key(entry))).collect();
            out::print(&table::items(&rows, out::page()))
        }
    };
    let down = check::down(run, server);
    let mut exit = printed;
    for (why, must_be_there) in &down {
        if printed == Exit::Ok && *must_be_there {
            exit = out::fail(Exit::Unreachable, why, globals);
        } else {
            out::warn(why, globals);
        }
    }
    exit
}

fn row(entry: &Entry, server: &str) -> ItemRow {
    let item = std::str::from_utf8(entry.text()).unwrap_or_default();
    let said = |key| member(item, key).and_then(string).map(|text| text.into_owned());
    ItemRow {
        exposed: entry.exposed.to_string(),
        server: server.to_owned(),
        own: entry.own.to_string(),
        description: said("description").or_else(|| said("title")).unwrap_or_default(),
    }
}

/// Every item as clients get it, and beside it whose it is and what it is called there.
fn json<'a>(kind: Kind, entries: impl Iterator<Item = &'a Entry>, key: impl Fn(&Entry) -> &'a str) -> String {
    let items: Vec<String> = entries
        .map(|entry| {
            let item = String::from_utf8_lossy(entry.text()).into_owned();
            let (server, own) = (quote(key(entry)), quote(&entry.own));
            format!(r#"{{"server":{server},"own":{own},"item":{item}}}"#)
        })
        .collect();
    format!(r#"{{"{}":[{}]}}"#, kind.member(), items.join(","))
}
