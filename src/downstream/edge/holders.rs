//! Who holds which of the tokens that this run knows by itself: that of the token file, and those with names.
//!
//! Owns the comparison. Whoever shows a token is compared with all of them, whether one fits or not: how long that takes
//! says neither how near a guess was nor whose token it is.

use super::guard::GuardError;
use super::token::{Digest, Token};
use crate::config::NamedToken;
use crate::mcp::caller::{Grant, Principal, Scopes};

/// All holders. Nothing is kept of a token but its digest.
#[derive(Debug, Default)]
pub(in crate::downstream) struct Holders(Vec<(Digest, Grant)>);

impl Holders {
    /// That of the file, if there is one, and those with names.
    pub(super) fn new(file: Option<&Token>, named: &[NamedToken]) -> Result<Self, GuardError> {
        let mut holders = Self::default();
        if let Some(token) = file {
            holders.0.push((token.digest(), Grant::plain(Principal::bearer())));
        }
        for NamedToken { name, token, scopes } in named {
            let digest = Digest::of(token.expose().as_bytes());
            let scopes = Scopes::of(scopes.iter().map(String::as_str));
            let scopes = scopes.ok_or_else(|| GuardError::Scopes(name.clone()))?;
            if holders.0.iter().any(|(other, _)| other.is(&digest)) {
                return Err(GuardError::SameToken(name.clone()));
            }
            holders.0.push((digest, Grant::of(Principal::token(name), scopes)));
        }
        Ok(holders)
    }

    /// In whose name a token is shown.
    pub(in crate::downstream) fn whose(&self, digest: &Digest) -> Option<&Grant> {
        let all = self.0.iter().map(|(known, grant)| (known.is(digest), grant));
        all.fold(None, |found, (is_it, grant)| if is_it { Some(grant) } else { found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn named(name: &str, token: &str, scopes: &[&str]) -> NamedToken {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        NamedToken { name: name.to_owned(), token: Secret::new(token), scopes }
    }

    #[test]
    fn each_token_is_its_holders() {
        let named = [named("ana", "a-token", &["write", "read"]), named("bob", "b-token", &[])];
        let holders = Holders::new(None, &named).unwrap();
        let whose = |token: &[u8]| holders.whose(&Digest::of(token)).cloned();
        let scopes = Scopes::of(["read", "write"]).unwrap();
        assert_eq!(whose(b"a-token"), Some(Grant::of(Principal::token("ana"), scopes)));
        assert_eq!(whose(b"b-token"), Some(Grant::plain(Principal::token("bob"))));
        for other in [&b""[..], b"a-toke", b"a-tokenx", b"ana", b"A-token"] {
            assert_eq!(whose(other), None);
        }
        assert!(!format!("{holders:?}").contains("a-token"));
    }

    #[test]
    fn a_token_with_two_holders_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let file = Token::find_or_make(Some(&home.path().join("token")), |_| None).unwrap();
        let same = [named("ana", file.value().expose(), &[])];
        assert_eq!(Holders::new(Some(&file), &same).unwrap_err(), GuardError::SameToken("ana".to_owned()));
        assert!(Holders::new(None, &same).is_ok());
        let twice = [named("ana", "x", &[]), named("bob", "x", &[])];
        assert_eq!(Holders::new(None, &twice).unwrap_err(), GuardError::SameToken("bob".to_owned()));
        let odd = [named("ana", "x", &["a b"])];
        assert_eq!(Holders::new(None, &odd).unwrap_err(), GuardError::Scopes("ana".to_owned()));
    }
}
