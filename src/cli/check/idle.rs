//! What the configuration says of things that no server has: patterns that match nothing, tools and arguments that are not
//! there. Most are misspelt, and a filter that is misspelt hides nothing.
//!
//! Judges only servers that were heard. A pattern that several servers share, because it stands in `[defaults]`, has to match
//! at one of them.

use super::super::run::Run;
use super::report::Finding;
use crate::config::codes::Code;
use crate::config::pattern::matches;
use crate::config::schema::nearest;
use crate::config::{Filter, Filters, ServerConfig, ToolConfig, toml_key};
use crate::hub::views::Standing;
use crate::mcp::method::Kind;
use crate::routing::catalog::Catalog;
use crate::routing::glob::Glob;
use crate::routing::item::Item;
use crate::wire::members::{elements, member, members, string};

/// One warning each.
pub(super) fn findings(run: &Run, catalog: &Catalog) -> Vec<Finding> {
    let standings = run.seat.view().watch_standings();
    let heard = standings.borrow().iter().map(|standing| *standing == Standing::Heard).collect();
    let heard = Heard { servers: &run.hub.config().servers, catalog, heard };
    let mut findings = Vec::new();
    for (at, server) in heard.servers.iter().enumerate().filter(|(at, _)| heard.is_heard(*at)) {
        let idle = patterns(&server.filters).filter(|pattern| heard.is_idle(at, *pattern));
        let place = format!("servers.{}", toml_key(&server.key));
        findings.extend(idle.map(|pattern| idle_at(Some(&server.key), &place, pattern)));
        findings
            .extend(server.tools.iter().flat_map(|(name, tool)| of_tool(catalog, at, server, name, tool)));
    }
    for group in &run.hub.config().groups {
        let idle = patterns(&group.filters).filter(|pattern| heard.is_idle_in(&group.servers, *pattern));
        let place = format!("groups.{}", toml_key(&group.name));
        findings.extend(idle.map(|pattern| idle_at(None, &place, pattern)));
    }
    for rule in &run.access {
        let is_its = |server: &&ServerConfig| rule.servers.iter().any(|it| matches(it, &server.key));
        let servers: Vec<String> = heard.servers.iter().filter(is_its).map(|it| it.key.clone()).collect();
        let idle = patterns(&rule.filters).filter(|pattern| heard.is_idle_in(&servers, *pattern));
        let place = format!("access.{}", toml_key(&rule.name));
        findings.extend(idle.map(|pattern| idle_at(None, &place, pattern)));
    }
    findings
}

/// Kind, list and text of a pattern.
type Pattern<'a> = (Kind, &'static str, &'a str);

/// All patterns; those that match anything are no news.
fn patterns(filters: &Filters) -> impl Iterator<Item = Pattern<'_>> {
    let kinds: [(_, &Filter); 3] = [
        (Kind::Tools, &filters.tools),
        (Kind::Prompts, &filters.prompts),
        (Kind::Resources, &filters.resources),
    ];
    kinds.into_iter().flat_map(|(kind, filter)| {
        let lists = [("allow", &filter.allow), ("deny", &filter.deny)].into_iter();
        let each =
            lists.flat_map(move |(list, patterns)| patterns.iter().map(move |it| (kind, list, it.as_str())));
        each.filter(|(_, _, pattern)| *pattern != "*")
    })
}

fn idle_at(server: Option<&str>, place: &str, (kind, list, pattern): Pattern<'_>) -> Finding {
    let text =
        format!("`{place}.{}.{list}` has `{pattern}`, which matches nothing that there is", kind.member());
    Finding::warning(server, Code::PatternIdle, text)
}

/// The servers, and which of them have said what they have.
struct Heard<'a> {
    servers: &'a [ServerConfig],
    catalog: &'a Catalog,
    heard: Vec<bool>,
}

impl Heard<'_> {
    fn is_heard(&self, at: usize) -> bool {
        self.heard.get(at).copied().unwrap_or_default()
    }

    /// Whether a pattern of this server, and of those that share it, matches nothing. The first of them speaks for all.
    fn is_idle(&self, at: usize, pattern: Pattern<'_>) -> bool {
        let shares = |server: &ServerConfig| patterns(&server.filters).any(|other| other == pattern);
        let mut sharing = self.servers.iter().enumerate().filter(|(_, server)| shares(server)).peekable();
        sharing.peek().is_some_and(|(first, _)| *first == at)
            && sharing.all(|(at, _)| self.is_heard(at) && !self.matches(at, pattern, ""))
    }

    /// The same of a pattern of a group.
    fn is_idle_in(&self, members: &[String], pattern: Pattern<'_>) -> bool {
        let mut members = self.servers.iter().enumerate().filter(|(_, server)| members.contains(&server.key));
        members
            .all(|(at, server)| self.is_heard(at) && !self.matches(at, pattern, &format!("{}/", server.key)))
    }

    /// Whether a pattern matches anything that a server lists, with `front` before it.
    fn matches(&self, at: usize, (kind, _, pattern): Pattern<'_>, front: &str) -> bool {
        let glob = Glob::new(pattern);
        let (kinds, is_uri): (&[Kind], _) = match kind {
            Kind::Tools => (&[Kind::Tools], false),
            Kind::Prompts => (&[Kind::Prompts], false),
            Kind::Resources | Kind::Templates => (&[Kind::Resources, Kind::Templates], true),
        };
        let items = kinds.iter().flat_map(|kind| self.catalog.items(*kind, at));
        let mut names = items.map(|item| format!("{front}{}", item.own()));
        names.any(|name| if is_uri { glob.matches_uri(&name) } else { glob.matches(&name) })
    }
}

fn of_tool(
    catalog: &Catalog,
    at: usize,
    server: &ServerConfig,
    name: &str,
    tool: &ToolConfig,
) -> Vec<Finding> {
    let place = format!("servers.{}.tool.{}", toml_key(&server.key), toml_key(name));
    let tools = catalog.items(Kind::Tools, at);
    let Some(item) = tools.iter().find(|item| item.own() == name) else {
        let near = meant(name, tools.iter().map(Item::own));
        let text = format!("`{place}` is of a tool that `{}` does not have{near}", server.key);
        return vec![Finding::warning(Some(&server.key), Code::NoSuchTool, text)];
    };
    let text = std::str::from_utf8(item.text()).unwrap_or_default();
    let schema = member(text, "inputSchema").unwrap_or_default();
    let properties = member(schema, "properties").and_then(members).unwrap_or_default();
    let required = member(schema, "required").and_then(elements).unwrap_or_default();
    let is_there = |argument: &str| properties.iter().any(|property| property.key == argument);
    let is_required =
        |argument: &str| required.iter().any(|raw| string(raw).is_some_and(|it| it == argument));
    let has_default = |argument: &str| tool.defaults.iter().any(|(name, _)| name == argument);
    let not_there = |list: &str, argument: &str| {
        let near = meant(argument, properties.iter().map(|property| property.key.as_ref()));
        format!("`{place}.{list}` names `{argument}`, which the tool does not take{near}")
    };
    let defaults = tool.defaults.iter().filter(|(argument, _)| !is_there(argument));
    let defaults = defaults.map(|(argument, _)| not_there("defaults", argument));
    let hidden = tool.hidden.iter().filter_map(|argument| match is_there(argument) {
        false => Some(not_there("hidden", argument)),
        true if is_required(argument) && !has_default(argument) => Some(format!(
            "`{place}.hidden` has `{argument}`, which every call needs: give it a value in `defaults`"
        )),
        true => None,
    });
    let all = defaults.chain(hidden);
    all.map(|text| Finding::warning(Some(&server.key), Code::NoSuchArgument, text)).collect()
}

/// The end of a sentence about a name that is not there.
fn meant<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}
