//! Pages on which people log in at servers that want it, sent there by their client.
//!
//! Owns what a person sees, and the proof that who opens a page is who was asked (2026-07-28, client/elicitation, Phishing):
//! without it whoever is asked could pass the page on, and act with another's login from then on. Who is asked at all is the
//! hub's affair, what a login is `upstream::oauth`'s.
//!
//! Reading order: `mounts` says where pages are, `proofs` who can prove to be who, `pages` answers a browser in `words`, `invitation` asks who
//! could not know.

mod invitation;
mod mounts;
mod pages;
mod proofs;
mod words;

pub(in crate::downstream) use self::invitation::Invitation;
pub(in crate::downstream) use self::mounts::FORM_BYTES_MAX;
pub use self::mounts::{AtListener, OnThisMachine, PAGES_PREFIX, Reached};
pub use self::pages::{Asks, Pages};
pub use self::proofs::{Proof, Proofs};

use crate::upstream::oauth::Ticket;
use crate::wire::fault::Fault;
use crate::wire::members::quote;

/// The parameters by which a client is asked to send its person to a page. `number`: what 2025-11-25 knows it by.
pub(super) fn elicitation(ticket: &Ticket, fault: &Fault, number: Option<&str>) -> String {
    let server = fault.server.as_deref().unwrap_or_default();
    let message = format!(
        "The server `{server}` wants a login. Open the page to log in; Braid keeps the login, and no client sees it."
    );
    let number = number.map(|number| format!(r#""elicitationId":{},"#, quote(number))).unwrap_or_default();
    format!(r#"{{"mode":"url",{number}"message":{},"url":{}}}"#, quote(&message), quote(ticket.page()))
}
