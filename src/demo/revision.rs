//! The revisions of MCP that begin with a handshake, and what each of them does not know yet.
//!
//! The demo servers write everything in the words of 2025-11-25; a `Revision` takes out what its clients have
//! never heard of. Extra members would be legal in every schema, but a demo should show each revision as it is.

use serde_json::{Value, json};

/// Ordered by age: the older is the smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Revision {
    V2024_11_05,
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,
}

impl Revision {
    pub(super) const ALL: [Self; 4] =
        [Self::V2024_11_05, Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25];

    /// What we answer to a client that asks for `wanted`: the same where we speak it, else our latest.
    /// 2025-11-25, basic/lifecycle, version negotiation.
    pub(super) fn negotiate(wanted: &str) -> Self {
        Self::ALL.into_iter().find(|revision| revision.as_str() == wanted).unwrap_or(Self::V2025_11_25)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
        }
    }

    /// Arrays of messages on one line. 2025-03-26, basic; taken back by the next revision.
    pub(super) fn batches(self) -> bool {
        self == Self::V2025_03_26
    }

    pub(super) fn declares_completions(self) -> bool {
        self >= Self::V2025_03_26
    }

    pub(super) fn elicits(self) -> bool {
        self >= Self::V2025_06_18
    }

    pub(super) fn progress_has_message(self) -> bool {
        self >= Self::V2025_03_26
    }

    pub(super) fn tool(self, tool: Value) -> Value {
        let tool = self.titled(tool);
        let tool = if self < Self::V2025_03_26 { without(tool, "annotations") } else { tool };
        if self < Self::V2025_06_18 { without(tool, "outputSchema") } else { tool }
    }

    /// A thing that may carry a `title`: an implementation, a resource, a template, a prompt.
    pub(super) fn titled(self, thing: Value) -> Value {
        if self < Self::V2025_06_18 { without(thing, "title") } else { thing }
    }

    /// A block of a tool's result. A link becomes a line of text where links are not known.
    pub(super) fn block(self, block: Value) -> Value {
        if self >= Self::V2025_06_18 || block["type"] != "resource_link" {
            return block;
        }
        let uri = block["uri"].as_str().unwrap_or_default();
        let name = block["title"].as_str().unwrap_or_default();
        json!({ "type": "text", "text": format!("{uri} ({name})") })
    }

    pub(super) fn has_structured_content(self) -> bool {
        self >= Self::V2025_06_18
    }
}

fn without(mut thing: Value, member: &str) -> Value {
    if let Some(members) = thing.as_object_mut() {
        members.remove(member);
    }
    thing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_we_do_not_speak_is_answered_with_our_latest() {
        for wanted in ["", "1.0", "2026-07-28", "2024-10-07"] {
            assert_eq!(Revision::negotiate(wanted), Revision::V2025_11_25);
        }
        for revision in Revision::ALL {
            assert_eq!(Revision::negotiate(revision.as_str()), revision);
        }
    }
}
