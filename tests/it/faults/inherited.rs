//! What a server must not get from us: our descriptors and our environment.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// A server sees its three pipes and no other descriptor, whatever we were started with (C-01).
#[test]
fn a_server_gets_no_descriptor_and_no_variable_of_ours() {
    // The server says what it has as the name of its only tool, so that the whole way is the real one.
    let server = r#"
import json, os, sys
found = sorted(int(fd) for fd in os.listdir("/proc/self/fd"))
found = [fd for fd in found if os.path.exists(f"/proc/self/fd/{fd}")]
secret = "seen" if "CANARY" in os.environ else "hidden"
name = "fds_" + "_".join(map(str, found)) + "_" + secret
for line in sys.stdin:
    message = json.loads(line)
    result = {
        "initialize": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}},
        "tools/list": {"tools": [{"name": name, "inputSchema": {"type": "object"}}]},
    }.get(message["method"])
    if "id" in message:
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"#;
    let script = r#"exec 7</dev/null 9</etc/passwd; exec "$0" list --json -- python3 -c "$1""#;
    let mut child = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_braid"), server])
        .env("CANARY", "a secret of ours")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().flush().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(line.contains("\"fds_0_1_2_hidden\""), "{line}");
}
