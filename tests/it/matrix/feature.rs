//! What a client and a server can do for each other.

/// In the order in which they are tried: a server that died is of no use to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feature {
    Call,
    List,
    Read,
    Prompt,
    Completion,
    Progress,
    Log,
    Cancel,
    ListChanged,
    Updated,
    ElicitationForm,
    ElicitationUrl,
    Sampling,
    Roots,
    Timeout,
    ServerDeath,
}

impl Feature {
    pub(super) const ALL: [Self; 16] = [
        Self::Call,
        Self::List,
        Self::Read,
        Self::Prompt,
        Self::Completion,
        Self::Progress,
        Self::Log,
        Self::Cancel,
        Self::ListChanged,
        Self::Updated,
        Self::ElicitationForm,
        Self::ElicitationUrl,
        Self::Sampling,
        Self::Roots,
        Self::Timeout,
        Self::ServerDeath,
    ];

    /// As `impossible.txt` and the table call it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::List => "list",
            Self::Read => "read",
            Self::Prompt => "prompt",
            Self::Completion => "completion",
            Self::Progress => "progress",
            Self::Log => "log",
            Self::Cancel => "cancel",
            Self::ListChanged => "list changed",
            Self::Updated => "updated",
            Self::ElicitationForm => "elicitation form",
            Self::ElicitationUrl => "elicitation url",
            Self::Sampling => "sampling",
            Self::Roots => "roots",
            Self::Timeout => "timeout",
            Self::ServerDeath => "server death",
        }
    }
}
