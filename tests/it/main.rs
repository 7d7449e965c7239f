//! Integration tests: transcripts over in-memory pipes, and the real binary with real children.

mod play;
mod process;
mod support;
