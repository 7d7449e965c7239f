//! Everybody who has a seat for longer than one request.
//!
//! Knows them so that they can be moved to another edition; it keeps nobody there. As many as there are sessions, doors
//! without one, and requests that listen, all of which have bounds of their own.

use super::Hub;
use super::seat::Seat;
use crate::mcp::caller::ClientId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// Who is there.
#[derive(Default)]
pub(super) struct Seats(Mutex<HashMap<ClientId, Weak<Seat>>>);

impl Seats {
    /// Somebody comes. Whatever the edition is by the time that this is known, it is where the seat is then.
    pub(super) fn enter(&self, hub: &Hub, seat: Seat) -> Arc<Seat> {
        let seat = Arc::new(seat);
        self.0.lock().insert(seat.caller().client, Arc::downgrade(&seat));
        seat.moves(&hub.edition());
        seat
    }

    /// Somebody leaves.
    pub(super) fn leave(&self, client: ClientId) {
        self.0.lock().remove(&client);
    }

    /// All of this moment.
    pub(super) fn all(&self) -> Vec<Arc<Seat>> {
        self.0.lock().values().filter_map(Weak::upgrade).collect()
    }
}
