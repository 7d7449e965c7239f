//! The keys of one object so far: finds one that stands twice, or beside a variant of itself.
//!
//! Two readers of one text must route it alike. Where they may differ (the first or the last of two
//! members, case or no case) the message is refused, whichever of them would have been right.

use std::borrow::Cow;
use std::collections::HashSet;

use smallvec::SmallVec;

use crate::wire::cursor::{Key, Mark, Name};
use crate::wire::flaw::BadKind;
use crate::wire::message::{KEY_BYTES_MAX, MEMBERS_MAX};

/// The keys of one object so far. The routed ones are those that the pass reads there.
pub(super) struct Keys<'a, K: 'static> {
    routed: &'static [(Name, K)],
    count: usize,
    /// The first few that are not routed, where comparing with each is cheapest.
    few: SmallVec<[(Mark, &'a [u8]); FEW]>,
    /// The others, and those that had to be decoded.
    many: Option<HashSet<Cow<'a, [u8]>>>,
    /// One bit per routed key: it is there.
    real: u32,
    /// One bit per routed key: something is there that another reader may take for it.
    variant: u32,
}

/// What a key is.
pub(super) struct Noted<K> {
    /// The routed one that it is.
    pub(super) routed: Option<K>,
    pub(super) flaw: Option<BadKind>,
}

impl<'a, K: Copy> Keys<'a, K> {
    pub(super) fn new(routed: &'static [(Name, K)]) -> Self {
        Self { routed, count: 0, few: SmallVec::new(), many: None, real: 0, variant: 0 }
    }

    /// Notes a key, and says what is wrong with it.
    pub(super) fn note(&mut self, key: &Key<'a>) -> Noted<K> {
        let found = self.routed.iter().position(|(routed, _)| key.is(routed));
        let routed = found.and_then(|at| self.routed.get(at)).map(|(_, routed)| *routed);
        let length = if key.escaped { key.says().len() } else { key.raw.len() };
        if length > KEY_BYTES_MAX || self.count == MEMBERS_MAX {
            return Noted { routed, flaw: Some(BadKind::Keys) };
        }
        let twice = match found {
            Some(bit) => {
                let twice = self.real & 1 << bit != 0;
                self.real |= 1 << bit;
                twice
            }
            None => !self.is_new(key),
        };
        if twice {
            return Noted { routed, flaw: Some(BadKind::Duplicate) };
        }
        self.count += 1;
        Noted { routed, flaw: None }
    }

    /// Notes one that is not routed, unless it is there already.
    fn is_new(&mut self, key: &Key<'a>) -> bool {
        let says = key.says();
        let mark = if key.escaped { Mark::of(&says) } else { key.mark };
        let is_known = self.few.iter().any(|(known, text)| *known == mark && **text == *says);
        if is_known || self.many.as_ref().is_some_and(|many| many.contains(&*says)) {
            return false;
        }
        let (ascii, folded) = (says.is_ascii(), mark.folded());
        for (bit, (routed, _)) in self.routed.iter().enumerate() {
            if (!ascii || folded == routed.mark.folded()) && is_variant(&says, routed.text) {
                self.variant |= 1 << bit;
            }
        }
        match says {
            Cow::Borrowed(says) if self.few.len() < FEW => self.few.push((mark, says)),
            says @ (Cow::Borrowed(_) | Cow::Owned(_)) => {
                self.many.get_or_insert_default().insert(says);
            }
        }
        true
    }

    /// There is a variant of a routed key.
    pub(super) fn has_variant(&self) -> bool {
        self.variant != 0
    }

    /// There is a routed key and beside it a variant of the same.
    pub(super) fn has_rivals(&self) -> bool {
        self.variant & self.real != 0
    }
}

/// Whether a reader that folds case may take `key` for `routed`.
fn is_variant(key: &[u8], routed: &str) -> bool {
    if key.is_ascii() {
        return key.eq_ignore_ascii_case(routed.as_bytes());
    }
    // What folds to ASCII at all folds to no more bytes than its own, and to no fewer than a third.
    if !(routed.len()..=3 * routed.len()).contains(&key.len()) {
        return false;
    }
    std::str::from_utf8(key).is_ok_and(|key| fold(key).eq(fold(routed)))
}

/// By way of upper case, because `ſ` and `ı` are lower case already and still become `S` and `I`; and to
/// lower case first, because `ẞ` is upper case already and becomes `SS` only by way of `ß`.
fn fold(text: &str) -> impl Iterator<Item = char> {
    let lower = text.chars().flat_map(char::to_lowercase);
    lower.flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

const FEW: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_to_ascii_keeps_to_the_lengths_that_are_looked_at() {
        let mut found = 0;
        for character in char::MIN..=char::MAX {
            let folded: String = fold(character.encode_utf8(&mut [0; 4])).collect();
            if folded.is_ascii() && !character.is_ascii() {
                found += 1;
                assert!((folded.len()..=3 * folded.len()).contains(&character.len_utf8()), "{character}");
            }
        }
        assert!(found >= 10, "{found}");
    }

    #[test]
    fn a_variant_is_found_in_any_script() {
        for key in [
            "Progresstoken",
            "PROGRESSTOKEN",
            "progre\u{17f}sToken",
            "progressTo\u{212a}en",
            "progreßtoken",
            "progreẞtoken",
        ] {
            assert!(is_variant(key.as_bytes(), "progressToken"), "{key}");
        }
        for key in ["progressToken2", "progress-token", "progressTokén", "", "ſ"] {
            assert!(!is_variant(key.as_bytes(), "progressToken"), "{key}");
        }
        assert!(is_variant("Ref".as_bytes(), "ref") && is_variant("re\u{fb00}".as_bytes(), "reff"));
    }
}
