//! `braid top`: the table of servers, drawn anew each second until somebody has seen enough.
//!
//! Owns the terminal meanwhile, and gives it back as it was, however this ends. What is drawn is made by `board` and by
//! `frame`, which are pure; a run that ends, ends this.

use super::board::{self, Order};
use super::exit::Exit;
use super::instance::{self, Instance, Server, Status, Which};
use super::run::left;
use super::table::Page;
use super::{Globals, out};

/// What is looked at.
#[derive(Debug, Default)]
struct View {
    order: Order,
    /// The row that is looked at closer.
    chosen: usize,
}

/// What a key does.
#[derive(Debug, PartialEq, Eq)]
enum Key {
    Quit,
    Up,
    Down,
    Sort(Order),
    None,
}

impl Key {
    fn of(bytes: &[u8]) -> Self {
        match bytes {
            [b'q' | b'Q' | 0x03 | 0x04] | [0x1b] => Self::Quit,
            [0x1b, b'[' | b'O', b'A', ..] | [b'k'] => Self::Up,
            [0x1b, b'[' | b'O', b'B', ..] | [b'j'] => Self::Down,
            [key] => Order::of(*key).map_or(Self::None, Self::Sort),
            _ => Self::None,
        }
    }
}

/// The lines of one picture: as many as there is room for, each as wide as there is room for.
fn frame(
    status: &Status,
    rate: Option<f64>,
    view: &View,
    (columns, lines): (u16, u16),
    colour: bool,
) -> Vec<String> {
    let (wide, high) = (usize::from(columns), usize::from(lines));
    let page = Page { columns: Some(columns), colour };
    let mut servers: Vec<&Server> = status.servers.iter().collect();
    view.order.sort(&mut servers);
    let chosen = view.chosen.min(servers.len().saturating_sub(1));
    let (head, rows) = board::rows(&servers, page, Some(chosen));
    let in_flight: u64 = servers.iter().map(|server| server.in_flight).sum();
    let errors: u64 = servers.iter().map(|server| server.errors).sum();
    let calls: u64 = servers.iter().map(|server| server.calls).sum();
    let rate = rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"));
    let sums = format!("{rate} calls/s  {in_flight} active  {calls} calls  {errors} errors");
    let mut picture = vec![board::cut(&board::title(status), wide), board::cut(&sums, wide), String::new()];
    picture.push(if colour { format!("\u{1b}[1m{head}\u{1b}[0m") } else { head });
    let room = high.saturating_sub(picture.len() + BELOW);
    let first = (chosen + 1).saturating_sub(room);
    picture.extend(rows.into_iter().skip(first).take(room));
    while picture.len() + BELOW < high {
        picture.push(String::new());
    }
    let said = servers.get(chosen).and_then(|server| {
        let said = board::beneath(server)?;
        let is_named = said.starts_with(&format!("{}:", server.name));
        Some(if is_named { said } else { format!("{}: {said}", server.name) })
    });
    picture.push(board::cut(&said.unwrap_or_default(), wide));
    picture.push(board::cut(HELP, wide));
    picture.truncate(high);
    picture
}

const HELP: &str = "q quit  ↑↓  sort: o order n name a active c calls e errors l latency r restarts";
/// Lines below the table.
const BELOW: usize = 2;

pub(super) fn run(which: &Which, globals: &Globals) -> Exit {
    let instance = match instance::one(which, globals) {
        Ok(instance) => instance,
        Err(exit) => return exit,
    };
    drawn(instance, globals)
}

/// Why a run is not drawn any more.
fn gone(error: &std::io::Error) -> String {
    use std::io::ErrorKind::{
        ConnectionRefused, ConnectionReset, NotFound, TimedOut, UnexpectedEof, WouldBlock,
    };
    // Its socket is gone or nobody's, or it ended while it was asked.
    if [NotFound, ConnectionRefused, ConnectionReset, UnexpectedEof].contains(&error.kind()) {
        return "the run has ended".to_owned();
    }
    match [WouldBlock, TimedOut].contains(&error.kind()) {
        true => "the run is there and does not answer in time; `braid status` asks it again".to_owned(),
        false => format!("the run cannot be asked any more: {error}"),
    }
}

#[cfg(not(unix))]
fn drawn(_: Instance, globals: &Globals) -> Exit {
    out::fail(Exit::Usage, "`braid top` is not for this system; use `braid status`", globals)
}

#[cfg(unix)]
fn drawn(instance: Instance, globals: &Globals) -> Exit {
    use std::io::IsTerminal;
    let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if !is_terminal || std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        return out::fail(Exit::Usage, "`braid top` needs a terminal; use `braid status`", globals);
    }
    match screen::watch(instance) {
        Ok(exit) => exit,
        Err((exit, why)) => out::fail(exit, &why, globals),
    }
}

#[cfg(unix)]
mod screen {
    //! The terminal while it is drawn on.

    use super::*;
    use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
    use std::io::{Read, Write};
    use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
    use std::thread;
    use std::time::{Duration, Instant};

    /// What happens beside the clock.
    enum Event {
        Key(Vec<u8>),
        Leave(crate::system::Signal),
    }

    /// The alternate screen, each key as it is struck. Dropping it gives the terminal back.
    struct Screen(Termios);

    impl Screen {
        fn open() -> std::io::Result<Self> {
            let before = tcgetattr(std::io::stdin())?;
            let mut raw = before.clone();
            raw.make_raw();
            tcsetattr(std::io::stdin(), OptionalActions::Drain, &raw)?;
            let screen = Self(before);
            screen.write("\u{1b}[?1049h\u{1b}[?25l")?;
            Ok(screen)
        }

        fn draw(&self, picture: &[String]) -> std::io::Result<()> {
            let mut text = String::from("\u{1b}[H");
            for (at, line) in picture.iter().enumerate() {
                text.push_str(if at > 0 { "\r\n" } else { "" });
                text.push_str(line);
                text.push_str("\u{1b}[K");
            }
            text.push_str("\u{1b}[J");
            self.write(&text)
        }

        fn write(&self, text: &str) -> std::io::Result<()> {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes())?;
            out.flush()
        }
    }

    impl Drop for Screen {
        fn drop(&mut self) {
            self.write("\u{1b}[?25h\u{1b}[?1049l").ok();
            tcsetattr(std::io::stdin(), OptionalActions::Drain, &self.0).ok();
        }
    }

    pub(super) fn watch(mut instance: Instance) -> Result<Exit, (Exit, String)> {
        let failed =
            |error: std::io::Error| (Exit::Unexpected, format!("the terminal cannot be used: {error}"));
        let colour = out::stdout_has_color();
        let (tell, events) = sync_channel(EVENTS_MAX);
        listen(&tell);
        let screen = Screen::open().map_err(failed)?;
        let (mut view, mut rate) = (View::default(), None);
        let (mut asked, mut drawn) = (Instant::now(), (0, 0));
        loop {
            let size = terminal_size::terminal_size().map_or((80, 24), |(width, height)| (width.0, height.0));
            if drawn != size || rate.is_none() || asked.elapsed() >= EVERY {
                if asked.elapsed() >= EVERY || rate.is_none() {
                    let before: u64 = calls(&instance);
                    let since = asked.elapsed();
                    match Instance::at(&instance.socket) {
                        Ok(now) => instance = now,
                        Err(error) => return Err((Exit::Unreachable, gone(&error))),
                    }
                    let more = calls(&instance).saturating_sub(before);
                    rate = Some(if since >= EVERY { more as f64 / since.as_secs_f64() } else { 0.0 });
                    asked = Instant::now();
                }
                drawn = size;
                screen.draw(&frame(&instance.status, rate, &view, size, colour)).map_err(failed)?;
            }
            match events.recv_timeout(LOOK) {
                Ok(Event::Key(bytes)) => match Key::of(&bytes) {
                    Key::Quit => return Ok(Exit::Ok),
                    Key::Up => view.chosen = view.chosen.saturating_sub(1),
                    Key::Down => {
                        let last = instance.status.servers.len().saturating_sub(1);
                        view.chosen = (view.chosen + 1).min(last);
                    }
                    Key::Sort(order) => view.order = order,
                    Key::None => continue,
                },
                Ok(Event::Leave(signal)) => return Ok(left(signal)),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return Ok(Exit::Ok),
            }
            drawn = (0, 0);
        }
    }

    fn calls(instance: &Instance) -> u64 {
        instance.status.servers.iter().map(|server| server.calls).sum()
    }

    /// Keys and signals, from threads of their own: both may be waited for as long as we are here.
    fn listen(tell: &SyncSender<Event>) {
        let keys = tell.clone();
        thread::spawn(move || {
            let mut bytes = [0; 16];
            while let Ok(count @ 1..) = std::io::stdin().read(&mut bytes) {
                let struck = bytes.get(..count).unwrap_or_default().to_vec();
                if keys.send(Event::Key(struck)).is_err() {
                    return;
                }
            }
        });
        let signals = tell.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                let signal = runtime.block_on(crate::system::leaving());
                signals.send(Event::Leave(signal)).ok();
            }
        });
    }

    const EVERY: Duration = Duration::from_secs(1);
    /// How often it is looked whether the terminal has another size.
    const LOOK: Duration = Duration::from_millis(100);
    const EVENTS_MAX: usize = 16;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn status(servers: usize) -> Status {
        let servers: Vec<String> = (0..servers)
            .map(|at| {
                format!(
                    r#"{{"name":"server{at}","state":"ready","transport":"stdio","calls":{at},"last_error":{{"at":null,"text":"e{at}"}}}}"#
                )
            })
            .collect();
        serde_json::from_str(&format!(
            r#"{{"instance":{{"pid":7,"version":"1","mode":"stdio","config":"/x/braid.toml","config_file":null}},"ready":true,"servers":[{}],"reload":null}}"#,
            servers.join(",")
        ))
        .unwrap()
    }

    #[test]
    fn a_picture_fits_whatever_the_terminal() {
        for (columns, lines) in [(80, 24), (40, 10), (20, 6), (200, 50), (80, 1), (1, 1)] {
            for servers in [0, 1, 5, 100] {
                let view = View { order: Order::Calls, chosen: 3 };
                let picture = frame(&status(servers), Some(1.5), &view, (columns, lines), false);
                assert!(picture.len() <= usize::from(lines));
                for line in &picture {
                    assert!(
                        super::super::table::width(line.trim_end_matches(" <")) <= columns.max(6),
                        "{line}"
                    );
                }
            }
        }
    }

    #[test]
    fn who_is_chosen_is_seen_with_what_went_wrong() {
        let view = View { order: Order::Configured, chosen: 77 };
        let picture = frame(&status(100), None, &view, (80, 24), false);
        assert!(picture.iter().any(|line| line.starts_with("server77 ") && line.ends_with('<')));
        assert_eq!(picture[22], "server77: last error : e77");
        let view = View { order: Order::Calls, chosen: 0 };
        let picture = frame(&status(100), None, &view, (80, 24), false);
        assert!(picture[4].starts_with("server99 "));
    }

    #[test]
    fn only_what_has_ended_is_called_so() {
        let said = |kind: io::ErrorKind| gone(&io::Error::from(kind));
        assert_eq!(said(io::ErrorKind::ConnectionRefused), "the run has ended");
        assert!(said(io::ErrorKind::WouldBlock).starts_with("the run is there and does not answer"));
        let odd = io::Error::new(io::ErrorKind::InvalidData, "its answer cannot be read");
        assert_eq!(gone(&odd), "the run cannot be asked any more: its answer cannot be read");
    }

    #[test]
    fn keys_do_what_the_last_line_says() {
        assert_eq!(Key::of(b"q"), Key::Quit);
        assert_eq!(Key::of(b"\x03"), Key::Quit);
        assert_eq!(Key::of(b"\x1b"), Key::Quit);
        assert_eq!((Key::of(b"\x1b[A"), Key::of(b"\x1bOB")), (Key::Up, Key::Down));
        assert_eq!(Key::of(b"e"), Key::Sort(Order::Errors));
        assert_eq!(Key::of(b"\x1b[15~"), Key::None);
    }
}
