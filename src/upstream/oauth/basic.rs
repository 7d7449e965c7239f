//! A name and its secret, as they are shown to an issuer in a header.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;

use crate::config::Secret;
use crate::wire::percent::form_encoded;

/// `None`: they cannot be sent. Its `Debug` shows nothing of it.
pub fn basic(client_id: &str, client_secret: &Secret) -> Option<HeaderValue> {
    // RFC 6749, 2.3.1: both are escaped before they are joined.
    let both = format!("{}:{}", form_encoded(client_id), form_encoded(client_secret.expose()));
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(both))).ok()?;
    value.set_sensitive(true);
    Some(value)
}
