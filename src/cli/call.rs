//! `braid call`, `braid read`, `braid prompt`: one request, its result, and an exit code that tells how it went.

use super::exit::Exit;
use super::run::Run;
use super::{Globals, Source, arguments, check, log, out, result, source};
use crate::mcp::method::Kind;
use crate::routing::catalog::Catalog;
use crate::wire::fault::{Fault, Reason};
use crate::wire::members::{member, quote};
use crate::wire::message::{Head, Message, Outcome};
use std::io::Read;

/// What a command line asks for.
struct Ask<'a> {
    method: &'static str,
    kind: Kind,
    name: &'a str,
    given: Given<'a>,
}

/// The arguments as they were given.
enum Given<'a> {
    None,
    Pairs(&'a [String]),
    Json(&'a str),
}

pub(super) fn tool(
    name: &str,
    pairs: &[String],
    json: Option<&str>,
    source: &Source,
    globals: &Globals,
) -> Exit {
    let given = json.map_or(Given::Pairs(pairs), Given::Json);
    run(&Ask { method: "tools/call", kind: Kind::Tools, name, given }, source, globals)
}

pub(super) fn prompt(name: &str, pairs: &[String], source: &Source, globals: &Globals) -> Exit {
    let given = Given::Pairs(pairs);
    run(&Ask { method: "prompts/get", kind: Kind::Prompts, name, given }, source, globals)
}

pub(super) fn resource(uri: &str, source: &Source, globals: &Globals) -> Exit {
    let given = Given::None;
    run(&Ask { method: "resources/read", kind: Kind::Resources, name: uri, given }, source, globals)
}

fn run(ask: &Ask<'_>, from: &Source, globals: &Globals) -> Exit {
    let config = match source::load(from, globals) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let _log = log::start(&config.log, Some("error"), globals);
    Run::with(config, globals, async |run| request(ask, run, globals).await)
}

async fn request(ask: &Ask<'_>, run: &Run, globals: &Globals) -> Exit {
    run.greet_until(|catalog| catalog.exposed(ask.kind, ask.name).is_some()).await;
    // Before anything is sent: who reads this exit code may repeat the call.
    if let Some(why) = check::required_down(run) {
        return out::fail(Exit::Unreachable, &why, globals);
    }
    let params = match params(ask, &run.seat.view().catalog()) {
        Ok(params) => params,
        Err(why) => return out::fail(Exit::Usage, &why, globals),
    };
    match run.request(ask.method, &params).await {
        Ok(response) => shown(ask, &response, globals),
        Err(fault) => failed(&fault, globals),
    }
}

/// The `params` of the request, as JSON.
fn params(ask: &Ask<'_>, catalog: &Catalog) -> Result<String, String> {
    let key = if ask.kind == Kind::Resources { "uri" } else { "name" };
    let name = quote(ask.name);
    let arguments = match &ask.given {
        Given::None => return Ok(format!(r#"{{"{key}":{name}}}"#)),
        Given::Json(text) => object(text)?,
        Given::Pairs([dash]) if dash == "-" => object(&stdin()?)?,
        Given::Pairs(pairs) => {
            let item = catalog.exposed(ask.kind, ask.name).map(|entry| entry.text().clone());
            let item = item.as_deref().and_then(|text| std::str::from_utf8(text).ok());
            let schema = match ask.kind {
                Kind::Tools => item.and_then(|item| member(item, "inputSchema")),
                // Arguments of prompts are strings, whatever they look like (2025-11-25, server/prompts).
                Kind::Prompts | Kind::Resources | Kind::Templates => None,
            };
            let made = match ask.kind {
                Kind::Tools => arguments::object(pairs, schema),
                Kind::Prompts | Kind::Resources | Kind::Templates => arguments::strings(pairs),
            };
            made.map_err(|error| error.to_string())?
        }
    };
    Ok(format!(r#"{{"{key}":{name},"arguments":{arguments}}}"#))
}

fn object(text: &str) -> Result<String, String> {
    arguments::verbatim(text).map_err(|error| error.to_string())
}

fn stdin() -> Result<String, String> {
    let mut text = String::new();
    let read = std::io::stdin().take(STDIN_BYTES_MAX).read_to_string(&mut text);
    read.map(|_| text).map_err(|error| format!("cannot read the arguments from stdin: {error}"))
}

fn shown(ask: &Ask<'_>, response: &Message, globals: &Globals) -> Exit {
    let Head::Response { outcome, .. } = response.head() else {
        return out::fail(Exit::Unexpected, "the answer is no response", globals);
    };
    match outcome {
        Outcome::Result { value, .. } => {
            let text = response.str(*value);
            let exit = match member(text, "isError") {
                Some("true") if ask.kind == Kind::Tools => Exit::ToolError,
                Some(_) | None => Exit::Ok,
            };
            let printed = match globals.json() {
                true => out::print(text),
                false => out::print(&result::text(text)),
            };
            if printed == Exit::Ok { exit } else { printed }
        }
        Outcome::Error { value, .. } => out::fail_with(Exit::ToolError, response.str(*value), globals),
    }
}

fn failed(fault: &Fault, globals: &Globals) -> Exit {
    let exit = match fault.reason {
        Some(Reason::Gone | Reason::Starting | Reason::Unreachable | Reason::Loop) => Exit::Unreachable,
        Some(Reason::Internal) => Exit::Unexpected,
        Some(
            Reason::Timeout
            | Reason::TimeoutMax
            | Reason::Busy
            | Reason::Rate
            | Reason::TooLarge
            | Reason::Refused
            | Reason::Stopping,
        )
        | None => Exit::ToolError,
    };
    match globals.json() {
        true => out::fail_with(exit, &String::from_utf8_lossy(&fault.render_error()), globals),
        false => out::fail(exit, &fault.text, globals),
    }
}

/// Longest arguments that are read from stdin.
const STDIN_BYTES_MAX: u64 = 16 * 1024 * 1024;
