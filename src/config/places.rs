//! Where clients keep their files on each system: for the user, and in a project.
//!
//! Pure: the environment and the folder come in. Whether a file is there is its caller's question.

use std::path::{Path, PathBuf};

use super::app::App;

/// The systems that clients keep their files differently on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    Linux,
    MacOs,
    Windows,
}

/// For whom the entries of a file hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Wherever its user is.
    User,
    /// In one project: relative paths start from its folder.
    Project,
}

/// A file of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub app: App,
    pub path: PathBuf,
    pub scope: Scope,
    /// Where in the file the servers stand, if that is not where they usually do.
    pub within: Vec<String>,
}

/// What the places depend on.
pub struct Ground<'a> {
    pub system: System,
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Where projects are looked for.
    pub current_folder: &'a Path,
}

impl System {
    /// The one that we run on.
    pub fn here() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else if cfg!(target_os = "macos") {
            Self::MacOs
        } else {
            Self::Linux
        }
    }
}

/// Editors that VS Code's extensions run in, by the folder that each keeps its settings in.
const EDITORS: [&str; 5] = ["Code", "Code - Insiders", "VSCodium", "Cursor", "Windsurf"];

impl Ground<'_> {
    /// Every file that a client may have servers in, the nearest to the user first.
    pub fn places(&self, app: App) -> Vec<Place> {
        let mut places = Vec::new();
        let mut add = |scope: Scope, path: Option<PathBuf>| {
            places.extend(path.map(|path| Place { app, path, scope, within: Vec::new() }));
        };
        let project = |path: &str| Some(self.current_folder.join(path));
        match app {
            App::ClaudeDesktop => add(Scope::User, self.settings(&["Claude", "claude_desktop_config.json"])),
            App::ClaudeCode => {
                add(Scope::Project, project(".mcp.json"));
                add(Scope::User, self.home(&[".claude.json"]));
                add(Scope::User, self.managed());
            }
            App::Cursor => {
                add(Scope::Project, project(".cursor/mcp.json"));
                add(Scope::User, self.home(&[".cursor", "mcp.json"]));
            }
            App::VsCode => {
                add(Scope::Project, project(".vscode/mcp.json"));
                for editor in EDITORS.into_iter().take(3) {
                    add(Scope::User, self.settings(&[editor, "User", "mcp.json"]));
                    add(Scope::User, self.settings(&[editor, "User", "settings.json"]));
                }
                add(Scope::User, self.home(&[".copilot", "mcp-config.json"]));
            }
            App::Zed => {
                add(Scope::Project, project(".zed/settings.json"));
                add(Scope::User, self.zed());
            }
            App::Windsurf => {
                add(Scope::User, self.home(&[".codeium", "windsurf", "mcp_config.json"]));
                add(Scope::User, self.home(&[".codeium", "mcp_config.json"]));
            }
            App::Cline => {
                for editor in EDITORS {
                    add(
                        Scope::User,
                        self.extension(editor, "saoudrizwan.claude-dev", "cline_mcp_settings.json"),
                    );
                }
                add(Scope::User, self.home(&[".cline", "data", "settings", "cline_mcp_settings.json"]));
            }
            App::Roo => {
                add(Scope::Project, project(".roo/mcp.json"));
                for editor in EDITORS {
                    add(
                        Scope::User,
                        self.extension(editor, "rooveterinaryinc.roo-cline", "mcp_settings.json"),
                    );
                }
            }
            App::Codex => {
                add(Scope::Project, project(".codex/config.toml"));
                let home = self.variable("CODEX_HOME").map(|home| home.join("config.toml"));
                add(Scope::User, home.or_else(|| self.home(&[".codex", "config.toml"])));
            }
            App::Gemini => {
                add(Scope::Project, project(".gemini/settings.json"));
                add(Scope::User, self.home(&[".gemini", "settings.json"]));
            }
        }
        // What Claude Code keeps for one project in the user's own file.
        if let (App::ClaudeCode, Some(folder)) = (app, self.current_folder.to_str()) {
            let within = vec!["projects".to_owned(), folder.to_owned(), "mcpServers".to_owned()];
            let path = self.home(&[".claude.json"]);
            places.extend(path.map(|path| Place { app, path, scope: Scope::Project, within }));
        }
        // In the home folder the user's file and the project's are one.
        let mut seen: Vec<Place> = Vec::new();
        for place in places {
            match seen.iter_mut().find(|earlier| earlier.path == place.path && earlier.within == place.within)
            {
                Some(earlier) => earlier.scope = Scope::User,
                None => seen.push(place),
            }
        }
        seen
    }

    /// The file that holds wherever the user is: where an entry of ours goes. `None`: no home folder is known.
    pub fn own(&self, app: App) -> Option<PathBuf> {
        self.places(app).into_iter().find(|place| place.scope == Scope::User).map(|place| place.path)
    }

    /// The user's own folder.
    pub fn home_folder(&self) -> Option<PathBuf> {
        self.home(&[])
    }

    fn variable(&self, name: &str) -> Option<PathBuf> {
        (self.env)(name).map(PathBuf::from).filter(|path| !path.as_os_str().is_empty() && path.has_root())
    }

    fn home(&self, parts: &[&str]) -> Option<PathBuf> {
        let home = match self.system {
            System::Windows => self.variable("USERPROFILE").or_else(|| self.variable("HOME")),
            System::Linux | System::MacOs => self.variable("HOME"),
        };
        home.map(|home| home.join(parts.iter().collect::<PathBuf>()))
    }

    /// Where desktop programs keep what is a user's.
    fn settings(&self, parts: &[&str]) -> Option<PathBuf> {
        let folder = match self.system {
            System::Linux => self.variable("XDG_CONFIG_HOME").or_else(|| self.home(&[".config"])),
            System::MacOs => self.home(&["Library", "Application Support"]),
            System::Windows => self.variable("APPDATA").or_else(|| self.home(&["AppData", "Roaming"])),
        };
        folder.map(|folder| folder.join(parts.iter().collect::<PathBuf>()))
    }

    fn extension(&self, editor: &str, extension: &str, file: &str) -> Option<PathBuf> {
        self.settings(&[editor, "User", "globalStorage", extension, "settings", file])
    }

    /// Zed keeps to `~/.config` on macOS too.
    fn zed(&self) -> Option<PathBuf> {
        match self.system {
            System::Linux => self.settings(&["zed", "settings.json"]),
            System::MacOs => self.home(&[".config", "zed", "settings.json"]),
            System::Windows => self.settings(&["Zed", "settings.json"]),
        }
    }

    /// What an administrator wrote for all users of Claude Code.
    fn managed(&self) -> Option<PathBuf> {
        Some(PathBuf::from(match self.system {
            System::Linux => "/etc/claude-code/managed-mcp.json",
            System::MacOs => "/Library/Application Support/ClaudeCode/managed-mcp.json",
            System::Windows => r"C:\Program Files\ClaudeCode\managed-mcp.json",
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(system: System, env: &[(&str, &str)]) -> Vec<String> {
        let env = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let ground = Ground { system, env: &env, current_folder: Path::new("/work/p") };
        App::ALL
            .iter()
            .map(|app| ground.own(*app).map_or_else(String::new, |path| path.display().to_string()))
            .collect()
    }

    #[test]
    fn each_client_has_its_file_where_it_keeps_it() {
        assert_eq!(
            own(System::Linux, &[("HOME", "/home/ana")]),
            [
                "/home/ana/.config/Claude/claude_desktop_config.json",
                "/home/ana/.claude.json",
                "/home/ana/.cursor/mcp.json",
                "/home/ana/.config/Code/User/mcp.json",
                "/home/ana/.config/zed/settings.json",
                "/home/ana/.codeium/windsurf/mcp_config.json",
                "/home/ana/.config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
                "/home/ana/.config/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json",
                "/home/ana/.codex/config.toml",
                "/home/ana/.gemini/settings.json",
            ]
        );
        let mac = own(System::MacOs, &[("HOME", "/Users/ana"), ("XDG_CONFIG_HOME", "/x")]);
        assert_eq!(mac[0], "/Users/ana/Library/Application Support/Claude/claude_desktop_config.json");
        assert_eq!(mac[4], "/Users/ana/.config/zed/settings.json");
        let moved = own(System::Linux, &[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x"), ("CODEX_HOME", "/c")]);
        assert_eq!(
            (moved[0].as_str(), moved[8].as_str()),
            ("/x/Claude/claude_desktop_config.json", "/c/config.toml")
        );
        assert_eq!(own(System::Linux, &[])[2], "");
    }

    #[test]
    fn a_project_comes_before_its_user() {
        let env = |name: &str| (name == "HOME").then(|| "/home/ana".to_owned());
        let ground = |folder: &'static str| Ground {
            system: System::Linux,
            env: &env,
            current_folder: Path::new(folder),
        };
        let places = ground("/p").places(App::Cursor);
        let shown: Vec<_> = places.iter().map(|place| (place.path.to_str().unwrap(), place.scope)).collect();
        assert_eq!(
            shown,
            [("/p/.cursor/mcp.json", Scope::Project), ("/home/ana/.cursor/mcp.json", Scope::User)]
        );
        let places = ground("/home/ana").places(App::Cursor);
        assert_eq!((places.len(), places[0].scope), (1, Scope::User));
        let places = ground("/p").places(App::ClaudeCode);
        assert_eq!(places.last().unwrap().within, ["projects", "/p", "mcpServers"]);
    }
}
