//! `braid explain`: where an exposed name or URI leads and why it is called so, or what a code means.

use super::exit::Exit;
use super::run::Run;
use super::whom::{Verdict, Whom};
use super::{Globals, Source, explain_code, log, out, printable, source};
use crate::config::Reach;
use crate::config::codes::Code;
use crate::config::toml_key;
use crate::mcp::method::{Kind, Method};
use crate::routing::catalog::{Catalog, Entry, Withheld};
use crate::routing::names::Change;
use crate::routing::route::{Route, route};
use crate::wire::members::quote;
use crate::wire::message::Message;

pub(super) fn run(what: &str, whom: Option<&Whom>, from: &Source, globals: &Globals) -> Exit {
    if let Some(code) = Code::named(what) {
        return out::print(&explain_code::explain(code));
    }
    if what.to_ascii_uppercase().starts_with("BRAID-") {
        return out::fail(Exit::Usage, explain_code::unknown(what).trim_end(), globals);
    }
    let config = match source::load(from, globals) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let _log = log::start(&config.log, Some("error"), globals);
    Run::with(config, globals, async |run| explained(what, whom, run, globals).await)
}

async fn explained(what: &str, whom: Option<&Whom>, run: &Run, globals: &Globals) -> Exit {
    let is_there = |catalog: &Catalog, kind| {
        let is_meant = |item: &Withheld| *item.exposed == *what;
        catalog.exposed(kind, what).is_some() || catalog.withheld(kind).iter().any(is_meant)
    };
    run.greet_until(|catalog| Kind::ALL.into_iter().any(|kind| is_there(catalog, kind))).await;
    let catalog = run.seat.view().catalog();
    let mut text = String::new();
    for kind in Kind::ALL {
        if let Some(entry) = catalog.exposed(kind, what) {
            text.push_str(&sentence(run, kind, entry));
            text.push_str(&elsewhere(run, kind, entry));
            if let Some(whom) = whom {
                text.push_str(&for_them(run, whom, (kind, entry.server, &entry.own)));
            }
        }
    }
    // What no list holds may still be routed: an own name that one server has, a URI by its prefix or template.
    for (method, noun) in
        [(Method::ToolsCall, "tool"), (Method::PromptsGet, "prompt"), (Method::ResourcesRead, "resource")]
    {
        // A word without a colon is no URI, and what routing says of it as one is about nothing.
        if !text.is_empty() || (method == Method::ResourcesRead && !what.contains(':')) {
            break;
        }
        let name = quote(what);
        let request =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"-","params":{{"name":{name},"uri":{name}}}}}"#);
        let Ok(request) = Message::parse_server(request.into()) else { break };
        match route(&catalog, method, &request) {
            Route::One(target) => {
                let server = server(run, target.pass.server());
                let (what, own) = (printable::line(what), printable::line(target.pass.own()));
                text = format!("{what}\n  leads to the {noun} `{own}` of {server}; it is in no list\n");
            }
            Route::Refuse(fault) => {
                text = format!("{}\n  {}\n", printable::line(what), printable::line(&fault.text));
            }
            Route::Local(_) | Route::Unknown(_) => {}
        }
    }
    if text.is_empty() {
        text = hidden(run, &catalog, what);
    }
    match text.is_empty() {
        true => out::fail(
            Exit::ToolError,
            &format!("`{what}` leads nowhere; `braid list` shows what there is"),
            globals,
        ),
        false => out::print(&text),
    }
}

fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Tools => "tool",
        Kind::Prompts => "prompt",
        Kind::Resources => "resource",
        Kind::Templates => "resource template",
    }
}

/// What this would lead to if it were not hidden: by the name that clients would call it, or by its own.
fn hidden(run: &Run, catalog: &Catalog, what: &str) -> String {
    let named = |is_meant: &dyn Fn(&Withheld) -> bool| -> String {
        let of_kind = |kind| {
            let meant = catalog.withheld(kind).iter().filter(|item| is_meant(item));
            meant.map(|item| hidden_sentence(run, kind, item)).collect::<String>()
        };
        Kind::ALL.into_iter().map(of_kind).collect()
    };
    let found = [named(&|item| *item.exposed == *what), named(&|item| *item.own == *what)];
    let found = found.into_iter().find(|found| !found.is_empty());
    found.unwrap_or_else(|| hidden_uri(run, catalog, what))
}

/// What is hidden, and by what.
fn hidden_sentence(run: &Run, kind: Kind, item: &Withheld) -> String {
    let (exposed, own) = (printable::line(&item.exposed), printable::line(&item.own));
    let (noun, server, why) = (noun(kind), server(run, item.server), item.why.to_string());
    format!(
        "{exposed}\n  would lead to the {noun} `{own}` of {server}\n  it is hidden, as if it were not there: {}\n",
        printable::line(&why)
    )
}

/// The same of a URI that is in no list.
fn hidden_uri(run: &Run, catalog: &Catalog, uri: &str) -> String {
    let Some((at, own)) = catalog.maps().find_map(|(at, map)| map.own(uri).map(|own| (at, own))) else {
        return String::new();
    };
    let Err(why) = catalog.admits(at, &own) else { return String::new() };
    let (uri, own, server) = (printable::line(uri), printable::line(&own), server(run, at));
    format!(
        "{uri}\n  would lead to the resource `{own}` of {server}\n  it is hidden, as if it were not there: {}\n",
        printable::line(&why.to_string())
    )
}

/// A line for each group's door by which it is hidden.
fn elsewhere(run: &Run, kind: Kind, entry: &Entry) -> String {
    let mut text = String::new();
    for group in &run.hub.config().groups {
        let Some(entrance) = run.hub.entrance_group(&group.name) else { continue };
        let view = run.hub.view(run.seat.caller(), &entrance);
        let catalog = view.catalog();
        let is_it = |item: &&Withheld| item.server == entry.server && item.own == entry.own;
        if let Some(item) = catalog.withheld(kind).iter().find(is_it) {
            let why = item.why.to_string();
            text.push_str(&format!(
                "  by the door of the group `{}` it is hidden: {}\n",
                group.name,
                printable::line(&why)
            ));
        }
    }
    text
}

/// Whether somebody sees it, by the door to every server and by those of its groups, and by which rules.
fn for_them(run: &Run, whom: &Whom, item: (Kind, usize, &str)) -> String {
    let principal = printable::line(whom.principal.as_str());
    let key = run.hub.config().servers.get(item.1).map_or("", |server| &server.key);
    let groups = run.hub.config().groups.iter().filter(|group| group.servers.iter().any(|it| it == key));
    let doors = groups.filter_map(|group| {
        Some((format!(" by the door of the group `{}`", group.name), run.hub.entrance_group(&group.name)?))
    });
    let all = std::iter::once((String::new(), run.hub.entrance_all()));
    let lines = all.chain(doors).map(|(by, entrance)| match whom.judge(run, &entrance, item) {
        Verdict::Unruled => format!("  `{principal}` sees it{by}: there is no rule for that\n"),
        Verdict::Shown(rules) => {
            let gives = if rules.len() == 1 { "gives" } else { "give" };
            format!("  `{principal}` sees it{by}: {} {gives} it\n", rules.join(" and "))
        }
        Verdict::Hidden(why) => {
            format!(
                "  `{principal}` does not see it{by}, as if it were not there: {}\n",
                printable::line(&why)
            )
        }
    });
    lines.collect()
}

fn sentence(run: &Run, kind: Kind, entry: &Entry) -> String {
    let noun = noun(kind);
    let named = entry.look.as_ref().and_then(|look| look.name());
    let setting = |key: &str| {
        let server = run.hub.config().servers.get(entry.server).map_or("", |server| &server.key);
        format!("`servers.{}.tool.{}.{key}`", toml_key(server), toml_key(&entry.own))
    };
    let why = match (entry.change, *entry.own == *entry.exposed) {
        (Change::None, _) if named.is_some() => format!("{} gives it this name", setting("name")),
        (Change::None, true) => "it has the name that its server gives it".to_owned(),
        (Change::None, false) => "it is called so because names begin with their server's".to_owned(),
        (Change::Sanitised, _) => "characters that some clients refuse became `_` (BRAID-N001)".to_owned(),
        (Change::Collided, _) => {
            "something else has the plain name too, so it got a hash or a prefix (BRAID-N002)".to_owned()
        }
        (Change::Duplicate, _) => {
            "another tool of its server has this name, or is given it, so it got a hash (BRAID-N002)"
                .to_owned()
        }
        (Change::Shortened, _) => {
            let max = run.hub.config().names.length_max;
            format!(
                "the whole name is longer than names.max_length = {max}, so it was cut and got a hash (BRAID-N004)"
            )
        }
    };
    let server = server(run, entry.server);
    let (exposed, own) = (printable::line(&entry.exposed), printable::line(&entry.own));
    format!("{exposed}\n  leads to the {noun} `{own}` of {server}\n  {why}\n")
}

fn server(run: &Run, at: usize) -> String {
    match run.hub.config().servers.get(at) {
        Some(server) => {
            let at = match &server.reach {
                Reach::Stdio(command) => &command.program,
                Reach::Http(remote) => remote.shown(),
            };
            format!("`{}` ({})", server.key, printable::line(at))
        }
        None => String::new(),
    }
}
