//! What a server says reaches the terminal with nothing in it that steers the terminal.

use super::with_config;

/// Answers everything with escape sequences: names, descriptions, errors, its own last words.
const STEERING: &str = r##"
import json, sys
BAD = "\x1b[2J\u202e\u200f\U000e0041"
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    answer = {"jsonrpc": "2.0", "id": asked["id"]}
    method = asked["method"]
    if method == "initialize":
        answer["result"] = {"protocolVersion": "2025-11-25", "serverInfo": {"name": BAD, "version": "1"},
            "capabilities": {"tools": {}, "resources": {}}}
    elif method == "tools/list":
        answer["result"] = {"tools": [{"name": "t" + BAD, "description": BAD, "inputSchema": {"type": "object"}}]}
    elif method == "resources/list":
        answer["result"] = {"resources": [{"uri": "bad://x" + BAD, "name": BAD}]}
    else:
        answer["error"] = {"code": -32000, "message": "no " + BAD}
    print(json.dumps(answer), flush=True)
"##;

#[test]
fn nothing_that_a_server_says_steers_the_terminal() {
    let config = format!(
        "[servers.bad]\ncommand = \"python3\"\nargs = [\"-c\", '''{STEERING}''']\n[names]\nprefix = \"never\"\n"
    );
    let uri = "bad+bad://x\u{1b}[2J\u{202e}\u{200f}\u{e0041}";
    for args in [
        &["list"][..],
        &["list", "resources"],
        &["list", "servers"],
        &["check"],
        &["explain", uri],
        &["explain", "no\u{1b}[2Jthing"],
        &["read", uri],
    ] {
        let said = with_config(&config, args);
        let shown = format!("{}{}", said.out, said.err);
        assert!(!shown.is_empty(), "{args:?}");
        let steers = |c: char| {
            (c.is_control() && c != '\n') || matches!(c, '\u{202e}' | '\u{200f}' | '\u{e0000}'..='\u{e007f}')
        };
        assert!(!shown.contains(steers), "{args:?} {said:?}");
    }
    let said = with_config(&config, &["read", uri]).with_code(5);
    assert_eq!(said.err, "braid: no \\u{1b}[2J\\u{202e}\\u{200f}\\u{e0041} (-32000)\n");
    assert!(with_config(&config, &["explain", uri]).with_code(0).out.contains("\\u{1b}[2J"));
}

#[test]
fn a_report_of_the_configuration_keeps_its_colours() {
    let said = with_config("[server.a]\n", &["list", "--color", "always"]).with_code(6);
    assert!(said.err.contains("\u{1b}[") && !said.err.contains("u{1b}"), "{said:?}");
}
