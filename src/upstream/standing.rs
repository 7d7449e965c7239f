//! What every request to a server without a handshake says of us and of its client (2026-07-28, basic/index, _meta).
//!
//! Owns who we are and whose words passed through us; the rest is the client's, request by request. It makes text and
//! sends nothing.

use super::connect::Introduction;
use crate::mcp::era;
use crate::mcp::level::Level;
use crate::wire::members::{quote, string};
use crate::wire::message::{HOP_KEY, Message};
use std::borrow::Cow;
use std::sync::Arc;

/// How a server without a handshake is spoken to.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    /// Our name and version, as JSON.
    info: Arc<str>,
    hops: Arc<str>,
    /// The same as JSON.
    said_hops: Arc<str>,
    /// What requests of our own declare, a JSON object.
    capabilities: Arc<str>,
}

impl Standing {
    /// `capabilities`: what is declared with requests that are no client's.
    pub(super) fn new(introduction: &Introduction, capabilities: Arc<str>) -> Self {
        let (name, version) = (quote(&introduction.name), quote(introduction.version));
        Self {
            info: format!(r#"{{"name":{name},"version":{version}}}"#).into(),
            said_hops: quote(&introduction.hops).into(),
            hops: introduction.hops.clone(),
            capabilities,
        }
    }

    /// The members of `_meta` for a request of ours.
    pub(super) fn own(&self) -> String {
        self.members(&self.capabilities, None, None, None)
    }

    /// The same for a client's request: what it can be asked, from which level on it hears the log of the server, and our
    /// token if progress is wanted.
    pub(super) fn of(
        &self,
        request: &Message,
        capabilities: Option<&str>,
        level: Option<Level>,
        token: Option<&str>,
    ) -> String {
        let passed = request.params().and_then(|params| params.meta.as_ref()).and_then(|meta| meta.hop);
        let passed = passed.and_then(|span| string(request.str(span)));
        self.members(capabilities.unwrap_or("{}"), level, passed.as_deref(), token)
    }

    fn members(
        &self,
        capabilities: &str,
        level: Option<Level>,
        passed: Option<&str>,
        token: Option<&str>,
    ) -> String {
        let hops = match passed {
            Some(passed) => Cow::Owned(quote(&format!("{passed} {}", self.hops))),
            None => Cow::Borrowed(&*self.said_hops),
        };
        let mut more = [",\"", HOP_KEY, "\":", &hops].concat();
        if let Some(token) = token {
            more.extend([",\"progressToken\":", token]);
        }
        let log_level = level.map(Level::as_str);
        era::Standing { info: &self.info, capabilities, log_level, more: &more }.members()
    }
}

/// The params of a request of ours with this first in their `_meta`. `params`: a JSON object without one.
pub(super) fn with_meta(params: &str, members: &str) -> String {
    let rest = params.trim_start().strip_prefix('{').unwrap_or("}");
    let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
    format!(r#"{{"_meta":{{{members}}}{comma}{rest}"#)
}
