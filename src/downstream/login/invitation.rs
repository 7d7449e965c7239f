//! The first login: a server that nobody has logged in at has no tools, so that no call could ever say that it wants one.
//!
//! Owns that a client with a handshake is asked once for each, when it has a list of tools, to send its person to the pages of
//! servers that wait for that (2025-11-25, client/elicitation). Nobody waits for its answer: who declines is not asked again.
//! A client without a handshake can be asked in answers to its calls alone.

use super::elicitation;
use crate::hub::logins::is_about_login;
use crate::hub::seat::Seat;
use crate::mcp::askable::Askable;
use crate::upstream::link::State;
use crate::wire::members::quote;
use parking_lot::Mutex;

/// Where a client was asked to log in.
#[derive(Debug, Default)]
pub(in crate::downstream) struct Invitation(Mutex<Vec<String>>);

impl Invitation {
    /// The client has a list of tools.
    pub(in crate::downstream) fn is_due(&self, seat: &Seat) {
        let askable = seat.mail().askable();
        if askable.url {
            self.send(seat, &askable);
        }
    }

    #[cold]
    fn send(&self, seat: &Seat, askable: &Askable) {
        let mut asked = self.0.lock();
        if asked.len() >= INVITED_MAX {
            return;
        }
        let waits = seat.reports().into_iter().filter_map(|report| match report.state {
            State::Down { why, .. } if is_about_login(&why) => Some((report.key, why)),
            State::Down { .. } | State::Connecting | State::Ready(_) => None,
        });
        for (key, why) in waits {
            if asked.contains(&key) || asked.len() >= INVITED_MAX {
                continue;
            }
            let Some(ticket) = seat.hub().page_for(&why, seat, askable) else { continue };
            let params = elicitation(&ticket, &why, Some(ticket.number()));
            // No id of ours for a server's question looks like that: an answer finds nothing.
            let id = quote(&format!("login-{}", ticket.number()));
            let text =
                format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"elicitation/create","params":{params}}}"#);
            seat.mail().tell(text.into());
            asked.push(key);
        }
    }
}

/// Servers at which one client is asked to log in.
const INVITED_MAX: usize = 4;
