//! Which of a server's things are shown, as `[defaults]`, a server and a group say it.
//!
//! Owns the patterns as they are written, and what a section lays over those that hold so far. What a pattern matches is
//! decided in `routing::exposure`.

use super::section::Section;

/// Which things are shown, by kind. By default all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// Of a server by its own names; of a group by `SERVER/NAME`.
    pub tools: Filter,
    pub prompts: Filter,
    /// Resources by their URIs, and URI templates as they are written.
    pub resources: Filter,
    /// Only tools whose `annotations.readOnlyHint` is true. It is the server's own word.
    pub read_only: bool,
}

/// Which things of one kind are shown: what a pattern of `allow` matches and none of `deny`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub allow: Vec<String>,
    pub deny: Vec<String>,
}

impl Default for Filter {
    fn default() -> Self {
        Self { allow: vec!["*".to_owned()], deny: Vec::new() }
    }
}

impl Filter {
    /// Whether it shows everything, whatever that is called.
    pub fn is_open(&self) -> bool {
        self.deny.is_empty() && self.allow.iter().any(|pattern| pattern == "*")
    }
}

impl Filters {
    /// Whether they show everything.
    pub fn are_open(&self) -> bool {
        !self.read_only && [&self.tools, &self.prompts, &self.resources].iter().all(|filter| filter.is_open())
    }

    /// These with what a section says over them: each list that it writes stands instead of the one before.
    pub(super) fn under(mut self, section: &Section) -> Self {
        for (key, filter) in
            [("tools", &mut self.tools), ("prompts", &mut self.prompts), ("resources", &mut self.resources)]
        {
            let Some(inner) = section.section(key) else { continue };
            if let Some(allow) = inner.texts("allow") {
                filter.allow = allow.to_vec();
            }
            if let Some(deny) = inner.texts("deny") {
                filter.deny = deny.to_vec();
            }
        }
        self.read_only = section.flag("read_only").unwrap_or(self.read_only);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::file::from_text;
    use std::path::Path;

    fn read(text: &str) -> Result<Config, String> {
        let loaded = from_text(text, "braid.toml", Path::new("/f"), &|_| None);
        loaded.map(|loaded| loaded.config).map_err(|report| report.render(false))
    }

    #[test]
    fn each_list_of_a_server_stands_instead_of_that_of_the_defaults() {
        let config = read(
            r#"
            [defaults]
            tools = { allow = ["get_*", "list_*"], deny = ["*secret*"] }
            read_only = true
            [servers.a]
            command = "x"
            tools.deny = []
            resources.allow = ["file:///srv/*"]
            [servers.b]
            command = "x"
            read_only = false
            "#,
        )
        .unwrap();
        let [a, b] = &config.servers[..] else { panic!("two") };
        let filter = |allow: &[&str], deny: &[&str]| Filter {
            allow: allow.iter().map(|&one| one.to_owned()).collect(),
            deny: deny.iter().map(|&one| one.to_owned()).collect(),
        };
        assert_eq!(a.filters.tools, filter(&["get_*", "list_*"], &[]));
        assert_eq!(a.filters.resources, filter(&["file:///srv/*"], &[]));
        assert_eq!(
            (a.filters.prompts.is_open(), a.filters.read_only, b.filters.read_only),
            (true, true, false)
        );
        assert_eq!(b.filters.tools, filter(&["get_*", "list_*"], &["*secret*"]));
        assert!(!b.filters.are_open() && Filters::default().are_open());
    }

    #[test]
    fn a_pattern_is_of_its_form() {
        for (line, expected) in [
            ("servers.a.tools.deny = [\"\"]", "expected a pattern of 1 to 256 characters"),
            ("groups.g.tools.deny = [\"delete_*\"]", "expected SERVER/PATTERN, such as"),
            ("groups.g.tools.deny = [\"b/*\"]", "there is no server `b`"),
            ("groups.g.tools.deny = [\"A/*\"]", "did you mean `a`?"),
            ("servers.a.tools.create = {}", "stands in `[servers.a.tool.create]`"),
            ("servers.a.tools.alow = []", "did you mean `allow`?"),
            ("servers.a.tools = []", "write `tools = { allow = [\"…\"], deny = [\"…\"] }`"),
            (&format!("servers.a.tool.t.name = \"{}\"", "x".repeat(129)), "expected at most 128 characters"),
        ] {
            let text = format!("servers.a.command = \"x\"\ngroups.g.servers = [\"a\"]\n{line}\n");
            let said = read(&text).unwrap_err();
            assert!(said.contains(expected), "{said}");
        }
        let long = "x".repeat(super::super::schema::GLOB_CHARS_MAX + 1);
        assert!(read(&format!("servers.a.command = \"x\"\nservers.a.tools.deny = [\"{long}\"]")).is_err());
        let open = "servers.a.command = \"x\"\ngroups.g = { servers = [\"a\"], tools.allow = [\"*\", \"*/x\", \"a/?\"] }\n";
        assert!(read(open).is_ok());
    }
}
