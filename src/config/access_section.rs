//! `[access.NAME]`: whom a rule is for and what it gives, and who is kept out where nobody says who they are.
//!
//! Owns that what a rule names is there, and that its patterns can mean somebody. What a rule decides is `routing::access`'s
//! affair.

use super::codes::Code;
use super::group_section::judge_patterns;
use super::pattern::{matches, may_begin};
use super::problem::quoted;
use super::schema::nearest;
use super::section::{Reader, Section};
use super::{AccessRule, Auth, Config, Filter, Filters};

/// The rules of a file, in its order. `config` has its servers and groups already.
pub(super) fn access(reader: &mut Reader<'_>, top: &Section, config: &Config) -> Vec<AccessRule> {
    let rules = top.named("access").iter();
    rules.map(|(name, section)| rule(reader, top, config, name, section)).collect()
}

fn rule(
    reader: &mut Reader<'_>,
    top: &Section,
    config: &Config,
    name: &str,
    section: &Section,
) -> AccessRule {
    let texts = |key: &str, default: Vec<String>| section.texts(key).map_or(default, <[String]>::to_vec);
    let AccessRule { principals, servers, .. } = AccessRule::new(name);
    let rule = AccessRule {
        name: name.to_owned(),
        principals: texts("principals", principals),
        scopes: texts("scopes", Vec::new()),
        servers: texts("servers", servers),
        groups: texts("groups", Vec::new()),
        filters: filters(section),
    };
    for key in ["principals", "servers"] {
        if let Some(written) = section.checked(key).filter(|_| section.texts(key) == Some(&[])) {
            let problem = reader
                .error(Code::OutOfBounds, format!("`{key}` of rule {} is empty", quoted(name)))
                .at(&written.span, "expected at least one pattern")
                .help("remove the key for all of them, or the rule for none");
            reader.problems.push(problem);
        }
    }
    judge_tokens(reader, section, config);
    let servers = top.named("servers").iter().map(|(key, _)| key.as_str()).collect();
    judge_names(reader, section, ("servers", "server"), servers);
    let groups = top.named("groups").iter().map(|(name, _)| name.as_str()).collect();
    judge_names(reader, section, ("groups", "group"), groups);
    let is_meant = |key: &str| rule.servers.iter().any(|pattern| matches(pattern, key));
    let members = config.servers.iter().map(|server| server.key.clone()).filter(|key| is_meant(key.as_str()));
    judge_patterns(reader, top, ("rule", name), &members.collect::<Vec<_>>(), section);
    rule
}

/// A holder of a token who is written out is one of `[listen.tokens]`.
fn judge_tokens(reader: &mut Reader<'_>, section: &Section, config: &Config) {
    for (text, span) in section.placed_texts("principals") {
        let known = || config.listen.tokens.iter().map(|token| token.name.as_str());
        let Some(name) = text.strip_prefix("token:").filter(|name| !name.contains(['*', '?'])) else {
            continue;
        };
        if known().any(|known| known == name) {
            continue;
        }
        let problem = reader
            .error(Code::NoSuchName, format!("nobody is called {} in `[listen.tokens]`", quoted(name)))
            .at(span, "not known");
        reader.problems.push(match nearest(name, known()) {
            Some(near) => problem.help(format!("did you mean {}?", quoted(near))),
            None => problem
                .help(format!("write `tokens.{} = \"${{TOKEN}}\"` below `[listen]`", super::toml_key(name))),
        });
    }
}

/// What a rule shows. One that says what it allows of one kind gives nothing of kinds of which it says nothing: whoever is
/// given some tools has not been given every file besides.
fn filters(section: &Section) -> Filters {
    let kinds = ["tools", "prompts", "resources"];
    let mut filters = Filters::default().under(section);
    if kinds.iter().any(|kind| section.section(kind).is_some_and(|inner| inner.has("allow").is_some())) {
        for (kind, filter) in
            kinds.into_iter().zip([&mut filters.tools, &mut filters.prompts, &mut filters.resources])
        {
            if section.section(kind).is_none() {
                *filter = Filter { allow: Vec::new(), deny: Vec::new() };
            }
        }
    }
    filters
}

/// What is written out is there, and a pattern matches something.
fn judge_names(reader: &mut Reader<'_>, section: &Section, (key, noun): (&str, &str), known: Vec<&str>) {
    for (text, span) in section.placed_texts(key) {
        if known.iter().any(|name| matches(text, name)) {
            continue;
        }
        let problem = if text.contains(['*', '?']) {
            reader
                .warning(Code::NoEffect, format!("a pattern for {noun}s matches none"))
                .at(span, format!("no {noun} of this file is called so"))
        } else {
            let problem = reader
                .error(Code::NoSuchName, format!("there is no {noun} {}", quoted(text)))
                .at(span, "not known");
            match nearest(text, known.iter().copied()) {
                Some(near) => problem.help(format!("did you mean {}?", quoted(near))),
                None => problem,
            }
        };
        reader.problems.push(problem);
    }
}

/// Says which servers whoever comes by `listen` does not see, where nobody is asked who they are.
pub(super) fn warn_of_anonymous(reader: &mut Reader<'_>, top: &Section, config: &Config) {
    let Some(auth) = top.section("listen").and_then(|listen| listen.checked("auth")) else { return };
    if config.listen.auth != Auth::None {
        return;
    }
    for server in config.servers.iter().filter(|server| server.keeps_out_anonymous()) {
        let section = top.named("servers").iter().find(|(key, _)| *key == server.key);
        let Some((key, section)) = section else { continue };
        let problem = reader
            .warning(
                Code::AnonymousKeptOut,
                format!("clients of `braid serve` do not see the server {}", quoted(key)),
            )
            .at(&auth.span, "nobody is asked who they are")
            .beside(&section.span, "is sent a credential of yours")
            .help("set `auth = \"token\"`, or `allow_anonymous = true` for the server if anybody may act with it");
        reader.problems.push(problem);
    }
}

/// Whether a pattern can match any principal: they are of a few kinds, and what is of none of them stands for nobody.
pub(super) fn may_match_somebody(pattern: &str) -> bool {
    ["local", "bearer", "anonymous"].iter().any(|known| matches(pattern, known))
        || ["token:", "oauth:", "cert:"].iter().any(|kind| may_begin(pattern, kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::from_text;
    use std::path::Path;

    fn read(text: &str) -> Result<(Config, Vec<String>), String> {
        let holder = "[listen.tokens]\nci = \"0123456789012345678901234567890123456789\"";
        let tokens = if text.contains("auth") { "" } else { holder };
        let text = format!(
            "{text}\n{tokens}\n[servers.docs]\ncommand = \"x\"\n[servers.github]\nurl = \"https://a.example/mcp\"\nheaders = {{ A = \"b\" }}\n[groups.dev]\nservers = [\"docs\"]\n"
        );
        let loaded = from_text(&text, "braid.toml", Path::new("/f"), &|_| None);
        loaded
            .map(|loaded| {
                let warnings = loaded.warnings.iter().map(|warning| warning.render(false)).collect();
                (loaded.config, warnings)
            })
            .map_err(|report| report.render(false))
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn a_rule_that_says_nothing_is_for_all_and_gives_all() {
        let (config, warnings) = read("[access.everybody]").unwrap();
        assert_eq!((config.access, warnings), (vec![AccessRule::new("everybody")], vec![]));
    }

    #[test]
    fn what_is_allowed_may_be_a_list_alone_and_other_kinds_are_not_given_then() {
        let (config, _) = read(
            "[access.ci]\nprincipals = [\"token:ci\"]\nscopes = [\"read\"]\ntools = [\"github/get_*\"]\ngroups = [\"dev\"]\n[access.b]\ntools.deny = [\"*/x\"]\n[access.c]\nprompts.allow = [\"*\"]\ntools.deny = [\"*/x\"]\n",
        )
        .unwrap();
        let [ci, b, c] = &config.access[..] else { panic!("three") };
        assert_eq!((&ci.principals, &ci.scopes), (&texts(&["token:ci"]), &texts(&["read"])));
        assert_eq!((&ci.servers, &ci.groups), (&texts(&["*"]), &texts(&["dev"])));
        assert_eq!(ci.filters.tools.allow, texts(&["github/get_*"]));
        let nothing = Filter { allow: Vec::new(), deny: Vec::new() };
        assert_eq!((&ci.filters.prompts, &ci.filters.resources), (&nothing, &nothing));
        assert!(b.filters.prompts.is_open() && b.filters.resources.is_open() && !b.filters.tools.is_open());
        assert!(c.filters.prompts.is_open() && c.filters.resources == nothing);
        assert_eq!(c.filters.tools.allow, texts(&["*"]));
    }

    #[test]
    fn what_a_rule_names_is_there() {
        for (line, expected) in [
            ("servers = [\"githb\"]", "did you mean `github`?"),
            ("servers = [\"zzzzzz\"]", "there is no server `zzzzzz`"),
            ("servers = []", "expected at least one pattern"),
            ("principals = []", "expected at least one pattern"),
            ("groups = [\"dve\"]", "did you mean `dev`?"),
            ("principals = [\"ci\"]", "\"token:NAME\""),
            ("principals = [\"tokens:ci\"]", "\"token:NAME\""),
            ("principals = [\"token:cj\"]", "did you mean `ci`?"),
            ("principals = [\"token:zzzzz\"]", "write `tokens.zzzzz ="),
            ("scopes = [\"a b\"]", "expected the name of a scope"),
            ("tools = [\"get_*\"]", "expected SERVER/PATTERN"),
            ("tools = [\"gitub/get_*\"]", "did you mean `github`?"),
            ("tool = [\"github/get_*\"]", "did you mean `tools`?"),
            ("principal = \"local\"", "did you mean `principals`?"),
            ("read_only = 1", "expected true or false"),
        ] {
            let said = read(&format!("[access.r]\n{line}")).unwrap_err();
            assert!(said.contains(expected) && said.contains("braid.toml:2"), "{line}: {said}");
        }
        for line in
            ["servers = [\"x*\"]", "groups = [\"x*\"]", "servers = [\"docs\"]\ntools = [\"github/x\"]"]
        {
            let (_, warnings) = read(&format!("[access.r]\n{line}")).unwrap();
            assert!(warnings[0].contains("BRAID-C021"), "{line}: {warnings:?}");
        }
        let said = read("access.r = 1").unwrap_err();
        assert!(said.contains("is a rule and needs a table"), "{said}");
        for fine in ["token:ci", "*", "t*", "oauth:*", "?ocal", "*:ci", "cert:a b", "bearer", "*ci"] {
            assert!(may_match_somebody(fine), "{fine}");
        }
        for none in ["", "ci", "Local", "token", "x*", "local?"] {
            assert!(!may_match_somebody(none), "{none}");
        }
    }

    #[test]
    fn a_credential_is_not_lent_to_whoever_comes() {
        let (_, warnings) = read("listen.auth = \"none\"").unwrap();
        let [warning] = &warnings[..] else { panic!("{warnings:?}") };
        assert!(warning.contains("BRAID-A021") && warning.contains("`github`"), "{warning}");
        assert_eq!(read("listen.auth = \"token\"").unwrap().1, Vec::<String>::new());
        let own = "listen.auth = \"none\"\n[servers.own]\nurl = \"https://a.example/mcp\"\noauth = { grant = \"client_credentials\", client_id = \"i\", client_secret = \"s\", issuer = \"https://b.example\" }";
        assert_eq!(read(own).unwrap().1.iter().filter(|warning| warning.contains("BRAID-A021")).count(), 2);
        let (config, warnings) =
            read("listen.auth = \"none\"\n[servers.open]\nurl = \"https://a.example/x?key=1\"\nallow_anonymous = true").unwrap();
        assert_eq!(warnings.len(), 1);
        assert!(config.servers.iter().any(|server| server.allow_anonymous && server.holds_credential()));
        assert!(config.servers.iter().all(|server| server.key == "github" || !server.keeps_out_anonymous()));
    }
}
