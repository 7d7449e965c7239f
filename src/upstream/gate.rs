//! The way into one busy server: who gets the next place there.
//!
//! Owns the server's places and those who wait for one, in the order of `FairQueue`. A place is
//! a unit of a budget and comes back by being dropped, wherever it is. It waits for no server and knows no requests.

use super::budget::{Budget, Taken};
use crate::mcp::caller::ClientId;
use crate::routing::queue::{Entered, FairQueue, Ticket};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

/// The places at one server, and the queue before them.
pub(super) struct Gate {
    places: Arc<Budget>,
    places_max: AtomicUsize,
    queue: Mutex<Queue>,
    /// Places that are to go as soon as they are free. Somebody takes them away as long as there are any.
    surplus: Arc<Mutex<usize>>,
}

type Queue = FairQueue<oneshot::Sender<Taken>>;

/// Too many wait, and none of them for a client with more of them than the one that was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl Gate {
    pub(super) fn new(places_max: usize, waiting_max: usize) -> Self {
        Self {
            places: Budget::new(places_max),
            places_max: AtomicUsize::new(places_max),
            queue: Mutex::new(FairQueue::new(waiting_max)),
            surplus: Arc::default(),
        }
    }

    /// Another number of places, and of those who may wait for one. Nobody loses the place that he has, and nobody his
    /// place in the queue: where there are fewer from now on, they go as they come free.
    pub(super) fn resize(&self, places_max: usize, waiting_max: usize, tracker: &TaskTracker) {
        self.queue.lock().resize(waiting_max);
        let before = self.places_max.swap(places_max, Ordering::Relaxed);
        let mut surplus = self.surplus.lock();
        if places_max >= before {
            let more = places_max - before;
            let kept = more.min(*surplus);
            *surplus -= kept;
            self.places.give_back(units(more - kept));
            return;
        }
        let is_taking = *surplus > 0;
        *surplus += before - places_max;
        if !is_taking {
            let taken = take_away(self.places.clone(), self.surplus.clone());
            tracker.spawn(taken);
        }
    }

    /// Who has a place, and who waits for one.
    pub(super) fn crowd(&self) -> (usize, usize) {
        let (max, surplus) = (self.places_max.load(Ordering::Relaxed), *self.surplus.lock());
        ((max + surplus).saturating_sub(self.places.left() as usize), self.queue.lock().len())
    }

    /// A place, if one is free and nobody waits for it.
    pub(super) fn try_enter(&self) -> Option<Taken> {
        self.places.take(1)
    }

    /// A place, once it is this client's turn. Turned away at once when too many wait, or later by somebody more modest.
    /// Cancel-safe: who stops waiting leaves nothing behind, and no place is lost.
    pub(super) async fn enter(&self, client: ClientId) -> Result<Taken, Full> {
        let (mut called, ticket, turned_away) = {
            let mut queue = self.queue.lock();
            if let Some(place) = self.places.take(1) {
                return Ok(place);
            }
            let (call, called) = oneshot::channel();
            match queue.enter(client, call) {
                Entered::Waits(ticket) => (called, ticket, None),
                Entered::Instead(ticket, turned_away) => (called, ticket, Some(turned_away)),
                Entered::Full(_) => return Err(Full),
            }
        };
        // Whoever loses this hears of it by that.
        drop(turned_away);
        let _waiting = Waiting { gate: self, client, ticket };
        loop {
            // Everyone in the queue waits for the places as well. Whoever gets one, hands it to whose turn
            // it is, and waits on: so there are never fewer who wait for them than in the queue, and no place stays free.
            tokio::select! {
                biased;
                place = &mut called => return place.map_err(|_| Full),
                place = self.places.wait(1) => self.hand(place),
            }
        }
    }

    /// Gives a place to whose turn it is; back to the others, if nobody waits any more. One that is too many is gone.
    fn hand(&self, mut place: Taken) {
        {
            let mut surplus = self.surplus.lock();
            if *surplus > 0 {
                *surplus -= 1;
                return std::mem::forget(place);
            }
        }
        loop {
            let next = self.queue.lock().turn();
            let Some(next) = next else { return };
            match next.send(place) {
                Ok(()) => return,
                // It has stopped waiting in this moment.
                Err(back) => place = back,
            }
        }
    }
}

/// Takes places out of the budget for good as they come free, until none is too many. Who waits for one gives it away as well.
async fn take_away(places: Arc<Budget>, surplus: Arc<Mutex<usize>>) {
    loop {
        let place = places.wait(1).await;
        let mut surplus = surplus.lock();
        if *surplus == 0 {
            // Meanwhile it is wanted again.
            return;
        }
        *surplus -= 1;
        std::mem::forget(place);
        if *surplus == 0 {
            return;
        }
    }
}

fn units(places: usize) -> u32 {
    u32::try_from(places).unwrap_or(u32::MAX)
}

/// Somebody waits as long as this is there.
struct Waiting<'a> {
    gate: &'a Gate,
    client: ClientId,
    ticket: Ticket,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.gate.queue.lock().leave(self.client, self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use futures::future::join_all;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn places_are_given_in_turns_and_come_back() {
        let gate = Gate::new(1, 9);
        let held = gate.enter(ClientId(1)).await.unwrap();
        let order = Mutex::new(Vec::new());
        let enter = async |client, name| {
            let place = gate.enter(ClientId(client)).await.unwrap();
            order.lock().push(name);
            drop(place);
        };
        let waiters = [enter(1, "a1"), enter(1, "a2"), enter(1, "a3"), enter(2, "b1")];
        let mut waiters = Box::pin(join_all(waiters));
        assert!(waiters.as_mut().now_or_never().is_none());
        drop(held);
        waiters.await;
        assert_eq!(*order.lock(), ["a1", "b1", "a2", "a3"]);
        assert_eq!((gate.places.left(), gate.queue.lock().len()), (1, 0));
    }

    #[tokio::test]
    async fn who_is_turned_away_hears_it_at_once() {
        let gate = Gate::new(1, 2);
        let held = gate.enter(ClientId(1)).await.unwrap();
        let (mut first, mut second) = (Box::pin(gate.enter(ClientId(1))), Box::pin(gate.enter(ClientId(1))));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        assert_eq!(gate.enter(ClientId(1)).now_or_never().map(|place| place.err()), Some(Some(Full)));
        // A modest one comes, and the newest of the greedy one's goes.
        let mut modest = Box::pin(gate.enter(ClientId(2)));
        assert!(modest.as_mut().now_or_never().is_none());
        assert_eq!(second.as_mut().now_or_never().map(|place| place.err()), Some(Some(Full)));
        drop(held);
        let place = first.await.unwrap();
        assert!(modest.as_mut().now_or_never().is_none());
        drop(place);
        drop(modest.await.unwrap());
        assert_eq!((gate.places.left(), gate.queue.lock().len()), (1, 0));
    }

    #[tokio::test]
    async fn a_place_that_was_handed_to_who_is_gone_is_anothers() {
        let gate = Gate::new(1, 9);
        let held = gate.enter(ClientId(1)).await.unwrap();
        let (mut first, mut second) = (Box::pin(gate.enter(ClientId(1))), Box::pin(gate.enter(ClientId(2))));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        // It is given to the first, which never looks.
        drop(held);
        drop(first);
        assert!(second.as_mut().now_or_never().is_some());
    }

    /// Many clients on several threads, each of which gives up at random: nobody waits for ever, nobody has more than
    /// there are places, and at the end all of them are back.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_place_is_lost_whoever_gives_up_when() {
        const PLACES: usize = 3;
        let (gate, inside) = (Arc::new(Gate::new(PLACES, 64)), Arc::new(AtomicUsize::new(0)));
        let (served, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let clients = (0..16_u64).map(|client| {
            let (gate, inside) = (gate.clone(), inside.clone());
            let (served, refused) = (served.clone(), refused.clone());
            tokio::spawn(async move {
                let mut seed = client.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                let mut random = move || {
                    seed ^= seed << 13;
                    seed ^= seed >> 7;
                    seed ^= seed << 17;
                    seed
                };
                for _ in 0..300 {
                    // The first client is greedy.
                    let count = if client == 0 { 40 } else { 1 + random() % 3 };
                    let calls = (0..count).map(|_| {
                        let (patience, work) = (random() % 8, random() % 4);
                        let (gate, inside) = (gate.clone(), inside.clone());
                        let (served, refused) = (served.clone(), refused.clone());
                        async move {
                            let entered = gate.enter(ClientId(client));
                            let place = match patience {
                                // It is polled so often and then dropped.
                                0..=2 => {
                                    let mut entered = Box::pin(entered);
                                    let mut given = None;
                                    for _ in 0..=patience {
                                        given = entered.as_mut().now_or_never();
                                        if given.is_some() {
                                            break;
                                        }
                                        tokio::task::yield_now().await;
                                    }
                                    given
                                }
                                _ => Some(entered.await),
                            };
                            match place {
                                Some(Ok(_place)) => {
                                    assert!(inside.fetch_add(1, Ordering::AcqRel) < PLACES);
                                    for _ in 0..work {
                                        tokio::task::yield_now().await;
                                    }
                                    inside.fetch_sub(1, Ordering::AcqRel);
                                    served.fetch_add(1, Ordering::Relaxed);
                                }
                                Some(Err(Full)) => {
                                    refused.fetch_add(1, Ordering::Relaxed);
                                }
                                None => {}
                            }
                        }
                    });
                    join_all(calls.collect::<Vec<_>>()).await;
                }
            })
        });
        let all = timeout(Duration::from_secs(60), join_all(clients.collect::<Vec<_>>())).await;
        all.expect("nobody waits for ever").into_iter().for_each(|client| client.unwrap());
        assert_eq!((gate.places.left(), gate.queue.lock().len()), (PLACES as u32, 0));
        assert!(served.load(Ordering::Relaxed) > 1000);
    }
}
