//! Which lists a server says are others by now.
//!
//! A flag per list and one bell: however many notes arrive, they cost one look. It holds no queue, so a
//! server that never stops announcing changes fills nothing.

use crate::mcp::method::Kind;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Flags that coalesce. Raised by a stream's reader, taken by whoever keeps the lists.
#[derive(Debug, Default)]
pub struct Changed {
    tools: AtomicBool,
    prompts: AtomicBool,
    resources: AtomicBool,
    bell: Notify,
}

impl Changed {
    pub fn raise(&self, kind: Kind) {
        self.flag(kind).store(true, Ordering::Release);
        self.bell.notify_one();
    }

    /// Waits until a flag may be up. May return early; `take` decides.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    /// Lowers all flags and returns the kinds whose flag was up. Templates go with the resources.
    pub fn take(&self) -> Vec<Kind> {
        let kinds = [Kind::Tools, Kind::Prompts, Kind::Resources];
        let mut taken: Vec<Kind> =
            kinds.into_iter().filter(|kind| self.flag(*kind).swap(false, Ordering::AcqRel)).collect();
        if taken.contains(&Kind::Resources) {
            taken.push(Kind::Templates);
        }
        taken
    }

    fn flag(&self, kind: Kind) -> &AtomicBool {
        match kind {
            Kind::Tools => &self.tools,
            Kind::Prompts => &self.prompts,
            Kind::Resources | Kind::Templates => &self.resources,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thousand_notes_cost_one_look() {
        let changed = Changed::default();
        for _ in 0..1000 {
            changed.raise(Kind::Tools);
            changed.raise(Kind::Resources);
        }
        changed.rung().await;
        assert_eq!(changed.take(), [Kind::Tools, Kind::Resources, Kind::Templates]);
        assert_eq!(changed.take(), []);
    }
}
