//! The way of one client's request into a server that is ready.
//!
//! Owns what was found on it: the link, who listens to it, the client among those. A client keeps that from request to
//! request, for as long as the link is the same. Nothing on a way is waited for, and nothing is sent.

use super::audience::{Audience, Member};
use super::budget::Taken;
use super::link::{Link, State};
use crate::mcp::caller::ClientId;
use std::ops::Deref;
use std::sync::Arc;
use tokio::sync::watch;

/// A link as one client finds it.
pub struct AtHand {
    pub(super) link: Arc<Link>,
    pub(super) audience: Arc<Audience>,
    /// The client there; `None`: it has left.
    pub(super) member: Option<Arc<Member>>,
}

/// The same, to be kept.
pub struct Known {
    at_hand: AtHand,
    state: watch::Receiver<State>,
}

/// What a request goes by: looked up for it alone, or kept.
pub enum Hand {
    Once(AtHand),
    Known(Arc<Known>),
}

/// The way of one request into a server. What is not used is given back by being dropped.
pub struct Way {
    pub(super) hand: Hand,
    pub(super) place: Taken,
    pub(super) room: Taken,
}

impl AtHand {
    pub(super) fn new(link: Arc<Link>, audience: Arc<Audience>, client: ClientId) -> Self {
        Self { link, member: audience.member(client), audience }
    }
}

impl Known {
    /// `state`: that in which the link was found, and nothing has been seen of it since.
    pub(super) fn new(at_hand: AtHand, state: watch::Receiver<State>) -> Self {
        Self { at_hand, state }
    }

    /// Whether the link is as it was found.
    pub fn is_good(&self) -> bool {
        matches!(self.state.has_changed(), Ok(false))
    }
}

impl Deref for Hand {
    type Target = AtHand;

    fn deref(&self) -> &AtHand {
        match self {
            Self::Once(at_hand) => at_hand,
            Self::Known(known) => &known.at_hand,
        }
    }
}
