//! Exit codes: what a script may rely on.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Ok,
    Unexpected,
    Usage,
    /// A server that is required, or was asked for, cannot be reached.
    Unreachable,
    /// A tool said that it failed, or there is no such tool.
    ToolError,
    BadConfig,
    /// `check --strict` found warnings.
    Warnings,
    /// SIGINT.
    Interrupted,
}

impl Exit {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Unexpected => 1,
            Self::Usage => 2,
            Self::Unreachable => 4,
            Self::ToolError => 5,
            Self::BadConfig => 6,
            Self::Warnings => 7,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
