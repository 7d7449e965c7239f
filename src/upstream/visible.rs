//! Which resources one client may hear of.
//!
//! What lists say decides it as well, which are kept upstairs: so the question goes there, as a function that whoever brings
//! the client gives. Nothing is asked where no filter is set.

use std::fmt;
use std::sync::Arc;

/// Says of a resource, by its own URI, whether its client may read it. The default says so of all.
#[derive(Clone, Default)]
pub struct Visible(Option<Arc<Says>>);

type Says = dyn Fn(&str) -> bool + Send + Sync;

impl Visible {
    /// `says` must not wait, and must not come back to the server's clients.
    pub fn by(says: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(says)))
    }

    pub(super) fn admits(&self, own: &str) -> bool {
        self.0.as_ref().is_none_or(|says| says(own))
    }
}

impl fmt::Debug for Visible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Visible(some)" } else { "Visible(all)" })
    }
}
