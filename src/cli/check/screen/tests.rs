//! What a person reads, to the letter.

use super::*;
use crate::cli::check::report::Largest;
use crate::config::codes::Code;

const PAGE: Page = Page { columns: Some(80), colour: false };

fn ready(name: &str, transport: &str, tools: usize, took_ms: u64) -> Server {
    Server {
        name: name.to_owned(),
        state: Standing::Ready,
        transport: transport.to_owned(),
        revision: Some("2025-11-25".to_owned()),
        took_ms: Some(took_ms),
        tools,
        ..Server::default()
    }
}

fn verdict(client: &'static str, title: &'static str, tools_max: Option<usize>, tools: usize) -> Verdict {
    let tools_fit = tools_max.is_none_or(|max| tools <= max);
    Verdict {
        client,
        title,
        fits: tools_fit,
        tools_max,
        longest_name_max: 54,
        text_bytes_max: None,
        result_tokens_max: None,
        names_fit: true,
        tools_fit,
    }
}

/// A server that is fine, one with something to say, one that did not start.
fn report() -> Report {
    let failure = Failure {
        facts: vec![
            "looked in /usr/bin:/bin (the short PATH that desktop apps get)".to_owned(),
            "found: ~/.local/bin/uvx".to_owned(),
        ],
        fixes: vec![
            "command = \"/home/ana/.local/bin/uvx\"".to_owned(),
            "servers.files.path_from_shell = \"always\"".to_owned(),
        ],
        stderr: vec!["one\u{1b}[2J".to_owned(), "two".to_owned()],
        ..Failure::new(Code::ProgramNotFound, "`uvx` not found")
    };
    let files = Server {
        name: "files".to_owned(),
        state: Standing::Down,
        transport: "stdio".to_owned(),
        error: Some(failure),
        ..Server::default()
    };
    let cut = "`update_project_milestone_with_relations_and_labels` is too long: it is `linear__update_project_milestone_with_relatio_3fa91c`";
    Report {
        config: "/home/ana/.config/braid/config.toml".to_owned(),
        exit: 4,
        summary: "1 server could not be started".to_owned(),
        servers: vec![ready("github", "stdio", 26, 812), ready("linear", "http", 31, 12_340), files],
        findings: vec![Finding::warning(Some("linear"), Code::NameCut, cut)],
        names: Some(Names {
            tools: 57,
            longest_name: 52,
            longest_name_max: 52,
            definition_tokens: 11_400,
            largest_tools: vec![Largest {
                name: "github__create_issue".to_owned(),
                server: "github".to_owned(),
                tokens: 1_240,
            }],
        }),
        clients: vec![
            verdict("cursor", "Cursor", Some(40), 57),
            verdict("vscode", "VS Code", Some(128), 57),
            verdict("zed", "Zed", None, 57),
        ],
        ..Report::default()
    }
}

#[test]
fn the_screen_at_80_columns() {
    insta::assert_snapshot!(text(&report(), Detail::Usual, PAGE), @r#"
    config   ✓ /home/ana/.config/braid/config.toml  3 servers
    github   ✓ 2025-11-25  stdio  26 tools  812 ms
    linear   ! 2025-11-25  http   31 tools    12 s
               BRAID-N004 `update_project_milestone_with_relations_and_labels` is
               too long: it is
               `linear__update_project_milestone_with_relatio_3fa91c`
    files    ✗ BRAID-S001 `uvx` not found
               looked in /usr/bin:/bin (the short PATH that desktop apps get)
               found: ~/.local/bin/uvx
               fix: command = "/home/ana/.local/bin/uvx"
                or: servers.files.path_from_shell = "always"
               its last words on stderr:
                 one\u{1b}[2J
                 two
    names    ✓ 57 tools, longest name 52 of 52; about 11,400 tokens of definitions
    clients  · Cursor 57 of 40!, VS Code 57 of 128 ✓
    "#);
}

#[test]
fn one_client_has_a_row_of_its_own() {
    let mut report = report();
    report.clients = vec![verdict("cursor", "Cursor", Some(40), 57)];
    let over = Finding::warning(None, Code::TooManyTools, "57 tools, and Cursor takes 40");
    report.findings = vec![over.help("serve it a group of the servers")];
    report.servers.truncate(1);
    report.next =
        Some("`braid install cursor -c /home/ana/braid.toml` shows the entry for Cursor".to_owned());
    insta::assert_snapshot!(text(&report, Detail::Usual, PAGE), @r"
    config  ✓ /home/ana/.config/braid/config.toml  1 server
    github  ✓ 2025-11-25  stdio  26 tools  812 ms
    names   ✓ 57 tools, longest name 52 of 52; about 11,400 tokens of definitions
              largest: github__create_issue 1,240
    cursor  ! Cursor: 57 of 40 tools, names of 52 of 54 characters
              BRAID-N014 57 tools, and Cursor takes 40
              help: serve it a group of the servers
    next    · everything works, with 1 warning
              `braid install cursor -c /home/ana/braid.toml` shows the entry for
              Cursor
    ");
}

#[test]
fn what_is_known_without_starting() {
    let mut report = report();
    report.names = None;
    report.clients.clear();
    report.findings = vec![
        Finding::warning(Some("github"), Code::LiteralSecret, "`servers.github.env.T` looks like a secret"),
        Finding::warning(None, Code::ReadableSecret, "x.toml holds a secret, and others may read it")
            .help("chmod 600 x.toml"),
    ];
    for server in &mut report.servers {
        if server.state == Standing::Ready {
            *server = Server { state: Standing::Unchecked, revision: None, ..std::mem::take(server) };
        }
    }
    insta::assert_snapshot!(text(&report, Detail::Usual, PAGE), @r#"
    config  ! /home/ana/.config/braid/config.toml  3 servers
              BRAID-C045 x.toml holds a secret, and others may read it
              help: chmod 600 x.toml
    github  ! stdio  not started
              BRAID-C043 `servers.github.env.T` looks like a secret
    linear  · http  not started
    files   ✗ BRAID-S001 `uvx` not found
              looked in /usr/bin:/bin (the short PATH that desktop apps get)
              found: ~/.local/bin/uvx
              fix: command = "/home/ana/.local/bin/uvx"
               or: servers.files.path_from_shell = "always"
              its last words on stderr:
                one\u{1b}[2J
                two
    "#);
}

#[test]
fn a_hundred_servers_are_a_hundred_lines() {
    let servers = (0..100).map(|at| ready(&format!("server-{at}"), "stdio", 5, at)).collect();
    let report = Report { servers, ..report() };
    let report = Report { findings: Vec::new(), ..report };
    let text = text(&report, Detail::Usual, PAGE);
    let of_servers = text.lines().filter(|line| line.starts_with("server-")).count();
    assert_eq!((of_servers, text.lines().count()), (100, 103));
}

#[test]
fn what_is_missing_for_many_servers_is_explained_once() {
    let mut report = report();
    report.servers.truncate(3);
    report.servers[2].error.as_mut().unwrap().stderr.clear();
    for name in ["more", "others"] {
        let error = report.servers[2].error.clone();
        report.servers.push(Server {
            name: name.to_owned(),
            state: Standing::Down,
            error,
            ..Server::default()
        });
    }
    let shown = text(&report, Detail::Usual, PAGE);
    assert_eq!(shown.matches("BRAID-S001 `uvx` not found\n").count(), 3, "{shown}");
    assert_eq!(shown.matches("found: ~/.local/bin/uvx\n").count(), 1, "{shown}");
    assert_eq!(shown.matches("as for files above\n").count(), 2, "{shown}");
    assert_eq!(text(&report, Detail::All, PAGE).matches("found: ~/.local/bin/uvx\n").count(), 3);
}

#[test]
fn of_many_findings_some_are_shown_and_the_rest_is_counted() {
    let finding =
        |at: usize| Finding::warning(Some("github"), Code::NameCut, format!("`tool_{at}` is too long"));
    let mut report = report();
    let lines = |report: &Report, detail| text(report, detail, PAGE).matches("is too long").count();
    report.findings = (0..500).map(finding).collect();
    assert_eq!(lines(&report, Detail::Usual), FINDINGS_MAX);
    assert!(text(&report, Detail::Usual, PAGE).contains("and 496 more: `braid check --verbose`\n"));
    assert_eq!(lines(&report, Detail::All), 500);
    report.findings.truncate(FINDINGS_MAX + 1);
    assert_eq!(lines(&report, Detail::Usual), FINDINGS_MAX + 1, "one more is as short as its count");
}

#[test]
fn no_line_is_wider_than_the_page_and_nothing_steers_it() {
    for columns in [80, 200] {
        let page = Page { columns: Some(columns), colour: false };
        let text = text(&report(), Detail::All, page);
        assert!(text.lines().all(|line| table::width(line) <= columns), "{text}");
        assert!(!text.contains('\x1b'), "{text}");
    }
}

#[test]
fn numbers_are_grouped_by_thousands() {
    assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
}

#[test]
fn everything_on_the_screen_is_in_the_json() {
    let report = report();
    let json = report.to_json();
    for part in [
        r#""config":"/home/ana/.config/braid/config.toml","exit":4,"summary":"1 server could not be started""#,
        r#""name":"github","state":"ready","transport":"stdio","revision":"2025-11-25","took_ms":812,"tools":26"#,
        r#""state":"down""#,
        r#""error":{"code":"BRAID-S001","message":"`uvx` not found","facts":["looked in"#,
        r#""stderr":["one\u001b[2J","two"]"#,
        r#""findings":[{"code":"BRAID-N004","severity":"warning","server":"linear","text":"#,
        r#""tools":57,"longest_name":52,"longest_name_max":52,"definition_tokens":11400,"largest_tools":[{"name":"github__create_issue","server":"github","tokens":1240}]"#,
        r#""clients":[{"client":"cursor","fits":false,"tools_max":40,"longest_name_max":54,"text_bytes_max":null,"result_tokens_max":null}"#,
    ] {
        assert!(json.contains(part), "{part}\n{json}");
    }
    assert_eq!(json.lines().count(), 1);
}
