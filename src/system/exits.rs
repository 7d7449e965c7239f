//! The exit of a child, seen before it is reaped.
//!
//! An exited child keeps its number until somebody waits for it. Whoever wants to strike its group must
//! do so in that time: afterwards the number may belong to a stranger. So exits are watched here without
//! being collected, and the owner of the child reaps it when its group has been dealt with.

use std::io;

use tokio::process::Child;

/// A watch over exits. Made before the child is, so that no exit is missed.
#[cfg(unix)]
#[derive(Debug)]
pub struct Exits(tokio::signal::unix::Signal);

#[cfg(unix)]
impl Exits {
    /// Fails outside a runtime and when the system refuses a signal handler.
    pub fn watch() -> io::Result<Self> {
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::child()).map(Self)
    }

    /// Resolves once the child has exited, and leaves it unreaped. May be dropped and called again.
    pub async fn of(&mut self, child: &mut Child) {
        loop {
            let Some(leader) = child.id() else { return };
            if has_exited(leader) {
                return;
            }
            // One signal may stand for many exits, and for other children's: each time we look.
            if self.0.recv().await.is_none() {
                return;
            }
        }
    }
}

#[cfg(unix)]
fn has_exited(leader: u32) -> bool {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    let Some(pid) = i32::try_from(leader).ok().and_then(Pid::from_raw) else { return true };
    loop {
        match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT)
        {
            Ok(status) => return status.is_some(),
            Err(rustix::io::Errno::INTR) => {}
            // No such child: somebody else reaped it, so there is nothing left to wait for.
            Err(_) => return true,
        }
    }
}

/// Windows keeps the number as long as the handle is open, so that waiting gives nothing away. Untested.
#[cfg(windows)]
#[derive(Debug)]
pub struct Exits(());

#[cfg(windows)]
impl Exits {
    pub fn watch() -> io::Result<Self> {
        Ok(Self(()))
    }

    /// Resolves once the child has exited. May be dropped and called again.
    pub async fn of(&mut self, child: &mut Child) {
        let _ = child.wait().await;
    }
}
