//! The connections on which nothing is asked just now: whoever is silent longest makes way when no place is left.
//!
//! A `Stay` is one connection's, from its first byte to its last. It holds the place; whoever is put out loses it at
//! once, and its connection ends a moment later. A connection that is asked or answers is never put out.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::places::Place;

/// All connections that are silent.
#[derive(Debug, Default)]
pub(super) struct Silence(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    longest_first: BTreeMap<u64, Sitting>,
}

/// A silent connection: what it loses when it is put out, and how it hears of it.
#[derive(Debug)]
struct Sitting {
    place: Place,
    out: CancellationToken,
}

/// One connection as far as its place is concerned.
#[derive(Debug)]
pub(super) struct Stay {
    silence: Arc<Silence>,
    out: CancellationToken,
    at: Mutex<At>,
}

#[derive(Debug)]
enum At {
    /// Among the silent, under this number.
    Silent(u64),
    Busy(Place),
    /// Put out.
    Out,
}

impl Silence {
    /// A connection that has said nothing yet.
    pub(super) fn enter(self: &Arc<Self>, place: Place) -> Stay {
        let out = CancellationToken::new();
        let number = self.seat(Sitting { place, out: out.clone() });
        Stay { silence: self.clone(), out, at: Mutex::new(At::Silent(number)) }
    }

    /// Puts out whoever is silent longest; `false` if nobody is. Its place is free when this returns.
    pub(super) fn put_out(&self) -> bool {
        let Some((_, Sitting { place, out })) = self.0.lock().longest_first.pop_first() else { return false };
        drop(place);
        out.cancel();
        true
    }

    fn seat(&self, sitting: Sitting) -> u64 {
        let mut queue = self.0.lock();
        queue.next += 1;
        let number = queue.next;
        queue.longest_first.insert(number, sitting);
        number
    }

    fn call(&self, number: u64) -> Option<Place> {
        self.0.lock().longest_first.remove(&number).map(|sitting| sitting.place)
    }
}

impl Stay {
    /// It is asked something, or has said something: `false` if it was put out before.
    pub(super) fn is_busy(&self) -> bool {
        let mut at = self.at.lock();
        if let At::Silent(number) = *at {
            *at = self.silence.call(number).map_or(At::Out, At::Busy);
        }
        matches!(*at, At::Busy(_))
    }

    /// From now on it is silent; the others have been for longer.
    pub(super) fn falls_silent(&self) {
        let mut at = self.at.lock();
        *at = match std::mem::replace(&mut *at, At::Out) {
            At::Busy(place) => At::Silent(self.silence.seat(Sitting { place, out: self.out.clone() })),
            At::Silent(number) => At::Silent(number),
            At::Out => At::Out,
        };
    }

    /// What is done in it; `None` when it is put out before that is done.
    pub(super) async fn unless_put_out<T>(&self, done: impl Future<Output = T>) -> Option<T> {
        self.out.run_until_cancelled(done).await
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        if let At::Silent(number) = *self.at.lock() {
            self.silence.call(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::places::Places;
    use super::*;

    #[test]
    fn whoever_is_silent_longest_is_put_out_and_never_one_that_is_busy() {
        let (places, silence) = (Places::new(3, 3), Arc::<Silence>::default());
        let enter = || silence.enter(places.take(None).unwrap());
        let (first, second, third) = (enter(), enter(), enter());
        assert!(first.is_busy() && third.is_busy());
        third.falls_silent();
        assert!(places.take(None).is_err() && silence.put_out());
        assert!(second.out.is_cancelled() && !third.out.is_cancelled() && !second.is_busy());
        // Its place is free while its connection still ends, and it has none to give back then.
        let fourth = enter();
        drop(second);
        assert!(places.take(None).is_err());
        assert!(fourth.is_busy() && silence.put_out() && third.out.is_cancelled());
        assert!(!silence.put_out());
        third.falls_silent();
        assert!(!silence.put_out() && !first.out.is_cancelled());
        drop((first, third, fourth));
        assert!(silence.0.lock().longest_first.is_empty());
        let all: Vec<_> = (0..3).map(|_| places.take(None).unwrap()).collect();
        assert!(places.take(None).is_err());
        drop(all);
    }

    #[test]
    fn a_connection_that_ends_in_silence_leaves_nothing() {
        let (places, silence) = (Places::new(1, 1), Arc::<Silence>::default());
        drop(silence.enter(places.take(None).unwrap()));
        assert!(places.take(None).is_ok() && !silence.put_out());
    }
}
