//! FLOOR 2. What is decided without waiting. Pure: it neither waits nor reads a clock.
//!
//! Reading order: names and URIs, what is shown and how, and to whom, an item, the catalog of all items, where a request goes; then the
//! tables that outlive a request: ledger, deadline, backoff, queue, buckets; last, whom a server means that speaks first:
//! levels, subscriptions, owner, asking, and how long a person was asked.

pub mod names;

pub mod uris;

pub mod look;

pub mod glob;

pub mod normal_uri;

pub mod exposure;

pub mod access;

pub mod tool_look;

pub mod template;

pub mod item;

pub mod cursor;

pub mod task_ids;

pub mod catalog;

pub mod route;

pub mod ledger;

pub mod deadline;

pub mod backoff;

pub mod queue;

pub mod buckets;

pub mod levels;

pub mod subscriptions;

pub mod owner;

pub mod asking;

pub mod held;
