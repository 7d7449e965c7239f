//! `braid explain`: where an exposed name or URI leads and why it is called so, or what a code means.

use super::exit::Exit;
use super::run::Run;
use super::{Globals, Source, explain_code, log, out, printable, source};
use crate::config::Reach;
use crate::config::codes::Code;
use crate::mcp::method::{Kind, Method};
use crate::routing::catalog::Entry;
use crate::routing::names::Change;
use crate::routing::route::{Route, route};
use crate::wire::members::quote;
use crate::wire::message::Message;

pub(super) fn run(what: &str, from: &Source, globals: &Globals) -> Exit {
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
    Run::with(config, globals, async |run| explained(what, run, globals).await)
}

async fn explained(what: &str, run: &Run, globals: &Globals) -> Exit {
    run.greet_until(|catalog| Kind::ALL.into_iter().any(|kind| catalog.exposed(kind, what).is_some())).await;
    let catalog = run.seat.view().catalog();
    let mut text = String::new();
    for kind in Kind::ALL {
        if let Some(entry) = catalog.exposed(kind, what) {
            text.push_str(&sentence(run, kind, entry));
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
                let server = server(run, target.server);
                let (what, own) = (printable::line(what), printable::line(&target.own));
                text = format!("{what}\n  leads to the {noun} `{own}` of {server}; it is in no list\n");
            }
            Route::Refuse(fault) => {
                text = format!("{}\n  {}\n", printable::line(what), printable::line(&fault.text));
            }
            Route::Local(_) | Route::Unknown(_) => {}
        }
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

fn sentence(run: &Run, kind: Kind, entry: &Entry) -> String {
    let noun = match kind {
        Kind::Tools => "tool",
        Kind::Prompts => "prompt",
        Kind::Resources => "resource",
        Kind::Templates => "resource template",
    };
    let why = match (entry.change, *entry.own == *entry.exposed) {
        (Change::None, true) => "it has the name that its server gives it".to_owned(),
        (Change::None, false) => "it is called so because names begin with their server's".to_owned(),
        (Change::Sanitised, _) => "characters that some clients refuse became `_` (BRAID-N001)".to_owned(),
        (Change::Collided, _) => {
            "something else has the plain name too, so it got a hash or a prefix (BRAID-N002)".to_owned()
        }
        (Change::Duplicate, _) => "its server lists this name more than once (BRAID-N002)".to_owned(),
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
