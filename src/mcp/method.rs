//! The methods of MCP, and the four kinds of things that servers list.
//!
//! Owns the spelling of every method that Braid acts on. A method that is not here is `Other`: it is
//! refused or ignored by whoever meets it, never guessed at.

use crate::wire::members::quote;
use std::fmt;

/// A method that Braid acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Initialize,
    Initialized,
    Ping,
    List(Kind),
    ToolsCall,
    PromptsGet,
    ResourcesRead,
    Complete,
    SetLevel,
    Subscribe,
    Unsubscribe,
    /// What a server asks of a client.
    Ask(Want),
    Cancelled,
    Progress,
    /// `notifications/message`: a server logs.
    Log,
    /// `notifications/resources/updated`
    Updated,
    RootsChanged,
    /// What a person did elsewhere, at a URL, is done (2025-11-25).
    ElicitationComplete,
    /// `notifications/…/list_changed`; for resources it covers the templates as well.
    ListChanged(Kind),
    /// `server/discover`: what a server is, without a handshake (2026-07-28).
    Discover,
    /// `subscriptions/listen`: what a client wants to hear of, for as long as the request is open (2026-07-28).
    Listen,
    /// What of that a server says it will tell.
    Acknowledged,
    /// How a task is, what it wanted to know, that it is to end (2026-07-28, the extension tasks).
    Task,
    Other,
}

impl Method {
    pub fn parse(name: &str) -> Self {
        match name {
            "initialize" => Self::Initialize,
            "notifications/initialized" => Self::Initialized,
            "ping" => Self::Ping,
            "tools/list" => Self::List(Kind::Tools),
            "prompts/list" => Self::List(Kind::Prompts),
            "resources/list" => Self::List(Kind::Resources),
            "resources/templates/list" => Self::List(Kind::Templates),
            "tools/call" => Self::ToolsCall,
            "prompts/get" => Self::PromptsGet,
            "resources/read" => Self::ResourcesRead,
            "completion/complete" => Self::Complete,
            "logging/setLevel" => Self::SetLevel,
            "resources/subscribe" => Self::Subscribe,
            "resources/unsubscribe" => Self::Unsubscribe,
            "roots/list" => Self::Ask(Want::Roots),
            "sampling/createMessage" => Self::Ask(Want::Sampling),
            "elicitation/create" => Self::Ask(Want::Elicitation),
            "notifications/cancelled" => Self::Cancelled,
            "notifications/progress" => Self::Progress,
            "notifications/message" => Self::Log,
            "notifications/resources/updated" => Self::Updated,
            "notifications/roots/list_changed" => Self::RootsChanged,
            "notifications/elicitation/complete" => Self::ElicitationComplete,
            "notifications/tools/list_changed" => Self::ListChanged(Kind::Tools),
            "notifications/prompts/list_changed" => Self::ListChanged(Kind::Prompts),
            "notifications/resources/list_changed" => Self::ListChanged(Kind::Resources),
            "server/discover" => Self::Discover,
            "subscriptions/listen" => Self::Listen,
            "notifications/subscriptions/acknowledged" => Self::Acknowledged,
            "tasks/get" | "tasks/update" | "tasks/cancel" => Self::Task,
            _ => Self::Other,
        }
    }

    /// Whether a client may be asked something in the answer to this (2026-07-28, basic/patterns/mrtr, Supported Requests).
    pub fn has_rounds(self) -> bool {
        matches!(self, Self::ToolsCall | Self::PromptsGet | Self::ResourcesRead)
    }
}

/// What a server can want of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    Roots,
    /// A completion by its model.
    Sampling,
    /// An answer of its person.
    Elicitation,
}

/// The notification that takes a request back; `id` is its raw JSON.
pub fn cancelled(id: impl fmt::Display, why: &str) -> String {
    let why = quote(why);
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":{why}}}}}"#
    )
}

/// What servers list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Tools,
    Prompts,
    Resources,
    Templates,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Tools, Self::Prompts, Self::Resources, Self::Templates];

    /// The method that lists it.
    pub fn list_method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Prompts => "prompts/list",
            Self::Resources => "resources/list",
            Self::Templates => "resources/templates/list",
        }
    }

    /// The member of the list's result that holds the items.
    pub fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    /// The member of an item that names it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
        }
    }

    /// The notification that says that the list is another. Templates have none of their own.
    pub fn changed_method(self) -> &'static str {
        match self {
            Self::Tools => "notifications/tools/list_changed",
            Self::Prompts => "notifications/prompts/list_changed",
            Self::Resources | Self::Templates => "notifications/resources/list_changed",
        }
    }

    /// Its place in a table of all kinds.
    pub fn index(self) -> usize {
        match self {
            Self::Tools => 0,
            Self::Prompts => 1,
            Self::Resources => 2,
            Self::Templates => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_method_parses_to_its_kind() {
        for kind in Kind::ALL {
            assert_eq!(Method::parse(kind.list_method()), Method::List(kind));
            assert_eq!(Kind::ALL[kind.index()], kind);
        }
    }

    #[test]
    fn what_flows_to_clients_has_its_names() {
        for (name, method) in [
            ("logging/setLevel", Method::SetLevel),
            ("resources/subscribe", Method::Subscribe),
            ("resources/unsubscribe", Method::Unsubscribe),
            ("roots/list", Method::Ask(Want::Roots)),
            ("sampling/createMessage", Method::Ask(Want::Sampling)),
            ("elicitation/create", Method::Ask(Want::Elicitation)),
            ("notifications/message", Method::Log),
            ("notifications/resources/updated", Method::Updated),
            ("notifications/roots/list_changed", Method::RootsChanged),
            ("notifications/elicitation/complete", Method::ElicitationComplete),
            ("server/discover", Method::Discover),
            ("subscriptions/listen", Method::Listen),
            ("notifications/subscriptions/acknowledged", Method::Acknowledged),
        ] {
            assert_eq!(Method::parse(name), method);
        }
    }

    #[test]
    fn methods_are_compared_by_exact_bytes() {
        assert_eq!(Method::parse("Tools/call"), Method::Other);
        assert_eq!(Method::parse("tools/call "), Method::Other);
    }
}
