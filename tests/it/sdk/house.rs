//! The real binary with servers behind it, and a client of each of them beside it.

use super::client::Client;
use super::terms::Terms;
use super::{peer, soon};
use rmcp::model::ProtocolVersion;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use tempfile::TempDir;
use tokio::process::Command;

/// The servers, in the order of the configuration.
const KEYS: [&str; 3] = ["notes", "workshop", "peer"];

/// How many items we put on a page, so that every list has several.
pub(super) const PAGE_ITEMS: usize = 2;

/// A client of ours, and the same client at every server itself.
pub(super) struct House {
    pub(super) braided: Client,
    direct: Vec<(&'static str, Client)>,
    _folder: TempDir,
}

impl House {
    /// Every server; the client asks for the latest revision that it knows.
    pub(super) async fn open() -> Self {
        Self::of(&KEYS, ProtocolVersion::LATEST).await
    }

    /// Some servers, and a client that asks for this revision.
    pub(super) async fn of(keys: &[&'static str], revision: ProtocolVersion) -> Self {
        let (folder, braid) = braid(keys);
        let direct =
            keys.iter().map(async |key| (*key, Client::connect(server(key), revision.clone()).await));
        let (braided, direct) =
            tokio::join!(Client::connect(braid, revision.clone()), futures::future::join_all(direct));
        Self { braided, direct, _folder: folder }
    }

    /// The servers' keys, in the order of the configuration.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.direct.iter().map(|(key, _)| *key)
    }

    pub(super) fn direct(&self, key: &str) -> &Client {
        self.direct.iter().find(|(own, _)| *own == key).map(|(_, client)| client).unwrap()
    }

    /// Claims that a request has the same answer with us as without us, and returns the latter.
    pub(super) async fn same(&self, key: &'static str, method: &str, params: Value) -> Result<Value, Value> {
        let terms = Terms(key);
        let (direct, braided) = tokio::join!(
            self.direct(key).ask(method, params.clone()),
            self.braided.ask(method, terms.params(params.clone())),
        );
        let expected = direct.clone().map(|own| terms.result(own)).map_err(|own| terms.error(own));
        assert_eq!(braided, expected, "{key}: {method} {params}");
        direct
    }

    pub(super) async fn close(self) {
        let direct = self.direct.into_iter().map(|(_, client)| client);
        let everybody = direct.chain([self.braided]).map(Client::leave);
        soon(futures::future::join_all(everybody)).await;
    }
}

/// A server by its key.
pub(super) fn server(key: &str) -> Command {
    let (program, arguments) = program(key);
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Ourselves, with these servers behind us; the folder has the configuration.
pub(super) fn braid(keys: &[&str]) -> (TempDir, Command) {
    let mut config = format!(
        r#"
version = 1

# A busy machine may take its time: the first list waits for everybody.
[timeouts]
first_list = "30s"

# As direct as the peers are spoken to beside: with a handshake.
[defaults]
protocol = "handshake"

[limits]
page_items = {PAGE_ITEMS}

[log]
level = "error"
"#
    );
    for key in keys {
        let (program, arguments) = program(key);
        // What is a string in JSON is one in TOML.
        let (program, arguments) = (json!(program), json!(arguments));
        writeln!(config, "\n[servers.{key}]\ncommand = {program}\nargs = {arguments}").unwrap();
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("braid.toml");
    fs::write(&path, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_braid"));
    command.arg("stdio").arg("-c").arg(path);
    (folder, command)
}

fn program(key: &str) -> (&str, Vec<String>) {
    match key {
        "peer" => {
            let (program, arguments) = peer::command();
            (program, arguments.into())
        }
        demo => (env!("CARGO_BIN_EXE_braid"), vec!["demo-server".to_owned(), demo.to_owned()]),
    }
}
