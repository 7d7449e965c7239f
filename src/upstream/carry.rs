//! What brings the frames of a connection to its server, and what the server says to an ear.
//!
//! One trait with one method: a pipe writes lines, HTTP posts. The tasks that it starts end with the stream's own
//! signals; it decides nothing about calls but whether their bytes have left.

use super::frame::Frame;
use super::http::Journey;
use super::queue::Queue;
use super::stream::Stream;
use std::sync::Arc;
use tokio_util::task::TaskTracker;

/// The queue of a connection, in the order in which it was filled. `Places` bound it.
pub(super) type Frames = Queue<Frame>;

/// One connection's way to its server and back.
pub(super) trait Carry: Send {
    /// Starts its tasks; they stop hearing when the stream is deaf, and taking frames when it hangs up.
    fn start(self: Box<Self>, stream: &Arc<Stream>, frames: Frames, tracker: &TaskTracker);
}

/// A way past the queue, for requests that keep no order: where each goes by itself. What is in the queue may be overtaken,
/// as one POST may overtake another on its way.
pub(super) trait Express: Send + Sync {
    /// Takes a request that may go at once. Whoever waits for its answer moves it there.
    fn post(self: Arc<Self>, request: Frame) -> Journey;
}
