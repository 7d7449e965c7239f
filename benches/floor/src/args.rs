//! The command line.

use std::net::SocketAddr;
use std::process::Child;

pub(crate) const USAGE: &str = "\
usage: floor (--listen ADDRESS:PORT | --stdio) [--threads N] (--server NAME COMMANDLINE_OR_URL)...

  --listen   serves Streamable HTTP at /mcp
  --stdio    serves one client on stdin and stdout; servers must be commands
  --server   its tools are NAME__TOOL; what begins with http:// is a URL, anything else is split on spaces
  --threads  1 is a runtime without workers; 2 unless it is said";

#[derive(Clone)]
pub(crate) struct Arguments {
    pub(crate) door: Door,
    pub(crate) threads: usize,
    pub(crate) servers: Vec<Named>,
}

#[derive(Clone, Copy)]
pub(crate) enum Door {
    Http(SocketAddr),
    Stdio,
}

#[derive(Clone)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) reach: Reach,
}

#[derive(Clone)]
pub(crate) enum Reach {
    Command(Vec<String>),
    Url(String),
}

/// A server that was started, or one that need not be.
pub(crate) enum Begun {
    Child(Child),
    Remote(String),
}

impl Arguments {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut door, mut threads, mut servers) = (None, 2, Vec::new());
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("`{word}` wants more"));
            match word.as_str() {
                "--listen" => {
                    let address = value()?;
                    door =
                        Some(Door::Http(address.parse().map_err(|_| format!("`{address}` is no address"))?));
                }
                "--stdio" => door = Some(Door::Stdio),
                "--threads" => {
                    threads = value()?.parse().ok().filter(|n| *n > 0).ok_or("`--threads` wants a number")?;
                }
                "--server" => servers.push(Named { name: value()?, reach: Reach::parse(&value()?)? }),
                _ => return Err(format!("`{word}` is not known")),
            }
        }
        let door = door.ok_or("neither `--listen` nor `--stdio`")?;
        let urls = servers.iter().any(|server| matches!(server.reach, Reach::Url(_)));
        match (&door, servers.is_empty(), urls) {
            (_, true, _) => Err("no `--server`".to_owned()),
            (Door::Stdio, _, true) => Err("`--stdio` has no servers over HTTP".to_owned()),
            (Door::Http(_) | Door::Stdio, ..) => Ok(Self { door, threads, servers }),
        }
    }
}

impl Reach {
    fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("http://") {
            return Ok(Self::Url(text.to_owned()));
        }
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() { Err("a server without a command".to_owned()) } else { Ok(Self::Command(words)) }
    }
}
