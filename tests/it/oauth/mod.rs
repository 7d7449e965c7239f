//! Leave at servers that want OAuth: logins, renewals, and what hostile issuers try.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::disallowed_types, reason = "what is said as JSON is only looked at")]

mod browser;
mod client;
mod exchange;
mod gateway;
mod home;
mod issuer;
mod lent;
mod login;
mod pages;
mod principals;
mod renewal;
