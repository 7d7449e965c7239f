//! Bodies that are too large, too slow, or too many.

use super::*;
use axum::body::Body;
use parking_lot::Mutex;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::Context;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Chunks as they come from a channel.
struct Chunks(mpsc::Receiver<Bytes>);

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|chunk| chunk.map(|chunk| Ok(http_body::Frame::data(chunk))))
    }
}

fn chunked() -> (mpsc::Sender<Bytes>, Body) {
    let (chunks, inbox) = mpsc::channel(64);
    (chunks, Body::new(Chunks(inbox)))
}

/// Gives so many bytes, and remembers what it was asked for.
struct Memory {
    bytes: Arc<Semaphore>,
    asked: Mutex<Vec<usize>>,
}

impl Memory {
    fn of(bytes: usize) -> Self {
        Self { bytes: Arc::new(Semaphore::new(bytes)), asked: Mutex::new(Vec::new()) }
    }

    fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.asked.lock().push(bytes);
        self.bytes.clone().try_acquire_many_owned(u32::try_from(bytes).unwrap()).ok()
    }
}

const KIB: usize = 1024;
const LONG: Duration = Duration::from_secs(600);

#[tokio::test(start_paused = true)]
async fn a_body_of_known_size_takes_just_that() {
    let memory = Memory::of(KIB);
    let whole = read_body(Body::from(vec![7; 300]), 300, LONG, &Alarm::default(), |bytes| memory.take(bytes))
        .await
        .unwrap();
    assert_eq!(whole.bytes, vec![7; 300]);
    assert_eq!((memory.asked.lock().clone(), memory.bytes.available_permits()), (vec![300], KIB - 300));
    drop(whole);
    assert_eq!(memory.bytes.available_permits(), KIB);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_says_it_is_too_large_is_not_read() {
    let memory = Memory::of(KIB);
    let read =
        read_body(Body::from(vec![7; 301]), 300, LONG, &Alarm::default(), |bytes| memory.take(bytes)).await;
    assert_eq!(read.unwrap_err(), Unread::TooLarge { max: 300 });
    assert!(memory.asked.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_turns_out_too_large_is_read_no_further() {
    let (chunks, body) = chunked();
    chunks.send(vec![1; 300].into()).await.unwrap();
    chunks.send(vec![1; 1].into()).await.unwrap();
    let memory = Memory::of(KIB);
    let read = read_body(body, 300, LONG, &Alarm::default(), |bytes| memory.take(bytes)).await;
    assert_eq!(read.unwrap_err(), Unread::TooLarge { max: 300 });
    assert_eq!(memory.bytes.available_permits(), KIB, "what it took is given back");
}

#[tokio::test(start_paused = true)]
async fn memory_is_taken_in_steps_as_bytes_come() {
    let (chunks, body) = chunked();
    for _ in 0..10 {
        chunks.send(vec![1; 32 * KIB].into()).await.unwrap();
    }
    drop(chunks);
    let memory = Memory::of(1024 * KIB);
    let whole =
        read_body(body, 1024 * KIB, LONG, &Alarm::default(), |bytes| memory.take(bytes)).await.unwrap();
    assert_eq!(whole.bytes.len(), 320 * KIB);
    assert_eq!(*memory.asked.lock(), [64 * KIB, 64 * KIB, 128 * KIB, 256 * KIB]);
}

#[tokio::test(start_paused = true)]
async fn the_last_step_is_no_larger_than_the_body_may_be() {
    let memory = Memory::of(1024 * KIB);
    let body = Body::from(vec![1; 100 * KIB]);
    read_body(body, 1024 * KIB, LONG, &Alarm::default(), |bytes| memory.take(bytes)).await.unwrap();
    assert_eq!(*memory.asked.lock(), [64 * KIB, 36 * KIB]);
}

#[tokio::test(start_paused = true)]
async fn without_room_a_body_is_refused_and_gives_back_what_it_had() {
    let (chunks, body) = chunked();
    for _ in 0..4 {
        chunks.send(vec![1; 32 * KIB].into()).await.unwrap();
    }
    let memory = Memory::of(100 * KIB);
    let read = read_body(body, 1024 * KIB, LONG, &Alarm::default(), |bytes| memory.take(bytes)).await;
    assert_eq!(read.unwrap_err(), Unread::NoRoom);
    assert_eq!(memory.bytes.available_permits(), 100 * KIB);
    let response = Unread::NoRoom.response();
    assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (503, "1"));
}

#[tokio::test(start_paused = true)]
async fn a_body_has_its_time_in_all() {
    let (chunks, body) = chunked();
    let start = Instant::now();
    let sender = tokio::spawn(async move {
        while chunks.send(vec![1; 10 * KIB].into()).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let memory = Memory::of(1024 * KIB);
    let read =
        read_body(body, 1024 * KIB, Duration::from_secs(30), &Alarm::default(), |bytes| memory.take(bytes))
            .await;
    assert_eq!((read.unwrap_err(), start.elapsed().as_secs()), (Unread::TooSlow, 30));
    sender.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_body_brings_a_kibibyte_a_second() {
    for (chunk, seconds) in [(1, 2), (512, 3)] {
        let (chunks, body) = chunked();
        let start = Instant::now();
        let sender = tokio::spawn(async move {
            while chunks.send(vec![1; chunk].into()).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let memory = Memory::of(1024 * KIB);
        let read = read_body(body, 1024 * KIB, LONG, &Alarm::default(), |bytes| memory.take(bytes)).await;
        assert_eq!(read.unwrap_err(), Unread::TooSlow);
        assert_eq!(start.elapsed().as_secs(), seconds, "{chunk} bytes a second");
        sender.await.unwrap();
    }
    let (chunks, body) = chunked();
    let sender = tokio::spawn(async move {
        for _ in 0..100 {
            chunks.send(vec![1; KIB].into()).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let memory = Memory::of(1024 * KIB);
    let whole =
        read_body(body, 1024 * KIB, LONG, &Alarm::default(), |bytes| memory.take(bytes)).await.unwrap();
    assert_eq!(whole.bytes.len(), 100 * KIB, "just enough is enough");
    sender.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_comes_at_once_is_the_same_as_what_comes_in_pieces() {
    for bytes in [0, 1, SHORT_BYTES - 1, SHORT_BYTES, SHORT_BYTES + 1] {
        let memory = Memory::of(4 * KIB);
        let text: Vec<u8> = (0..bytes).map(|at| at as u8).collect();
        let body = Body::from(text.clone());
        let whole = read_body(body, KIB, LONG, &Alarm::default(), |bytes| memory.take(bytes)).await.unwrap();
        assert_eq!(whole.bytes, text);
        let (chunks, body) = chunked();
        for piece in text.chunks(SHORT_BYTES / 2) {
            chunks.try_send(Bytes::copy_from_slice(piece)).unwrap();
        }
        drop(chunks);
        let whole = read_body(body, KIB, LONG, &Alarm::default(), |bytes| memory.take(bytes)).await.unwrap();
        assert_eq!(whole.bytes, text);
        // As long as the longest that may come, and still not known to be all of it.
        let (chunks, body) = chunked();
        chunks.try_send(Bytes::copy_from_slice(&text)).unwrap();
        let alarm = Alarm::default();
        let mut read = Box::pin(read_body(body, bytes, LONG, &alarm, |bytes| memory.take(bytes)));
        assert!(poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx).is_pending())).await);
    }
}
