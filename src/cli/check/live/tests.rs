//! The lines of one moment, and what puts them in the place of those before.

use super::*;

const PAGE: Page = Page { columns: Some(80), colour: false };

fn awaited(name: &str) -> Starting {
    let settings = ServerConfig::new(
        name,
        crate::config::Reach::Stdio(crate::config::Command::new("x", std::path::Path::new("/"))),
    );
    let row = waiting(name.to_owned(), "starts", Duration::from_millis(3_200), &settings, 0);
    Starting { row, is_awaited: true }
}

fn ready(name: &str) -> Starting {
    let row = ServerRow {
        name: name.to_owned(),
        revision: Some("2025-11-25".to_owned()),
        transport: "stdio".to_owned(),
        tools: 26,
        took_ms: Some(812),
        ..ServerRow::default()
    };
    Starting { row, is_awaited: false }
}

#[test]
fn each_server_has_a_line_until_it_is_there() {
    let down = ServerRow {
        name: "files".to_owned(),
        mark: Mark::Bad,
        notes: vec![format!("BRAID-S001 `uvx` not found; {}", "x".repeat(200))],
        ..ServerRow::default()
    };
    let servers = [ready("github"), awaited("a-longer-name"), Starting { row: down, is_awaited: false }];
    insta::assert_snapshot!(frame(&servers, PAGE, 24).join("\n"), @r"
    github         ✓ 2025-11-25  stdio  26 tools  812 ms
    a-longer-name  · ⠋ starts  3 s of 30 s
    files          ✗ BRAID-S001 `uvx` not found; xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
    ");
}

#[test]
fn there_are_fewer_lines_than_the_terminal_has() {
    for number in [1, 9, 10, 11, 100] {
        let servers: Vec<Starting> = (0..number)
            .map(|at| if at % 3 == 0 { awaited(&format!("s{at}")) } else { ready(&format!("s{at}")) })
            .collect();
        for height in [1, 2, 10, 24] {
            let lines = frame(&servers, PAGE, height);
            assert!(lines.len() < height.max(2), "{number} in {height}: {lines:?}");
            assert!(lines.iter().all(|line| table::width(line) < 80), "{lines:?}");
        }
    }
}

#[test]
fn who_is_awaited_is_shown_before_who_is_there() {
    let servers: Vec<Starting> = (0..50)
        .map(|at| ready(&format!("s{at}")))
        .chain([awaited("late-one"), awaited("late-two")])
        .collect();
    let lines = frame(&servers, PAGE, 6);
    assert_eq!(lines.len(), 5);
    assert!(lines[2].starts_with("late-one") && lines[3].starts_with("late-two"), "{lines:?}");
    assert_eq!(lines[4], "52 servers: 50 ready, 0 failed, 2 awaited");
}

#[test]
fn lines_are_overwritten_in_place() {
    let mut region = Region::default();
    let lines = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert_eq!(region.redrawn(&lines(&["one", "two"]), 80), "\rone\x1b[K\ntwo\x1b[K\n\x1b[J");
    assert_eq!(region.redrawn(&lines(&["1"]), 80), "\r\x1b[2A1\x1b[K\n\x1b[J");
    assert_eq!(region.erased(80), "\r\x1b[1A\x1b[J");
    assert_eq!(region.erased(80), "", "nothing is left to be taken away");
}

#[test]
fn in_a_narrower_terminal_a_line_is_several() {
    let mut region = Region::default();
    region.redrawn(&["x".repeat(79), "\x1b[32m✓\x1b[0m short".to_owned()], 80);
    assert_eq!(region.erased(40), "\r\x1b[3A\x1b[J");
}
