//! One server from a command line, without a file: `braid stdio -- npx -y some-package`.
//!
//! Owns the name that such a server gets. The name is for people: in messages, logs and lists. Its tools keep
//! their own names, because there is nothing to tell them from.

use std::path::Path;

use super::{Command, Config, Prefix, Reach, ServerConfig};

impl Config {
    /// A configuration of one server without a prefix, which runs in `folder`.
    ///
    /// The server is named after the package when a package runner is the program (`npx -y
    /// @modelcontextprotocol/server-everything` is `everything`), otherwise after the program. A program with
    /// a slash is a path from `folder`.
    pub fn for_command(program: &str, args: &[String], folder: &Path) -> Self {
        let mut config = Self::new("command line", folder);
        let key = name_of(program, args);
        let path = program.contains('/').then(|| folder.join(program));
        let program = path.as_deref().and_then(Path::to_str).unwrap_or(program);
        let command = Command { args: args.to_vec(), ..Command::new(program, folder) };
        let server = ServerConfig { prefix: Prefix::Bare, ..ServerConfig::new(&key, Reach::Stdio(command)) };
        config.servers.push(server);
        config
    }
}

/// A program that runs another, which gives the name.
struct Runner {
    programs: &'static [&'static str],
    /// Words before the package that are part of the runner, such as `exec` and `dlx`.
    words: &'static [&'static str],
    /// Options that take the next argument with them.
    with_value: &'static [&'static str],
    /// Options whose next argument is the package itself.
    names_package: &'static [&'static str],
}

const RUNNERS: &[Runner] = &[
    Runner {
        programs: &["npx", "bunx", "pnpx", "npm", "pnpm", "yarn", "bun"],
        words: &["exec", "x", "dlx", "run"],
        with_value: &["--registry", "--cache", "-w", "--workspace", "-c", "--call"],
        names_package: &["-p", "--package"],
    },
    Runner {
        programs: &["uvx", "uv", "pipx"],
        words: &["run", "tool"],
        with_value: &[
            "--from",
            "--with",
            "--python",
            "-p",
            "--directory",
            "--project",
            "--index",
            "--index-url",
            "--env-file",
            "--spec",
        ],
        names_package: &[],
    },
    Runner {
        programs: &["python", "python3", "py"],
        words: &[],
        with_value: &["-W", "-X"],
        names_package: &["-m"],
    },
    Runner {
        programs: &["node", "deno", "tsx", "ts-node", "ruby", "bash", "sh", "java", "dotnet"],
        words: &["run"],
        with_value: &["-r", "--require", "--import", "--env-file", "-cp"],
        names_package: &["-jar"],
    },
    Runner {
        programs: &["docker", "podman"],
        words: &["run", "container"],
        with_value: &[
            "-e",
            "--env",
            "--env-file",
            "-v",
            "--volume",
            "--mount",
            "--name",
            "-p",
            "--publish",
            "--network",
            "--net",
            "-w",
            "--workdir",
            "-u",
            "--user",
            "--entrypoint",
            "--platform",
            "-l",
            "--label",
            "--add-host",
            "-m",
            "--memory",
            "--cpus",
            "--pull",
        ],
        names_package: &[],
    },
];

/// What says nothing: most servers have one of these before or behind their name.
const PREFIXES: &[&str] = &["mcp-server-", "server-", "mcp-"];
const SUFFIXES: &[&str] = &["-mcp-server", "-server-mcp", "-mcp", "-server"];
/// Whole names that say nothing; then the scope of the package is better.
const EMPTY_NAMES: &[&str] =
    &["mcp", "server", "mcp-server", "main", "index", "src", "dist", "build", "cli", "app"];

/// Longest name, in characters.
const NAME_CHARS_MAX: usize = 64;

fn name_of(program: &str, args: &[String]) -> String {
    let own = stem(program);
    let runner = RUNNERS.iter().find(|runner| runner.programs.contains(&own.as_str()));
    let package = runner.and_then(|runner| package(runner, args));
    let name = package.map_or_else(|| plain(&own), |package| name_of_package(&package));
    if name.is_empty() { "server".to_owned() } else { name.chars().take(NAME_CHARS_MAX).collect() }
}

/// The argument that a runner runs.
fn package(runner: &Runner, args: &[String]) -> Option<String> {
    let mut rest = args.iter().map(String::as_str);
    while let Some(arg) = rest.next() {
        let named =
            runner.names_package.iter().find_map(|option| arg.strip_prefix(option)?.strip_prefix('='));
        if let Some(package) = named {
            return Some(package.to_owned());
        }
        if runner.names_package.contains(&arg) {
            return rest.next().map(str::to_owned);
        }
        if runner.with_value.contains(&arg) {
            rest.next();
        } else if !arg.starts_with('-') && !runner.words.contains(&arg) && !arg.is_empty() {
            return Some(arg.to_owned());
        }
    }
    None
}

/// `@scope/server-name@1.2.3`, `mcp_server_name==1.2`, `image/name:tag`, `path/to/name.js`.
fn name_of_package(package: &str) -> String {
    let package = package.split_once("==").map_or(package, |(name, _)| name);
    let package = package.split_once('[').map_or(package, |(name, _)| name);
    let package = match package.rfind('@') {
        Some(at) if at > 0 => package.get(..at).unwrap_or(package),
        Some(_) | None => package,
    };
    let mut parts =
        package.rsplit(['/', '\\']).filter(|part| !part.is_empty() && *part != "." && *part != "..");
    let last = parts.next().unwrap_or_default();
    let last = last.split_once(':').map_or(last, |(name, _)| name);
    let name = plain(&stem(last));
    if !EMPTY_NAMES.contains(&name.as_str()) {
        return name;
    }
    // `@playwright/mcp`, `weather/build/index.js`: the first part around it that says something.
    let around = parts.map(|part| plain(part.trim_start_matches('@')));
    around.into_iter().find(|part| !part.is_empty() && !EMPTY_NAMES.contains(&part.as_str())).unwrap_or(name)
}

/// The last part of a path without what systems and languages put behind it.
fn stem(path: &str) -> String {
    const ENDS: &[&str] =
        &[".exe", ".cmd", ".bat", ".ps1", ".sh", ".py", ".js", ".mjs", ".cjs", ".ts", ".jar", ".rb"];
    let name = path.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or_default();
    let end = ENDS.iter().find_map(|end| name.strip_suffix(end));
    end.filter(|stem| !stem.is_empty()).unwrap_or(name).to_owned()
}

/// The name without the words that say nothing, and without control characters.
fn plain(name: &str) -> String {
    let name: String =
        name.chars().filter(|c| !c.is_control()).map(|c| if c == '_' { '-' } else { c }).collect();
    let mut rest = name.as_str();
    let head = PREFIXES.iter().find_map(|prefix| rest.strip_prefix(prefix));
    rest = head.filter(|rest| !rest.is_empty()).unwrap_or(rest);
    let tail = SUFFIXES.iter().find_map(|suffix| rest.strip_suffix(suffix));
    tail.filter(|rest| !rest.is_empty()).unwrap_or(rest).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_after_what_runs() {
        for (line, name) in [
            ("npx -y @modelcontextprotocol/server-everything", "everything"),
            ("npx -y @modelcontextprotocol/server-filesystem@2025.8.21 /tmp", "filesystem"),
            ("npx @playwright/mcp@latest --headless", "playwright"),
            ("npx -y --package=@acme/tools-mcp acme", "tools"),
            ("npx -p @acme/tools acme", "tools"),
            ("/usr/local/bin/npx -y mcp-server-kubernetes", "kubernetes"),
            ("npx.cmd -y firecrawl-mcp", "firecrawl"),
            ("pnpm dlx mcp-remote https://x/mcp", "remote"),
            ("uvx mcp-server-git --repository /x", "git"),
            ("uvx --from git+https://x/y serena", "serena"),
            ("uv --directory /srv/weather run weather.py", "weather"),
            ("uv run --with mcp weather_server.py", "weather"),
            ("python -m mcp_server_fetch", "fetch"),
            ("python3 -u ./servers/weather.py", "weather"),
            ("node /srv/weather/build/index.js", "weather"),
            ("docker run -i --rm -e GITHUB_TOKEN ghcr.io/github/github-mcp-server:latest stdio", "github"),
            ("docker run -i --rm mcp/time", "time"),
            ("/opt/bin/my-server --flag", "my"),
            ("./notes", "notes"),
            ("mcp-server", "server"),
            ("server", "server"),
            ("npx", "npx"),
            ("docker run -i", "docker"),
            ("python", "python"),
            ("uvx mcp[cli]==1.2", "mcp"),
            ("C:\\tools\\notes.exe", "notes"),
        ] {
            let mut words = line.split(' ').map(str::to_owned);
            let program = words.next().unwrap();
            let args: Vec<_> = words.collect();
            assert_eq!(name_of(&program, &args), name, "{line}");
        }
    }

    #[test]
    fn any_words_make_a_name() {
        for word in
            ["", "/", "-", "@", "@/", "é", "\u{1b}[1m", "==", "[", ":", "_", "a/", "\\", "..", "mcp-", "-mcp"]
        {
            for program in ["npx", "docker", word] {
                let name = name_of(program, &[word.to_owned()]);
                assert!(!name.is_empty() && !name.chars().any(char::is_control), "{program} {word}");
            }
        }
        assert_eq!(name_of(&"x".repeat(1_000), &[]).len(), NAME_CHARS_MAX);
    }

    #[test]
    fn one_server_without_a_file_has_no_prefix() {
        let config = Config::for_command("npx", &["-y".to_owned(), "a".to_owned()], Path::new("/here"));
        let [server] = config.servers.as_slice() else { panic!("one server") };
        assert_eq!(server.prefix, Prefix::Bare);
        let Reach::Stdio(command) = &server.reach else { panic!("a program") };
        assert_eq!((command.program.as_str(), command.args.len()), ("npx", 2));
        assert_eq!(command.folder, Path::new("/here"));
        assert_eq!(config.origin, "command line");
        let config = Config::for_command("./run.sh", &[], Path::new("/here"));
        let Reach::Stdio(command) = &config.servers[0].reach else { panic!("a program") };
        assert_eq!((command.program.as_str(), config.servers[0].key.as_str()), ("/here/./run.sh", "run"));
    }
}
