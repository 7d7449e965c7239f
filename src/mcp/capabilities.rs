//! What servers offer, and what we offer in their place.
//!
//! Reads a server's `capabilities` object once per connection; writes ours. Advertises only what is then
//! delivered, whatever the servers behind say later (2025-11-25, basic/lifecycle, capability negotiation).

use super::method::Kind;
use super::revision::Revision;
use crate::wire::members::member;

/// What one server declared at its handshake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    pub tools: bool,
    pub prompts: bool,
    pub resources: bool,
    pub completions: bool,
    pub logging: bool,
    /// Tools can be called as tasks (2025-11-25, basic/utilities/tasks).
    pub task_calls: bool,
    /// It says when its tools, its prompts, its resources are others.
    pub changes: [bool; 3],
    /// It says when a resource is another.
    pub subscribe: bool,
}

impl Capabilities {
    /// What a server may have that does not tell.
    pub const ASSUMED: Self = Self {
        tools: true,
        prompts: true,
        resources: true,
        completions: true,
        logging: true,
        task_calls: false,
        changes: [true; 3],
        subscribe: true,
    };

    /// Reads a `capabilities` object. What is not an object declares nothing.
    pub fn read(object: &str) -> Self {
        let has = |key| member(object, key).is_some_and(|value| value != "null" && value != "false");
        let says = |key, what| member(object, key).and_then(|it| member(it, what)) == Some("true");
        Self {
            changes: ["tools", "prompts", "resources"].map(|key| says(key, "listChanged")),
            subscribe: says("resources", "subscribe"),
            tools: has("tools"),
            prompts: has("prompts"),
            resources: has("resources"),
            completions: has("completions"),
            logging: has("logging"),
            task_calls: ["tasks", "requests", "tools", "call"]
                .iter()
                .try_fold(object, |object, key| member(object, key))
                .is_some_and(|call| call != "null" && call != "false"),
        }
    }

    /// As a `capabilities` object that says no more than this.
    pub fn written(&self) -> String {
        let mut members = Vec::new();
        let mut member = |has: bool, text: &str| members.extend(has.then(|| text.to_owned()));
        let [tools, prompts, resources] = self.changes;
        let flags = |flags: &[(bool, &str)]| {
            let said = flags.iter().filter(|(says, _)| *says).map(|(_, what)| format!(r#""{what}":true"#));
            said.collect::<Vec<_>>().join(",")
        };
        member(self.tools, &format!(r#""tools":{{{}}}"#, flags(&[(tools, "listChanged")])));
        member(self.prompts, &format!(r#""prompts":{{{}}}"#, flags(&[(prompts, "listChanged")])));
        let told = flags(&[(resources, "listChanged"), (self.subscribe, "subscribe")]);
        member(self.resources, &format!(r#""resources":{{{told}}}"#));
        member(self.completions, r#""completions":{}"#);
        member(self.logging, r#""logging":{}"#);
        member(self.task_calls, r#""tasks":{"requests":{"tools":{"call":{}}}}"#);
        format!("{{{}}}", members.join(","))
    }

    /// Whether a list is worth asking for.
    pub fn lists(&self, kind: Kind) -> bool {
        match kind {
            Kind::Tools => self.tools,
            Kind::Prompts => self.prompts,
            Kind::Resources | Kind::Templates => self.resources,
        }
    }

    /// Whether `completion/complete` is worth asking. 2024-11-05 had the method but no flag for it.
    pub fn completes(&self, revision: Revision) -> bool {
        self.completions || revision == Revision::V2024_11_05
    }
}

/// What we declare to a client: a superset that does not depend on which servers are up.
pub fn ours(revision: Revision) -> &'static str {
    match revision {
        Revision::V2024_11_05 => {
            r#"{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},"logging":{}}"#
        }
        Revision::V2026_07_28 => {
            r#"{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},"logging":{},"completions":{},"extensions":{"io.modelcontextprotocol/ui":{},"io.modelcontextprotocol/tasks":{}}}"#
        }
        Revision::V2025_03_26 | Revision::V2025_06_18 | Revision::V2025_11_25 => {
            r#"{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},"logging":{},"completions":{}}"#
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_counts_when_it_is_there() {
        let read = Capabilities::read(r#"{"experimental":{},"tools":{},"resources":{"subscribe":true}}"#);
        assert_eq!(
            read,
            Capabilities { tools: true, resources: true, subscribe: true, ..Default::default() }
        );
        assert!(read.lists(Kind::Templates) && !read.lists(Kind::Prompts));
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        for bits in 0..1u16 << 10 {
            let has = |bit: u16| bits & 1 << bit != 0;
            let (tools, prompts, resources) = (has(0), has(1), has(2));
            let capabilities = Capabilities {
                tools,
                prompts,
                resources,
                completions: has(3),
                logging: has(4),
                task_calls: has(5),
                // Of what there is not, nothing is said.
                changes: [has(6) && tools, has(7) && prompts, has(8) && resources],
                subscribe: has(9) && resources,
            };
            assert_eq!(Capabilities::read(&capabilities.written()), capabilities);
        }
    }

    #[test]
    fn null_false_and_nonsense_declare_nothing() {
        assert_eq!(Capabilities::read(r#"{"tools":null,"prompts":false}"#), Capabilities::default());
        assert_eq!(Capabilities::read("[]"), Capabilities::default());
    }

    #[test]
    fn the_first_revision_completes_without_a_flag() {
        assert!(Capabilities::default().completes(Revision::V2024_11_05));
        assert!(!Capabilities::default().completes(Revision::V2025_03_26));
    }
}
