//! What a client or a server speaks: a revision, and a transport that the revision has.

use std::fmt;

/// The revisions, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Revision {
    V2024_11_05,
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,
    V2026_07_28,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Stdio,
    /// HTTP+SSE, of 2024-11-05 alone.
    Sse,
    /// Streamable HTTP.
    Http,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) revision: Revision,
    pub(super) transport: Transport,
}

impl Revision {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Each request stands by itself.
    pub(super) fn is_modern(self) -> bool {
        self >= Self::V2026_07_28
    }
}

impl Endpoint {
    /// Everything that a client or a server may be.
    pub(super) const ALL: [Self; 10] = [
        Self { revision: Revision::V2024_11_05, transport: Transport::Stdio },
        Self { revision: Revision::V2024_11_05, transport: Transport::Sse },
        Self { revision: Revision::V2025_03_26, transport: Transport::Stdio },
        Self { revision: Revision::V2025_03_26, transport: Transport::Http },
        Self { revision: Revision::V2025_06_18, transport: Transport::Stdio },
        Self { revision: Revision::V2025_06_18, transport: Transport::Http },
        Self { revision: Revision::V2025_11_25, transport: Transport::Stdio },
        Self { revision: Revision::V2025_11_25, transport: Transport::Http },
        Self { revision: Revision::V2026_07_28, transport: Transport::Stdio },
        Self { revision: Revision::V2026_07_28, transport: Transport::Http },
    ];

    pub(super) fn is_modern(self) -> bool {
        self.revision.is_modern()
    }
}

impl Transport {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Sse => "sse",
            Self::Http => "http",
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} {}", self.revision.as_str(), self.transport.as_str()))
    }
}
