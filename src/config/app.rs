//! The clients whose files we read and write, by the names that people call them by.
//!
//! Where in its file each keeps its servers, and in which words it writes down one of ours. Where the files are is
//! a matter of `places`, what others' entries mean of `client_entry`.

use super::edit::json::Json;
use super::toml_text;

/// A program that people talk to and that uses our tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum App {
    ClaudeDesktop,
    ClaudeCode,
    Cursor,
    VsCode,
    Zed,
    Windsurf,
    Cline,
    Roo,
    Codex,
    Gemini,
}

/// How a client is to reach us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// It starts this program.
    Program { program: String, args: Vec<String> },
    /// It sends its requests there, with the token that a variable of its environment holds; `None`: without one.
    Url { url: String, token_variable: Option<String> },
}

/// The language of a client's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// With comments, where the client bears them.
    Json,
    Toml,
}

/// One entry, in the form of the file that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnEntry {
    Json(Json),
    /// The lines below the header of its section.
    Toml(String),
}

/// Why a client cannot be told of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoUrl {
    #[error(
        "the file of {0} knows no remote servers; without `--http` it starts `braid stdio`, which needs no address"
    )]
    Programs(&'static str),
    #[error(
        "the file of {0} knows no variables, and a token does not belong into it; without `--http` it starts `braid stdio`, which needs none"
    )]
    Variables(&'static str),
}

impl App {
    pub const ALL: [Self; 10] = [
        Self::ClaudeDesktop,
        Self::ClaudeCode,
        Self::Cursor,
        Self::VsCode,
        Self::Zed,
        Self::Windsurf,
        Self::Cline,
        Self::Roo,
        Self::Codex,
        Self::Gemini,
    ];

    /// As it is written on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "claude-desktop",
            Self::ClaudeCode => "claude-code",
            Self::Cursor => "cursor",
            Self::VsCode => "vscode",
            Self::Zed => "zed",
            Self::Windsurf => "windsurf",
            Self::Cline => "cline",
            Self::Roo => "roo",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
        }
    }

    /// As it is called in a sentence.
    pub fn title(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "Claude Desktop",
            Self::ClaudeCode => "Claude Code",
            Self::Cursor => "Cursor",
            Self::VsCode => "VS Code",
            Self::Zed => "Zed",
            Self::Windsurf => "Windsurf",
            Self::Cline => "Cline",
            Self::Roo => "Roo Code",
            Self::Codex => "Codex",
            Self::Gemini => "Gemini CLI",
        }
    }

    /// The client that somebody means; capitals, blanks, `-` and `_` do not matter.
    pub fn named(text: &str) -> Option<Self> {
        let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_', ' '], "");
        let meant = match plain(text).as_str() {
            "claude" => Self::ClaudeDesktop,
            "code" => Self::VsCode,
            "roocode" => Self::Roo,
            "codexcli" => Self::Codex,
            "geminicli" => Self::Gemini,
            wanted => return Self::ALL.into_iter().find(|app| plain(app.name()) == wanted),
        };
        Some(meant)
    }

    /// The table that its servers stand in, from the top of its file.
    pub fn table(self) -> &'static str {
        match self {
            Self::VsCode => "servers",
            Self::Zed => "context_servers",
            Self::Codex => "mcp_servers",
            Self::ClaudeDesktop
            | Self::ClaudeCode
            | Self::Cursor
            | Self::Windsurf
            | Self::Cline
            | Self::Roo
            | Self::Gemini => "mcpServers",
        }
    }

    pub fn syntax(self) -> Syntax {
        match self {
            Self::Codex => Syntax::Toml,
            Self::ClaudeDesktop
            | Self::ClaudeCode
            | Self::Cursor
            | Self::VsCode
            | Self::Zed
            | Self::Windsurf
            | Self::Cline
            | Self::Roo
            | Self::Gemini => Syntax::Json,
        }
    }

    /// The entry by which it reaches us.
    pub fn entry(self, reached: &Reached) -> Result<OwnEntry, NoUrl> {
        match reached {
            Reached::Program { program, args } => Ok(self.program(program, args)),
            Reached::Url { url, token_variable } => self.url(url, token_variable.as_deref()),
        }
    }

    fn program(self, program: &str, args: &[String]) -> OwnEntry {
        if self == Self::Codex {
            let (program, args) = (toml_text::quoted(program), toml_text::list(args));
            return OwnEntry::Toml(format!("command = {program}\nargs = {args}\n"));
        }
        let kind = match self {
            Self::VsCode | Self::ClaudeCode => Some(("type", "stdio")),
            Self::Zed => Some(("source", "custom")),
            Self::ClaudeDesktop
            | Self::Cursor
            | Self::Windsurf
            | Self::Cline
            | Self::Roo
            | Self::Codex
            | Self::Gemini => None,
        };
        let mut members = Vec::new();
        members.extend(kind.map(|(key, word)| (key.to_owned(), Json::text(word))));
        members.push(("command".to_owned(), Json::text(program)));
        members.push(("args".to_owned(), Json::Texts(args.to_vec())));
        if matches!(self, Self::ClaudeCode | Self::Zed) {
            members.push(("env".to_owned(), Json::Object(Vec::new())));
        }
        OwnEntry::Json(Json::Object(members))
    }

    fn url(self, url: &str, token_variable: Option<&str>) -> Result<OwnEntry, NoUrl> {
        let (kind, key) = match self {
            Self::ClaudeDesktop => return Err(NoUrl::Programs(self.title())),
            Self::Codex => {
                let mut lines = format!("url = {}\n", toml_text::quoted(url));
                if let Some(name) = token_variable {
                    lines.push_str(&format!("bearer_token_env_var = {}\n", toml_text::quoted(name)));
                }
                return Ok(OwnEntry::Toml(lines));
            }
            Self::ClaudeCode | Self::VsCode => (Some("http"), "url"),
            Self::Cline => (Some("streamableHttp"), "url"),
            Self::Roo => (Some("streamable-http"), "url"),
            Self::Cursor | Self::Zed => (None, "url"),
            Self::Windsurf => (None, "serverUrl"),
            Self::Gemini => (None, "httpUrl"),
        };
        let mut members = Vec::new();
        members.extend(kind.map(|kind| ("type".to_owned(), Json::text(kind))));
        members.push((key.to_owned(), Json::text(url)));
        if let Some(name) = token_variable {
            let reference = self.reference(name).ok_or_else(|| NoUrl::Variables(self.title()))?;
            let headers = vec![("Authorization".to_owned(), Json::text(format!("Bearer {reference}")))];
            members.push(("headers".to_owned(), Json::Object(headers)));
        }
        Ok(OwnEntry::Json(Json::Object(members)))
    }

    /// How its file refers to a variable; `None` where it cannot.
    fn reference(self, name: &str) -> Option<String> {
        match self {
            Self::ClaudeCode | Self::Gemini => Some(format!("${{{name}}}")),
            Self::Cursor | Self::VsCode | Self::Windsurf | Self::Cline | Self::Roo => {
                Some(format!("${{env:{name}}}"))
            }
            Self::ClaudeDesktop | Self::Zed | Self::Codex => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_found_by_what_people_call_it() {
        for app in App::ALL {
            assert_eq!(App::named(app.name()), Some(app));
            assert_eq!(App::named(app.title()), Some(app), "{}", app.title());
        }
        assert_eq!(App::named("VS_Code"), Some(App::VsCode));
        assert_eq!(App::named("netscape"), None);
    }

    #[test]
    fn each_client_is_told_in_its_own_words() {
        let program = Reached::Program { program: "/b".to_owned(), args: vec!["stdio".to_owned()] };
        let url = |token: Option<&str>| Reached::Url {
            url: "http://x/mcp".to_owned(),
            token_variable: token.map(str::to_owned),
        };
        let shown = |app: App, reached: &Reached| match app.entry(reached).unwrap() {
            OwnEntry::Json(json) => {
                super::super::edit::json::page(&json).split_whitespace().collect::<String>()
            }
            OwnEntry::Toml(lines) => lines,
        };
        for (app, starts, asks) in [
            (
                App::ClaudeCode,
                r#"{"type":"stdio","command":"/b","args":["stdio"],"env":{}}"#,
                r#"{"type":"http","url":"http://x/mcp","headers":{"Authorization":"Bearer${T}"}}"#,
            ),
            (
                App::Cursor,
                r#"{"command":"/b","args":["stdio"]}"#,
                r#"{"url":"http://x/mcp","headers":{"Authorization":"Bearer${env:T}"}}"#,
            ),
            (
                App::VsCode,
                r#"{"type":"stdio","command":"/b","args":["stdio"]}"#,
                r#"{"type":"http","url":"http://x/mcp","headers":{"Authorization":"Bearer${env:T}"}}"#,
            ),
            (
                App::Windsurf,
                r#"{"command":"/b","args":["stdio"]}"#,
                r#"{"serverUrl":"http://x/mcp","headers":{"Authorization":"Bearer${env:T}"}}"#,
            ),
            (
                App::Cline,
                r#"{"command":"/b","args":["stdio"]}"#,
                r#"{"type":"streamableHttp","url":"http://x/mcp","headers":{"Authorization":"Bearer${env:T}"}}"#,
            ),
            (
                App::Roo,
                r#"{"command":"/b","args":["stdio"]}"#,
                r#"{"type":"streamable-http","url":"http://x/mcp","headers":{"Authorization":"Bearer${env:T}"}}"#,
            ),
            (
                App::Codex,
                "command = \"/b\"\nargs = [\"stdio\"]\n",
                "url = \"http://x/mcp\"\nbearer_token_env_var = \"T\"\n",
            ),
            (
                App::Gemini,
                r#"{"command":"/b","args":["stdio"]}"#,
                r#"{"httpUrl":"http://x/mcp","headers":{"Authorization":"Bearer${T}"}}"#,
            ),
        ] {
            assert_eq!(shown(app, &program), starts, "{}", app.name());
            assert_eq!(shown(app, &url(Some("T"))), asks, "{}", app.name());
        }
        assert_eq!(
            shown(App::Zed, &program),
            r#"{"source":"custom","command":"/b","args":["stdio"],"env":{}}"#
        );
        assert_eq!(shown(App::Zed, &url(None)), r#"{"url":"http://x/mcp"}"#);
        assert_eq!(App::Zed.entry(&url(Some("T"))), Err(NoUrl::Variables("Zed")));
        assert_eq!(App::ClaudeDesktop.entry(&url(None)), Err(NoUrl::Programs("Claude Desktop")));
    }
}
