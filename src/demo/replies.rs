//! What is to be written: messages in order, and batches that are still short of an answer.
//!
//! Every request has a `Place` for its answer, alone or in a batch, and either fills it or gives it up. A batch
//! goes out once, when its last place is settled (2025-03-26, basic, batching).

use std::collections::BTreeMap;

/// Where the answer to a request belongs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Alone,
    Batch(u64),
}

#[derive(Default)]
pub(super) struct Replies {
    outbox: Vec<String>,
    batches: BTreeMap<u64, Batch>,
    batches_opened: u64,
}

#[derive(Default)]
struct Batch {
    /// Places not yet settled, and one more while the batch is still being read.
    unsettled: usize,
    answers: Vec<String>,
}

impl Replies {
    pub(super) fn take_outbox(&mut self) -> Vec<String> {
        std::mem::take(&mut self.outbox)
    }

    /// A notification, or a request of ours.
    pub(super) fn say(&mut self, message: String) {
        self.outbox.push(message);
    }

    /// Begins a batch. It waits until `settle` is called for it, once, after its last element.
    pub(super) fn open_batch(&mut self) -> Place {
        self.batches_opened += 1;
        self.batches.insert(self.batches_opened, Batch { unsettled: 1, answers: Vec::new() });
        Place::Batch(self.batches_opened)
    }

    /// One more answer is to come.
    pub(super) fn reserve(&mut self, place: Place) {
        if let Place::Batch(number) = place
            && let Some(batch) = self.batches.get_mut(&number)
        {
            batch.unsettled += 1;
        }
    }

    pub(super) fn fill(&mut self, place: Place, answer: String) {
        match place {
            Place::Alone => self.outbox.push(answer),
            Place::Batch(number) => {
                if let Some(batch) = self.batches.get_mut(&number) {
                    batch.answers.push(answer);
                }
                self.settle(place);
            }
        }
    }

    /// One place less to wait for, with or without an answer.
    pub(super) fn settle(&mut self, place: Place) {
        let Place::Batch(number) = place else { return };
        let Some(batch) = self.batches.get_mut(&number) else { return };
        batch.unsettled = batch.unsettled.saturating_sub(1);
        if batch.unsettled > 0 {
            return;
        }
        // A batch of notifications alone gets nothing, not even an empty array.
        if let Some(batch) = self.batches.remove(&number).filter(|batch| !batch.answers.is_empty()) {
            self.outbox.push(format!("[{}]", batch.answers.join(",")));
        }
    }
}
