//! The keys of one object so far: finds one that stands twice, or beside a variant of itself.
//!
//! Two readers of one text must route it alike. Where they may differ (the first or the last of two
//! members, case or no case) the message is refused, whichever of them would have been right.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::wire::cursor::{Key, Name};
use crate::wire::flaw::BadKind;
use crate::wire::members::folds_alike;
use crate::wire::message::{KEY_BYTES_MAX, MEMBERS_MAX};
use crate::wire::skim::Flaw;

/// The keys that the pass reads in one kind of object.
pub(super) struct Routes<K, const N: usize> {
    pub(super) names: [(Name, K); N],
    /// Their marks, folded: what none of these is, is no routed key and no variant of one, if it is ASCII.
    folded: [u64; N],
}

impl<K, const N: usize> Routes<K, N> {
    pub(super) const fn new(names: [(Name, K); N]) -> Self {
        let (mut folded, mut at) = ([0; N], 0);
        while at < N {
            folded[at] = names[at].0.mark.folded();
            let mut before = 0;
            while before < at {
                assert!(folded[before] != folded[at], "one mark stands for one name");
                before += 1;
            }
            at += 1;
        }
        Self { names, folded }
    }
}

/// The keys of one object so far. The routed ones are those that the pass reads there.
pub(super) struct Keys<'a, K: 'static, const N: usize> {
    routes: &'static Routes<K, N>,
    /// What the object is called.
    place: &'static str,
    count: usize,
    others: Others<'a>,
    /// One bit per routed key: it is there.
    real: u32,
    /// One bit per routed key: something is there that another reader may take for it.
    variant: u32,
}

impl<'a, K: Copy, const N: usize> Keys<'a, K, N> {
    #[inline]
    pub(super) fn new(routes: &'static Routes<K, N>, place: &'static str) -> Self {
        Self { routes, place, count: 0, others: Others::default(), real: 0, variant: 0 }
    }

    /// Notes the first of the routed ones, before any other.
    #[inline]
    pub(super) fn note_first(&mut self) {
        (self.count, self.real) = (1, 1);
    }

    /// Notes a key, and what is wrong with it. The routed one that it is.
    #[inline]
    pub(super) fn note(&mut self, key: Key<'a>, flaw: &mut Flaw) -> Option<K> {
        let folded = key.mark.folded();
        let near = self.routes.folded.iter().position(|known| *known == folded);
        let near = near.and_then(|bit| Some((bit, self.routes.names.get(bit)?)));
        let found = near.filter(|(_, (name, _))| key.is(name));
        let routed = found.map(|(_, (_, routed))| *routed);
        // What is routed is not long.
        if self.count == MEMBERS_MAX || (found.is_none() && key.is_longer_than(KEY_BYTES_MAX)) {
            flaw.note_key(BadKind::Keys, self.place);
            return routed;
        }
        let twice = match found {
            Some((bit, _)) => {
                let twice = self.real & 1 << bit != 0;
                self.real |= 1 << bit;
                twice
            }
            None => {
                let is_new = self.others.note(key);
                if is_new {
                    self.note_variant(key, near.map(|(bit, (name, _))| (bit, name)));
                }
                !is_new
            }
        };
        if twice {
            flaw.note_key(BadKind::Duplicate, self.place);
        } else {
            self.count = self.count.wrapping_add(1);
        }
        routed
    }

    /// Notes of what another reader may take one for that is not routed. `near`: the one with the same mark, folded.
    #[inline]
    fn note_variant(&mut self, key: Key<'a>, near: Option<(usize, &Name)>) {
        if !key.says().is_ascii() {
            for (bit, (name, _)) in self.routes.names.iter().enumerate() {
                self.variant |= u32::from(is_variant(&key.says(), name.text)) << bit;
            }
        } else if let Some((bit, name)) = near {
            self.variant |= u32::from(is_variant(&key.says(), name.text)) << bit;
        }
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

/// Those that are not routed.
#[derive(Default)]
struct Others<'a> {
    /// The first few, where comparing with each is cheapest.
    few: [Option<Key<'a>>; FEW],
    many: Option<HashSet<Cow<'a, [u8]>>>,
}

impl<'a> Others<'a> {
    /// Notes one, unless it is there already.
    #[inline]
    fn note(&mut self, key: Key<'a>) -> bool {
        for place in &mut self.few {
            match place {
                Some(known) if known.mark == key.mark && known.says() == key.says() => return false,
                Some(_) => {}
                None => {
                    *place = Some(key);
                    return true;
                }
            }
        }
        self.many.get_or_insert_default().insert(key.says())
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
    std::str::from_utf8(key).is_ok_and(|key| folds_alike(key, routed))
}

const FEW: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::members::fold;

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
