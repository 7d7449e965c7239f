//! Tokens that were found good a while ago, by their digests: so that a call does not pay for a signature each time.
//!
//! Owns how long that is believed: no longer than the token says, and not for long without asking again, because keys and
//! tokens are withdrawn. Nothing is kept of a token but its digest. Pure; its caller says what time it is.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::resource::Doors;
use crate::downstream::edge::token::Digest;
use crate::mcp::caller::Grant;

/// What a token is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    pub grant: Grant,
    /// Until when that is believed without asking again.
    pub until: Instant,
    /// Until when it lets in, the leeway for clocks that differ included, if it ends at all.
    pub ends: Option<Instant>,
    /// When it ends by its own word, or, where it has none, when it must be asked about again.
    pub lives: Instant,
    pub doors: Doors,
}

#[derive(Debug, Default)]
pub(super) struct Known(HashMap<Digest, Pass>);

impl Known {
    pub(super) fn get(&self, token: &Digest, now: Instant) -> Option<&Pass> {
        self.0.get(token).filter(|pass| now < pass.until)
    }

    /// Whether it was good a while ago, as far as that is remembered.
    pub(super) fn was_good(&self, token: &Digest) -> bool {
        self.0.contains_key(token)
    }

    /// It was found bad.
    pub(super) fn forget(&mut self, token: &Digest) {
        self.0.remove(token);
    }

    /// Where there is no room, what ends next makes it: it would be asked about next anyway.
    pub(super) fn keep(&mut self, token: Digest, pass: Pass, now: Instant) {
        if self.0.len() >= KNOWN_MAX && !self.0.contains_key(&token) {
            self.0.retain(|_, pass| now < pass.until);
        }
        if self.0.len() >= KNOWN_MAX && !self.0.contains_key(&token) {
            let next = self.0.iter().min_by_key(|(_, pass)| pass.until).map(|(token, _)| *token);
            next.and_then(|next| self.0.remove(&next));
        }
        self.0.insert(token, pass);
    }
}

/// Tokens that are known at once. Nobody gets in here but with a good one.
pub(super) const KNOWN_MAX: usize = 4096;
/// How long a good signature is believed, and how long a provider's word about a token that is no JWT.
pub(super) const SIGNED_KEPT: Duration = Duration::from_secs(5 * 60);
pub(super) const TOLD_KEPT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::caller::Principal;

    fn pass(until: Instant) -> Pass {
        Pass {
            grant: Grant::plain(Principal::oauth("ana")),
            until,
            ends: None,
            lives: until,
            doors: Doors::All,
        }
    }

    #[test]
    fn a_token_is_known_until_it_ends() {
        let (mut known, now) = (Known::default(), Instant::now());
        let until = now + Duration::from_secs(9);
        known.keep(Digest::of(b"a"), pass(until), now);
        assert_eq!(known.get(&Digest::of(b"a"), now), Some(&pass(until)));
        assert_eq!(known.get(&Digest::of(b"b"), now), None);
        assert_eq!(known.get(&Digest::of(b"a"), until), None);
    }

    #[test]
    fn there_are_so_many_and_who_ends_next_makes_room() {
        let (mut known, now) = (Known::default(), Instant::now());
        let token = |number: usize| Digest::of(&number.to_be_bytes());
        let until = |number: usize| now + Duration::from_secs(1 + number as u64);
        for number in (0..KNOWN_MAX).rev() {
            known.keep(token(number), pass(until(number)), now);
        }
        known.keep(token(KNOWN_MAX), pass(until(KNOWN_MAX)), now);
        assert_eq!(known.0.len(), KNOWN_MAX);
        assert!(known.get(&token(0), now).is_none() && known.get(&token(1), now).is_some());
        known.keep(token(KNOWN_MAX + 1), pass(until(KNOWN_MAX)), until(99));
        assert_eq!(known.0.len(), KNOWN_MAX + 1 - 99, "who has ended goes first");
    }

    #[test]
    fn h16_who_was_let_in_before_guesses_nothing() {
        let now = Instant::now();
        let mut known = Known::default();
        known.keep(Digest::of(b"good"), pass(now), now);
        assert!(known.get(&Digest::of(b"good"), now).is_none(), "it is asked about again,");
        assert!(known.was_good(&Digest::of(b"good")) && !known.was_good(&Digest::of(b"guess")));
        known.forget(&Digest::of(b"good"));
        assert!(!known.was_good(&Digest::of(b"good")), "until it is found bad");
    }
}
