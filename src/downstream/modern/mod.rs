//! Clients of 2026-07-28: each of their requests stands by itself, without a handshake and without a session.
//!
//! A `Lobby` is what all of them find; a `Base` keeps the links of one door for them. Each request is a guest there
//! (`Seat::guest`), from its first byte to its answer. How requests come and answers go is another's affair: stdin's
//! (`beside`), or that of POSTs (`posts`).

pub(super) mod ladder;

pub mod lobby;

pub(super) mod base;

pub(super) mod discover;

pub(super) mod answer;

pub(super) mod call;

pub(super) mod rounds;

pub(super) mod listen;

pub(super) mod beside;

pub(super) mod posts;
