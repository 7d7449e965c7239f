//! What all requests without a session find, whatever they came by.
//!
//! Made once per run. Owns how we introduce ourselves in each answer, and how we know ourselves behind ourselves.

use crate::hub::Hub;
use crate::wire::fault::{CallOutcome, Fault, Reason};
use crate::wire::members::{quote, string};
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
        let ours = &hub.config().identity;
        let title =
            ours.title.as_ref().map(|title| format!(r#","title":{}"#, quote(title))).unwrap_or_default();
        let info =
            format!(r#"{{"name":{}{title},"version":"{}"}}"#, quote(&ours.name), env!("CARGO_PKG_VERSION"));
        Self { info: Arc::from(info), identity: Arc::from(identity), behind_itself, closing, hub }
    }

    /// A request that comes from ourselves, whom we know by our mark among those that it has passed.
    pub(super) fn refuse_loops(&self, message: &Message) -> Result<(), Fault> {
        let hops = message.params().and_then(|params| params.meta.as_ref()).and_then(|meta| meta.hop);
        let hops = hops.and_then(|span| string(message.str(span)));
        let is_ours = |hops: &str| hops.split(' ').any(|hop| hop == &*self.identity);
        match self.behind_itself || hops.is_some_and(|hops| is_ours(&hops)) {
            true => {
                let text = "this proxy is behind itself: one of its servers leads back to it";
                Err(Fault::ours(Reason::Loop, text).outcome(CallOutcome::NotSent))
            }
            false => Ok(()),
        }
    }

    /// Ids and tokens are kept as long as a request is.
    pub(super) fn refuse_long_ids(&self, message: &Message) -> Result<(), Fault> {
        let max = self.hub.config().limits.id_bytes_max;
        let id = message.id().map(|id| id.as_str().len()).unwrap_or_default();
        let token = message.params().and_then(|p| p.meta.as_ref()).and_then(|meta| meta.progress_token);
        let token = token.map(|token| message.str(token).len()).unwrap_or_default();
        match id.max(token) > max {
            true => Err(Fault::invalid_request(format!("an id or a token over {max} bytes (limits.id)"))),
            false => Ok(()),
        }
    }
}
