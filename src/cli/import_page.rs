//! What `braid import` says: where it looked, each server as it would run, what is left out and why.
//!
//! Names of variables and headers, never what they hold.

use super::edited::Edited;
use super::import::Looked;
use super::{Globals, argv, out, printable};
use crate::config::app::App;
use crate::config::import::{Imported, Literals, Merged};
use crate::config::problem;
use crate::wire::members::quote;

pub(super) fn say_where(looked: &Looked) {
    let read = looked.read.iter().filter(|(origin, servers)| *servers > 0 || origin.within.is_empty());
    let lines: Vec<(&str, String, usize)> = read
        .map(|(origin, servers)| {
            let client = origin.app.map_or("file", App::title);
            let inside = origin.within.get(1).map(|project| format!(" for {project}")).unwrap_or_default();
            let place = printable::line(&format!("{}{inside}", origin.path.display())).into_owned();
            (client, place, *servers)
        })
        .collect();
    let width = lines.iter().map(|(_, place, _)| place.chars().count()).max().unwrap_or(0);
    for (client, place, servers) in lines {
        // The first column is that of the longest title.
        out::say(&format!("{client:<15} {place:<width$}  {}", count(servers)));
    }
    if !looked.absent.is_empty() {
        let titles: Vec<_> = looked.absent.iter().map(|app| app.title()).collect();
        out::say(&format!("not there: {}", titles.join(", ")));
    }
}

pub(super) fn say_servers(looked: &Looked, merged: &Merged, edited: &Edited, globals: &Globals) {
    for (server, called) in &merged.added {
        say_server(server, called);
    }
    if !merged.there.is_empty() {
        out::say("");
    }
    for (server, name) in &merged.there {
        let again = if server.name == *name { String::new() } else { format!(" as `{name}`") };
        out::say(&printable::line(&format!(
            "`{}` of {} is there already{again}",
            server.name,
            server.from.display()
        )));
    }
    if !looked.batch.problems.is_empty() {
        out::say("");
    }
    for problem in &looked.batch.problems {
        out::say(&printable::line(&problem.sentence()));
    }
    let added = || merged.added.iter().map(|(server, _)| server);
    for server in added().filter(|server| !server.secrets().is_empty()) {
        let text = format!(
            "{}: the value of {} stands in the client's file and is written as it is; better: put it into a file that only you can read, and write \"${{file:PATH}}\"",
            server.name,
            server.secrets().join(", ")
        );
        out::warn(&text, globals);
    }
    for server in added().filter(|server| !server.lacks.is_empty()) {
        let text = format!(
            "{}: written as disabled, or the whole file would not load: {}; mend that, then `braid enable {} -c {}`",
            server.name,
            server.lacks.join("; "),
            argv::line(&[&server.name]),
            argv::line(&[edited.path()])
        );
        out::warn(&text, globals);
    }
}

/// One server as it would run.
fn say_server(server: &Imported, called: &str) {
    let mut lines = Vec::new();
    let runs = match (server.command(), server.url()) {
        (Some(words), _) => argv::line(&words),
        (None, url) => printable::line(&url.unwrap_or_default()).into_owned(),
    };
    let mut marks = String::new();
    if server.name != called {
        marks.push_str(&format!("   (called `{called}` there; that name is taken)"));
    }
    if !server.enabled {
        marks.push_str("   (disabled)");
    }
    lines.push(format!("\n{}{}\n    {runs}", printable::line(&server.name), printable::line(&marks)));
    for (key, label) in [("env", "variables"), ("headers", "headers")] {
        let names = server.names(key);
        if !names.is_empty() {
            lines.push(format!("    {label}: {}", printable::line(&names.join(", "))));
        }
    }
    if let Some(words) = server.headers_command() {
        lines.push(format!("    headers made by: {}", argv::line(&words)));
    }
    for (key, path) in server.paths() {
        lines.push(format!("    {key}: {}", printable::line(path)));
    }
    out::say(&lines.join("\n"));
}

pub(super) fn count(servers: usize) -> String {
    match servers {
        0 => "no server".to_owned(),
        1 => "1 server".to_owned(),
        _ => format!("{servers} servers"),
    }
}

pub(super) fn json(edited: &Edited, looked: &Looked, merged: &Merged, written: bool) -> String {
    fn texts<T: AsRef<str>>(texts: &[T]) -> String {
        let texts: Vec<_> = texts.iter().map(|text| quote(text.as_ref())).collect();
        format!("[{}]", texts.join(","))
    }
    let server = |server: &Imported, called: &str, done: &str| {
        let runs = match (server.command(), server.url()) {
            (Some(words), _) => format!(r#""command":{}"#, texts(&words)),
            (None, url) => format!(r#""url":{}"#, quote(&url.unwrap_or_default())),
        };
        let lacks: Vec<_> = server.lacks.iter().map(String::as_str).collect();
        format!(
            r#"{{"name":{},"called":{},"client":{},"from":{},"done":"{done}","enabled":{},{runs},"env":{},"headers":{},"secrets":{},"lacks":{}}}"#,
            quote(&server.name),
            quote(called),
            server.app.map_or_else(|| "null".to_owned(), |app| quote(app.name())),
            quote(&server.from.display().to_string()),
            server.enabled,
            texts(&server.names("env")),
            texts(&server.names("headers")),
            texts(&server.secrets()),
            texts(&lacks)
        )
    };
    let added = merged.added.iter().map(|(one, called)| server(one, called, "added"));
    let there = merged.there.iter().map(|(one, name)| {
        let mut there = one.clone();
        there.name.clone_from(name);
        server(&there, &one.name, "there")
    });
    let servers: Vec<_> = added.chain(there).collect();
    let files = looked.read.iter().map(|(origin, servers)| {
        let client = origin.app.map_or_else(|| "null".to_owned(), |app| quote(app.name()));
        format!(
            r#"{{"client":{client},"file":{},"servers":{servers}}}"#,
            quote(&origin.path.display().to_string())
        )
    });
    let files: Vec<_> = files.collect();
    let sections: Vec<_> = merged.added.iter().map(|(server, _)| server.section(Literals::Hidden)).collect();
    format!(
        r#"{{"file":{},"written":{written},"read":[{}],"servers":[{}],"problems":{},"toml":{}}}"#,
        quote(&edited.path()),
        files.join(","),
        servers.join(","),
        problem::to_json(&looked.batch.problems),
        quote(&sections.join("\n"))
    )
}
