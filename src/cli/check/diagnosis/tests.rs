//! Each way in which a program does not start, and what is said of it.

use super::super::arguments::MISSING_MAX;
use super::*;
use crate::config::{Reach, Secret};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A machine of one folder: `etc` has the configuration, `home` is the home folder, `bin` is all of PATH.
struct Machine {
    root: tempfile::TempDir,
    config: Config,
}

impl Machine {
    fn new(file: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["etc", "home", "bin"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        let etc = root.path().join("etc");
        let config = Config::new(&etc.join(file).display().to_string(), &etc);
        Self { root, config }
    }

    fn put(&self, file: &str, text: &str, mode: u32) {
        let file = self.root.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn command(&self, program: &str) -> Command {
        Command::new(program, &self.config.folder)
    }

    fn around(&self) -> Around<'_> {
        let home = self.root.path().join("home");
        let ours = [("PATH", self.root.path().join("bin").into_os_string()), ("A_TOKEN", "s3cret".into())];
        Around {
            config: &self.config,
            written: None,
            ours: ours.map(|(name, value)| (name.into(), value)).into(),
            places: Places { of_shell: vec![home.join("shell")], ..Places::new(Some(&home), None) },
            home: Some(home),
            client: None,
        }
    }

    /// All that is said, with `/` for the machine's own folder.
    fn said(&self, command: &Command) -> Vec<String> {
        let server = ServerConfig::new("my server", Reach::Stdio(command.clone()));
        foreseen(&self.around(), &server, command).map(|failure| self.lines(&failure)).unwrap_or_default()
    }

    fn lines(&self, failure: &Failure) -> Vec<String> {
        let first = format!("{} {}", failure.code, failure.message);
        let fixes = failure.fixes.iter().map(|fix| format!("fix: {fix}"));
        let lines = std::iter::once(first).chain(failure.facts.iter().cloned()).chain(fixes);
        let root = self.root.path().to_str().unwrap();
        lines.map(|line| line.replace(root, "")).collect()
    }

    fn explained(&self, command: &Command, failure: Failure) -> Vec<String> {
        let server = ServerConfig::new("my server", Reach::Stdio(command.clone()));
        self.lines(&explain(&self.around(), &server, command, failure))
    }
}

#[test]
fn a_program_elsewhere_is_found_and_its_path_given() {
    let machine = Machine::new("braid.toml");
    machine.put("home/.local/bin/a-tool", "#!/bin/sh\n", 0o755);
    assert_eq!(
        machine.said(&machine.command("a-tool")),
        [
            "BRAID-S001 `a-tool` not found",
            "looked in /bin",
            "found: ~/.local/bin/a-tool",
            "fix: command = \"/home/.local/bin/a-tool\"",
        ]
    );
    machine.put("home/shell/a-tool", "#!/bin/sh\n", 0o755);
    let said = machine.said(&machine.command("a-tool"));
    assert_eq!(said[2], "found: ~/shell/a-tool, ~/.local/bin/a-tool");
    assert_eq!(
        said[3..],
        ["fix: command = \"/home/shell/a-tool\"", "fix: servers.\"my server\".path_from_shell = \"always\""]
    );
}

#[test]
fn a_program_that_is_nowhere_is_named_with_what_it_comes_with() {
    let machine = Machine::new("braid.toml");
    assert_eq!(
        machine.said(&machine.command("uvx-of-nobody")),
        [
            "BRAID-S001 `uvx-of-nobody` not found",
            "looked in /bin",
            "fix: install `uvx-of-nobody`, or write the whole path"
        ]
    );
    let said = machine.said(&machine.command("npx -y a-server"));
    assert_eq!(
        said[2..],
        [
            "no shell is involved: `command` is the name of one program",
            "fix: put what follows the program's name into `args`"
        ]
    );
}

#[test]
fn the_other_name_of_a_program_is_said() {
    let machine = Machine::new("braid.toml");
    machine.put("bin/nodejs", "#!/bin/sh\n", 0o755);
    let around = machine.around();
    let command = machine.command("node");
    let server = ServerConfig::new("a", Reach::Stdio(command.clone()));
    // Wherever this machine's own node may be.
    let around = Around { places: Places::default(), ..around };
    let failure = foreseen(&around, &server, &command).unwrap();
    assert_eq!(machine.lines(&failure)[2..], ["`nodejs` is there", "fix: command = \"nodejs\""]);
}

#[test]
fn a_runner_whose_interpreter_is_not_in_path_gets_a_path() {
    let machine = Machine::new("braid.toml");
    machine.put("home/.nvm/versions/node/v22.1.0/bin/a-runner", "#!/usr/bin/env a-node\n", 0o755);
    machine.put("home/.nvm/versions/node/v22.1.0/bin/a-node", "#!/bin/sh\n", 0o755);
    let fix = "fix: env = { PATH = \"/home/.nvm/versions/node/v22.1.0/bin:${PATH}\" }";
    assert_eq!(
        machine.said(&machine.command("a-runner")),
        [
            "BRAID-S001 `a-runner` not found",
            "looked in /bin",
            "found: ~/.nvm/versions/node/v22.1.0/bin/a-runner",
            fix
        ]
    );
    machine.put("bin/a-runner", "#!/usr/bin/env a-node\n", 0o755);
    assert_eq!(
        machine.said(&machine.command("a-runner")),
        [
            "BRAID-S010 `/bin/a-runner` is there, but `a-node`, which runs it, is not",
            "looked in /bin",
            "found: ~/.nvm/versions/node/v22.1.0/bin/a-node",
            fix
        ]
    );
}

#[test]
fn what_is_wrong_with_a_file_is_told_apart() {
    let machine = Machine::new("braid.toml");
    machine.put("etc/plain.py", "print()\n", 0o644);
    machine.put("etc/lost", "#!/no/such/a-tool\n", 0o755);
    machine.put("etc/windows", "#!/bin/sh\r\n", 0o755);
    machine.put("etc/inner/x", "", 0o644);
    machine.put("bin/python3", "#!/bin/sh\n", 0o755);
    machine.put("bin/a-tool", "#!/bin/sh\n", 0o755);
    let etc = machine.config.folder.display().to_string();
    let said = |name: &str| machine.said(&machine.command(&format!("{etc}/{name}")));
    assert_eq!(
        said("plain.py"),
        [
            "BRAID-S004 `/etc/plain.py` may not be run: it is not executable",
            "fix: chmod +x /etc/plain.py",
            "fix: command = \"python3\", args = [\"/etc/plain.py\", …]"
        ]
    );
    assert_eq!(
        said("lost"),
        [
            "BRAID-S010 `/etc/lost` cannot be run: its first line names `/no/such/a-tool`, which does not exist",
            "`a-tool` is /bin/a-tool",
            "fix: `#!/bin/a-tool` as its first line",
            "fix: command = \"/bin/a-tool\", args = [\"/etc/lost\", …]"
        ]
    );
    assert_eq!(said("windows")[1..], [r"fix: sed -i 's/\r$//' /etc/windows"]);
    assert_eq!(said("inner")[1..], ["fix: name the program in it: command = \"/etc/inner/…\""]);
    assert_eq!(
        said("a-tool"),
        [
            "BRAID-S001 `/etc/a-tool` does not exist",
            "relative paths start from /etc, the folder of the configuration",
            "`a-tool` is in PATH",
            "fix: command = \"a-tool\""
        ]
    );
    let gone = Command { folder: machine.config.folder.join("gone"), ..machine.command("a-tool") };
    assert_eq!(
        machine.said(&gone),
        [
            "BRAID-S009 the folder `/etc/gone` does not exist",
            "relative paths start from /etc, the folder of the configuration",
            "fix: mkdir /etc/gone",
            "fix: another `cwd`"
        ]
    );
    assert_eq!(machine.said(&machine.command("a-tool")), [""; 0]);
}

#[test]
fn a_remedy_is_written_as_the_file_is() {
    for (file, remedy) in [
        ("claude_desktop_config.json", "fix: \"command\": \"/home/bin/a-tool\""),
        (".codex/config.toml", "fix: \"command\": \"/home/bin/a-tool\""),
        ("command line", "fix: -- /home/bin/a-tool"),
    ] {
        let machine = Machine::new(file);
        machine.put("home/bin/a-tool", "#!/bin/sh\n", 0o755);
        assert_eq!(machine.said(&machine.command("a-tool"))[3..], [remedy], "{file}");
    }
}

#[test]
fn what_happened_is_explained_by_what_is_missing() {
    let machine = Machine::new("braid.toml");
    machine.put("bin/a-runner", "#!/usr/bin/env a-node\n", 0o755);
    let ended = Failure::new(Code::ExitedEarly, "it exited with status 127");
    let said = machine.explained(&machine.command("a-runner"), ended);
    assert!(said[0].starts_with("BRAID-S010 "), "{said:?}");
    assert_eq!(said[1], "so it exited with status 127");
}

#[test]
fn a_variable_that_is_ours_alone_is_named_and_its_value_is_not() {
    let machine = Machine::new("braid.toml");
    machine.put("bin/a-tool", "#!/bin/sh\n", 0o755);
    let ended = || Failure {
        stderr: vec!["error: A_TOKEN, B_TOKEN and PATH_X must be set (A_TOKEN)".to_owned()],
        ..Failure::new(Code::ExitedEarly, "it exited with status 1")
    };
    let said = machine.explained(&machine.command("a-tool"), ended());
    assert_eq!(
        said[1..],
        [
            "`A_TOKEN` is set where Braid runs; a server gets only the variables that its entry declares",
            "fix: env = { A_TOKEN = \"${A_TOKEN}\" }"
        ]
    );
    assert!(!format!("{said:?}").contains("s3cret"));
    let declared = Command { env: vec![("A_TOKEN".into(), Secret::new("x"))], ..machine.command("a-tool") };
    assert_eq!(machine.explained(&declared, ended()).len(), 1);
}

#[test]
fn a_runner_that_is_late_may_be_downloading() {
    let machine = Machine::new("braid.toml");
    machine.put("bin/npx", "#!/bin/sh\n", 0o755);
    let late = Failure::new(Code::NoHandshake, "no answer to initialize for 30 s");
    let said = machine.explained(&machine.command("npx"), late);
    assert_eq!(
        said[1..],
        [
            "`npx` downloads what it runs, which may take long the first time",
            "fix: run the command once by hand",
            "fix: servers.\"my server\".timeouts.start = \"2m\""
        ]
    );
}

#[test]
fn arguments_that_lead_nowhere_are_found() {
    let machine = Machine::new("braid.toml");
    machine.put("etc/there.py", "", 0o644);
    let said = |program: &str, args: &[&str]| -> Vec<String> {
        let args = args.iter().map(|argument| (*argument).to_owned()).collect();
        let command = Command { args, ..machine.command(program) };
        let root = machine.root.path().to_str().unwrap();
        missing(&command, None).into_iter().map(|missing| missing.text.replace(root, "")).collect()
    };
    assert_eq!(
        said("python3.12", &["-u", "gone.py", "more.py"]),
        ["`gone.py` does not exist in /etc, where the program runs"]
    );
    assert_eq!(said("/usr/bin/node", &["gone.mjs"]).len(), 1);
    for (program, args) in [
        ("python3", &["there.py"][..]),
        ("python3", &["-m", "gone.py.module"]),
        ("npx", &["-y", "@scope/server", "gone.py"]),
        ("npx", &["a-server", "--db", "/no/such/file.db", "/mcp", "--x=/no/such/file"]),
        ("sh", &["-c", "gone.sh"]),
    ] {
        let found = said(program, args);
        assert!(found.is_empty(), "{args:?} {found:?}");
    }
    assert_eq!(
        said("npx", &["a-server", "/Users/username/Desktop", "~/notes"]),
        [
            "the argument `/Users/username/Desktop` names a file or folder that does not exist",
            "the argument `~/notes` is passed on as it is: no shell replaces `~`"
        ]
    );
    assert_eq!(said("npx", &["/a/b", "/a/c", "/a/d", "/a/e", "/a/f", "/a/g"]).len(), MISSING_MAX);
}

#[test]
fn a_program_of_the_shells_alone_is_a_warning_where_no_shell_is_asked() {
    let machine = Machine::new("braid.toml");
    machine.put("bin/a-tool", "#!/bin/sh\n", 0o755);
    let command = machine.command("a-tool");
    let mut server = ServerConfig::new("a", Reach::Stdio(command.clone()));
    assert_eq!(findings(&machine.around(), &server, &command), []);
    server.path_from_shell = PathFromShell::Never;
    let found = findings(&machine.around(), &server, &command);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, Code::OnlyInShell);
}

#[test]
fn a_path_is_shown_within_a_line() {
    let machine = Machine::new("braid.toml");
    let around = machine.around();
    let shown = |path: &str| around.shown_path(OsStr::new(path));
    assert_eq!(shown("/usr/bin:/bin:/usr/bin"), "/usr/bin:/bin");
    assert_eq!(shown(""), "an empty PATH");
    let long: Vec<String> = (0..40).map(|at| format!("/folder/number/{at}")).collect();
    let shown = shown(&long.join(":"));
    assert!(shown.ends_with(":… (40 folders)") && shown.len() < 90, "{shown}");
}

#[test]
fn an_argument_is_said_as_it_is_written() {
    let machine = Machine::new("braid.toml");
    let command = |argument: &str| Command { args: vec![argument.to_owned()], ..machine.command("a-server") };
    let found = missing(&command("/s3cret/in/a/path"), Some(&command("${TOKEN}")));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].text, "the argument `${TOKEN}` names a file or folder that does not exist");
}
