//! Whether a server does without a handshake, as far as it is known.
//!
//! Owns what was found, for all links of one server, and for how long it is believed: a program may be another after it
//! was installed anew, and a verdict that it needs a handshake never fails by itself. It asks nobody.

use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// It is greeted with `initialize`, and knows us from then on.
    Handshake,
    /// Each request stands by itself (2026-07-28).
    Stateless,
}

/// What was found of one server.
#[derive(Debug, Default)]
pub(super) struct Verdict(Mutex<Option<(Manner, Instant)>>);

impl Verdict {
    /// What holds still.
    pub(super) fn known(&self) -> Option<Manner> {
        let found = *self.0.lock();
        found.filter(|(_, until)| Instant::now() < *until).map(|(manner, _)| manner)
    }

    pub(super) fn finds(&self, manner: Manner) {
        *self.0.lock() = Some((manner, Instant::now() + BELIEVED));
    }

    /// It was not answered in its time, which says little: what is tried next decides.
    pub(super) fn suspects(&self, manner: Manner) {
        *self.0.lock() = Some((manner, Instant::now() + SUSPECTED));
    }

    pub(super) fn forget(&self) {
        *self.0.lock() = None;
    }
}

/// How long a verdict is believed.
const BELIEVED: Duration = Duration::from_secs(3600);
/// How long a suspicion is.
const SUSPECTED: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_verdict_is_not_believed_for_ever() {
        let verdict = Verdict::default();
        assert_eq!(verdict.known(), None);
        verdict.finds(Manner::Handshake);
        tokio::time::advance(BELIEVED - Duration::from_secs(1)).await;
        assert_eq!(verdict.known(), Some(Manner::Handshake));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(verdict.known(), None);
    }
}
