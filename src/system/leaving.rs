//! The signals by which somebody asks us to leave.
//!
//! Owns the handlers; it stops nothing itself. A `Leaving` is kept for the whole run, because the
//! second signal means "now" and must not fall between two listeners.

use std::io;

/// Who asked us to leave, as far as a signal tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C, or SIGINT.
    Interrupt,
    /// SIGTERM, or the end of a Windows session.
    Terminate,
    /// The terminal went away.
    Hangup,
}

impl Signal {
    /// The exit code after an orderly stop: 130 on SIGINT, as shells have it; the others are a
    /// supervisor's ordinary way to stop us.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate | Self::Hangup => 0,
        }
    }
}

/// A watch over the signals that ask us to leave. From its making on, they no longer end the process.
#[cfg(unix)]
#[derive(Debug)]
pub struct Leaving {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    /// We were started from a terminal.
    had_terminal: bool,
}

#[cfg(unix)]
impl Leaving {
    /// Fails outside a runtime and when the system refuses a signal handler.
    pub fn watch() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            had_terminal: has_terminal(),
        })
    }

    /// Whether the terminal that we were started from is there no more. A `Hangup` without that was sent by somebody.
    pub fn has_lost_terminal(&self) -> bool {
        self.had_terminal && !has_terminal()
    }

    /// The next signal. Cancel safe.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.hangup.recv() => Signal::Hangup,
        }
    }
}

/// Whether there is a terminal that could hang up.
#[cfg(unix)]
fn has_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

/// A watch over the events that ask us to leave. Untested.
#[cfg(windows)]
#[derive(Debug)]
pub struct Leaving {
    interrupt: tokio::signal::windows::CtrlC,
    close: tokio::signal::windows::CtrlClose,
    shutdown: tokio::signal::windows::CtrlShutdown,
}

#[cfg(windows)]
impl Leaving {
    /// Fails when the system refuses a handler.
    pub fn watch() -> io::Result<Self> {
        use tokio::signal::windows::{ctrl_c, ctrl_close, ctrl_shutdown};
        Ok(Self { interrupt: ctrl_c()?, close: ctrl_close()?, shutdown: ctrl_shutdown()? })
    }

    /// There is no other hang-up here than that of a closed window.
    pub fn has_lost_terminal(&self) -> bool {
        true
    }

    /// The next event. Cancel safe.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.close.recv() => Signal::Hangup,
            _ = self.shutdown.recv() => Signal::Terminate,
        }
    }
}

/// Resolves on the first signal that asks us to leave; never, when signals cannot be watched.
///
/// For those who leave at the first one. Keep a `Leaving` to see the second.
pub async fn leaving() -> Signal {
    match Leaving::watch() {
        Ok(mut watch) => watch.next().await,
        Err(_) => std::future::pending().await,
    }
}
