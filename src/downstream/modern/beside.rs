//! Requests of 2026-07-28 that come on one stream with those of a session: over stdin.
//!
//! Each message says by itself what it is, so both kinds may come at once, and both use the same servers. Nothing is
//! started before a request needs it: who asks only what we are has its answer from a process that started nothing.

use super::base::{Base, Room};
use super::call::Call;
use super::discover::discovered;
use super::ladder;
use super::listen::{Listen, withdrawn};
use super::lobby::Lobby;
use crate::downstream::open::Open;
use crate::downstream::session::Reply;
use crate::hub::seat::Seat;
use crate::mcp::method::Method;
use crate::upstream::allowance::Held;
use crate::wire::fault::{CallOutcome, Fault, Reason};
use crate::wire::message::Message;
use bytes::Bytes;
use futures::FutureExt;
use futures::stream::Abortable;
use http::HeaderMap;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What those requests find.
pub(crate) struct Beside {
    lobby: Lobby,
    base: Mutex<Option<Arc<Base>>>,
}

impl Beside {
    pub(crate) fn new(lobby: Lobby) -> Self {
        Self { lobby, base: Mutex::default() }
    }

    /// One request. `seat`: whose servers it uses; `open`: where it can be cancelled.
    #[inline(never)]
    pub(crate) fn hear(
        &self,
        seat: &Seat,
        open: &Open,
        message: Message,
        memory: Option<Held>,
        outbox: &mpsc::Sender<Bytes>,
    ) -> Reply {
        let id = message.id();
        self.begin(seat, open, message, memory, outbox)
            .unwrap_or_else(|fault| Reply::Now(super::answer::Answer::fault(&fault, id.as_ref()).text))
    }

    fn begin(
        &self,
        seat: &Seat,
        open: &Open,
        message: Message,
        memory: Option<Held>,
        outbox: &mpsc::Sender<Bytes>,
    ) -> Result<Reply, Fault> {
        let fit = ladder::climb(&message, None::<&HeaderMap>)?;
        self.lobby.refuse_loops(&message)?;
        self.lobby.refuse_long_ids(&message)?;
        if fit.method == Method::Discover {
            return Ok(Reply::Now(discovered(&self.lobby, &fit.id)));
        }
        let base = self.base(seat, ladder::capabilities(&message));
        let admission = base.admit()?;
        let memory = memory.or_else(|| base.allowance().request(message.text().len()));
        let Some(memory) = memory else {
            let text = "too much is waiting in memory (limits.buffered)";
            return Err(Fault::ours(Reason::Busy, text).outcome(CallOutcome::NotSent));
        };
        let Some((entry, registration)) = open.enter(&fit.id) else {
            return Err(Fault::invalid_request("a request with this id is open already"));
        };
        let (lobby, notes, id) = (self.lobby.clone(), outbox.clone(), fit.id.clone());
        let call = match fit.method == Method::Listen {
            true => {
                let (outbox, own) = (outbox.clone(), id.clone());
                let listen = Listen { lobby, admission, id: id.clone(), message, notes };
                let listening = async move {
                    let _memory = memory;
                    let answer = listen.run().await;
                    if answer.code.is_some() {
                        return answer.text;
                    }
                    outbox.send(answer.text).await.ok();
                    withdrawn(&own)
                };
                Abortable::new(listening.boxed(), registration)
            }
            false => {
                let call = Call { lobby, admission, fit, message, memory, head: None::<HeaderMap>, notes };
                Abortable::new(call.run().map(|answer| answer.text).boxed(), registration)
            }
        };
        let call = async move {
            let text = call.await.ok();
            // Before the answer leaves: the client may use the id again as soon as it has it.
            drop(entry);
            text
        };
        Ok(Reply::Later { id: Some(id), call: call.boxed(), number: None })
    }

    /// What is kept for all of them, from the first on.
    fn base(&self, seat: &Seat, capabilities: &str) -> Arc<Base> {
        let limits = &self.lobby.hub.config().limits;
        let room = Room { turns_max: limits.session_in_flight_max, waiting_max: limits.session_waiting_max };
        let open = || Base::open(seat.keeper(), capabilities, room);
        self.base.lock().get_or_insert_with(open).clone()
    }
}
