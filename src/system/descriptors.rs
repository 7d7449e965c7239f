//! How many descriptors we may have, on systems that say so.

use rustix::process::{Resource, getrlimit};

/// See `System::descriptors_max`.
pub(super) fn max() -> Option<usize> {
    getrlimit(Resource::Nofile).current.and_then(|max| usize::try_from(max).ok())
}
