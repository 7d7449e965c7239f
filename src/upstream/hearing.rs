//! When and how a request was heard.
//!
//! A trace of its call begins with it. Where no calls are traced (without the feature `otel`) it is nothing, and no clock
//! is read for it.

use super::lookout::Came;
use crate::mcp::revision::Revision;
#[cfg(feature = "otel")]
use std::time::SystemTime;

/// The moment, how its client came, and what that speaks.
#[derive(Debug, Clone, Copy)]
pub struct Hearing {
    #[cfg(feature = "otel")]
    pub(super) at: SystemTime,
    #[cfg(feature = "otel")]
    pub(super) came: Came,
    #[cfg(feature = "otel")]
    pub(super) revision: Revision,
}

impl Hearing {
    /// It is heard now.
    #[cfg(feature = "otel")]
    pub fn now(came: Came, revision: Revision) -> Self {
        Self { at: SystemTime::now(), came, revision }
    }

    /// It is heard now.
    #[cfg(not(feature = "otel"))]
    pub fn now(_: Came, _: Revision) -> Self {
        Self {}
    }
}
