//! Transcripts: what a client says, what it hears. No pipes and no clock but in `pipe` and `peer`.

mod handshake;
mod hostile;
mod notes;
#[cfg(unix)]
mod peer;
mod pipe;
mod shape;
mod talk;
mod workshop;
