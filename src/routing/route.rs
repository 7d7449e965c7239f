//! What to do with a request: which server it is for, or which answer is ours.
//!
//! Pure and total: every request gets exactly one `Route`. Names are looked up in the catalog, never split;
//! URIs carry their server's prefix or are owned by exactly one server. Nothing is ever guessed.

use super::catalog::{Catalog, Entry};
use super::exposure::Pass;
use super::tool_look::Refused;
use super::{template, uris};
use crate::mcp::level::Level;
use crate::mcp::method::{Kind, Method};
use crate::mcp::mirror::Mirrors;
use crate::wire::fault::{self, CallOutcome, Fault, Reason};
use crate::wire::members::{quote, renamed};
use crate::wire::message::{Message, Params, Span, Text};
use crate::wire::splice::splice;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What to do with a request.
#[derive(Debug)]
pub enum Route {
    One(Target),
    Local(Local),
    /// Nobody has it now; a server that has not been heard yet may.
    Unknown(Fault),
    Refuse(Fault),
}

/// Whose request it is, and what must change in it. There is none for what is not shown.
#[derive(Debug)]
pub struct Target {
    /// Which server, and what it calls what is asked for.
    pub pass: Pass,
    /// The request in the server's terms, as a replacement in the client's.
    pub edit: Option<(Span, Bytes)>,
    /// The request that goes in the place of the client's, where it is more than a name that changes.
    pub amended: Option<Box<Message>>,
    /// A tool that can only be called as a task.
    pub needs_task: bool,
    /// A tool that says that it changes nothing.
    pub reads_only: bool,
    /// Which of its arguments stand in headers as well.
    pub mirrors: Option<Arc<Mirrors>>,
}

/// What we answer ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Local {
    Ping,
    List(Kind),
    /// A completion for something whose server completes nothing.
    NoCompletions,
    /// From this level on the client wants to hear what its servers log.
    SetLevel(Level),
}

/// `method` is the message's own, already parsed.
pub fn route(catalog: &Catalog, method: Method, request: &Message) -> Route {
    let empty = Params::default();
    let params = request.params().unwrap_or(&empty);
    match method {
        Method::Ping => Route::Local(Local::Ping),
        Method::List(kind) => Route::Local(Local::List(kind)),
        Method::ToolsCall => by_name(catalog, Kind::Tools, request, params.name.as_ref()),
        Method::PromptsGet => by_name(catalog, Kind::Prompts, request, params.name.as_ref()),
        Method::ResourcesRead | Method::Subscribe | Method::Unsubscribe => {
            by_uri(catalog, request, params.uri.as_ref())
        }
        Method::Complete => by_reference(catalog, request, params),
        Method::SetLevel => level(request, params.level.as_ref()),
        // What only a server may ask is no method of ours either.
        Method::Initialize
        | Method::Initialized
        | Method::Ask(_)
        | Method::Cancelled
        | Method::Progress
        | Method::Log
        | Method::Updated
        | Method::RootsChanged
        | Method::ElicitationComplete
        | Method::ListChanged(_)
        | Method::Discover
        | Method::Listen
        | Method::Acknowledged
        | Method::Task
        | Method::Other => Route::Refuse(Fault::method_not_found(request.method().unwrap_or_default())),
    }
}

/// An unknown level is refused with -32602 (2025-11-25, server/utilities/logging, error handling).
fn level(request: &Message, level: Option<&Text>) -> Route {
    match level.and_then(|level| Level::parse(level.as_str(request))) {
        Some(level) => Route::Local(Local::SetLevel(level)),
        None => {
            let known = Level::ALL.map(Level::as_str).join(", ");
            Route::Refuse(Fault::invalid_params(format!("`params.level` must be one of {known}")))
        }
    }
}

fn by_name(catalog: &Catalog, kind: Kind, request: &Message, name: Option<&Text>) -> Route {
    let Some(name) = name else {
        return Route::Refuse(Fault::invalid_params("`params.name` must be a string"));
    };
    let said = name.as_str(request);
    let what = if kind == Kind::Tools { "tool" } else { "prompt" };
    if let Some(entry) = catalog.exposed(kind, said) {
        return to_entry(catalog, entry, request, name, said);
    }
    // Bundled apps call their own server's tools by the names they know.
    let mut owners = catalog.owned(kind, said);
    match (owners.next(), owners.next()) {
        (Some(entry), None) => to_entry(catalog, entry, request, name, said),
        (Some(first), Some(second)) => Route::Refuse(Fault::invalid_params(format!(
            "{what} `{}` is offered by more than one server; say `{}` or `{}`",
            brief(said),
            first.exposed,
            second.exposed
        ))),
        (None, _) => Route::Unknown(Fault::invalid_params(format!("unknown {what}: {}", brief(said)))),
    }
}

fn by_uri(catalog: &Catalog, request: &Message, uri: Option<&Text>) -> Route {
    let Some(uri) = uri else {
        return Route::Refuse(Fault::invalid_params("`params.uri` must be a string"));
    };
    let said = uri.as_str(request);
    match owner(catalog, said) {
        Owner::One(pass) => Route::One(addressed(pass, request, uri, said)),
        Owner::Many(servers) => Route::Refuse(ambiguous(catalog, said, &servers)),
        Owner::None => Route::Unknown(not_found(said)),
    }
}

fn by_reference(catalog: &Catalog, request: &Message, params: &Params) -> Route {
    let reference = params.reference.as_ref();
    let route = match reference.map(|reference| (&reference.name, &reference.uri)) {
        Some((Some(name), None)) => by_name(catalog, Kind::Prompts, request, Some(name)),
        Some((_, Some(uri))) => by_uri(catalog, request, Some(uri)),
        Some((None, None)) | None => {
            return Route::Refuse(Fault::invalid_params("`params.ref` must name a prompt or a resource"));
        }
    };
    match route {
        Route::One(target) if !catalog.completes(target.pass.server()) => Route::Local(Local::NoCompletions),
        Route::One(_) | Route::Local(_) | Route::Unknown(_) | Route::Refuse(_) => route,
    }
}

fn to_entry(catalog: &Catalog, entry: &Entry, request: &Message, name: &Text, said: &str) -> Route {
    let mut target = target(entry, request, name, said);
    let Some(look) = &entry.look else { return Route::One(target) };
    let arguments = match look.arguments(request) {
        Ok(arguments) => arguments,
        Err(refused) => return Route::Refuse(not_passed(catalog, entry, &refused)),
    };
    if let Some(arguments) = arguments {
        let mut edits: Vec<_> = target.edit.take().into_iter().chain([arguments]).collect();
        let Ok(amended) = Message::parse_server(splice(request.text(), &mut edits)) else {
            return Route::Refuse(Fault::ours(Reason::Internal, "arguments could not be put in"));
        };
        target.amended = Some(Box::new(amended));
    }
    Route::One(target)
}

fn target(entry: &Entry, request: &Message, name: &Text, said: &str) -> Target {
    let edit =
        (said != &*entry.own).then(|| renamed(name.span(), request.str(name.span()), said, &entry.own));
    Target {
        pass: entry.pass().clone(),
        edit,
        amended: None,
        needs_task: entry.needs_task,
        reads_only: entry.reads_only,
        mirrors: entry.mirrors.clone(),
    }
}

fn addressed(pass: Pass, request: &Message, uri: &Text, said: &str) -> Target {
    let own = pass.own();
    let edit = (said != &**own).then(|| renamed(uri.span(), request.str(uri.span()), said, own));
    Target { pass, edit, amended: None, needs_task: false, reads_only: false, mirrors: None }
}

enum Owner {
    One(Pass),
    Many(Vec<usize>),
    None,
}

/// Whose a URI is: who lists it, then whose prefix it has, then who must own it as it stands. Each question is
/// put to all servers, and the first that any of them answers decides: one owner or a refusal. A server by which the URI is
/// not to be seen does not answer.
fn owner(catalog: &Catalog, said: &str) -> Owner {
    let listed = [Kind::Resources, Kind::Templates].into_iter().find_map(|kind| catalog.exposed(kind, said));
    if let Some(entry) = listed {
        return Owner::One(entry.pass().clone());
    }
    // A link in a tool's result may lead to a server that declares no resources: its prefix counts all the same.
    let prefixed = catalog.maps().find_map(|(server, map)| map.own(said).map(|own| (server, own)));
    if let Some((server, own)) = prefixed {
        return catalog.admits(server, &own).map_or(Owner::None, Owner::One);
    }
    let lists = |kind| catalog.owned(kind, said).map(|entry| entry.server).collect::<BTreeSet<_>>();
    let templates = || {
        let matching = catalog.entries(Kind::Templates).iter().filter(|e| template::matches(&e.own, said));
        matching.map(|entry| entry.server).collect()
    };
    let questions: [&dyn Fn() -> BTreeSet<usize>; 4] =
        [&|| lists(Kind::Resources), &|| lists(Kind::Templates), &templates, &|| same_scheme(catalog, said)];
    for question in questions {
        let mut passes: Vec<Pass> =
            question().into_iter().filter_map(|server| catalog.admits(server, said).ok()).collect();
        match (passes.pop(), passes.is_empty()) {
            (None, _) => {}
            (Some(one), true) => return Owner::One(one),
            (Some(last), false) => {
                passes.push(last);
                return Owner::Many(passes.iter().map(Pass::server).collect());
            }
        }
    }
    // Nothing points at anybody: it can only be the server's that is alone in having resources.
    let mut all = catalog.resource_servers();
    match (all.next(), all.next()) {
        (Some(only), None) => catalog.admits(only, said).map_or(Owner::None, Owner::One),
        _ => Owner::None,
    }
}

/// Servers that list a resource or template of the scheme of `said`.
fn same_scheme(catalog: &Catalog, said: &str) -> BTreeSet<usize> {
    let Some(scheme) = uris::scheme(said) else { return BTreeSet::new() };
    let of_scheme = |entry: &&Entry| uris::scheme(&entry.own).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
    let kinds = [Kind::Resources, Kind::Templates].into_iter();
    kinds.flat_map(|kind| catalog.entries(kind).iter().filter(of_scheme)).map(|entry| entry.server).collect()
}

/// The code that the handshake revisions have for it (2025-11-25, server/resources, error handling).
fn not_found(said: &str) -> Fault {
    Fault::plain(-32002, format!("resource not found: {}", brief(said)))
        .data(format!(r#"{{"uri":{}}}"#, quote(said)))
}

/// Refused rather than overwritten: a client that believes to have said where something is done must not be told that it
/// was done.
fn not_passed(catalog: &Catalog, entry: &Entry, refused: &Refused) -> Fault {
    let (key, tool) = (catalog.key(entry.server).unwrap_or_default(), &entry.exposed);
    let text = match refused {
        Refused::Taken(argument) => {
            format!("{key}: `{tool}` takes no argument `{}` from clients; leave it out", brief(argument))
        }
        Refused::Variant(said) => {
            format!("{key}: `{tool}` takes no `params.{}`; write `params.arguments`", brief(said))
        }
    };
    Fault::ours(Reason::Refused, text).server(key).outcome(CallOutcome::NotSent)
}

fn ambiguous(catalog: &Catalog, said: &str, servers: &[usize]) -> Fault {
    let forms = servers.iter().filter_map(|server| catalog.uris(*server));
    let forms: BTreeSet<String> = forms.map(|map| format!("`{}`", map.expose(said))).take(4).collect();
    let forms: Vec<String> = forms.into_iter().collect();
    Fault::invalid_params(format!(
        "resource `{}` may belong to more than one server; say {}",
        brief(said),
        forms.join(" or ")
    ))
}

/// A peer's text within our sentence: no longer than a line.
fn brief(text: &str) -> &str {
    fault::brief(text, BRIEF_CHARS_MAX)
}

const BRIEF_CHARS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Names, Prefix, Uris};
    use crate::mcp::capabilities::Capabilities;
    use crate::routing::catalog::Offer;
    use crate::routing::names::NamePlan;
    use crate::wire::caps::Caps;
    use crate::wire::splice::splice;

    /// Two servers with resources, and no lists heard yet.
    fn catalog() -> Catalog {
        let servers = [("a", &Prefix::Key, Uris::Prefixed), ("b", &Prefix::Key, Uris::Prefixed)];
        let offer = Offer { capabilities: Capabilities::read(r#"{"resources":{}}"#), ..Offer::default() };
        Catalog::merge(&NamePlan::new(&Names::default(), &servers), &[offer.clone(), offer], 10)
    }

    fn routed(text: &str) -> (Message, Route) {
        let request =
            Message::parse_client(Bytes::copy_from_slice(text.as_bytes()), Caps::default()).unwrap();
        let route = route(&catalog(), Method::parse(request.method().unwrap()), &request);
        (request, route)
    }

    #[test]
    fn a_subscription_goes_where_the_resource_is_read() {
        for method in ["resources/read", "resources/subscribe", "resources/unsubscribe"] {
            let text =
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"uri":"b+demo://x"}}}}"#);
            let (request, Route::One(mut target)) = routed(&text) else { panic!("{method}") };
            assert_eq!((target.pass.server(), &**target.pass.own()), (1, "demo://x"));
            assert_eq!(splice(request.text(), target.edit.as_mut_slice()), text.replace("b+", ""));
        }
    }

    #[test]
    fn a_level_is_ours_to_keep_and_an_unknown_one_is_refused() {
        let ask = |params: &str| {
            routed(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{params}}}"#)).1
        };
        let known = ask(r#"{"level":"warning"}"#);
        assert!(matches!(known, Route::Local(Local::SetLevel(Level::Warning))), "{known:?}");
        for params in [r#"{"level":"warn"}"#, r#"{"level":3}"#, "{}"] {
            let Route::Refuse(fault) = ask(params) else { panic!("{params}") };
            assert_eq!(fault.code, -32602);
            assert!(fault.text.contains("debug, info, notice, warning, error, critical, alert, emergency"));
        }
    }

    #[test]
    fn what_only_servers_ask_is_no_method_of_ours() {
        for method in ["roots/list", "sampling/createMessage", "elicitation/create"] {
            let (_, Route::Refuse(fault)) =
                routed(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#))
            else {
                panic!("{method}")
            };
            assert_eq!(fault.code, -32601);
        }
    }
}
