//! The first login: a server that nobody has logged in at has no tools, so that no call could ever say that it wants one.
//!
//! Owns that a client with a handshake is asked once, when it has its first list of tools, to send its person to the pages of
//! servers that wait for that (2025-11-25, client/elicitation). Nobody waits for its answer: who declines is not asked again.
//! A client without a handshake can be asked in answers to its calls alone.

use super::elicitation;
use crate::hub::logins::is_about_login;
use crate::hub::seat::Seat;
use crate::upstream::link::State;
use crate::wire::members::quote;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a client was asked.
#[derive(Debug, Default)]
pub(in crate::downstream) struct Invitation(AtomicBool);

impl Invitation {
    /// The client has its list of tools.
    pub(in crate::downstream) fn is_due(&self, seat: &Seat) {
        if !self.0.swap(true, Ordering::Relaxed) {
            send(seat);
        }
    }
}

#[cold]
fn send(seat: &Seat) {
    let askable = seat.mail().askable();
    if !askable.url {
        return;
    }
    let waits = seat.reports().into_iter().filter_map(|report| match report.state {
        State::Down { why, .. } if is_about_login(&why) => Some(why),
        State::Down { .. } | State::Connecting | State::Ready(_) => None,
    });
    for why in waits.take(INVITED_MAX) {
        let Some(ticket) = seat.hub().page_for(&why, seat, &askable) else { continue };
        let params = elicitation(&ticket, &why, Some(ticket.number()));
        // No id of ours for a server's question looks like that: an answer finds nothing.
        let id = quote(&format!("login-{}", ticket.number()));
        let text =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"elicitation/create","params":{params}}}"#);
        seat.mail().tell(text.into());
    }
}

/// Servers at which one client is asked to log in at once.
const INVITED_MAX: usize = 4;
