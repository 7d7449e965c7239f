//! Spans on their way to a collector.
//!
//! Owns those that wait, and what became of the rest: so many wait at most, more are dropped and counted, and a batch that
//! does not arrive is lost. Whoever ends a span waits for nobody. What goes wrong is logged when it begins and when it is
//! over, and not each time.

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// Spans that have ended and wait to be sent.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    /// There is one where there was none, or a whole batch.
    is_due: Notify,
    /// Nobody waits for a batch to be whole any more.
    hurries: CancellationToken,
    /// There will be no more.
    is_over: CancellationToken,
    /// The last of them has left, or will not.
    is_empty: CancellationToken,
}

#[derive(Debug, Default)]
struct Waiting {
    spans: VecDeque<SpanData>,
    /// Of the batch that is being sent.
    leaving: usize,
    /// Of batches that did not arrive.
    lost: u64,
    dropped: u64,
    is_closed: bool,
}

/// How it goes, as far as the log has been told.
#[derive(Debug, Default)]
struct Told {
    fails: bool,
    dropped: u64,
}

impl Queue {
    /// Sends what comes, until it is over. `why`: of the last try that failed, if more is known of it.
    pub async fn send(&self, exporter: impl SpanExporter, why: impl Fn() -> Option<String>) {
        let mut told = Told::default();
        while let Some(batch) = self.batch().await {
            let failed = match timeout(EXPORT_WAIT_MAX, exporter.export(batch)).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(why().unwrap_or_else(|| error.to_string())),
                Err(_) => Some(format!("no answer within {} s", EXPORT_WAIT_MAX.as_secs())),
            };
            self.has_left(failed.is_none());
            self.tells(&mut told, failed);
        }
        let (lost, dropped) = (self.unsent(), self.dropped());
        if lost > 0 || dropped > 0 {
            tracing::info!(event = "traces", lost, dropped, "spans that did not leave");
        }
        self.is_empty.cancel();
    }

    /// The next of them, once they are worth a request; `None`: there will be none.
    async fn batch(&self) -> Option<Vec<SpanData>> {
        loop {
            let is_over = self.is_over.is_cancelled();
            if !self.hurries.is_cancelled() {
                self.due().await;
            }
            let batch: Vec<_> = {
                let mut waiting = self.waiting.lock();
                waiting.leaving = waiting.spans.len().min(BATCH_SPANS_MAX);
                let leaving = waiting.leaving;
                waiting.spans.drain(..leaving).collect()
            };
            match batch.is_empty() {
                false => return Some(batch),
                true if is_over => return None,
                true => {
                    tokio::select! {
                        () = self.is_due.notified() => {}
                        () = self.is_over.cancelled() => {}
                    }
                }
            }
        }
    }

    /// There is a whole batch, or the first of it has waited for long enough, or everything is to leave.
    async fn due(&self) {
        let mut until = None;
        loop {
            let waiting = self.waiting.lock().spans.len();
            if waiting >= BATCH_SPANS_MAX {
                return;
            }
            if waiting > 0 {
                until.get_or_insert_with(|| Instant::now() + PAUSE);
            }
            let pause = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.hurries.cancelled() => return,
                () = pause => return,
                () = self.is_due.notified() => {}
            }
        }
    }

    /// What became of the batch that was being sent.
    fn has_left(&self, arrived: bool) {
        let mut waiting = self.waiting.lock();
        let spans = std::mem::take(&mut waiting.leaving) as u64;
        waiting.lost += if arrived { 0 } else { spans };
    }

    fn tells(&self, told: &mut Told, failed: Option<String>) {
        match failed {
            Some(why) => {
                if !std::mem::replace(&mut told.fails, true) {
                    tracing::warn!(event = "traces", why, "traces do not arrive at the collector");
                }
            }
            None => {
                if std::mem::take(&mut told.fails) {
                    let lost = self.waiting.lock().lost;
                    tracing::info!(event = "traces", lost, "traces arrive at the collector again");
                }
            }
        }
        let dropped = self.dropped();
        if told.dropped == 0 && dropped > 0 {
            tracing::warn!(
                event = "traces",
                room = WAITING_SPANS_MAX,
                "more spans than can be sent; what finds no room is dropped"
            );
        }
        told.dropped = dropped;
    }

    /// What is there leaves now, and from now on nothing waits for more.
    pub fn hurries(&self) {
        self.hurries.cancel();
    }

    /// There will be no more. Resolves when the last of them has left, or will not.
    pub async fn ends(&self) {
        self.hurries.cancel();
        self.is_over.cancel();
        self.is_empty.cancelled().await;
    }

    /// Nothing is sent any more, and nothing kept for it.
    pub fn closes(&self) {
        let mut waiting = self.waiting.lock();
        (waiting.is_closed, waiting.spans) = (true, VecDeque::new());
        self.is_empty.cancel();
    }

    /// Spans that found no room.
    pub fn dropped(&self) -> u64 {
        self.waiting.lock().dropped
    }

    /// Spans that had room and did not arrive, at least not yet.
    pub fn unsent(&self) -> u64 {
        let waiting = self.waiting.lock();
        waiting.lost + (waiting.leaving + waiting.spans.len()) as u64
    }

    /// Those that wait, for tests.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> Vec<SpanData> {
        self.waiting.lock().spans.iter().cloned().collect()
    }

    fn put(&self, span: SpanData) {
        let mut waiting = self.waiting.lock();
        if waiting.is_closed {
            return;
        }
        if waiting.spans.len() >= WAITING_SPANS_MAX {
            waiting.dropped += 1;
            return;
        }
        waiting.spans.push_back(span);
        let is_due = matches!(waiting.spans.len(), 1 | BATCH_SPANS_MAX);
        drop(waiting);
        if is_due {
            self.is_due.notify_one();
        }
    }
}

/// The same queue where the library wants something of its own.
#[derive(Debug, Clone)]
pub(super) struct Entry(pub(super) Arc<Queue>);

impl SpanProcessor for Entry {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.put(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Spans that wait: of a thousand calls, a megabyte or two.
pub const WAITING_SPANS_MAX: usize = 2048;
/// Spans of one request.
pub const BATCH_SPANS_MAX: usize = 512;
/// How long the first of a batch waits for others.
pub const PAUSE: Duration = Duration::from_secs(5);
/// What a batch may take, with all tries.
pub const EXPORT_WAIT_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::InstrumentationScope;
    use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
    use opentelemetry_sdk::error::OTelSdkError;
    use std::future::pending;
    use std::time::SystemTime;

    /// What leaves, and when; and what becomes of it.
    #[derive(Debug, Clone)]
    struct Kept {
        left: Arc<Mutex<Vec<(usize, Duration)>>>,
        since: Instant,
        mood: Mood,
    }

    #[derive(Debug, Clone, Copy)]
    enum Mood {
        Takes,
        Refuses,
        Hangs,
    }

    impl Kept {
        fn new(mood: Mood) -> Self {
            Self { left: Arc::default(), since: Instant::now(), mood }
        }

        fn left(&self) -> Vec<(usize, Duration)> {
            self.left.lock().clone()
        }
    }

    impl SpanExporter for Kept {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.left.lock().push((batch.len(), self.since.elapsed()));
            match self.mood {
                Mood::Takes => Ok(()),
                Mood::Refuses => Err(OTelSdkError::InternalFailure("no".to_owned())),
                Mood::Hangs => pending().await,
            }
        }
    }

    fn put(queue: &Queue, spans: usize) {
        for _ in 0..spans {
            queue.put(SpanData {
                span_context: SpanContext::NONE,
                parent_span_id: SpanId::INVALID,
                parent_span_is_remote: false,
                span_kind: SpanKind::Server,
                name: "x".into(),
                start_time: SystemTime::UNIX_EPOCH,
                end_time: SystemTime::UNIX_EPOCH,
                attributes: Vec::new(),
                dropped_attributes_count: 0,
                events: Default::default(),
                links: Default::default(),
                status: Status::Unset,
                instrumentation_scope: InstrumentationScope::default(),
            });
        }
    }

    /// A queue that is sent from.
    fn sending(mood: Mood) -> (Arc<Queue>, Kept) {
        let (queue, kept) = (Arc::new(Queue::default()), Kept::new(mood));
        let (sends, to) = (queue.clone(), kept.clone());
        tokio::spawn(async move { sends.send(to, || None).await });
        (queue, kept)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_first_of_a_batch_waits_for_others_and_no_longer() {
        let (queue, kept) = sending(Mood::Takes);
        put(&queue, 1);
        tokio::time::sleep(2 * SECOND).await;
        put(&queue, 2);
        tokio::time::sleep(9 * SECOND).await;
        put(&queue, 1);
        tokio::time::sleep(9 * SECOND).await;
        assert_eq!(kept.left(), [(3, PAUSE), (1, 11 * SECOND + PAUSE)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_whole_batch_waits_for_nobody() {
        let (queue, kept) = sending(Mood::Takes);
        put(&queue, BATCH_SPANS_MAX * 2 + 1);
        tokio::time::sleep(9 * SECOND).await;
        assert_eq!(
            kept.left(),
            [(BATCH_SPANS_MAX, Duration::ZERO), (BATCH_SPANS_MAX, Duration::ZERO), (1, PAUSE)]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_there_at_the_end_leaves_at_once_and_what_comes_meanwhile_too() {
        let (queue, kept) = sending(Mood::Takes);
        put(&queue, 3);
        tokio::task::yield_now().await;
        queue.hurries();
        tokio::task::yield_now().await;
        put(&queue, 2);
        queue.ends().await;
        let left = kept.left();
        assert_eq!(left.iter().map(|(spans, _)| spans).sum::<usize>(), 5);
        assert!(left.iter().all(|(_, at)| at.is_zero()), "{left:?}");
        // Whoever has ended waits no second time.
        queue.ends().await;
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_may_wait_is_dropped_and_counted() {
        let (queue, kept) = sending(Mood::Hangs);
        put(&queue, BATCH_SPANS_MAX);
        // One batch is on its way, and the rest waits behind it.
        tokio::time::sleep(SECOND).await;
        put(&queue, WAITING_SPANS_MAX);
        assert_eq!(queue.dropped(), 0);
        put(&queue, 7);
        assert_eq!((queue.dropped(), kept.left().len()), (7, 1));
        // What was there is tried, a batch each time that one was given up.
        tokio::time::sleep(5 * EXPORT_WAIT_MAX).await;
        let times: Vec<_> = kept.left().into_iter().map(|(spans, at)| (spans, at.as_secs())).collect();
        let pause = EXPORT_WAIT_MAX.as_secs();
        assert_eq!(times, [0, 1, 2, 3, 4].map(|n| (BATCH_SPANS_MAX, n * pause)));
        put(&queue, 1);
        assert_eq!(queue.dropped(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_refuses_is_tried_again_with_the_next() {
        let (queue, kept) = sending(Mood::Refuses);
        put(&queue, 1);
        tokio::time::sleep(6 * SECOND).await;
        put(&queue, 2);
        queue.ends().await;
        let spans: Vec<_> = kept.left().into_iter().map(|(spans, _)| spans).collect();
        assert_eq!(spans, [1, 2]);
    }

    #[tokio::test]
    async fn one_that_is_closed_keeps_nothing_and_has_ended() {
        let queue = Queue::default();
        put(&queue, 3);
        queue.closes();
        put(&queue, 3);
        assert!(queue.waiting.lock().spans.is_empty());
        queue.ends().await;
    }
}
