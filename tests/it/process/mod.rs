//! Real processes: trees that must end, and the pipes to them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "here a panic is how a claim fails")]

#[cfg(target_os = "linux")]
mod children;
