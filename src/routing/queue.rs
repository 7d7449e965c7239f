//! Who is next among many that wait for the same few places.
//!
//! One lane per client, and one of each lane in turn: who sends a hundred requests at once waits behind itself and not
//! before the others. Bounded in all. It neither waits nor wakes anybody; it says whose turn it is.

use crate::mcp::caller::ClientId;
use std::collections::{HashMap, VecDeque};

/// Those who wait, each with what its turn is told by. Nobody in it is passed over by more than one of each other lane,
/// but for those before it in its own.
#[derive(Debug)]
pub struct FairQueue<T> {
    lanes: HashMap<ClientId, VecDeque<(Ticket, T)>>,
    /// Every client with a lane, once; the first one's turn is next.
    turns: VecDeque<ClientId>,
    len: usize,
    len_max: usize,
    tickets: u64,
}

/// One that waits. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u64);

/// What becomes of a newcomer.
#[derive(Debug, PartialEq, Eq)]
pub enum Entered<T> {
    Waits(Ticket),
    /// It waits in the place of this one, the newest of the longest lane, which is turned away.
    Instead(Ticket, T),
    /// It is turned away: no other client has more that waits than it would have.
    Full(T),
}

impl<T> FairQueue<T> {
    pub fn new(len_max: usize) -> Self {
        Self { lanes: HashMap::new(), turns: VecDeque::new(), len: 0, len_max, tickets: 0 }
    }

    /// Room for so many from now on. Who waits already stays.
    pub fn resize(&mut self, len_max: usize) {
        self.len_max = len_max;
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Lets somebody wait. Where there is no room, somebody is turned away: of a lane that is longer than the
    /// newcomer's would be, so that a modest client never pays for a greedy one, and two equals never for each other.
    pub fn enter(&mut self, client: ClientId, waiter: T) -> Entered<T> {
        if self.len < self.len_max {
            return Entered::Waits(self.push(client, waiter));
        }
        let own = self.lanes.get(&client).map_or(0, VecDeque::len) + 1;
        // Of equally long ones the one whose turn comes last.
        let longest = self.turns.iter().copied().max_by_key(|client| self.length(*client));
        match longest.filter(|longest| self.length(*longest) > own).and_then(|longest| self.newest(longest)) {
            Some(turned_away) => Entered::Instead(self.push(client, waiter), turned_away),
            None => Entered::Full(waiter),
        }
    }

    /// Takes out whose turn it is; that client's next one waits for all others' turns.
    pub fn turn(&mut self) -> Option<T> {
        let client = self.turns.pop_front()?;
        let lane = self.lanes.get_mut(&client)?;
        let (_, waiter) = lane.pop_front()?;
        self.len -= 1;
        if lane.is_empty() {
            self.lanes.remove(&client);
        } else {
            self.turns.push_back(client);
        }
        Some(waiter)
    }

    /// Takes out one that does not wait any longer; `None` if it had its turn, or was turned away.
    pub fn leave(&mut self, client: ClientId, ticket: Ticket) -> Option<T> {
        let lane = self.lanes.get_mut(&client)?;
        let at = lane.iter().position(|(other, _)| *other == ticket)?;
        let (_, waiter) = lane.remove(at)?;
        self.left(client);
        Some(waiter)
    }

    fn length(&self, client: ClientId) -> usize {
        self.lanes.get(&client).map_or(0, VecDeque::len)
    }

    fn push(&mut self, client: ClientId, waiter: T) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let lane = self.lanes.entry(client).or_default();
        if lane.is_empty() {
            self.turns.push_back(client);
        }
        lane.push_back((ticket, waiter));
        self.len += 1;
        ticket
    }

    fn newest(&mut self, client: ClientId) -> Option<T> {
        let (_, waiter) = self.lanes.get_mut(&client)?.pop_back()?;
        self.left(client);
        Some(waiter)
    }

    /// One of this client's has left without having had its turn.
    fn left(&mut self, client: ClientId) {
        self.len -= 1;
        if self.length(client) == 0 {
            self.lanes.remove(&client);
            self.turns.retain(|other| *other != client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(queue: &mut FairQueue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.turn()).collect()
    }

    fn queue(len_max: usize, waiters: &[(u64, &'static str)]) -> FairQueue<&'static str> {
        let mut queue = FairQueue::new(len_max);
        for (client, waiter) in waiters {
            queue.enter(ClientId(*client), *waiter);
        }
        queue
    }

    #[test]
    fn a_modest_client_waits_behind_one_of_a_greedy_ones() {
        let mut queue =
            queue(9, &[(1, "a1"), (1, "a2"), (1, "a3"), (2, "b1"), (1, "a4"), (3, "c1"), (2, "b2")]);
        assert_eq!(order(&mut queue), ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]);
    }

    #[test]
    fn when_it_is_full_the_greedy_one_is_turned_away() {
        let mut queue = queue(3, &[(1, "a1"), (1, "a2"), (1, "a3")]);
        assert_eq!(queue.enter(ClientId(1), "a4"), Entered::Full("a4"));
        assert!(matches!(queue.enter(ClientId(2), "b1"), Entered::Instead(_, "a3")));
        // Two for the one, one for the other: nobody pays for who would only have as much.
        assert_eq!(queue.enter(ClientId(2), "b2"), Entered::Full("b2"));
        assert!(matches!(queue.enter(ClientId(3), "c1"), Entered::Instead(_, "a2")));
        assert_eq!(queue.enter(ClientId(4), "d1"), Entered::Full("d1"));
        assert_eq!(order(&mut queue), ["a1", "b1", "c1"]);
    }

    #[test]
    fn nobody_waits_where_nobody_may() {
        assert_eq!(FairQueue::new(0).enter(ClientId(1), "a"), Entered::Full("a"));
    }

    #[test]
    fn who_leaves_holds_nobody_up() {
        let mut queue = queue(9, &[(1, "a1"), (2, "b1")]);
        let Entered::Waits(ticket) = queue.enter(ClientId(2), "b2") else { panic!("full") };
        assert_eq!(queue.leave(ClientId(1), ticket), None);
        assert_eq!(queue.leave(ClientId(2), ticket), Some("b2"));
        assert_eq!(queue.leave(ClientId(2), ticket), None);
        assert_eq!(order(&mut queue), ["a1", "b1"]);
        assert!(queue.is_empty() && queue.lanes.is_empty() && queue.turns.is_empty());
    }

    #[derive(Debug, Clone)]
    enum Deed {
        Enter(u64),
        Next,
        Leave(prop::sample::Index),
    }

    fn deeds() -> impl Strategy<Value = Vec<Deed>> {
        let deed = prop_oneof![
            4 => (0_u64..5).prop_map(Deed::Enter),
            // One that wants much.
            2 => Just(Deed::Enter(9)),
            2 => Just(Deed::Next),
            1 => any::<prop::sample::Index>().prop_map(Deed::Leave),
        ];
        prop::collection::vec(deed, 0..120)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// Everyone who enters comes out exactly once, in its lane's order, within the bound; who is turned away has
        /// the longest lane; and between two turns of a client each other that waits all the while has one.
        #[test]
        fn everyone_has_a_turn_and_nobody_two(deeds in deeds(), len_max in 0_usize..12) {
            let mut queue = FairQueue::new(len_max);
            // What it must be: everyone who waits, oldest first, with the turns that were given since each came.
            let mut waiting: Vec<(ClientId, Ticket, u32)> = Vec::new();
            let mut number = 0;
            let mut turns: Vec<(ClientId, Vec<u32>)> = Vec::new();
            for deed in deeds {
                let of = |waiting: &[(ClientId, Ticket, u32)], client| waiting.iter().filter(|one| one.0 == client).count();
                match deed {
                    Deed::Enter(client) => {
                        let client = ClientId(client);
                        number += 1;
                        let own = of(&waiting, client);
                        let longest = waiting.iter().map(|one| of(&waiting, one.0)).max().unwrap_or(0);
                        match queue.enter(client, number) {
                            Entered::Waits(ticket) => {
                                prop_assert!(waiting.len() < len_max);
                                waiting.push((client, ticket, number));
                            }
                            Entered::Instead(ticket, turned_away) => {
                                prop_assert_eq!(waiting.len(), len_max);
                                let at = waiting.iter().position(|one| one.2 == turned_away).unwrap();
                                let (greedy, _, _) = waiting[at];
                                prop_assert!(greedy != client && of(&waiting, greedy) == longest && longest > own + 1);
                                prop_assert!(waiting[at + 1..].iter().all(|one| one.0 != greedy), "the newest");
                                waiting.remove(at);
                                waiting.push((client, ticket, number));
                            }
                            Entered::Full(back) => {
                                prop_assert_eq!((back, waiting.len()), (number, len_max));
                                prop_assert!(longest <= own + 1);
                            }
                        }
                    }
                    Deed::Next => {
                        let Some(next) = queue.turn() else {
                            prop_assert!(waiting.is_empty());
                            continue;
                        };
                        let at = waiting.iter().position(|one| one.2 == next).unwrap();
                        let (client, _, _) = waiting.remove(at);
                        prop_assert!(waiting[..at].iter().all(|one| one.0 != client), "the oldest of its lane");
                        // Whose lane was not empty since the client's turn before has had one itself.
                        if let Some(before) = turns.iter().rposition(|turn| turn.0 == client) {
                            let since = &turns[before + 1..];
                            let still = waiting.iter().filter(|one| turns[before].1.contains(&one.2));
                            for (other, _, _) in still.filter(|one| one.0 != client) {
                                prop_assert!(since.iter().any(|turn| turn.0 == *other));
                            }
                        }
                        turns.push((client, waiting.iter().map(|one| one.2).collect()));
                    }
                    Deed::Leave(which) => {
                        if waiting.is_empty() {
                            continue;
                        }
                        let (client, ticket, number) = waiting.remove(which.index(waiting.len()));
                        prop_assert_eq!(queue.leave(client, ticket), Some(number));
                    }
                }
                prop_assert_eq!(queue.len(), waiting.len());
                prop_assert_eq!(queue.turns.len(), queue.lanes.len());
            }
            let mut rest: Vec<u32> = std::iter::from_fn(|| queue.turn()).collect();
            rest.sort_unstable();
            let mut left: Vec<u32> = waiting.iter().map(|one| one.2).collect();
            left.sort_unstable();
            prop_assert_eq!(rest, left);
        }
    }
}
