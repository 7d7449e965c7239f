//! A home for runs of Braid with one server, and a client of one run.

use crate::said::{PATIENCE, Said};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

pub(super) const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
/// Stands in every place of a configuration where a secret may.
pub(super) const CANARY: &str = "c4n4ry-of-a-s3cret";

/// A home folder with a `braid.toml`, whose server waits as long as a file is there.
pub(super) struct Home(tempfile::TempDir);

impl Home {
    /// `more`: lines of `braid.toml`.
    pub(super) fn new(more: &str) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir(home.path().join("rt")).unwrap();
        home.configure(more);
        home
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes the configuration anew; what `more` says of a key holds.
    pub(super) fn configure(&self, more: &str) {
        let script = format!(
            "while [ -e hold ]; do sleep 0.02; done; exec '{}' demo-server notes",
            env!("CARGO_BIN_EXE_braid")
        );
        let mut lines: Vec<String> = vec![
            "admin.catalog_cache = true".to_owned(),
            "servers.notes.command = \"/bin/sh\"".to_owned(),
            format!("servers.notes.args = [\"-c\", \"{script}\", \"sh\", \"${{TOKEN}}\"]"),
            "servers.notes.protocol = \"handshake\"".to_owned(),
            format!("servers.notes.env = {{ TOKEN = \"${{TOKEN}}\", LITERAL = \"{CANARY}\" }}"),
            "servers.notes.inherit_env = [\"ACCOUNT\"]".to_owned(),
        ];
        let key = |line: &str| line.split(" = ").next().unwrap_or_default().to_owned();
        for line in more.lines() {
            lines.retain(|known| key(known) != key(line));
            lines.push(line.to_owned());
        }
        fs::write(self.path().join("braid.toml"), lines.join("\n")).unwrap();
    }

    /// From now on its server waits before it reads anything.
    pub(super) fn hold(&self) {
        fs::write(self.path().join("hold"), "").unwrap();
    }

    pub(super) fn release(&self) {
        fs::remove_file(self.path().join("hold")).unwrap();
    }

    pub(super) fn lists_folder(&self) -> PathBuf {
        self.path().join(".cache/braid/lists")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.path().join(".local/state/braid/catalog-cache.key")
    }

    /// The files that are there.
    pub(super) fn lists(&self) -> Vec<PathBuf> {
        let found = fs::read_dir(self.lists_folder()).unwrap();
        found.map(|entry| entry.unwrap().path()).collect()
    }

    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_braid"));
        command.args(args).current_dir(self.path()).env_clear().env("HOME", self.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("XDG_RUNTIME_DIR", self.path().join("rt"));
        command.env("TOKEN", CANARY).env("ACCOUNT", CANARY);
        command
    }

    pub(super) fn braid(&self, args: &[&str]) -> Said {
        Said::of(&mut self.command(args), "")
    }

    /// How the only run stands.
    pub(super) fn status(&self) -> String {
        self.braid(&["status", "--json"]).out.replace(": ", ":")
    }

    /// `braid stdio` with a client that has greeted it.
    pub(super) fn stdio(&self, variables: &[(&str, &str)]) -> Client<'_> {
        let log = fs::File::options().create(true).append(true).open(self.path().join("log")).unwrap();
        let mut command = self.command(&["stdio"]);
        command.envs(variables.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (sender, lines) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            lines.for_each(|line| drop(sender.send(line)));
        });
        let stdin = child.stdin.take();
        let mut client = Client { home: self, child, stdin, lines };
        client.say(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#);
        client.hear();
        client.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        client
    }

    /// How often all runs have logged this.
    pub(super) fn logged(&self, what: &str) -> usize {
        fs::read_to_string(self.path().join("log")).unwrap_or_default().matches(what).count()
    }
}

/// A client of one run, which it ends.
pub(super) struct Client<'a> {
    home: &'a Home,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Client<'_> {
    pub(super) fn say(&mut self, line: &str) {
        self.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next line, whatever it is.
    pub(super) fn hear(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    /// The line that answers this.
    pub(super) fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.hear()
    }
}

impl Drop for Client<'_> {
    /// What it was given is kept by then, if it came from its server: that is written right after it is shown.
    fn drop(&mut self) {
        let limit = Instant::now() + PATIENCE;
        let is_held = self.home.path().join("hold").exists();
        let keeps = fs::read_to_string(self.home.path().join("braid.toml"));
        let keeps = keeps.unwrap_or_default().contains("catalog_cache = true");
        let is_kept = || {
            let found = fs::read_dir(self.home.lists_folder());
            let ends = |path: &Path| path.extension().is_some_and(|end| end == "lists");
            found.is_ok_and(|mut found| found.any(|entry| entry.is_ok_and(|entry| ends(&entry.path()))))
        };
        while keeps && !is_held && !thread::panicking() && !is_kept() && Instant::now() < limit {
            thread::park_timeout(Duration::from_millis(5));
        }
        drop(self.stdin.take());
        self.child.wait().unwrap();
    }
}
