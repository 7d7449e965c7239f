//! What a server was shown of late.
//!
//! Owns a few tokens, the newest last: a server may repeat one after another has taken its place, and what repeats one is quoted
//! to nobody.

use std::collections::VecDeque;

use parking_lot::Mutex;

use super::keeper::Bearer;
use crate::config::Secret;

#[derive(Default)]
pub(super) struct OfLate(Mutex<VecDeque<Bearer>>);

impl OfLate {
    pub(super) fn add(&self, bearer: &Bearer) {
        let mut of_late = self.0.lock();
        of_late.retain(|other| !other.is_same(bearer));
        of_late.push_back(bearer.clone());
        if of_late.len() > OF_LATE_MAX {
            of_late.pop_front();
        }
    }

    pub(super) fn secrets(&self) -> Vec<Secret> {
        self.0.lock().iter().map(Bearer::token).collect()
    }
}

/// Tokens that are known to be secret. An answer in which an older one is repeated was long on its way.
pub(super) const OF_LATE_MAX: usize = 4;
