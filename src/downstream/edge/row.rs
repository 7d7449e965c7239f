//! Who waits in a row: whoever comes is its last, and may leave from anywhere.
//!
//! Seats are used again, so that to come and to leave takes a few steps and no memory, however many sit there. As many
//! seats are kept as were taken at once.

/// A row, first come first.
#[derive(Debug)]
pub(super) struct Row<T> {
    seats: Vec<Seat<T>>,
    free: Vec<usize>,
    first: Option<usize>,
    last: Option<usize>,
}

/// Whose a seat is. Whoever sits there later has another number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    seat: usize,
    number: u64,
}

#[derive(Debug)]
struct Seat<T> {
    number: u64,
    who: Option<T>,
    before: Option<usize>,
    behind: Option<usize>,
}

impl<T> Default for Row<T> {
    fn default() -> Self {
        Self { seats: Vec::new(), free: Vec::new(), first: None, last: None }
    }
}

impl<T> Row<T> {
    pub(super) fn len(&self) -> usize {
        self.seats.len() - self.free.len()
    }

    /// Takes the last seat. No number comes twice.
    pub(super) fn push(&mut self, number: u64, who: T) -> Ticket {
        let taken = Seat { number, who: Some(who), before: self.last, behind: None };
        let free = self.free.pop();
        let seat = match free.and_then(|at| Some((at, self.seats.get_mut(at)?))) {
            Some((at, seat)) => {
                *seat = taken;
                at
            }
            None => {
                self.seats.push(taken);
                self.seats.len() - 1
            }
        };
        match self.last.and_then(|last| self.seats.get_mut(last)) {
            Some(last) => last.behind = Some(seat),
            None => self.first = Some(seat),
        }
        self.last = Some(seat);
        Ticket { seat, number }
    }

    /// Leaves, if whoever had this ticket is still there.
    pub(super) fn take(&mut self, ticket: Ticket) -> Option<T> {
        let Ticket { seat: at, number } = ticket;
        let seat = self.seats.get_mut(at).filter(|seat| seat.number == number)?;
        let who = seat.who.take()?;
        let (before, behind) = (seat.before, seat.behind);
        match before.and_then(|before| self.seats.get_mut(before)) {
            Some(before) => before.behind = behind,
            None => self.first = behind,
        }
        match behind.and_then(|behind| self.seats.get_mut(behind)) {
            Some(behind) => behind.before = before,
            None => self.last = before,
        }
        self.free.push(at);
        Some(who)
    }

    /// The first leaves.
    pub(super) fn pop_first(&mut self) -> Option<T> {
        let seat = self.first?;
        let number = self.seats.get(seat)?.number;
        self.take(Ticket { seat, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_ticket_is_good_for_one_who_sat_there() {
        let mut row = Row::default();
        let first = row.push(1, 'a');
        assert_eq!((row.take(first), row.take(first)), (Some('a'), None));
        let second = row.push(2, 'b');
        assert_eq!((second.seat, row.take(first), row.len()), (first.seat, None, 1));
        assert_eq!((row.pop_first(), row.pop_first(), row.take(second)), (Some('b'), None, None));
    }

    proptest! {
        #[test]
        fn they_leave_in_the_order_in_which_they_came(steps in prop::collection::vec(0..9usize, 0..200)) {
            let (mut row, mut model, mut tickets) = (Row::default(), BTreeMap::new(), BTreeMap::new());
            for (number, step) in (0..).zip(steps) {
                match step {
                    0..5 => {
                        tickets.insert(number, row.push(number, number));
                        model.insert(number, number);
                    }
                    5..8 => {
                        let some = tickets.keys().copied().nth(step * tickets.len() / 8);
                        let ticket = some.and_then(|number| tickets.remove(&number));
                        prop_assert_eq!(ticket.and_then(|it| row.take(it)), some.and_then(|it| model.remove(&it)));
                    }
                    _ => prop_assert_eq!(row.pop_first(), model.pop_first().map(|(_, who)| who)),
                }
                prop_assert_eq!(row.len(), model.len());
            }
            let rest: Vec<_> = std::iter::from_fn(|| row.pop_first()).collect();
            prop_assert_eq!(rest, model.into_values().collect::<Vec<_>>());
            prop_assert!(row.seats.len() <= 200);
        }
    }
}
