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
pub(super) struct Verdict(Mutex<Option<Belief>>);

#[derive(Debug, Clone, Copy)]
enum Belief {
    /// It was seen, and is believed until then.
    Found(Manner, Instant),
    /// It left the question unanswered, which says little: it is greeted next, and that decides.
    Suspected,
}

impl Verdict {
    /// What holds still.
    pub(super) fn known(&self) -> Option<Manner> {
        known(*self.0.lock())
    }

    pub(super) fn finds(&self, manner: Manner) {
        *self.0.lock() = Some(Belief::found(manner));
    }

    /// It is another from now on.
    pub(super) fn forgets(&self) {
        *self.0.lock() = None;
    }

    /// It was asked, and did not answer in its time or its life. One that is believed to do without a handshake is asked
    /// once more before it is suspected.
    pub(super) fn suspects(&self) {
        let mut belief = self.0.lock();
        *belief = match known(*belief) {
            Some(Manner::Stateless) => None,
            None => Some(Belief::Suspected),
            Some(Manner::Handshake) => *belief,
        };
    }

    /// It was greeted, and greeted back: what was suspected is found. What was found is not believed for longer, or nobody
    /// would ever ask again.
    pub(super) fn confirms(&self) {
        let mut belief = self.0.lock();
        if let Some(Belief::Suspected) = *belief {
            *belief = Some(Belief::found(Manner::Handshake));
        }
    }

    /// It was greeted in vain: perhaps it is another by now.
    pub(super) fn doubts(&self) {
        let mut belief = self.0.lock();
        if let Some(Manner::Handshake) = known(*belief) {
            *belief = None;
        }
    }
}

impl Belief {
    fn found(manner: Manner) -> Self {
        Self::Found(manner, Instant::now() + BELIEVED)
    }
}

fn known(belief: Option<Belief>) -> Option<Manner> {
    match belief {
        Some(Belief::Found(manner, until)) if Instant::now() < until => Some(manner),
        Some(Belief::Suspected) => Some(Manner::Handshake),
        Some(Belief::Found(..)) | None => None,
    }
}

/// How long a verdict is believed.
const BELIEVED: Duration = Duration::from_secs(3600);

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

    #[tokio::test(start_paused = true)]
    async fn a_suspicion_that_proves_true_is_a_finding_and_is_not_renewed() {
        let verdict = Verdict::default();
        verdict.suspects();
        tokio::time::advance(2 * BELIEVED).await;
        assert_eq!(verdict.known(), Some(Manner::Handshake));
        verdict.confirms();
        tokio::time::advance(BELIEVED / 2).await;
        verdict.confirms();
        assert_eq!(verdict.known(), Some(Manner::Handshake));
        tokio::time::advance(BELIEVED / 2).await;
        assert_eq!(verdict.known(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_suspicion_that_proves_false_is_forgotten() {
        let verdict = Verdict::default();
        verdict.suspects();
        verdict.doubts();
        assert_eq!(verdict.known(), None);
        verdict.finds(Manner::Stateless);
        verdict.doubts();
        assert_eq!(verdict.known(), Some(Manner::Stateless));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_known_to_do_without_is_suspected_at_the_second_time() {
        let verdict = Verdict::default();
        verdict.finds(Manner::Stateless);
        verdict.suspects();
        assert_eq!(verdict.known(), None);
        verdict.suspects();
        assert_eq!(verdict.known(), Some(Manner::Handshake));
    }
}
