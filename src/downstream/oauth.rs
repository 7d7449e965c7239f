//! Tokens of an identity provider: what they must be, whose they are, and how a client learns where to get one.
//!
//! We are a resource server of OAuth 2.1 (2026-07-28, basic/authorization): we hand out no token, keep none, and send none
//! on. Owns what is fetched of the provider, within bounds, and what was judged of late. What is asked of a request beside
//! its token is the edge's affair, what a principal may do the hub's.
//!
//! Reading order: `resource` says who we are, `jwt` and `claims` what a token says, `keys` who has signed it, `fetched` how
//! keys come here, `introspection` what the provider says of a token that is no JWT, `issuer` puts it together.

mod claims;
mod courier;
mod fetched;
mod introspection;
pub mod issuer;
mod jwt;
mod keys;
mod known;
mod metadata;
mod object;
pub mod resource;

pub use self::issuer::{Issuer, IssuerError};
pub use self::resource::Resource;
