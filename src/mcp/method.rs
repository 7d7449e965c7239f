//! The methods of MCP, and the four kinds of things that servers list.
//!
//! Owns the spelling of every method that Braid acts on. A method that is not here is `Other`: it is
//! refused or ignored by whoever meets it, never guessed at.

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
    Cancelled,
    Progress,
    /// `notifications/…/list_changed`; for resources it covers the templates as well.
    ListChanged(Kind),
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
            "notifications/cancelled" => Self::Cancelled,
            "notifications/progress" => Self::Progress,
            "notifications/tools/list_changed" => Self::ListChanged(Kind::Tools),
            "notifications/prompts/list_changed" => Self::ListChanged(Kind::Prompts),
            "notifications/resources/list_changed" => Self::ListChanged(Kind::Resources),
            _ => Self::Other,
        }
    }
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
    fn methods_are_compared_by_exact_bytes() {
        assert_eq!(Method::parse("Tools/call"), Method::Other);
        assert_eq!(Method::parse("tools/call "), Method::Other);
    }
}
