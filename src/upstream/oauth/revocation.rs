//! Giving a login back: its tokens are worth nothing after that, if its issuer takes them back.
//!
//! One request for each token (RFC 7009). An issuer that knows no such place is not told.

use oauth2::basic::BasicClient;
use oauth2::{
    AccessToken, AuthType, ClientId, ClientSecret, RefreshToken, RevocationUrl, StandardRevocableToken,
};

use super::grant::Sender;
use super::metadata::Shows;
use super::store::Login;
use super::web::{Web, WebError};

/// Tells the issuer, the token first that others are made of.
pub async fn revoke(web: &Web, login: &Login) -> Result<(), WebError> {
    let Some(endpoint) = &login.revocation_endpoint else { return Ok(()) };
    let to = web.read(endpoint)?;
    // The crate knows no place on this machine, which needs no TLS; where it goes is ours to say.
    let mut url = to.clone();
    url.set_scheme("https").ok();
    let mut client = BasicClient::new(ClientId::new(login.registration.client_id.clone()))
        .set_revocation_url(RevocationUrl::from_url(url))
        .set_auth_type(match login.shows {
            Shows::Basic => AuthType::BasicAuth,
            Shows::None | Shows::Post => AuthType::RequestBody,
        });
    if let Some(secret) = login.registration.secret() {
        client = client.set_client_secret(ClientSecret::new(secret.expose().to_owned()));
    }
    let refresh =
        login.refresh_token.clone().map(|token| StandardRevocableToken::from(RefreshToken::new(token)));
    let access = StandardRevocableToken::from(AccessToken::new(login.access_token.clone()));
    for token in refresh.into_iter().chain([access]) {
        let failed = || WebError("it does not take tokens back".to_owned());
        let request = client.revoke_token(token).map_err(|_| failed())?;
        request.request_async(&Sender { web, to: &to }).await.map_err(|_| failed())?;
    }
    Ok(())
}
