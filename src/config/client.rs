//! Whose file a client's file is, as far as that changes what it means.
//!
//! The same words mean different things to different clients: a `timeout` is in seconds or milliseconds, a `$`
//! is a sign or begins a reference. Nothing else depends on the client.

use std::path::Path;

use super::tree::Node;

/// Whose file it is, as far as that changes what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    /// `timeout` is in milliseconds.
    Claude,
    /// `timeout` is in milliseconds; `$NAME` is a reference.
    Gemini,
    /// `timeout` is in seconds.
    Cline,
    Other,
}

impl Client {
    /// By the file's name and place, which say more than its shape.
    pub(super) fn of(origin: &str, root: &Node) -> Self {
        let path = Path::new(origin);
        let name = |path: Option<&Path>| {
            path.and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default().to_owned()
        };
        match (name(path.parent()).as_str(), name(Some(path)).as_str()) {
            (_, "cline_mcp_settings.json" | "mcp_settings.json") | (".roo" | ".kilocode", _) => Self::Cline,
            (_, ".mcp.json" | ".claude.json" | "managed-mcp.json") => Self::Claude,
            (".gemini", _) => Self::Gemini,
            // Zed's file has this name as well, but another shape.
            (_, "settings.json") if root.get("mcpServers").is_some() => Self::Gemini,
            _ => Self::Other,
        }
    }
}
