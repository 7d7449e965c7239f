//! The official Rust SDK on either side: what its client gets of its server through us, it gets without us.
//!
//! One client is connected twice: to each server itself, and to the real binary with the same servers behind
//! it. Whatever they answer must be equal once names and URIs are in the same terms; `Terms` knows how ours
//! differ, and does not ask the library how it makes them.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "here a panic is how a claim fails")]
#![expect(clippy::disallowed_types, reason = "an endpoint may read what it gets into a tree")]
#![expect(clippy::large_futures, reason = "the SDK's are what they are, and here are few")]

mod client;
mod house;
mod parity;
mod peer;
mod terms;

use std::time::Duration;

/// What takes longer than this will not come.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("it takes too long")
}
