//! How somebody proves on a page to be the one whose client was asked.
//!
//! Owns which proof is wanted of whom. A token is compared, and kept nowhere.

use crate::config::{Auth, Listen, OAuth};
use crate::downstream::edge::holders::Holders;
use crate::downstream::edge::token::Digest;
use crate::downstream::oauth::Issuer;
use crate::downstream::oauth::issuer::Doubt;
use crate::mcp::caller::{KnownBy, Principal};
use crate::upstream::oauth::SignIn;
use std::sync::Arc;
use std::time::Instant;

/// What is wanted of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Nothing: only people at this machine reach the page, and we are their program.
    IsHere,
    /// The token that his client shows.
    Token,
    /// The certificate that his client shows; the browser has shown it, or not.
    Certificate,
    /// He is sent to our identity provider.
    SignIn,
}

/// Why nobody knows who signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotProven {
    SomebodyElse,
    /// The provider gave a token that would not let its owner in.
    Doubtful,
    /// The provider cannot be asked.
    Away,
}

impl NotProven {
    pub(super) fn is_somebody_else(self) -> bool {
        self == Self::SomebodyElse
    }

    /// It goes on after the server's name.
    pub(super) fn sentence(self, asked: &Principal) -> String {
        let asked = asked.as_str();
        match self {
            Self::SomebodyElse => format!("its login is for `{asked}`, and you are somebody else"),
            Self::Doubtful => format!(
                "its login is for `{asked}`, and the identity provider gave you no token that is good here (is it made for this gateway, with all of its scopes?)"
            ),
            Self::Away => "the identity provider cannot be asked at the moment".to_owned(),
        }
    }
}

/// What there is to prove with.
#[derive(Debug, Default)]
pub struct Proofs {
    is_here: bool,
    holders: Option<Arc<Holders>>,
    provider: Option<(Arc<Issuer>, SignIn)>,
    has_certificates: bool,
}

impl Proofs {
    /// For pages that are there for one person at this machine alone.
    pub fn here() -> Self {
        Self { is_here: true, ..Self::default() }
    }

    /// For pages that a listener has.
    pub(in crate::downstream) fn of(
        listen: &Listen,
        holders: Option<Arc<Holders>>,
        issuer: Option<Arc<Issuer>>,
    ) -> Self {
        let has_certificates = listen.tls.as_ref().is_some_and(|tls| tls.clients.is_some());
        let provider = listen.oauth.as_ref().filter(|_| listen.auth == Auth::OAuth).and_then(|oauth| {
            let client = oauth.client.as_ref()?;
            let client = OAuth {
                client_id: Some(client.id.clone()),
                client_secret: client.secret.clone(),
                ..OAuth::default()
            };
            let sign_in = SignIn {
                issuer: oauth.issuer.clone(),
                resource: oauth.resource.clone(),
                scopes: oauth.scopes.clone(),
                client,
                ca_file: oauth.ca_file.clone(),
            };
            Some((issuer?, sign_in))
        });
        Self { is_here: false, holders, provider, has_certificates }
    }

    /// What is wanted of this principal. `None`: it has nothing to prove itself with.
    pub fn wanted(&self, whose: &Principal) -> Option<Proof> {
        match whose.known_by() {
            KnownBy::Machine => self.is_here.then_some(Proof::IsHere),
            KnownBy::Token => self.holders.is_some().then_some(Proof::Token),
            KnownBy::Certificate => self.has_certificates.then_some(Proof::Certificate),
            KnownBy::Provider => self.provider.is_some().then_some(Proof::SignIn),
            KnownBy::Nothing => None,
        }
    }

    /// Whether a token is this principal's.
    pub(super) fn is_token_of(&self, token: &str, whose: &Principal) -> bool {
        let digest = Digest::of(token.as_bytes());
        let grant = self.holders.as_ref().and_then(|holders| holders.whose(&digest));
        grant.is_some_and(|grant| grant.principal == *whose)
    }

    /// Where people say who they are.
    pub(super) fn sign_in(&self) -> Option<&SignIn> {
        self.provider.as_ref().map(|(_, sign_in)| sign_in)
    }

    /// Whether a token of our identity provider is one that would let this principal in here.
    pub(super) async fn is_signed_in(&self, token: &str, whose: &Principal) -> Result<(), NotProven> {
        let Some((issuer, _)) = &self.provider else { return Err(NotProven::Doubtful) };
        match issuer.judge(token.as_bytes(), Instant::now).await {
            Ok(pass) if pass.grant.principal != *whose => Err(NotProven::SomebodyElse),
            Ok(pass) if !pass.grant.scopes.has_all(issuer.resource().needed()) => Err(NotProven::Doubtful),
            Ok(_) => Ok(()),
            Err(Doubt::Away(_)) => Err(NotProven::Away),
            Err(Doubt::Invalid(_)) => Err(NotProven::Doubtful),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_asked_for_what_it_is_known_by() {
        let here = Proofs::here();
        let holders = Some(Arc::new(Holders::default()));
        let tokens = Proofs { holders, ..Proofs::default() };
        let certificates = Proofs { has_certificates: true, ..Proofs::default() };
        for (whose, of) in [
            (Principal::local(), [Some(Proof::IsHere), None, None]),
            (Principal::bearer(), [None, Some(Proof::Token), None]),
            (Principal::token("a"), [None, Some(Proof::Token), None]),
            (Principal::certificate("a"), [None, None, Some(Proof::Certificate)]),
            (Principal::oauth("a"), [None, None, None]),
            (Principal::anonymous(), [None, None, None]),
        ] {
            assert_eq!([&here, &tokens, &certificates].map(|proofs| proofs.wanted(&whose)), of, "{whose:?}");
        }
    }
}
