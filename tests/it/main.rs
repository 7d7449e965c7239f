//! Integration tests: transcripts over in-memory pipes, and the real binary with real children.

mod access;
mod admin;
mod catalog_cache;
mod cli;
mod config;
mod crowd;
mod crowd_http;
mod doors;
mod edge;
mod faults;
mod filters;
mod http;
mod limits;
mod matrix;
mod modern;
#[cfg(unix)]
mod oauth;
mod play;
mod process;
mod reload;
mod said;
mod sdk;
mod support;
mod upstream_http;
