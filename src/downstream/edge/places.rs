//! Places for connections: so many in all, so many for one source.
//!
//! A `Place` is given back when it is dropped. The map of sources is as large as there are connections.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::source::Source;

#[derive(Debug)]
pub(super) struct Places {
    total: Arc<Semaphore>,
    per_source_max: usize,
    by_source: Mutex<HashMap<Source, usize>>,
}

/// Held for the life of a connection.
#[derive(Debug)]
pub(super) struct Place {
    _total: OwnedSemaphorePermit,
    counted: Option<(Arc<Places>, Source)>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    All,
    Source,
}

impl Places {
    pub(super) fn new(max: usize, per_source_max: usize) -> Arc<Self> {
        Arc::new(Self {
            total: Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))),
            per_source_max,
            by_source: Mutex::new(HashMap::new()),
        })
    }

    /// `source`: for whom it counts besides; `None` for those that no limit of one source holds for.
    pub(super) fn take(self: &Arc<Self>, source: Option<Source>) -> Result<Place, Full> {
        let total = || self.total.clone().try_acquire_owned().map_err(|_| Full::All);
        let Some(source) = source else { return Ok(Place { _total: total()?, counted: None }) };
        let mut by_source = self.by_source.lock();
        let count = by_source.get(&source).copied().unwrap_or(0);
        // First: for one that has enough of its own, nobody need make way.
        if count >= self.per_source_max {
            return Err(Full::Source);
        }
        let total = total()?;
        by_source.insert(source, count + 1);
        Ok(Place { _total: total, counted: Some((Arc::clone(self), source)) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((places, source)) = &self.counted else { return };
        let mut by_source = places.by_source.lock();
        match by_source.get_mut(source) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => {
                by_source.remove(source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const ONE: Option<Source> = Some(Source::V4(Ipv4Addr::new(1, 1, 1, 1)));
    const OTHER: Option<Source> = Some(Source::V4(Ipv4Addr::new(2, 2, 2, 2)));

    #[test]
    fn a_place_is_given_back_and_leaves_nothing() {
        let places = Places::new(4, 2);
        let (first, second) = (places.take(ONE).unwrap(), places.take(ONE).unwrap());
        assert_eq!(places.take(ONE).unwrap_err(), Full::Source);
        let (third, fourth) = (places.take(OTHER).unwrap(), places.take(None).unwrap());
        assert_eq!(places.take(None).unwrap_err(), Full::All);
        drop(first);
        let again = places.take(ONE).unwrap();
        drop((second, third, fourth, again));
        assert_eq!(places.total.available_permits(), 4);
        assert!(places.by_source.lock().is_empty());
    }
}
