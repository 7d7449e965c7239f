//! Whether a command of a client's file starts Braid itself: by its name, by its path, or through another program.
//!
//! Following such an entry, Braid would serve itself without end. A Braid with a server of its own on the command
//! line is a bridge to that server and no loop. Pure but for one look at where links lead; it starts nothing.

use std::path::{Path, PathBuf};

/// Names that our own program and its packages go by.
const OWN_NAMES: &[&str] = &["braid", "mcp-braid", "mcp_braid"];

/// Programs inside of programs inside of programs.
const DEPTH_MAX: usize = 8;

/// Whether the command serves what we serve. `own`: where our own program is.
pub fn starts_braid(program: &str, args: &[String], own: Option<&Path>) -> bool {
    let words: Vec<String> = std::iter::once(program.to_owned()).chain(args.iter().cloned()).collect();
    is_braid(&words, own, 0)
}

/// Whether the URL is a door of a Braid that listens there. `ports`: of the addresses that it listens on.
pub fn leads_to_braid(url: &str, ports: &[u16]) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback() || ip.is_unspecified());
    let first = url.path().split('/').nth(1).unwrap_or_default();
    let last = url.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let door = matches!(first, "mcp" | "sse") || (first == "servers" && last == "mcp");
    here && door && url.port_or_known_default().is_some_and(|port| ports.contains(&port))
}

fn is_braid(words: &[String], own: Option<&Path>, depth: usize) -> bool {
    let Some((program, args)) = words.split_first().filter(|_| depth < DEPTH_MAX) else { return false };
    if is_own_name(program) || own.is_some_and(|own| is_same_file(program, own)) {
        return serves_a_file(args);
    }
    let inner = match stem(program).as_str() {
        "env" => behind_assignments(args),
        "sh" | "bash" | "dash" | "zsh" | "fish" | "ash" | "cmd" | "powershell" | "pwsh" => {
            return shell_line(args).is_some_and(|line| {
                // Whatever the line does first, one of its commands may be ours.
                let commands = line.split(|word| matches!(word.as_str(), ";" | "|" | "&"));
                commands.into_iter().any(|words| is_braid(behind_assignments(words), own, depth + 1))
            });
        }
        "nohup" | "exec" | "command" | "sudo" | "doas" | "nice" | "ionice" | "time" | "timeout"
        | "stdbuf" | "setsid" | "unshare" | "firejail" | "bwrap" | "start" => {
            return any_tail_is_braid(args, own, depth);
        }
        "npx" | "bunx" | "pnpx" | "npm" | "pnpm" | "yarn" | "bun" | "uvx" | "uv" | "pipx" | "docker"
        | "podman" | "nix" | "mise" | "node" | "python" | "python3" | "py" | "deno" => {
            return any_tail_is_braid(args, own, depth);
        }
        "cargo" => return cargo_runs_braid(args),
        _ => return false,
    };
    is_braid(inner, own, depth + 1)
}

/// Whether some word is ours and what follows it serves. The options of all these programs are too many to know, so
/// our name alone counts where nothing but options and the programs' own words stands before it: a folder may have it.
fn any_tail_is_braid(args: &[String], own: Option<&Path>, depth: usize) -> bool {
    const PROGRAMS_OWN: [&str; 7] = ["exec", "x", "dlx", "run", "tool", "container", "--"];
    (0..args.len()).any(|at| {
        let (before, words) = args.split_at(at);
        let Some((word, rest)) = words.split_first() else { return false };
        if matches!(stem(word).as_str(), "sh" | "bash" | "env") && is_braid(words, own, depth + 1) {
            return true;
        }
        let named = is_own_name(word) || own.is_some_and(|own| is_same_file(word, own));
        let first = before.iter().all(|word| word.starts_with('-') || PROGRAMS_OWN.contains(&word.as_str()));
        named && serves_a_file(rest) && (first || rest.iter().any(|word| word == "stdio"))
    })
}

fn cargo_runs_braid(args: &[String]) -> bool {
    let (before, behind) = match args.iter().position(|arg| arg == "--") {
        Some(at) => (args.get(..at).unwrap_or_default(), args.get(at + 1..).unwrap_or_default()),
        None => (args, &[][..]),
    };
    let runs = before.iter().any(|arg| matches!(arg.as_str(), "run" | "r"));
    let ours = before.iter().any(|arg| {
        let value = arg.split_once('=').map_or(arg.as_str(), |(_, value)| value);
        is_own_name(value) || value.split(['/', '\\']).any(|part| OWN_NAMES.contains(&part))
    });
    runs && ours && serves_a_file(behind)
}

/// Whether these arguments of ours serve a configuration: `braid` alone does so too.
fn serves_a_file(args: &[String]) -> bool {
    let bridge = args.iter().any(|arg| arg == "--" || arg == "--url" || arg.starts_with("--url="));
    !bridge
        && (args.is_empty()
            || args.iter().any(|arg| arg == "stdio")
            || args.iter().all(|arg| arg.starts_with('-')))
}

/// `braid`, `/usr/bin/braid`, `braid.exe`, `mcp-braid@latest`, `registry/braid:1`, `mcp-braid==0.1`.
fn is_own_name(word: &str) -> bool {
    let name = stem(word);
    let name = name.split(['@', ':', '=', '[', '<', '>', '~']).next().unwrap_or_default();
    OWN_NAMES.contains(&name)
}

/// The last part of a path without what systems put behind a program's name.
fn stem(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
    let end = [".exe", ".cmd", ".bat", ".ps1"].into_iter().find_map(|end| name.strip_suffix(end));
    end.unwrap_or(&name).to_owned()
}

fn is_same_file(program: &str, own: &Path) -> bool {
    if !program.contains(['/', '\\']) {
        return false;
    }
    let real = |path: &Path| -> PathBuf { std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()) };
    real(Path::new(program)) == real(own)
}

/// What follows options and `NAME=value`.
fn behind_assignments(words: &[String]) -> &[String] {
    let is_before = |word: &&String| word.starts_with('-') || word.contains('=') || word.as_str() == "exec";
    words.get(words.iter().take_while(is_before).count()..).unwrap_or_default()
}

/// The words of `sh -c "…"`, as far as they can be told apart without a shell.
fn shell_line(args: &[String]) -> Option<Vec<String>> {
    let takes_line = |arg: &String| {
        let short = arg.starts_with('-') && !arg.starts_with("--") && arg.ends_with('c');
        short || arg.eq_ignore_ascii_case("/c") || arg.eq_ignore_ascii_case("-command")
    };
    let at = args.iter().position(takes_line)?;
    Some(words(&args.get(at + 1..)?.join(" ")))
}

fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut open = None;
    for sign in line.chars() {
        match (open, sign) {
            (Some(quote), _) if sign == quote => open = None,
            (Some(_), _) => word.push(sign),
            (None, '"' | '\'') => open = Some(sign),
            (None, ';' | '|' | '&') => {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                // `&&` and `||` come as two.
                words.push(sign.to_string());
            }
            (None, _) if sign.is_whitespace() => {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)))
            }
            (None, _) => word.push(sign),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(line: &str) -> bool {
        let words = words(line);
        // A line in brackets is one word.
        let words: Vec<String> = words.iter().map(|word| word.replace('_', " ").replace("~", "_")).collect();
        starts_braid(&words[0], &words[1..], Some(Path::new("/opt/here/program")))
    }

    #[test]
    fn braid_is_found_by_name_by_path_and_through_other_programs() {
        for line in [
            "braid",
            "braid stdio",
            "/usr/local/bin/braid stdio -c /x/braid.toml",
            "C:\\bin\\braid.exe stdio",
            "/opt/here/program stdio",
            "mcp-braid stdio",
            "npx mcp-braid",
            "npx -y mcp-braid@latest stdio",
            "npx --package=mcp-braid braid stdio",
            "npm exec -- mcp-braid stdio",
            "bunx mcp-braid",
            "uvx mcp-braid stdio",
            "uvx --from mcp-braid braid stdio",
            "uv tool run mcp~braid stdio",
            "pipx run mcp-braid==0.1 stdio",
            "docker run --rm -i ghcr.example/braid:1 stdio",
            "env A=b braid stdio",
            "/usr/bin/env braid stdio",
            "sh -c braid_stdio",
            "bash -lc exec_braid_stdio_-c_x",
            "sh -c cd_/x_&&_A=b_exec_/usr/bin/braid_stdio",
            "cmd /c braid stdio",
            "nice -n 5 braid stdio",
            "timeout 10 /opt/here/program stdio",
            "cargo run --release --bin braid -- stdio",
            "cargo run --manifest-path /src/braid/Cargo.toml -- stdio -c x",
            "cargo run -p mcp-braid",
            "braid --quiet",
            "docker run -i braid",
        ] {
            assert!(ours(line), "{line}");
        }
        for line in [
            "npx -y some-server",
            "braid demo-server notes",
            "braid stdio -- npx x",
            "braid stdio --url https://x/mcp",
            "npx mcp-braid stdio --url=https://x",
            "node /src/braid/other.js",
            "braider stdio",
            "/srv/braid/server stdio",
            "cargo run -- stdio",
            "cargo build --bin braid",
            "sh -c echo_x",
            "env A=braid",
            "python -m notes",
            "uvx mcp-server-git --repository /src/braid",
            "npx -y some-server braid",
        ] {
            assert!(!ours(line), "{line}");
        }
    }

    #[test]
    fn a_door_of_our_own_is_found_by_its_address() {
        for url in [
            "http://127.0.0.1:8808/mcp",
            "http://localhost:8808/mcp/dev",
            "http://[::1]:8808/sse",
            "http://127.0.0.1:8808/servers/x/mcp",
        ] {
            assert!(leads_to_braid(url, &[8808]), "{url}");
        }
        for url in [
            "http://127.0.0.1:8809/mcp",
            "https://x:8808/mcp",
            "http://127.0.0.1:8808/other",
            "http://127.0.0.1:8808/servers/x",
            "x",
        ] {
            assert!(!leads_to_braid(url, &[8808]), "{url}");
        }
    }

    #[test]
    fn a_link_to_our_program_is_our_program() {
        let folder = tempfile::tempdir().unwrap();
        let (own, link) = (folder.path().join("own"), folder.path().join("link"));
        std::fs::write(&own, "").unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&own, &link).unwrap();
            assert!(starts_braid(link.to_str().unwrap(), &["stdio".to_owned()], Some(&own)));
        }
        assert!(!starts_braid(folder.path().join("x").to_str().unwrap(), &[], Some(&own)));
    }

    #[test]
    fn programs_in_programs_end() {
        let deep: Vec<String> =
            std::iter::repeat_n("env".to_owned(), 100).chain(["braid".to_owned()]).collect();
        assert!(!is_braid(&deep, None, 0));
    }
}
