//! Liberties that a client's own file takes with JSON, and that its client may not.
//!
//! We read such a file all the same. Whoever also uses it with the client finds it without servers there, as a rule
//! without a word. Only clients that are known to read JSON to the letter are spoken of.

use std::path::Path;
use std::sync::Arc;

use super::codes::Code;
use super::problem::{Problem, Source};
use super::tree::{self, Entry, Liberties};

/// One warning for each kind of liberty, where it is taken first.
pub(super) fn warnings(servers: &Entry, raw: &str, source: &Arc<Source>) -> Vec<Problem> {
    // VS Code and Zed read JSON with comments, and Codex reads TOML; they have other keys.
    if servers.key != "mcpServers" || is_lenient(&source.origin) {
        return Vec::new();
    }
    let kinds = [
        (
            Liberties { comments: true, trailing_commas: false },
            "a comma stands behind the last entry",
            "remove the comma",
        ),
        (
            Liberties { comments: false, trailing_commas: true },
            "a comment stands in this file",
            "remove the comment",
        ),
    ];
    let found = kinds.into_iter().filter_map(|(liberties, message, help)| {
        let error = tree::from_json_with(raw, liberties).err()?;
        let problem = Problem::warning(source, Code::LooseJson, message)
            .at(&error.span, "Braid reads over it; the client may refuse the whole file")
            .help(help);
        Some(problem)
    });
    found.collect()
}

/// Cursor is an editor like VS Code; Gemini passes over comments.
fn is_lenient(origin: &str) -> bool {
    let path = Path::new(origin);
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    path.extension().is_some_and(|end| end == "jsonc")
        || folder.is_some_and(|name| [".cursor", ".vscode", ".gemini", ".zed"].contains(&name))
}

#[cfg(test)]
mod tests {
    use crate::config::file::from_text;

    fn warned(origin: &str, text: &str) -> Vec<String> {
        let loaded = from_text(text, origin, std::path::Path::new("/f"), &|_| None).unwrap();
        loaded.warnings.iter().map(|problem| problem.line()).collect()
    }

    const LOOSE: &str = "{\"mcpServers\": { // mine\n \"a\": {\"command\": \"x\"},\n}}";

    #[test]
    fn a_comma_and_a_comment_are_said_where_the_client_may_refuse_them() {
        let said = warned("claude_desktop_config.json", LOOSE);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].ends_with("BRAID-C041: a comment stands in this file"), "{said:?}");
        assert!(said[1].ends_with("BRAID-C041: a comma stands behind the last entry"), "{said:?}");
        assert_eq!(
            warned("claude_desktop_config.json", "{\"mcpServers\": {\"a\": {\"command\": \"x\"}}}").len(),
            0
        );
    }

    #[test]
    fn where_the_client_takes_them_nothing_is_said() {
        for origin in ["/p/.cursor/mcp.json", "/h/.gemini/settings.json", "mine.jsonc"] {
            assert_eq!(warned(origin, LOOSE).len(), 0, "{origin}");
        }
        assert_eq!(warned("mcp.json", &LOOSE.replace("mcpServers", "servers")).len(), 0);
    }
}
