//! What all requests without a session find, whatever they came by.
//!
//! Made once per run. Owns how we introduce ourselves in each answer, and how we know ourselves behind ourselves.

use crate::downstream::introduction::{implementation, refuse_loops};
use crate::downstream::open::refuse_long_ids;
use crate::hub::Hub;
use crate::wire::fault::Fault;
use crate::wire::message::Message;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What they find.
#[derive(Clone)]
pub struct Lobby {
    pub(super) hub: Arc<Hub>,
    /// An Implementation object: who answers.
    pub(super) info: Arc<str>,
    /// Our own mark, by which we know ourselves behind ourselves.
    identity: Arc<str>,
    /// We were started by ourselves: nothing is served, and the client hears why.
    behind_itself: bool,
    /// Nothing new is begun any more, and streams on which nothing is awaited end.
    pub(super) closing: CancellationToken,
}

impl Lobby {
    pub fn new(hub: Arc<Hub>, identity: &str, behind_itself: bool, closing: CancellationToken) -> Self {
        let info = implementation(&hub.config().identity);
        Self { info: Arc::from(info), identity: Arc::from(identity), behind_itself, closing, hub }
    }

    /// A request that comes from ourselves, whom we know by our mark among those that it has passed.
    pub(super) fn refuse_loops(&self, message: &Message) -> Result<(), Fault> {
        refuse_loops(message, &self.identity, self.behind_itself)
    }

    /// Ids and tokens are kept as long as a request is.
    pub(super) fn refuse_long_ids(&self, message: &Message) -> Result<(), Fault> {
        refuse_long_ids(message.id().as_ref(), message, self.hub.config().limits.id_bytes_max)
    }
}
