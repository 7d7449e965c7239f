//! The answer to `server/discover`: what we are, without a server running and without waiting.
//!
//! What it says depends on no server: clients ask it of a process that they may throw away.

use super::lobby::Lobby;
use crate::config::Instructions;
use crate::hub::begin::response;
use crate::mcp::capabilities;
use crate::mcp::revision::Revision;
use crate::wire::id::Id;
use crate::wire::members::quote;
use crate::wire::message::SERVER_INFO_KEY;
use bytes::Bytes;

/// The whole response. Of what servers say in their instructions there is nothing: that would have to be waited for.
pub(super) fn discovered(lobby: &Lobby, id: &Id) -> Bytes {
    let instructions = match &lobby.hub.edition().config().identity.instructions {
        Instructions::Text(text) => format!(r#","instructions":{}"#, quote(text)),
        Instructions::None | Instructions::Merge => String::new(),
    };
    let result = format!(
        r#"{{"resultType":"complete","supportedVersions":["{}"],"capabilities":{}{instructions},"ttlMs":0,"cacheScope":"private","_meta":{{"{SERVER_INFO_KEY}":{}}}}}"#,
        Revision::MODERN.as_str(),
        capabilities::ours(Revision::MODERN),
        lobby.info,
    );
    response(id, result.as_bytes())
}
