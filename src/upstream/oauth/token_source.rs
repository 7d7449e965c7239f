//! Where the token comes from that a link shows: a login that is kept, or what is made of the caller's own token.
//!
//! Decides nothing; it is one name for both, for those who only show tokens.

use std::sync::Arc;

use super::challenge::Challenge;
use super::exchanged::Exchanged;
use super::keeper::{Bearer, Keeper, Remedy};
use crate::config::Secret;

#[derive(Clone)]
pub enum TokenSource {
    Kept(Arc<Keeper>),
    Exchanged(Arc<Exchanged>),
}

impl TokenSource {
    /// The token to be shown, if it is known without waiting. `Some(None)`: there is none to be shown.
    pub fn at_hand(&self) -> Option<Option<Bearer>> {
        match self {
            Self::Kept(keeper) => keeper.at_hand(),
            Self::Exchanged(exchanged) => exchanged.at_hand().map(Some),
        }
    }

    /// The token to be shown, fresh; `None`: there is none. The error goes on after the server's name.
    pub async fn bearer(&self) -> Result<Option<Bearer>, Remedy> {
        match self {
            Self::Kept(keeper) => keeper.bearer().await,
            Self::Exchanged(exchanged) => exchanged.bearer().await.map(Some),
        }
    }

    /// The same for a connection that begins: somebody may have logged in since the last.
    pub async fn bearer_anew(&self) -> Result<Option<Bearer>, Remedy> {
        if let Self::Kept(keeper) = self {
            keeper.forget();
        }
        self.bearer().await
    }

    /// What the server may have been shown, and nobody else may read.
    pub fn secrets(&self) -> Vec<Secret> {
        match self {
            Self::Kept(keeper) => keeper.secrets(),
            Self::Exchanged(exchanged) => exchanged.secrets(),
        }
    }

    /// The server has refused what was shown.
    pub async fn refused(&self, shown: Option<&Bearer>) -> Remedy {
        match (self, shown) {
            (Self::Kept(keeper), shown) => keeper.refused(shown).await,
            (Self::Exchanged(exchanged), Some(shown)) => exchanged.refused(shown).await,
            // It never goes without.
            (Self::Exchanged(_), None) => Remedy::Another,
        }
    }

    /// The server wants more rights than what was shown has.
    pub async fn lacks(&self, shown: Option<&Bearer>, challenge: &Challenge) -> Remedy {
        match (self, shown) {
            (Self::Kept(keeper), shown) => keeper.lacks(shown, challenge).await,
            (Self::Exchanged(exchanged), Some(shown)) => exchanged.lacks(shown, challenge).await,
            (Self::Exchanged(_), None) => Remedy::Another,
        }
    }
}
