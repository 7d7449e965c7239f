//! `braid status`: how the runs of this user stand.

use super::exit::Exit;
use super::instance::{self, Instance, Which};
use super::{Globals, board, out, printable};

pub(super) fn run(which: &Which, ready: bool, globals: &Globals) -> Exit {
    let instances = match instance::all(which, globals) {
        Ok(instances) => instances,
        Err(exit) => return exit,
    };
    if ready {
        return readiness(&instances, globals);
    }
    match globals.json() {
        true => {
            let all: Vec<&str> = instances.iter().map(|instance| instance.json.as_str()).collect();
            out::print(&format!(r#"{{"instances":[{}]}}"#, all.join(",")))
        }
        false => {
            let shown: Vec<String> = instances.iter().map(shown).collect();
            out::print(&shown.join("\n"))
        }
    }
}

/// For whoever only wants to know whether all is well: the exit code says it.
fn readiness(instances: &[Instance], globals: &Globals) -> Exit {
    let mut why = Vec::new();
    for Instance { status, .. } in instances.iter().filter(|instance| !instance.status.ready) {
        let pid = status.instance.pid;
        let said = match (status.missing.as_slice(), status.awaited.as_slice()) {
            ([], []) => "it is stopping".to_owned(),
            ([], awaited) => format!("still starting: {}", awaited.join(", ")),
            (missing, _) => format!("required and not there: {}", missing.join(", ")),
        };
        why.push(format!("pid {pid} is not ready: {said}"));
    }
    match (why.is_empty(), globals.json()) {
        (false, _) => out::fail(Exit::Unreachable, &why.join("\n"), globals),
        (true, true) => out::print(r#"{"ready":true}"#),
        (true, false) => out::print("ready"),
    }
}

fn shown(instance: &Instance) -> String {
    let Instance { status, socket, .. } = instance;
    let page = out::page();
    let columns = page.columns.map_or(usize::MAX, usize::from);
    let mut lines = vec![board::cut(&board::title(status), columns)];
    for address in &status.instance.listening {
        lines.push(board::cut(&format!("  {}", printable::line(address)), columns));
    }
    lines.push(format!("  socket {}", socket.display()));
    if let Some(reload) = &status.reload {
        let clock = |at: Option<&str>| at.and_then(board::clock).unwrap_or_default().to_owned();
        let text = printable::line(&reload.text);
        lines.push(match reload.ok {
            true => board::cut(
                &format!("  configuration read anew {}: {text}", clock(reload.at.as_deref())),
                columns,
            ),
            // Cut nowhere: it is what is to be mended.
            false => format!(
                "  CONFIGURATION BAD since {}, the one before it holds: {text}",
                clock(reload.since.as_deref())
            ),
        });
    }
    let servers: Vec<_> = status.servers.iter().collect();
    let (head, rows) = board::rows(&servers, page, None);
    lines.push(head);
    for (server, row) in servers.iter().zip(rows) {
        lines.push(row);
        if let Some(said) = board::beneath(server) {
            lines.push(board::cut(&format!("  {said}"), columns));
        }
    }
    lines.join("\n") + "\n"
}
