//! A user's folder with one far server in its `braid.toml`, and a browser for whoever logs in.

use super::issuer::Issuer;
use crate::said::Said;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

pub(super) struct Home {
    pub(super) folder: tempfile::TempDir,
}

impl Home {
    /// `more`: of `braid.toml`, before the server.
    pub(super) fn before(issuer: &Issuer, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!("{more}\n[servers.far]\nurl = \"{}/mcp\"\n", issuer.base);
        fs::write(folder.path().join("braid.toml"), config).unwrap();
        Self { folder }
    }

    pub(super) fn logins(&self) -> PathBuf {
        self.folder.path().join(".local/state/braid/logins.json")
    }

    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_braid"));
        for ours in ["BRAID_CONFIG", "BRAID_LOG", "BRAID_RUN", "BROWSER", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"]
        {
            command.env_remove(ours);
        }
        let folder = self.folder.path();
        command.args(words).args(["-c", "braid.toml"]).current_dir(folder);
        command.env("HOME", folder).env("XDG_CONFIG_HOME", folder);
        command
    }

    pub(super) fn braid(&self, words: &[&str]) -> Said {
        Said::of(&mut self.command(words), "")
    }

    /// Logs in, with a browser that goes where it is sent.
    pub(super) fn login(&self, more: &[&str]) -> Said {
        let words = [&["login", "far", "--no-browser", "--json"], more].concat();
        let mut command = self.command(&words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        out.read_line(&mut first).unwrap();
        if let Ok(said) = serde_json::from_str::<serde_json::Value>(&first)
            && let Some(page) = said["open"].as_str()
        {
            let (status, back) = get(page);
            assert_eq!(status, 302, "{page}");
            assert_eq!(get(&back).0, 200, "{back}");
        }
        let (mut rest, mut err) = (String::new(), String::new());
        out.read_to_string(&mut rest).unwrap();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        let code = child.wait().unwrap().code().unwrap_or(-1);
        Said { code, out: first + &rest, err }
    }
}

/// One GET: its status, and where it leads.
pub(super) fn get(url: &str) -> (u16, String) {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    let mut lines = text.lines().map_while(|line| line.split_once(": ").or(Some((line, ""))));
    let location = lines.find(|(name, _)| name.eq_ignore_ascii_case("location"));
    (status, location.map(|(_, to)| to.to_owned()).unwrap_or_default())
}
