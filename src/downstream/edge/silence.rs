//! The connections on which nothing is asked just now: whoever is silent longest makes way when no place is left.
//!
//! Those that never asked anything go first, so that however many of them come, hardly anybody who is served makes way for
//! them; but some of them always have the time to ask.
//!
//! A `Stay` is one connection's, from its first byte to its last. It holds the place; whoever is put out loses it at
//! once, and its connection ends a moment later. A connection that is asked or answers is never put out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::places::Place;
use super::row::{Row, Ticket};

/// All connections that are silent.
#[derive(Debug)]
pub(super) struct Silence {
    queue: Mutex<Queue>,
    /// So many that never asked anything are left in peace while others are silent.
    strangers_kept: usize,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    /// Longest first. Those that never asked anything.
    strangers: Row<Sitting>,
    /// The same of those that were answered, and may ask again.
    guests: Row<Sitting>,
}

/// A silent connection: what it loses when it is put out, and how it hears of it.
#[derive(Debug)]
struct Sitting {
    place: Place,
    out: Out,
}

/// Whether a connection is put out; all clones are one.
#[derive(Debug, Clone, Default)]
struct Out(Arc<Put>);

#[derive(Debug, Default)]
struct Put {
    is_out: AtomicBool,
    news: Notify,
}

/// One connection as far as its place is concerned.
#[derive(Debug)]
pub(super) struct Stay {
    silence: Arc<Silence>,
    out: Out,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    at: At,
    /// It has asked something.
    is_guest: bool,
}

#[derive(Debug)]
enum At {
    Silent(Ticket),
    Busy(Place),
    /// Put out.
    Out,
}

impl Silence {
    /// For so many places.
    pub(super) fn new(places_max: usize) -> Arc<Self> {
        Arc::new(Self { queue: Mutex::default(), strangers_kept: (places_max / STRANGERS_PART).max(1) })
    }

    /// A connection that has said nothing yet.
    pub(super) fn enter(self: &Arc<Self>, place: Place) -> Stay {
        let out = Out::default();
        let ticket = self.queue.lock().seat_stranger(Sitting { place, out: out.clone() });
        let state = Mutex::new(State { at: At::Silent(ticket), is_guest: false });
        Stay { silence: self.clone(), out, state }
    }

    /// Puts out whoever is silent longest; `false` if nobody is. Its place is free when this returns.
    pub(super) fn put_out(&self) -> bool {
        let mut queue = self.queue.lock();
        let longest = match queue.strangers.len() > self.strangers_kept {
            true => queue.strangers.pop_first(),
            false => queue.guests.pop_first().or_else(|| queue.strangers.pop_first()),
        };
        drop(queue);
        let Some(Sitting { place, out }) = longest else { return false };
        drop(place);
        out.put();
        true
    }
}

impl Queue {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn seat_stranger(&mut self, sitting: Sitting) -> Ticket {
        let number = self.number();
        self.strangers.push(number, sitting)
    }

    fn seat_guest(&mut self, sitting: Sitting) -> Ticket {
        let number = self.number();
        self.guests.push(number, sitting)
    }

    fn call(&mut self, ticket: Ticket) -> Option<Sitting> {
        self.guests.take(ticket).or_else(|| self.strangers.take(ticket))
    }
}

impl Stay {
    /// It asks something: `false` if it was put out before.
    pub(super) fn asks(&self) -> bool {
        let mut state = self.state.lock();
        state.is_guest = true;
        if let At::Silent(ticket) = state.at {
            let sitting = self.silence.queue.lock().call(ticket);
            state.at = sitting.map_or(At::Out, |sitting| At::Busy(sitting.place));
        }
        matches!(state.at, At::Busy(_))
    }

    /// It begins to say something. One that has asked before is about to ask again, and has only so long for it; of others
    /// that is no request yet: the rest have been silent for longer.
    pub(super) fn stirs(&self) {
        let mut state = self.state.lock();
        let At::Silent(ticket) = state.at else { return };
        let mut queue = self.silence.queue.lock();
        state.at = match (queue.call(ticket), state.is_guest) {
            (Some(sitting), true) => At::Busy(sitting.place),
            (Some(sitting), false) => At::Silent(queue.seat_stranger(sitting)),
            (None, _) => At::Out,
        };
    }

    /// From now on it is silent; the others have been for longer.
    pub(super) fn falls_silent(&self) {
        let mut state = self.state.lock();
        state.at = match std::mem::replace(&mut state.at, At::Out) {
            At::Busy(place) => {
                let sitting = Sitting { place, out: self.out.clone() };
                At::Silent(self.silence.queue.lock().seat_guest(sitting))
            }
            At::Silent(ticket) => At::Silent(ticket),
            At::Out => At::Out,
        };
    }

    /// Resolves when it is put out.
    pub(super) async fn put_out(&self) {
        // What was said before anybody waited is kept for the one who does.
        while !self.out.is_put() {
            self.out.0.news.notified().await;
        }
    }
}

impl Out {
    fn put(&self) {
        self.0.is_out.store(true, Ordering::Release);
        self.0.news.notify_one();
    }

    fn is_put(&self) -> bool {
        self.0.is_out.load(Ordering::Acquire)
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        if let At::Silent(ticket) = self.state.lock().at {
            self.silence.queue.lock().call(ticket);
        }
    }
}

/// Of how many places one is for those that never asked anything, while others are silent.
const STRANGERS_PART: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::places::Places;
    use super::*;

    #[test]
    fn whoever_is_silent_longest_is_put_out_and_never_one_that_is_busy() {
        let (places, silence) = (Places::new(3, 3), Silence::new(3));
        let enter = || silence.enter(places.take(None).unwrap());
        let (first, second, third) = (enter(), enter(), enter());
        assert!(first.asks() && third.asks());
        assert!(places.take(None).is_err() && silence.put_out());
        third.falls_silent();
        assert!(second.out.is_put() && !third.out.is_put() && !second.asks());
        // Its place is free while its connection still ends, and it has none to give back then.
        let fourth = enter();
        drop(second);
        assert!(places.take(None).is_err());
        assert!(fourth.asks() && silence.put_out() && third.out.is_put() && !third.asks());
        assert!(!silence.put_out());
        third.falls_silent();
        assert!(!silence.put_out() && !first.out.is_put());
        drop((first, third, fourth));
        let left = silence.queue.lock();
        assert_eq!((left.strangers.len(), left.guests.len()), (0, 0));
        drop(left);
        let all: Vec<_> = (0..3).map(|_| places.take(None).unwrap()).collect();
        assert!(places.take(None).is_err());
        drop(all);
    }

    #[test]
    fn a09_who_never_asked_anything_makes_way_first() {
        let (places, silence) = (Places::new(4, 4), Silence::new(4));
        let enter = || silence.enter(places.take(None).unwrap());
        let (guest, early, stirring, late) = (enter(), enter(), enter(), enter());
        assert!(guest.asks());
        guest.falls_silent();
        // It is about to ask again.
        guest.stirs();
        assert!(matches!(guest.state.lock().at, At::Busy(_)));
        guest.falls_silent();
        // Half a head is a word, and still no request.
        early.stirs();
        assert!(silence.put_out() && stirring.out.is_put());
        assert!(silence.put_out() && late.out.is_put());
        // The last of them is left in peace.
        assert!(!early.out.is_put() && silence.put_out() && guest.out.is_put());
        early.stirs();
        assert!(silence.put_out() && early.out.is_put() && !silence.put_out());
    }

    #[test]
    fn some_who_come_have_the_time_to_ask() {
        let (places, silence) = (Places::new(16, 16), Silence::new(16));
        let enter = || silence.enter(places.take(None).unwrap());
        let guests: Vec<_> = (0..14).map(|_| enter()).collect();
        for guest in &guests {
            assert!(guest.asks());
            guest.falls_silent();
        }
        let (first, second) = (enter(), enter());
        assert!(silence.put_out() && guests[0].out.is_put());
        let third = enter();
        assert!(silence.put_out() && first.out.is_put() && second.asks() && third.asks());
    }

    #[test]
    fn a_connection_that_ends_in_silence_leaves_nothing() {
        let (places, silence) = (Places::new(1, 1), Silence::new(1));
        drop(silence.enter(places.take(None).unwrap()));
        assert!(places.take(None).is_ok() && !silence.put_out());
    }
}
