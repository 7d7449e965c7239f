//! The ways on which something goes to one client.
//!
//! An `Outlet` is the one that a request came by; `Outlets` are all that a client has at the moment. Nothing is handed
//! over before there is room for it, so a client that does not read stops only itself.

use super::events::{Events, Place};
use super::streams::Streams;
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Where what belongs to one request goes.
#[derive(Clone)]
pub enum Outlet {
    /// The client's one stream.
    Lines(Arc<mpsc::Sender<Bytes>>),
    /// The stream that answers this request.
    Events(Arc<Events>),
}

/// Where what belongs to no request goes.
#[derive(Clone)]
pub enum Outlets {
    Lines(mpsc::Sender<Bytes>),
    Streams(Arc<Streams>),
}

/// Room for one message on its way to a client.
pub(super) enum Room<'a> {
    Lines(mpsc::Permit<'a, Bytes>),
    Events(Place),
}

impl Room<'_> {
    pub(super) fn send(self, text: Bytes) {
        match self {
            Self::Lines(permit) => permit.send(text),
            Self::Events(place) => place.say(text),
        }
    }
}

impl Outlet {
    /// Says one message on the client's one stream, if there is room now; given back if not, or if it has none.
    pub(super) fn try_say(&self, text: Bytes) -> Result<(), Bytes> {
        match self {
            Self::Lines(sender) => sender.try_send(text).map_err(|error| error.into_inner()),
            Self::Events(_) => Err(text),
        }
    }

    /// Room for one message; `None` when nothing more goes there: the client has left, or has its answer. Cancel-safe.
    pub(super) async fn room(&self) -> Option<Room<'_>> {
        match self {
            Self::Lines(sender) => sender.reserve().await.ok().map(Room::Lines),
            Self::Events(events) => events.place().await.map(Room::Events),
        }
    }
}

impl Outlets {
    /// The same on any of the ways; waits as long as there is none.
    pub(super) async fn room(&self) -> Option<Room<'_>> {
        match self {
            Self::Lines(sender) => sender.reserve().await.ok().map(Room::Lines),
            Self::Streams(streams) => Some(Room::Events(streams.place().await)),
        }
    }

    /// Room for what belongs to one request. Where nobody can read its answer any more, a client that listens elsewhere is
    /// told there. Cancel-safe.
    pub(super) async fn room_for<'a>(&self, outlet: &'a Outlet) -> Option<Room<'a>> {
        if let (Self::Streams(streams), Outlet::Events(events)) = (self, outlet)
            && events.is_deserted()
            && let Some(place) = streams.general_place().await
        {
            return Some(Room::Events(place));
        }
        outlet.room().await
    }

    /// Where letters go that must not come after what this request says next: on one stream that is where they always
    /// go. Among several streams there is no order to keep, but a client that listens on no other is told here, unless
    /// nobody can read it here any more.
    pub(super) fn ahead_of<'a>(&self, outlet: &'a Outlet) -> Option<&'a Outlet> {
        match (self, outlet) {
            (Self::Lines(_), _) | (Self::Streams(_), Outlet::Lines(_)) => Some(outlet),
            (Self::Streams(streams), Outlet::Events(events)) => {
                (!streams.listens() && !events.is_deserted()).then_some(outlet)
            }
        }
    }
}
