//! Who may use what: the rules of `[access]`, and what all that are for somebody give together.
//!
//! Made of the configuration alone. It says what of a server somebody is given; that nothing else is shown or reached is
//! `exposure`'s affair, which is given the answer. Where there is no rule there is nothing of this.

use super::exposure::Rules;
use super::glob::Glob;
use crate::config::{AccessRule, Config, ServerConfig};
use crate::mcp::caller::{Principal, Scopes};
use std::sync::Arc;

/// The rules of a configuration.
#[derive(Debug)]
pub struct Access {
    /// `None`: it has none, and whoever is let in may use everything, but for what is below.
    rules: Option<Vec<Rule>>,
    /// There are servers that those do not see who say nothing of who they are.
    keeps_out_anonymous: bool,
}

/// One rule.
#[derive(Debug)]
struct Rule {
    name: Box<str>,
    principals: Vec<Glob>,
    scopes: Vec<Box<str>>,
    servers: Vec<Glob>,
    /// Empty: by every door.
    groups: Vec<Glob>,
    /// `None`: everything.
    shows: Option<Arc<Rules>>,
}

/// What somebody has of the rules: two who have the same are shown the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rights {
    /// The rules that are for them, by place; `None`: there are no rules.
    rules: Option<Arc<[usize]>>,
    is_anonymous: bool,
}

/// A way in, as far as rules tell ways apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door<'a> {
    /// To every server, or to one alone.
    Open,
    Group(&'a str),
}

/// What of one server somebody is given who is given any of it.
#[derive(Debug, Clone)]
pub enum Share {
    All,
    /// What one of these shows.
    Part(Vec<Arc<Rules>>),
}

impl Access {
    /// `None`: everybody may use everything.
    pub fn of(config: &Config) -> Option<Self> {
        let rules = (!config.access.is_empty()).then(|| config.access.iter().map(Rule::new).collect());
        let keeps_out_anonymous = config.servers.iter().any(ServerConfig::keeps_out_anonymous);
        (rules.is_some() || keeps_out_anonymous).then_some(Self { rules, keeps_out_anonymous })
    }

    /// `None`: everything.
    pub fn rights(&self, principal: &Principal, scopes: &Scopes) -> Option<Rights> {
        let is_anonymous = self.keeps_out_anonymous && principal.is_anonymous();
        let is_for = |rule: &Rule| rule.is_for(principal, scopes);
        let rules = self.rules.as_ref().map(|rules| {
            let found = rules.iter().enumerate().filter(|(_, rule)| is_for(rule));
            found.map(|(at, _)| at).collect::<Arc<[usize]>>()
        });
        (rules.is_some() || is_anonymous).then_some(Rights { rules, is_anonymous })
    }

    /// What of a server these rights give by a door; `None`: nothing.
    pub fn share(&self, rights: &Rights, door: Door<'_>, server: &ServerConfig) -> Option<Share> {
        if rights.is_anonymous && server.keeps_out_anonymous() {
            return None;
        }
        let Some(rules) = self.given(rights) else { return Some(Share::All) };
        let mut part = Vec::new();
        for rule in rules.filter(|rule| rule.covers(door, &server.key)) {
            match &rule.shows {
                None => return Some(Share::All),
                Some(shows) => part.push(shows.clone()),
            }
        }
        (!part.is_empty()).then_some(Share::Part(part))
    }

    /// The names of the rules that these rights are made of, in the order of the configuration. `None`: there are no rules.
    pub fn names<'a>(&'a self, rights: &'a Rights) -> Option<Vec<&'a str>> {
        Some(self.given(rights)?.map(|rule| &*rule.name).collect())
    }

    fn given<'a>(&'a self, rights: &'a Rights) -> Option<impl Iterator<Item = &'a Rule>> {
        let (all, given) = self.rules.as_ref().zip(rights.rules.as_ref())?;
        Some(given.iter().filter_map(|at| all.get(*at)))
    }
}

impl Rule {
    fn new(rule: &AccessRule) -> Self {
        let globs = |patterns: &[String]| patterns.iter().map(|pattern| Glob::new(pattern)).collect();
        Self {
            name: rule.name.as_str().into(),
            principals: globs(&rule.principals),
            scopes: rule.scopes.iter().map(|scope| scope.as_str().into()).collect(),
            servers: globs(&rule.servers),
            groups: globs(&rule.groups),
            shows: Rules::of_access(rule),
        }
    }

    fn is_for(&self, principal: &Principal, scopes: &Scopes) -> bool {
        self.principals.iter().any(|pattern| pattern.matches(principal.as_str()))
            && self.scopes.iter().all(|scope| scopes.has(scope))
    }

    /// Whether it gives anything of a server by a door.
    fn covers(&self, door: Door<'_>, key: &str) -> bool {
        let is_its_door = match door {
            _ if self.groups.is_empty() => true,
            Door::Open => false,
            Door::Group(name) => self.groups.iter().any(|pattern| pattern.matches(name)),
        };
        is_its_door
            && self.servers.iter().any(|pattern| pattern.matches(key))
            && self.shows.as_ref().is_none_or(|shows| shows.may_show(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Command, Filter, Reach, Remote, Secret};
    use std::path::Path;

    fn config(rules: Vec<AccessRule>) -> Config {
        let mut config = Config::new("a test", Path::new("/"));
        let program = |key: &str| ServerConfig::new(key, Reach::Stdio(Command::new("x", Path::new("/"))));
        let mut remote = Remote::new("https://a.example/mcp");
        remote.headers.push(("Authorization".to_owned(), Secret::new("s")));
        config.servers = vec![program("a"), program("b"), ServerConfig::new("far", Reach::Http(remote))];
        config.access = rules;
        config
    }

    fn rule(name: &str, change: impl FnOnce(&mut AccessRule)) -> AccessRule {
        let mut rule = AccessRule::new(name);
        change(&mut rule);
        rule
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    /// Of which servers somebody is given something, and of which everything.
    fn given(config: &Config, principal: &Principal, scopes: &[&str], door: Door<'_>) -> String {
        let scopes = Scopes::of(scopes.iter().copied()).unwrap();
        let access = Access::of(config).unwrap();
        let rights = access.rights(principal, &scopes);
        let of = |server: &ServerConfig| {
            let Some(rights) = &rights else { return format!("{}! ", server.key) };
            match access.share(rights, door, server) {
                None => String::new(),
                Some(Share::All) => format!("{}! ", server.key),
                Some(Share::Part(rules)) => format!("{}:{} ", server.key, rules.len()),
            }
        };
        config.servers.iter().map(of).collect::<String>().trim_end().to_owned()
    }

    #[test]
    fn without_rules_and_credentials_there_is_nothing_to_ask() {
        let mut config = config(vec![]);
        config.servers.pop();
        assert!(Access::of(&config).is_none());
    }

    #[test]
    fn h08_a_credential_is_not_for_those_of_whom_nobody_knows_who_they_are() {
        let mut config = config(vec![]);
        assert_eq!(given(&config, &Principal::anonymous(), &[], Door::Open), "a! b!");
        for known in [Principal::local(), Principal::bearer(), Principal::token("anonymous")] {
            assert_eq!(given(&config, &known, &[], Door::Open), "a! b! far!");
            assert_eq!(Access::of(&config).unwrap().rights(&known, &Scopes::default()), None);
        }
        // No rule gives it either: who lends a credential says so where it stands.
        config.access = vec![AccessRule::new("all")];
        assert_eq!(given(&config, &Principal::anonymous(), &[], Door::Open), "a! b!");
        config.servers[2].allow_anonymous = true;
        assert_eq!(given(&config, &Principal::anonymous(), &[], Door::Open), "a! b! far!");
    }

    #[test]
    fn whom_no_rule_is_for_is_given_nothing_and_all_that_are_for_somebody_add_up() {
        let config = config(vec![
            rule("ci", |it| (it.principals, it.servers) = (texts(&["token:ci"]), texts(&["a"]))),
            rule("people", |it| {
                (it.principals, it.servers) = (texts(&["oauth:*", "local"]), texts(&["a", "b"]));
                it.filters.tools.allow = texts(&["*/get_*"]);
            }),
            rule("writers", |it| (it.scopes, it.servers) = (texts(&["write", "read"]), texts(&["b"]))),
        ]);
        let ana = Principal::oauth("ana");
        for (principal, scopes, expected) in [
            (&Principal::token("ci"), &[][..], "a!"),
            (&Principal::token("cil"), &[], ""),
            (&Principal::bearer(), &[], ""),
            (&Principal::bearer(), &["read", "write", "x"], "b!"),
            (&ana, &[], "a:1 b:1"),
            (&ana, &["write"], "a:1 b:1"),
            (&ana, &["read", "write"], "a:1 b!"),
            (&Principal::token("oauth:ana"), &[], ""),
        ] {
            assert_eq!(given(&config, principal, scopes, Door::Open), expected, "{principal:?} {scopes:?}");
        }
        let access = Access::of(&config).unwrap();
        let scopes = Scopes::of(["read", "write"]).unwrap();
        let rights = access.rights(&ana, &scopes).unwrap();
        assert_eq!(access.names(&rights).unwrap(), ["people", "writers"]);
        // What two have the same of is the same, whoever they are.
        assert_eq!(access.rights(&Principal::local(), &scopes), Some(rights));
    }

    #[test]
    fn a_rule_for_doors_of_groups_gives_nothing_by_another() {
        let config = config(vec![
            rule("dev", |it| (it.groups, it.servers) = (texts(&["dev", "x?"]), texts(&["a"]))),
            rule("all", |it| it.servers = texts(&["b"])),
        ]);
        let by = |door| given(&config, &Principal::local(), &[], door);
        assert_eq!(by(Door::Open), "b!");
        assert_eq!(by(Door::Group("dev")), "a! b!");
        assert_eq!(by(Door::Group("x1")), "a! b!");
        assert_eq!(by(Door::Group("devs")), "b!");
    }

    #[test]
    fn a_server_of_which_no_pattern_can_match_anything_is_not_given() {
        let nothing = || Filter { allow: vec![], deny: vec![] };
        let config = config(vec![rule("r", |it| {
            it.filters.tools.allow = texts(&["a/get_*"]);
            (it.filters.prompts, it.filters.resources) = (nothing(), nothing());
        })]);
        assert_eq!(given(&config, &Principal::local(), &[], Door::Open), "a:1");
    }
}
