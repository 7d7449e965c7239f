//! Who we are to a client, whatever its era: what we call ourselves, and by what we know ourselves behind ourselves.
//!
//! Owns neither the mark nor the settings; both eras' rooms bring theirs.

use crate::config::Identity;
use crate::wire::fault::{CallOutcome, Fault, Reason};
use crate::wire::members::{quote, string};
use crate::wire::message::Message;

/// Us, as an Implementation object (2025-11-25, schema, Implementation).
pub(super) fn implementation(ours: &Identity) -> String {
    let title = ours.title.as_ref().map(|title| format!(r#","title":{}"#, quote(title))).unwrap_or_default();
    format!(r#"{{"name":{}{title},"version":"{}"}}"#, quote(&ours.name), env!("CARGO_PKG_VERSION"))
}

/// Refuses what comes from ourselves, whom we know by our mark among those that the message has passed.
/// `behind_itself`: we were started by ourselves, so everything does.
pub(super) fn refuse_loops(message: &Message, mark: &str, behind_itself: bool) -> Result<(), Fault> {
    let hops = message.params().and_then(|params| params.meta.as_ref()).and_then(|meta| meta.hop);
    let hops = hops.and_then(|span| string(message.str(span)));
    if behind_itself || hops.is_some_and(|hops| hops.split(' ').any(|hop| hop == mark)) {
        let text = "this proxy is behind itself: one of its servers leads back to it";
        return Err(Fault::ours(Reason::Loop, text).outcome(CallOutcome::NotSent));
    }
    Ok(())
}
