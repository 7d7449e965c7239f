//! `[groups.NAME]`: doors to some of the servers, and the door that a command asks for.
//!
//! Owns what a group may be called and that its servers are there. It decides nothing of what a door shows.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::codes::Code;
use super::problem::{Problem, Report, Source, quoted};
use super::schema::nearest;
use super::section::{Reader, Section};
use super::{Config, Filters, Group};

/// Longest name of a group, in characters; it is a part of a path.
pub const GROUP_NAME_CHARS_MAX: usize = 64;

/// The groups of a file, in its order. `config` has its servers already.
pub(super) fn groups(reader: &mut Reader<'_>, top: &Section, config: &Config) -> Vec<Group> {
    let groups = top.named("groups").iter();
    groups.filter_map(|(name, section)| group(reader, top, config, name, section)).collect()
}

fn group(
    reader: &mut Reader<'_>,
    top: &Section,
    config: &Config,
    name: &str,
    section: &Section,
) -> Option<Group> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.is_empty() || name.len() > GROUP_NAME_CHARS_MAX || !name.bytes().all(fine) {
        let problem = reader.error(Code::BadText, format!("{} is no name of a group", quoted(name))).at(
            &section.span,
            "expected 1 to 64 of A-Z a-z 0-9 _ -, because it is a part of a URL: /mcp/NAME",
        );
        reader.problems.push(problem);
    }
    let members = members(reader, top, name, section)?;
    // Lists have the order of the configuration, whatever the order here.
    let there = config.servers.iter().filter(|server| members.contains(server.key.as_str()));
    let servers: Vec<String> = there.map(|server| server.key.clone()).collect();
    judge_patterns(reader, top, ("group", name), &servers, section);
    Some(Group { name: name.to_owned(), servers, filters: Filters::default().under(section) })
}

/// A pattern that names a server names one of those that the group or rule is about.
pub(super) fn judge_patterns(
    reader: &mut Reader<'_>,
    top: &Section,
    (noun, name): (&str, &str),
    members: &[String],
    section: &Section,
) {
    let all = top.named("servers");
    let lists = ["tools", "prompts", "resources"].into_iter().filter_map(|kind| section.section(kind));
    for (pattern, span) in
        lists.flat_map(|list| ["allow", "deny"].into_iter().flat_map(|key| list.placed_texts(key)))
    {
        let begins = |key: &str| pattern.strip_prefix(key).is_some_and(|rest| rest.starts_with('/'));
        let wanted = pattern.split('/').next().unwrap_or_default();
        if wanted.contains(['*', '?']) || members.iter().any(|key| begins(key)) {
            continue;
        }
        let known = all.iter().map(|(key, _)| key.as_str());
        let problem = match known.clone().find(|key| begins(key)) {
            Some(other) => reader
                .warning(Code::NoEffect, format!("a pattern of {noun} {} matches nothing", quoted(name)))
                .at(span, format!("{} is not in use in this {noun}", quoted(other))),
            None => {
                let problem = reader
                    .error(Code::NoSuchName, format!("there is no server {}", quoted(wanted)))
                    .at(span, "not known");
                match nearest(wanted, known) {
                    Some(near) => problem.help(format!("did you mean {}?", quoted(near))),
                    None => problem.help("what stands before the first `/` is a server, or `*` for all"),
                }
            }
        };
        reader.problems.push(problem);
    }
}

/// The servers of a group that are in use; `None` when there are none or one is wrong, which has been reported.
fn members<'s>(
    reader: &mut Reader<'_>,
    top: &Section,
    name: &str,
    section: &'s Section,
) -> Option<BTreeSet<&'s str>> {
    if section.has("servers").is_none() {
        let problem = reader
            .error(Code::MissingKey, format!("group {} has no `servers`", quoted(name)))
            .at(&section.span, "expected `servers` in this group")
            .help("write `servers = [\"…\"]` with names of servers of this file");
        reader.problems.push(problem);
        return None;
    }
    let servers = top.named("servers");
    let mut seen = BTreeSet::new();
    let mut members = BTreeSet::new();
    let mut all_there = true;
    for (key, span) in section.placed_texts("servers") {
        let known = servers.iter().find(|(server, _)| server == key);
        let problem = if !seen.insert(key) {
            reader
                .error(Code::StandsTwice, format!("server {} stands twice in a group", quoted(key)))
                .at(span, "for the second time")
        } else if let Some((_, server)) = known {
            if server.flag("enabled") != Some(false) {
                members.insert(key);
                continue;
            }
            let message = format!("group {} is without its server {}", quoted(name), quoted(key));
            reader
                .warning(Code::NoEffect, message)
                .at(span, "it is disabled")
                .beside(&server.span, "has `enabled = false`")
        } else {
            all_there = false;
            let problem = reader
                .error(Code::NoSuchName, format!("there is no server {}", quoted(key)))
                .at(span, "not known");
            match nearest(key, servers.iter().map(|(server, _)| server.as_str())) {
                Some(near) => problem.help(format!("did you mean {}?", quoted(near))),
                None => problem,
            }
        };
        reader.problems.push(problem);
    }
    if let Some(written) = section.checked("servers").filter(|_| members.is_empty() && all_there) {
        let problem = reader
            .error(Code::NoServers, format!("group {} has no server", quoted(name)))
            .at(&written.span, "expected at least one that is not disabled")
            .help("remove the group, or name a server");
        reader.problems.push(problem);
    }
    (!members.is_empty()).then_some(members)
}

impl Config {
    /// The group of this name, or a report that can be printed.
    pub fn group(&self, name: &str) -> Result<&Group, Report> {
        if let Some(group) = self.groups.iter().find(|group| group.name == name) {
            return Ok(group);
        }
        let line = format!("--group {name}").replace(|c: char| c.is_ascii_control(), "?");
        let span = 8..line.len();
        let source = Arc::new(Source { origin: "command line".to_owned(), text: line });
        let problem =
            Problem::error(&source, Code::NoSuchName, format!("there is no group {}", quoted(name)));
        let known = || self.groups.iter().map(|group| group.name.as_str());
        let problem = match nearest(name, known()) {
            _ if self.groups.is_empty() => problem
                .at(&span, format!("{} has no groups", self.origin))
                .help(format!("write `[groups.{}]` and below it `servers = [\"…\"]`", super::toml_key(name))),
            Some(near) => problem.at(&span, "not known").help(format!("did you mean {}?", quoted(near))),
            None => {
                let all: Vec<_> = known().map(quoted).collect();
                problem.at(&span, "not known").help(format!("there are {}", all.join(", ")))
            }
        };
        Err(Report::new(&source, vec![problem]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::from_text;
    use std::path::Path;

    fn read(text: &str) -> Config {
        let text = format!(
            "{text}\n[servers.a]\ncommand = \"x\"\n[servers.\"B b\"]\ncommand = \"x\"\n[servers.off]\ncommand = \"x\"\nenabled = false\n"
        );
        let loaded = from_text(&text, "braid.toml", Path::new("/f"), &|_| None);
        loaded.unwrap_or_else(|report| panic!("{}", report.render(false))).config
    }

    #[test]
    fn a_group_has_its_servers_in_the_order_of_the_file() {
        let config =
            read("[groups.both]\nservers = [\"B b\", \"a\"]\n[groups.-1]\nservers = [\"off\", \"a\"]\n");
        let group = |name: &str, servers: &[&str]| {
            Group::new(name, servers.iter().map(|key| (*key).to_owned()).collect())
        };
        assert_eq!(config.groups, [group("both", &["a", "B b"]), group("-1", &["a"])]);
        assert_eq!(config.group("-1").unwrap(), &group("-1", &["a"]));
    }

    #[test]
    fn an_unknown_group_is_answered_with_the_nearest_name() {
        let config = read("[groups.work]\nservers = [\"a\"]\n[groups.home]\nservers = [\"a\"]\n");
        let said = |config: &Config, name: &str| config.group(name).unwrap_err().render(false);
        assert!(said(&config, "wrok").contains("did you mean `work`?"));
        assert!(said(&config, "\u{1b}zzzzzz").contains("there are `work`, `home`"));
        insta::assert_snapshot!(said(&read(""), "work"), @r#"
        error[BRAID-C026]: there is no group `work`
         --> command line:1:9
          |
        1 | --group work
          |         ^^^^ braid.toml has no groups
          |
          = help: write `[groups.work]` and below it `servers = ["…"]`

        command line: 1 error; `braid explain BRAID-C026` says more
        "#);
    }

    #[test]
    fn the_name_of_a_group_has_a_longest() {
        let long = |chars: usize| {
            let text =
                format!("[groups.{}]\nservers = [\"a\"]\n[servers.a]\ncommand = \"x\"\n", "g".repeat(chars));
            from_text(&text, "braid.toml", Path::new("/f"), &|_| None).is_ok()
        };
        assert!(long(GROUP_NAME_CHARS_MAX) && !long(GROUP_NAME_CHARS_MAX + 1));
    }
}
