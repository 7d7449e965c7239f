//! A login is of whoever agreed to it: with `listen.auth = "none"` nobody else acts by it, unless the server's settings say so.

use super::home::Home;
use super::issuer::Issuer;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

/// A run that serves whoever comes.
struct Serving {
    child: Child,
    address: String,
    /// What it said before it listened.
    said: String,
}

impl Serving {
    fn of(home: &Home) -> Self {
        let mut command = home.command(&["serve"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let address = loop {
            let line = lines.next().unwrap().unwrap();
            if let Some((_, rest)) = line.split_once("listening on http://") {
                break rest.trim_end_matches("/mcp").to_owned();
            }
            said += &line;
        };
        // Whoever is not read would wait.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address, said }
    }

    /// The answer to a call of a client of whom nobody knows who it is.
    fn call(&self) -> String {
        let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"far__echo","arguments":{{"text":"hi"}},{meta}}}}}"#
        );
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: far__echo\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn h08_a_login_is_not_lent_to_those_of_whom_nobody_knows_who_they_are() {
    let issuer = Issuer::start();
    let home = Home::before(&issuer, "[listen]\nhttp = [\"127.0.0.1:0\"]\nauth = \"none\"\n");
    assert_eq!(home.login(&[]).code, 0);
    let serving = Serving::of(&home);
    assert!(serving.said.contains("its login is not lent") && serving.said.contains("allow_anonymous"));
    let refused = serving.call();
    assert!(refused.contains("\"error\"") && !refused.contains("\"hi\""), "{refused}");
    assert!(!issuer.world().headers.contains("authorization"));
    drop(serving);
    // The person who logged in has it.
    assert_eq!(home.braid(&["call", "far__echo", "text=hi"]).out.trim(), "hi");
    let file = home.folder.path().join("braid.toml");
    let lent = fs::read_to_string(&file).unwrap() + "allow_anonymous = true\n";
    fs::write(&file, lent).unwrap();
    let serving = Serving::of(&home);
    assert!(!serving.said.contains("its login"), "{}", serving.said);
    let answer = serving.call();
    assert!(answer.contains("\"hi\""), "{answer}");
}
