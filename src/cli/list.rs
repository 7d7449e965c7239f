//! `braid list`: what clients see, and whose it is.

use super::exit::Exit;
use super::run::Run;
use super::table::{self, ItemRow};
use super::whom::Whom;
use super::{Globals, Source, check, log, out, source};
use crate::mcp::method::Kind;
use crate::routing::catalog::{Catalog, Entry, Withheld};
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

/// What of that is listed.
pub(super) struct Which<'a> {
    /// Only this server's.
    pub(super) server: Option<&'a str>,
    /// Only what the door of this group shows.
    pub(super) group: Option<&'a str>,
    /// What filters hide as well.
    pub(super) all: bool,
    /// As they see it.
    pub(super) whom: Option<Whom>,
}

pub(super) fn run(what: What, which: &Which<'_>, from: &Source, globals: &Globals) -> Exit {
    let config = match source::load(from, globals) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let config = match source::within(config, which.group, globals) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let _log = log::start(&config.log, Some("error"), globals);
    let server = which.server;
    if let Some(unknown) = server.filter(|server| config.servers.iter().all(|known| known.key != *server)) {
        let known: Vec<&str> = config.servers.iter().map(|server| server.key.as_str()).collect();
        let text = format!("no server `{unknown}`; there are {}", known.join(", "));
        return out::fail(Exit::Usage, &text, globals);
    }
    Run::with_group(config, which.group, globals, async |run| listed(what, which, run, globals).await)
}

async fn listed(what: What, which: &Which<'_>, run: &Run, globals: &Globals) -> Exit {
    let server = which.server;
    run.greet().await;
    let kind = match what {
        What::Servers => return check::servers(run, server, globals),
        What::Tools => Kind::Tools,
        What::Prompts => Kind::Prompts,
        What::Resources => Kind::Resources,
        What::Templates => Kind::Templates,
    };
    let view = match &which.whom {
        Some(whom) => whom.view(run, run.seat.entrance()),
        None => run.seat.view(),
    };
    let catalog = view.catalog();
    let lines = lines(&catalog, kind, which);
    let printed = match globals.json() {
        true => out::print(&json(kind, &catalog, &lines, which.all)),
        false => {
            let rows: Vec<ItemRow> = lines.iter().map(|line| line.row(&catalog)).collect();
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

/// An item as it is listed here.
enum Line<'a> {
    Shown(&'a Entry),
    Hidden(&'a Withheld),
}

/// What is listed: what clients see in their order, and behind it what they do not see.
fn lines<'a>(catalog: &'a Catalog, kind: Kind, which: &Which<'_>) -> Vec<Line<'a>> {
    let shown = catalog.entries(kind).iter().map(Line::Shown);
    let hidden = catalog.withheld(kind).iter().filter(|_| which.all).map(Line::Hidden);
    let is_asked = |line: &Line<'_>| which.server.is_none_or(|server| line.key(catalog) == server);
    shown.chain(hidden).filter(is_asked).collect()
}

impl Line<'_> {
    fn key<'c>(&self, catalog: &'c Catalog) -> &'c str {
        let server = match self {
            Self::Shown(entry) => entry.server,
            Self::Hidden(item) => item.server,
        };
        catalog.key(server).unwrap_or_default()
    }

    /// What clients call it or would, and its server; the item itself.
    fn names(&self) -> (&str, &str, &str) {
        let (exposed, own, text) = match self {
            Self::Shown(entry) => (&entry.exposed, &entry.own, entry.text()),
            Self::Hidden(item) => (&item.exposed, &item.own, &item.text),
        };
        (exposed, own, std::str::from_utf8(text).unwrap_or_default())
    }

    fn row(&self, catalog: &Catalog) -> ItemRow {
        let (exposed, own, item) = self.names();
        let said = |key| member(item, key).and_then(string).map(|text| text.into_owned());
        ItemRow {
            exposed: exposed.to_owned(),
            server: self.key(catalog).to_owned(),
            own: own.to_owned(),
            description: match self {
                Self::Shown(_) => said("description").or_else(|| said("title")).unwrap_or_default(),
                Self::Hidden(item) => format!("hidden: {}", item.why),
            },
        }
    }
}

/// Every item as clients get it, and beside it whose it is and what it is called there; why it is hidden, if it is.
fn json(kind: Kind, catalog: &Catalog, lines: &[Line<'_>], all: bool) -> String {
    let items: Vec<String> = lines
        .iter()
        .map(|line| {
            let (_, own, item) = line.names();
            let (server, own) = (quote(line.key(catalog)), quote(own));
            let hidden = match line {
                Line::Hidden(item) => format!(r#""hidden":{},"#, quote(&item.why.to_string())),
                Line::Shown(_) if all => r#""hidden":null,"#.to_owned(),
                Line::Shown(_) => String::new(),
            };
            format!(r#"{{"server":{server},"own":{own},{hidden}"item":{item}}}"#)
        })
        .collect();
    format!(r#"{{"{}":[{}]}}"#, kind.member(), items.join(","))
}
