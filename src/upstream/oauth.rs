//! Leave at a server that wants OAuth: where it is given, how it is asked for, kept and renewed.
//!
//! We are the client of the server's authorization server (2026-07-28, basic/authorization). What a person or the
//! configuration obtained lies in one file (`Store`), under the server's URL, bound to the issuer that gave it, and goes to that
//! server and that issuer alone. A client's own token goes to no server; where the configuration says so, it is shown to the
//! issuer that the configuration names, which makes another of it (`Exchanger`). The requests of OAuth and their answers are the `oauth2`
//! crate's; ours is what MCP adds: finding (`discovery`), being known (`registration`), and that every URL that a server names
//! is asked with care (`Web`).
//!
//! Reading order: `challenge` is what a server says with 401; `discovery` follows it; `registration` makes us a client;
//! `Attempt` is one login, `Device` one in a browser elsewhere, `Desk` has those that clients ask for; `Keeper` has the token of
//! a running server renewed, `Exchanged` has one made of the caller's (`token_exchange`); `TokenSource` is either.

mod attempt;
mod basic;
mod callback;
mod challenge;
mod desk;
mod device;
mod discovery;
mod exchanged;
mod grant;
mod keeper;
mod metadata;
mod of_late;
mod page;
mod registration;
mod revocation;
mod store;
mod token_exchange;
mod token_source;
mod web;
pub mod well_known;

pub use self::attempt::{Attempt, Granted, LoginError, SignIn, Wanted, probe};
pub use self::basic::basic;
pub use self::callback::{
    Answers, Callback, CallbackError, Ear as CallbackEar, PATH as CALLBACK_PATH, Port, is_here,
};
pub use self::challenge::Challenge;
pub use self::desk::{Came, Desk, Finished, Looked, Placed, Sent, Ticket, Unwanted, Wish};
pub use self::device::Device;
pub use self::discovery::canonical;
pub use self::exchanged::Exchanged;
pub use self::keeper::{Bearer, Keeper, Remedy, shell_word};
pub use self::page::{escaped, page};
pub use self::revocation::revoke;
pub use self::store::{EVERYBODY, Kept, Login, Store, StoreError};
pub use self::token_exchange::Exchanger;
pub use self::token_source::TokenSource;
pub use self::web::{Web, WebError};
