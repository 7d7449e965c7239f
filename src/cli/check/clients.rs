//! What clients and models allow: how long a name may be, how many tools they take, how long they wait.
//!
//! Facts about clients, as they were known when this was written; a client may change them with any release. Numbers in,
//! verdicts out: nothing is started or listed here.

use std::time::Duration;

use super::report::{Finding, Names, Verdict};
use crate::cli::check::count;
use crate::config::codes::Code;
use crate::config::units::duration_text;
use crate::config::{Config, ServerConfig, toml_key};

/// One client's limits.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// Longest exposed name, if our entry is called `braid`.
    pub(super) name_chars_max: usize,
    pub(super) tools_max: Option<usize>,
    /// Where it cuts descriptions of tools, and instructions.
    pub(super) text_bytes_max: Option<usize>,
    /// What it waits for a server to be there, and for a call.
    pub(super) start: Option<Duration>,
    pub(super) call: Option<Duration>,
    /// What it takes of one result.
    pub(super) result_tokens_max: Option<usize>,
    /// It is an app of a desktop, which starts programs with a short PATH.
    pub(super) is_desktop_app: bool,
}

const NOBODY: Client = Client {
    name: "",
    title: "",
    name_chars_max: 64,
    tools_max: None,
    text_bytes_max: None,
    start: None,
    call: None,
    result_tokens_max: None,
    is_desktop_app: false,
};

const fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

/// `mcp__braid__` before a name of 64 leaves 52; Cursor counts entry and tool name together, below 60.
const CLIENTS: [Client; 10] = [
    Client {
        name: "claude-desktop",
        title: "Claude Desktop",
        start: seconds(60),
        call: seconds(60),
        is_desktop_app: true,
        ..NOBODY
    },
    Client {
        name: "claude-code",
        title: "Claude Code",
        name_chars_max: 52,
        text_bytes_max: Some(2048),
        start: seconds(30),
        call: seconds(60),
        result_tokens_max: Some(25_000),
        ..NOBODY
    },
    Client {
        name: "cursor",
        title: "Cursor",
        name_chars_max: 54,
        tools_max: Some(40),
        is_desktop_app: true,
        ..NOBODY
    },
    Client { name: "vscode", title: "VS Code", tools_max: Some(128), is_desktop_app: true, ..NOBODY },
    Client { name: "zed", title: "Zed", is_desktop_app: true, ..NOBODY },
    Client { name: "windsurf", title: "Windsurf", tools_max: Some(100), is_desktop_app: true, ..NOBODY },
    Client {
        name: "cline",
        title: "Cline",
        start: seconds(60),
        call: seconds(60),
        is_desktop_app: true,
        ..NOBODY
    },
    Client {
        name: "codex",
        title: "Codex",
        name_chars_max: 52,
        start: seconds(10),
        call: seconds(60),
        ..NOBODY
    },
    Client {
        name: "gemini",
        title: "Gemini CLI",
        name_chars_max: 63,
        start: seconds(600),
        call: seconds(600),
        ..NOBODY
    },
    Client { name: "openai", title: "OpenAI", tools_max: Some(128), ..NOBODY },
];

pub(super) fn client(name: &str) -> Option<&'static Client> {
    CLIENTS.iter().find(|client| client.name == name)
}

pub(super) fn names() -> Vec<&'static str> {
    CLIENTS.iter().map(|client| client.name).collect()
}

/// Every client's verdict, or one's.
pub(super) fn judge(names: &Names, only: Option<&Client>) -> Vec<Verdict> {
    let asked = CLIENTS.iter().filter(|client| only.is_none_or(|only| client.name == only.name));
    asked
        .map(|client| {
            let names_fit = names.longest_name <= client.name_chars_max;
            let tools_fit = client.tools_max.is_none_or(|max| names.tools <= max);
            Verdict {
                client: client.name,
                title: client.title,
                fits: names_fit && tools_fit,
                tools_max: client.tools_max,
                longest_name_max: client.name_chars_max,
                text_bytes_max: client.text_bytes_max,
                result_tokens_max: client.result_tokens_max,
                names_fit,
                tools_fit,
            }
        })
        .collect()
}

impl Client {
    /// Whether it has a file that an entry can be written into.
    pub(super) fn is_installed(&self) -> bool {
        self.name != "openai"
    }

    /// What of the numbers is more than it takes.
    pub(super) fn over(&self, names: &Names) -> Vec<Finding> {
        let mut found = Vec::new();
        if names.longest_name > self.name_chars_max {
            let text = format!(
                "the longest name has {} characters, and {} takes {}",
                names.longest_name, self.title, self.name_chars_max
            );
            let help = format!("names.max_length = {}", self.name_chars_max);
            found.push(Finding::warning(None, Code::NameTooLong, text).help(help));
        }
        if let Some(max) = self.tools_max.filter(|max| names.tools > *max) {
            let text = format!("{}, and {} takes {max}", count(names.tools, "tool"), self.title);
            let help = "serve it a group of the servers: `[groups.NAME]`, `braid stdio --group NAME`";
            found.push(Finding::warning(None, Code::TooManyTools, text).help(help));
        }
        found
    }

    /// Where it does not wait as long as Braid does. Notes: with Braid's own defaults it is so.
    pub(super) fn impatience(&self, config: &Config) -> Vec<Finding> {
        let mut found = Vec::new();
        if let Some(start) = self.start.filter(|start| config.first_list >= *start) {
            let text = format!(
                "{} waits {} for the first list, and Braid may take {} for it",
                self.title,
                duration_text(start),
                duration_text(config.first_list)
            );
            let finding = Finding::warning(None, Code::ClientImpatient, text);
            found.push(finding.help("a shorter `timeouts.first_list`"));
        }
        let Some(limit) = self.call else { return found };
        let longer = |server: &&ServerConfig| server.timeouts.call > limit;
        let longest = config.servers.iter().filter(longer).max_by_key(|server| server.timeouts.call);
        if let Some(longest) = longest {
            let number = config.servers.iter().filter(longer).count();
            let whose = match number == config.servers.len() {
                true => "timeouts.call".to_owned(),
                false => format!("servers.{}.timeouts.call", toml_key(&longest.key)),
            };
            let text = format!(
                "{} gives a call up after {}, before Braid does ({whose} is {})",
                self.title,
                duration_text(limit),
                duration_text(longest.timeouts.call)
            );
            let help = match self.name {
                "claude-code" => {
                    "a longer `MCP_TOOL_TIMEOUT` for Claude Code, or a `timeouts.call` below its limit"
                }
                "cline" | "codex" | "gemini" => {
                    "a longer timeout in the client's entry, or a `timeouts.call` below it"
                }
                _ => "a `timeouts.call` below that, if its user is to read Braid's own words",
            };
            found.push(Finding::note(None, Code::ClientImpatient, text).help(help));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_client_is_found_by_its_name() {
        assert!(names().into_iter().all(|name| client(name).is_some()));
        assert!(client("netscape").is_none());
    }

    #[test]
    fn a_client_is_judged_by_its_own_limits() {
        let names = Names { tools: 57, longest_name: 53, ..Names::default() };
        let verdicts = judge(&names, None);
        let over: Vec<_> =
            verdicts.iter().filter(|verdict| !verdict.fits).map(|verdict| verdict.client).collect();
        assert_eq!(over, ["claude-code", "cursor", "codex"]);
        let texts: Vec<_> =
            client("cursor").unwrap().over(&names).into_iter().map(|finding| finding.text).collect();
        assert_eq!(texts, ["57 tools, and Cursor takes 40"]);
        assert_eq!(judge(&names, client("vscode")).len(), 1);
    }

    #[test]
    fn a_client_that_waits_less_is_noted() {
        let reach = crate::config::Reach::Stdio(crate::config::Command::new("x", Path::new("/")));
        let mut config = Config::new("x", Path::new("/"));
        config.servers = vec![ServerConfig::new("a", reach)];
        let said = |config: &Config, name: &str| -> Vec<String> {
            client(name).unwrap().impatience(config).into_iter().map(|finding| finding.text).collect()
        };
        assert_eq!(
            said(&config, "codex"),
            ["Codex gives a call up after 1m, before Braid does (timeouts.call is 2m)"]
        );
        assert_eq!(said(&config, "gemini"), [""; 0]);
        config.servers[0].timeouts.call = Duration::from_secs(50);
        config.first_list = Duration::from_secs(11);
        assert_eq!(
            said(&config, "codex"),
            ["Codex waits 10s for the first list, and Braid may take 11s for it"]
        );
    }
}
