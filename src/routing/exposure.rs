//! What a door shows of one server, and the proof that something is shown.
//!
//! Made of the configuration alone: filters of the server, filters of the group whose door it is, what the rules of
//! `[access]` give whoever comes, and what single tools look like. Owns the only way to a [`Pass`], without which no request reaches a server. It knows own names and own URIs, no
//! exposed ones, and keeps no lists.

use super::access::Share;
use super::glob::Glob;
use super::item::Item;
use super::normal_uri::{bare, is_devious, spellings};
use super::tool_look::ToolLook;
use crate::config::{AccessRule, Filter, Filters, Group, ServerConfig, toml_key};
use crate::mcp::method::Kind;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What a door shows of one server. A server of which everything is shown as it is needs none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Exposure {
    key: Box<str>,
    /// The server's own, and the door's: an item is shown if all of them show it.
    rules: Vec<Rules>,
    /// And one of these does; `None`: whoever comes is given all of it.
    given: Option<Vec<Arc<Rules>>>,
    tools: Arc<BTreeMap<Box<str>, ToolRule>>,
}

/// A place in the configuration that says what is shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rules {
    /// `servers.github`, `groups.dev`, `access.readers`.
    place: Box<str>,
    scope: Scope,
    tools: Patterns,
    prompts: Patterns,
    resources: Patterns,
    read_only: bool,
}

/// What a pattern is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Scope {
    /// An own name or URI.
    Own,
    /// The same with its server's key and a slash before it.
    Keyed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Patterns {
    /// Nothing is ever hidden by them.
    is_open: bool,
    allow: Vec<Pattern>,
    deny: Vec<Pattern>,
}

/// A pattern, and how spellings of URIs would be spelt that it means.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Pattern {
    written: Glob,
    respelt: Vec<Glob>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ToolRule {
    enabled: bool,
    look: Option<Arc<ToolLook>>,
}

/// Proof that what a request is for is shown by the door it came by. Only an exposure's judgement makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    server: usize,
    own: Arc<str>,
    /// The tool that a task belongs to.
    tool: Option<Arc<str>>,
}

/// Why something is not shown: the setting that hides it, and what of it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    setting: Box<str>,
    rule: Rule,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    Denied(Box<str>),
    NotAllowed,
    NotReadOnly,
    Disabled,
    /// Each of several rules that are for whoever asks has its own reason.
    NotGiven,
    /// A URI that only a template leads to which is not shown.
    Template(Box<str>),
    TooLong,
    /// A URI with steps that one reader takes otherwise than another.
    Devious,
    /// A task of a tool whose name nobody knows any more.
    Nameless,
}

impl Pass {
    /// The server's place in the configuration.
    pub fn server(&self) -> usize {
        self.server
    }

    /// What the server calls what is asked for.
    pub fn own(&self) -> &Arc<str> {
        &self.own
    }

    /// The tool that it is about, if it is about one: what is asked for, or what the task was made by.
    pub fn tool(&self) -> &Arc<str> {
        self.tool.as_ref().unwrap_or(&self.own)
    }

    /// To an item that its server lists.
    pub(super) fn to_item(
        exposure: Option<&Exposure>,
        server: usize,
        kind: Kind,
        item: &Item,
    ) -> Result<Self, Why> {
        if let Some(exposure) = exposure {
            exposure.judge(kind, item.own(), || item.says_read_only())?;
        }
        Ok(Self { server, own: item.own().into(), tool: None })
    }

    /// To a URI, be it in a list or not.
    pub(super) fn to_uri(exposure: Option<&Exposure>, server: usize, own: &str) -> Result<Self, Why> {
        if let Some(exposure) = exposure {
            exposure.judge(Kind::Resources, own, || false)?;
        }
        Ok(Self { server, own: own.into(), tool: None })
    }

    /// To a task of a tool, whether that is still listed or not. Of a tool without a name it is shown where no tool is hidden.
    /// `is_shown`: it is, to whoever asks.
    pub(super) fn to_task(
        exposure: Option<&Exposure>,
        server: usize,
        own: &str,
        tool: &str,
        is_shown: bool,
    ) -> Result<Self, Why> {
        if let Some(exposure) = exposure.filter(|_| !is_shown) {
            // What it said of itself nobody knows any more.
            exposure.judge(Kind::Tools, tool, || false)?;
            // No pattern would match a name that was too long to be kept (`TaskId::tool`).
            if tool.is_empty() {
                exposure.judge_nameless()?;
            }
        }
        Ok(Self { server, own: own.into(), tool: Some(tool.into()) })
    }
}

impl Exposure {
    /// Of a server by the door to all, or by a group's. `None`: everything is shown as it is.
    pub fn new(server: &ServerConfig, group: Option<&Group>) -> Option<Arc<Self>> {
        Self::given(server, group, &Share::All)
    }

    /// The same for somebody who is given this of it.
    pub fn given(server: &ServerConfig, group: Option<&Group>, share: &Share) -> Option<Arc<Self>> {
        let own = Rules::new(format!("servers.{}", toml_key(&server.key)), Scope::Own, &server.filters);
        let door = group.and_then(|group| {
            Rules::new(format!("groups.{}", toml_key(&group.name)), Scope::Keyed, &group.filters)
        });
        let tools: BTreeMap<Box<str>, ToolRule> = server
            .tools
            .iter()
            .map(|(name, config)| {
                let look = ToolLook::new(config).map(Arc::new);
                (name.as_str().into(), ToolRule { enabled: config.enabled, look })
            })
            .filter(|(_, rule): &(_, ToolRule)| !rule.enabled || rule.look.is_some())
            .collect();
        let rules: Vec<Rules> = own.into_iter().chain(door).collect();
        let given = match share {
            Share::All => None,
            Share::Part(rules) => Some(rules.clone()),
        };
        (!rules.is_empty() || !tools.is_empty() || given.is_some())
            .then(|| Arc::new(Self { key: server.key.as_str().into(), rules, given, tools: Arc::new(tools) }))
    }

    /// Whether whoever comes is given less than the server's own settings and the door show.
    pub fn is_given_in_part(&self) -> bool {
        self.given.is_some()
    }

    /// Whether a resource is shown, as far as its URI says.
    #[cfg(test)]
    fn shows_uri(&self, own: &str) -> bool {
        self.judge(Kind::Resources, own, || false).is_ok()
    }

    /// Whether any resource may be hidden.
    pub(super) fn filters_resources(&self) -> bool {
        let is_open = |rules: &Arc<Rules>| rules.resources.is_open;
        self.rules.iter().any(|rules| !rules.resources.is_open)
            || self.given.as_ref().is_some_and(|given| !given.iter().any(is_open))
    }

    /// How a tool looks, if not as its server wrote it.
    pub(super) fn look(&self, tool: &str) -> Option<&Arc<ToolLook>> {
        self.tools.get(tool)?.look.as_ref()
    }

    /// Why a URI is not shown that only this template leads to, which itself is not.
    pub(super) fn by_template(why: &Why, template: &str) -> Why {
        Why { setting: why.setting.clone(), rule: Rule::Template(template.into()) }
    }

    /// By name or URI, and by what a tool says of itself.
    fn judge(&self, kind: Kind, own: &str, says_read_only: impl Fn() -> bool) -> Result<(), Why> {
        if kind == Kind::Tools && self.tools.get(own).is_some_and(|tool| !tool.enabled) {
            let setting = format!("servers.{}.tool.{}.enabled", toml_key(&self.key), toml_key(own));
            return Err(Why { setting: setting.into(), rule: Rule::Disabled });
        }
        self.rules.iter().try_for_each(|rules| rules.judge(kind, &self.key, own))?;
        self.rules.iter().try_for_each(|rules| rules.judge_hint(kind, &says_read_only))?;
        self.judge_given(|rules| {
            rules.judge(kind, &self.key, own).and_then(|()| rules.judge_hint(kind, &says_read_only))
        })
    }

    /// Whether one of the rules for whoever asks gives it.
    fn judge_given(&self, judge: impl Fn(&Rules) -> Result<(), Why>) -> Result<(), Why> {
        let Some(given) = &self.given else { return Ok(()) };
        let mut why = None;
        for rules in given {
            match judge(rules) {
                Ok(()) => return Ok(()),
                Err(other) => why = Some(other),
            }
        }
        let places: Vec<&str> = given.iter().map(|rules| &*rules.place).collect();
        let setting = places.join("`, `").into();
        Err(why.filter(|_| given.len() == 1).unwrap_or(Why { setting, rule: Rule::NotGiven }))
    }

    fn judge_nameless(&self) -> Result<(), Why> {
        let has_disabled = self.tools.values().any(|tool| !tool.enabled);
        self.rules.iter().try_for_each(Rules::judge_nameless)?;
        if has_disabled {
            let setting = format!("servers.{}.tool", toml_key(&self.key)).into();
            return Err(Why { setting, rule: Rule::Nameless });
        }
        self.judge_given(Rules::judge_nameless)
    }
}

impl Rules {
    /// `None`: they show everything.
    fn new(place: String, scope: Scope, filters: &Filters) -> Option<Self> {
        (!filters.are_open()).then(|| Self {
            place: place.into(),
            scope,
            tools: Patterns::of_names(&filters.tools),
            prompts: Patterns::of_names(&filters.prompts),
            resources: Patterns::of_uris(&filters.resources, scope),
            read_only: filters.read_only,
        })
    }

    /// Those of a rule of `[access]`; `None`: they show everything.
    pub(super) fn of_access(rule: &AccessRule) -> Option<Arc<Self>> {
        let place = format!("access.{}", toml_key(&rule.name));
        Self::new(place, Scope::Keyed, &rule.filters).map(Arc::new)
    }

    /// Whether they can show anything of a server, whatever it lists.
    pub(super) fn may_show(&self, key: &str) -> bool {
        let beginning = self.scope.of(key, "");
        let may = |patterns: &Patterns| {
            patterns.allow.iter().any(|pattern| pattern.written.may_begin_uri(&beginning))
        };
        [&self.tools, &self.prompts, &self.resources].into_iter().any(may)
    }

    fn judge_hint(&self, kind: Kind, says_read_only: impl Fn() -> bool) -> Result<(), Why> {
        if !self.read_only || kind != Kind::Tools || says_read_only() {
            return Ok(());
        }
        Err(Why { setting: format!("{}.read_only", self.place).into(), rule: Rule::NotReadOnly })
    }

    fn judge_nameless(&self) -> Result<(), Why> {
        match self.tools.is_open {
            true => self.judge_hint(Kind::Tools, || false),
            false => Err(Why { setting: format!("{}.tools", self.place).into(), rule: Rule::Nameless }),
        }
    }

    fn judge(&self, kind: Kind, key: &str, own: &str) -> Result<(), Why> {
        let (patterns, member) = match kind {
            Kind::Tools => (&self.tools, "tools"),
            Kind::Prompts => (&self.prompts, "prompts"),
            Kind::Resources | Kind::Templates => (&self.resources, "resources"),
        };
        if patterns.is_open {
            return Ok(());
        }
        let judged = match kind {
            Kind::Tools | Kind::Prompts => {
                let name = self.scope.of(key, own);
                let matches = |pattern: &Pattern| pattern.written.matches(&name);
                patterns.judge(matches, matches)
            }
            Kind::Resources | Kind::Templates => patterns.judge_uri(self.scope, key, own),
        };
        judged.map_err(|rule| {
            let list = match rule {
                Rule::Denied(_) => ".deny",
                Rule::NotAllowed => ".allow",
                Rule::NotReadOnly
                | Rule::Disabled
                | Rule::NotGiven
                | Rule::Template(_)
                | Rule::TooLong
                | Rule::Devious
                | Rule::Nameless => "",
            };
            Why { setting: format!("{}.{member}{list}", self.place).into(), rule }
        })
    }
}

impl Scope {
    fn of(self, key: &str, own: &str) -> String {
        match self {
            Self::Own => own.to_owned(),
            Self::Keyed => format!("{key}/{own}"),
        }
    }
}

impl Patterns {
    fn of_names(filter: &Filter) -> Self {
        Self::new(filter, |_| Vec::new())
    }

    fn of_uris(filter: &Filter, scope: Scope) -> Self {
        Self::new(filter, |pattern| respelt(scope, pattern))
    }

    fn new(filter: &Filter, respelt: impl Fn(&str) -> Vec<Glob>) -> Self {
        let pattern = |text: &String| Pattern { written: Glob::new(text), respelt: respelt(text) };
        let patterns = |texts: &[String]| texts.iter().map(pattern).collect();
        Self { is_open: filter.is_open(), allow: patterns(&filter.allow), deny: patterns(&filter.deny) }
    }

    fn judge(
        &self,
        denies: impl Fn(&Pattern) -> bool,
        allows: impl Fn(&Pattern) -> bool,
    ) -> Result<(), Rule> {
        if let Some(pattern) = self.deny.iter().find(|pattern| denies(pattern)) {
            return Err(Rule::Denied(pattern.written.as_str().into()));
        }
        if self.allow.iter().any(allows) { Ok(()) } else { Err(Rule::NotAllowed) }
    }

    /// A URI is hidden if it is in any of its spellings, and shown only if it is in all.
    fn judge_uri(&self, scope: Scope, key: &str, own: &str) -> Result<(), Rule> {
        if own.len() > URI_BYTES_MAX {
            return Err(Rule::TooLong);
        }
        if is_devious(own) {
            return Err(Rule::Devious);
        }
        let written = scope.of(key, own);
        let spellings = spellings(own);
        let others: Vec<String> = spellings.iter().map(|other| scope.of(key, other)).collect();
        let all = std::iter::once(own).chain(spellings.iter().map(String::as_str));
        let bares: Vec<String> = all.map(|other| scope.of(key, bare(other))).collect();
        let denies = |pattern: &Pattern| {
            let is_meant = |uri: &String| pattern.means(uri);
            pattern.written.matches_uri(&written) || others.iter().chain(&bares).any(is_meant)
        };
        self.judge(denies, |pattern| pattern.written.matches_uri(&written))?;
        match others.iter().all(|uri| self.allow.iter().any(|pattern| pattern.means(uri))) {
            true => Ok(()),
            false => Err(Rule::NotAllowed),
        }
    }
}

impl Pattern {
    /// Whether a spelling of a URI is what it means.
    fn means(&self, uri: &str) -> bool {
        std::iter::once(&self.written).chain(&self.respelt).any(|pattern| pattern.matches_uri(uri))
    }
}

/// A pattern as spellings are spelt: one that is written with escapes means what they stand for.
fn respelt(scope: Scope, text: &str) -> Vec<Glob> {
    match (scope, text.split_once('/')) {
        (Scope::Own, _) => spellings(text).iter().map(|other| Glob::new(other)).collect(),
        (Scope::Keyed, Some((key, uri))) => {
            spellings(uri).iter().map(|other| Glob::new(&format!("{key}/{other}"))).collect()
        }
        (Scope::Keyed, None) => Vec::new(),
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let setting = &self.setting;
        match &self.rule {
            Rule::Denied(pattern) => write!(f, "`{setting}` has `{pattern}`"),
            Rule::NotAllowed => write!(f, "no pattern of `{setting}` matches it"),
            Rule::NotReadOnly => {
                write!(
                    f,
                    "`{setting}` is on, and the tool does not say that it changes nothing (`readOnlyHint`)"
                )
            }
            Rule::Disabled => write!(f, "`{setting}` is false"),
            Rule::NotGiven => write!(f, "none of `{setting}` shows it"),
            Rule::Template(template) => {
                write!(f, "only the template `{template}` leads to it, which `{setting}` hides")
            }
            Rule::Devious => {
                write!(
                    f,
                    "its steps up or down end differently for different readers, so `{setting}` hides it"
                )
            }
            Rule::Nameless => {
                write!(f, "the name of its tool is longer than is kept of one, so `{setting}` hides it")
            }
            Rule::TooLong => {
                write!(f, "it is longer than {URI_BYTES_MAX} bytes, which `{setting}` is not held against")
            }
        }
    }
}

/// Where resources are filtered, a longer URI is not shown: each is looked at in several spellings, and by each pattern. Of
/// this length a pattern takes some microseconds, and a millisecond if it is as bad as can be (`*aaa…a?b*`); nobody can
/// subscribe to longer ones either.
const URI_BYTES_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Command, Reach, ToolConfig};
    use bytes::Bytes;
    use proptest::prelude::*;
    use std::path::Path;

    fn server() -> ServerConfig {
        ServerConfig::new("git hub", Reach::Stdio(Command::new("x", Path::new("/"))))
    }

    fn filter(allow: &[&str], deny: &[&str]) -> Filter {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Filter { allow: texts(allow), deny: texts(deny) }
    }

    fn tool(text: &str) -> Item {
        Item::parse(Kind::Tools, Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    fn why(exposure: &Exposure, text: &str) -> Option<String> {
        Pass::to_item(Some(exposure), 0, Kind::Tools, &tool(text)).err().map(|why| why.to_string())
    }

    #[test]
    fn a_server_of_which_nothing_is_said_needs_none() {
        assert_eq!(Exposure::new(&server(), None), None);
        let mut server = server();
        server.tools.insert("t".to_owned(), ToolConfig::default());
        assert_eq!(Exposure::new(&server, Some(&Group::new("g", Vec::new()))), None);
    }

    #[test]
    fn deny_wins_and_each_rule_is_named() {
        let mut server = server();
        server.filters.tools = filter(&["get_*", "delete_*"], &["*_all"]);
        server.filters.read_only = true;
        server.tools.insert("get_old".to_owned(), ToolConfig { enabled: false, ..ToolConfig::default() });
        let exposure = Exposure::new(&server, None).unwrap();
        let reads = r#","annotations":{"readOnlyHint":true}}"#;
        let said = |name: &str, rest: &str| why(&exposure, &format!(r#"{{"name":"{name}"{rest}"#));
        assert_eq!(said("get_one", reads), None);
        let place = "servers.\"git hub\"";
        assert_eq!(said("get_all", reads), Some(format!("`{place}.tools.deny` has `*_all`")));
        assert_eq!(said("set", reads), Some(format!("no pattern of `{place}.tools.allow` matches it")));
        assert_eq!(said("get_old", reads), Some(format!("`{place}.tool.get_old.enabled` is false")));
        for rest in [
            "}",
            r#","annotations":{"readOnlyHint":"true"}}"#,
            r#","annotations":{"readOnlyHint":false}}"#,
            r#","annotations":{"readOnlyHint":true,"readOnlyHint":true}}"#,
        ] {
            let why = said("get_one", rest).unwrap();
            assert!(why.starts_with(&format!("`{place}.read_only` is on")), "{why}");
        }
    }

    #[test]
    fn a_groups_patterns_have_the_server_in_front_and_come_beside_its_own() {
        let mut server = server();
        server.filters.tools = filter(&["*"], &["a"]);
        let mut group = Group::new("dev", Vec::new());
        group.filters.tools = filter(&["git hub/*"], &["*/b"]);
        let exposure = Exposure::new(&server, Some(&group)).unwrap();
        let said = |name: &str| why(&exposure, &format!(r#"{{"name":"{name}"}}"#));
        assert_eq!(said("c"), None);
        assert_eq!(said("a").as_deref(), Some("`servers.\"git hub\".tools.deny` has `a`"));
        assert_eq!(said("b").as_deref(), Some("`groups.dev.tools.deny` has `*/b`"));
        group.filters.tools = filter(&["other/*"], &[]);
        let exposure = Exposure::new(&server, Some(&group)).unwrap();
        assert!(
            why(&exposure, r#"{"name":"c"}"#).unwrap().starts_with("no pattern of `groups.dev.tools.allow`")
        );
    }

    #[test]
    fn no_other_spelling_gets_round_a_filter_of_resources() {
        let mut server = server();
        server.filters.resources =
            filter(&["file:///srv/*", "note://{id}", "x://a%20b"], &["file:///srv/secret*"]);
        let exposure = Exposure::new(&server, None).unwrap();
        for uri in ["file:///srv/a", "file:///srv/a/b?c#d", "note://{id}", "note://7", "x://a%20b"] {
            assert!(exposure.shows_uri(uri), "{uri}");
        }
        for uri in [
            "file:///srv/secret",
            "file:///srv/secrets/1",
            "file:///srv/%73ecret",
            "file:///srv/%2573ecret",
            "file:///srv/a/../secret",
            "file:///srv//secret",
            "file:///srv/../etc/passwd",
            "file:///srv/%2e%2e/etc/passwd",
            "file:///etc/passwd",
            "FILE:///etc/passwd",
            "file://localhost/srv/secret",
            "http://x",
            "note:/x",
        ] {
            assert!(!exposure.shows_uri(uri), "{uri}");
        }
        server.filters.resources = filter(&["*"], &["note://secret", "file:///etc/*"]);
        let mut group = Group::new("dev", Vec::new());
        group.filters.resources = filter(&["*"], &["*/x://hidden"]);
        let exposure = Exposure::new(&server, Some(&group)).unwrap();
        for uri in [
            "note://secret?x",
            "note://secret#x",
            "note://a/../secret",
            "NOTE://secret",
            "note://%73ecret",
            "FILE:///etc/passwd",
            "file:/etc/passwd",
            "x://hidden",
            "X://hidden?a",
        ] {
            assert!(!exposure.shows_uri(uri), "{uri}");
        }
        assert!(exposure.shows_uri("note://secrets") && exposure.shows_uri("x://shown"));
        let long = |bytes: usize| format!("note://{}", "a".repeat(bytes - 7));
        assert!(exposure.shows_uri(&long(URI_BYTES_MAX)) && !exposure.shows_uri(&long(URI_BYTES_MAX + 1)));
    }

    /// One of the ways to write a path otherwise, for each of its characters.
    fn respelt(path: &str, ways: &[u8]) -> String {
        let ways = ways.iter().copied().chain(std::iter::repeat(0));
        let spell = |(c, way): (char, u8)| match (c, way % 5) {
            ('/', 1) => "//".to_owned(),
            ('/', 2) => "/./".to_owned(),
            ('/', 3) => "/x/../".to_owned(),
            (c, 4) => format!("%{:02x}", u32::from(c)),
            (c, 3) => format!("%25{:02X}", u32::from(c)),
            (c, _) => c.to_string(),
        };
        path.chars().zip(ways).map(spell).collect()
    }

    proptest! {
        #[test]
        fn a_file_is_hidden_however_it_is_spelt(
            ways in prop::collection::vec(any::<u8>(), 0..20),
            front in prop::sample::select(vec!["file://", "FILE://", "file://localhost", "file:", "File:///"]),
            end in prop::sample::select(vec!["", "?a=b", "#c", "?../..#/"]),
        ) {
            let uri = format!("{front}{}{end}", respelt("/etc/secret/key", &ways));
            for (allow, deny) in [(&["*"][..], &["file:///etc/secret/key"][..]), (&["file:///srv/*"], &[])] {
                let mut server = server();
                server.filters.resources = filter(allow, deny);
                let exposure = Exposure::new(&server, None).unwrap();
                prop_assert!(!exposure.shows_uri(&uri), "{} {:?} {:?}", uri, allow, deny);
            }
        }

        #[test]
        fn whatever_a_client_writes_is_judged(uri in any::<String>(), pattern in "\\PC{1,20}") {
            let mut server = server();
            server.filters.resources = filter(&["*"], &[&pattern]);
            let mut group = Group::new("dev", Vec::new());
            group.filters.resources = filter(&["*"], &[&format!("*/{pattern}")]);
            for group in [None, Some(&group)] {
                let exposure = Exposure::new(&server, group).unwrap();
                prop_assert!(!exposure.shows_uri(&pattern), "{} hides itself", pattern);
                exposure.shows_uri(&uri);
            }
        }
    }

    /// What rules give of the server.
    fn given(rules: &[AccessRule]) -> Arc<Exposure> {
        let part = rules.iter().map(|rule| Rules::of_access(rule).unwrap()).collect();
        Exposure::given(&server(), None, &Share::Part(part)).unwrap()
    }

    fn access_rule(name: &str, change: impl FnOnce(&mut Filters)) -> AccessRule {
        let mut rule = AccessRule::new(name);
        change(&mut rule.filters);
        rule
    }

    #[test]
    fn what_one_of_several_rules_gives_is_shown() {
        let reads = access_rule("reads", |it| it.read_only = true);
        let named = access_rule("named", |it| {
            it.tools = filter(&["git hub/set_*"], &["*/set_secret"]);
            (it.prompts, it.resources) = (filter(&[], &[]), filter(&["git hub/demo://*"], &[]));
        });
        let both = given(&[reads.clone(), named.clone()]);
        let shows = |exposure: &Exposure, kind, own, hint| exposure.judge(kind, own, || hint);
        for (kind, own, hint, by_reads, by_named) in [
            (Kind::Tools, "get", true, true, false),
            (Kind::Tools, "get", false, false, false),
            (Kind::Tools, "set_x", false, false, true),
            (Kind::Tools, "set_secret", false, false, false),
            (Kind::Tools, "set_secret", true, true, false),
            (Kind::Prompts, "p", false, true, false),
            (Kind::Resources, "demo://1", false, true, true),
            (Kind::Templates, "other://{x}", false, true, false),
        ] {
            let (one, two) = (given(std::slice::from_ref(&reads)), given(std::slice::from_ref(&named)));
            assert_eq!(shows(&one, kind, own, hint).is_ok(), by_reads, "{own}");
            assert_eq!(shows(&two, kind, own, hint).is_ok(), by_named, "{own}");
            assert_eq!(shows(&both, kind, own, hint).is_ok(), by_reads || by_named, "{own}");
        }
        let why = |exposure: &Exposure| shows(exposure, Kind::Tools, "del", false).unwrap_err().to_string();
        assert_eq!(why(&given(&[named])), "no pattern of `access.named.tools.allow` matches it");
        assert_eq!(why(&both), "none of `access.reads`, `access.named` shows it");
    }

    #[test]
    fn a_rule_gives_nothing_that_the_server_or_the_door_hides() {
        let mut server = server();
        server.filters.tools = filter(&["*"], &["x"]);
        let mut group = Group::new("g", vec![server.key.clone()]);
        group.filters.tools = filter(&["*"], &["*/y"]);
        let rules = Rules::of_access(&access_rule("r", |it| it.tools = filter(&["*/?"], &[]))).unwrap();
        let exposure = Exposure::given(&server, Some(&group), &Share::Part(vec![rules])).unwrap();
        let shown = |own: &str| exposure.judge(Kind::Tools, own, || false).is_ok();
        assert_eq!(["x", "y", "z", "zz"].map(shown), [false, false, true, false]);
        assert!(exposure.is_given_in_part() && !exposure.filters_resources());
        let task = |tool| Pass::to_task(Some(&exposure), 0, "t", tool, false).is_ok();
        assert_eq!(["x", "z", "zz", ""].map(task), [false, true, false, false]);
    }

    #[test]
    fn a_rule_may_show_something_of_a_server_if_a_pattern_can_match_there() {
        let may = |tools: &[&str], resources: &[&str]| {
            let rule = access_rule("r", |it| {
                (it.tools, it.prompts) = (filter(tools, &[]), filter(&[], &[]));
                it.resources = filter(resources, &[]);
            });
            Rules::of_access(&rule).unwrap().may_show("git hub")
        };
        assert!(
            may(&["*"], &[]) && may(&["git hub/x"], &[]) && may(&["*/x"], &[]) && may(&[], &["git*/x:*"])
        );
        assert!(!may(&[], &[]) && !may(&["git/x"], &["gitlab/*"]));
    }

    #[test]
    fn a_task_is_shown_as_long_as_its_tool_is() {
        let mut server = server();
        server.filters.tools = filter(&["*"], &["hidden"]);
        let exposure = Exposure::new(&server, None);
        let to = |exposure: &Option<Arc<Exposure>>, tool: &str, is_shown| {
            Pass::to_task(exposure.as_deref(), 3, "task 1", tool, is_shown)
        };
        let pass = to(&exposure, "gone", false).unwrap();
        assert_eq!((pass.server(), &**pass.own(), &**pass.tool()), (3, "task 1", "gone"));
        assert!(to(&exposure, "hidden", false).is_err());
        assert!(to(&None, "hidden", false).is_ok());
        assert!(to(&exposure, "", false).is_err() && to(&exposure, "", true).is_ok());
        let mut other = self::server();
        other.filters.resources = filter(&["*"], &["x*"]);
        assert!(to(&Exposure::new(&other, None), "", false).is_ok());
        other.tools.insert("t".to_owned(), ToolConfig { enabled: false, ..ToolConfig::default() });
        assert!(to(&Exposure::new(&other, None), "", false).is_err());
        server.filters.read_only = true;
        let exposure = Exposure::new(&server, None);
        assert!(to(&exposure, "gone", false).is_err() && to(&exposure, "there", true).is_ok());
    }
}
