//! The token of one server for whoever calls under one grant, as requests wear it: made of the token that the caller showed
//! us, once for all who wait, and made anew before its end.
//!
//! Owns that it is worn for no longer than a token is there that it was made of, and that an issuer which gives none is not
//! asked again at once. Nothing of it is written down, and what is made for one grant is worn under no other: neither
//! another's, nor the same person's with fewer rights.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::challenge::Challenge;
use super::grant::GrantError;
use super::keeper::{BETWEEN_RENEWALS, Bearer, Remedy};
use super::of_late::OfLate;
use super::store::union;
use super::token_exchange::Exchanger;
use crate::config::{Secret, toml_key};
use crate::mcp::caller::Grant;
use crate::mcp::own_token::{Lent, Number};

/// Has the token of one grant made.
pub struct Exchanged {
    /// The server's key, for people.
    server: String,
    grant: Grant,
    exchanger: Arc<Exchanger>,
    held: Mutex<Held>,
    of_late: OfLate,
    /// One at a time asks the issuer.
    turn: Arc<Semaphore>,
}

#[derive(Default)]
struct Held {
    made: Option<Made>,
    tried: Option<Tried>,
    /// Rights that the server wanted later, and that the issuer gave.
    also: Vec<String>,
    /// Those that it did not give, and when it was asked.
    denied: Option<(Vec<String>, Instant)>,
}

struct Made {
    bearer: Bearer,
    of: Number,
    at: Instant,
}

/// The issuer gave nothing for these.
struct Tried {
    of: Vec<Number>,
    at: Instant,
    why: Remedy,
}

impl Exchanged {
    /// `grant`: one that holds nothing.
    pub fn new(server: &str, grant: Grant, exchanger: Arc<Exchanger>) -> Self {
        Self {
            server: server.to_owned(),
            grant,
            exchanger,
            held: Mutex::default(),
            of_late: OfLate::default(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// The token to be shown, if it is at hand.
    pub fn at_hand(&self) -> Option<Bearer> {
        self.made_so(Bearer::is_fresh)
    }

    /// What was made, if it is still so and so is what it was made of.
    fn made_so(&self, is_so: impl Fn(&Bearer) -> bool) -> Option<Bearer> {
        let held = self.held.lock();
        let made = held.made.as_ref().filter(|made| is_so(&made.bearer))?;
        let is_there = self.exchanger.own_tokens().holds(&self.grant, made.of, Instant::now().into_std());
        is_there.then(|| made.bearer.clone())
    }

    /// The token to be shown, made anew if its end is near. The error goes on after the server's name.
    pub async fn bearer(self: &Arc<Self>) -> Result<Bearer, Remedy> {
        if let Some(known) = self.at_hand() {
            return Ok(known);
        }
        let turn = self.turn.clone().acquire_owned().await;
        if let Some(known) = self.at_hand() {
            return Ok(known);
        }
        let also = self.held.lock().also.clone();
        match self.made(turn.ok(), also).await {
            // It is good for a moment yet.
            Err(Remedy::Failed(why)) => self.made_so(Bearer::holds).ok_or(Remedy::Failed(why)),
            made => made,
        }
    }

    /// What the server may have been shown, and nobody else may read.
    pub fn secrets(&self) -> Vec<Secret> {
        self.of_late.secrets()
    }

    /// The server has refused what was shown.
    pub async fn refused(self: &Arc<Self>, shown: &Bearer) -> Remedy {
        let turn = self.turn.clone().acquire_owned().await;
        let is_new = {
            let mut held = self.held.lock();
            match held.made.take() {
                Some(made) if !made.bearer.is_same(shown) => {
                    held.made = Some(made);
                    return Remedy::Another;
                }
                // What was made a moment ago and is refused all the same would be refused again.
                Some(made) => !made.bearer.is_accepted() && made.at.elapsed() < BETWEEN_RENEWALS,
                None => false,
            }
        };
        if is_new {
            let why = Remedy::Failed(format!("refuses the token that was made for it; {}", self.look()));
            self.tried(&self.lent(), &why);
            return why;
        }
        let also = self.held.lock().also.clone();
        self.made(turn.ok(), also).await.map_or_else(|remedy| remedy, |_| Remedy::Another)
    }

    /// The server wants more rights than the token has. One with them is asked for, unless the configuration says which.
    pub async fn lacks(self: &Arc<Self>, shown: &Bearer, challenge: &Challenge) -> Remedy {
        let turn = self.turn.clone().acquire_owned().await;
        let wanted = &challenge.scopes;
        let all = {
            let held = self.held.lock();
            if held.made.as_ref().is_some_and(|made| !made.bearer.is_same(shown)) {
                return Remedy::Another;
            }
            let had = union(shown.scopes(), &held.also);
            let all = union(&had, wanted);
            let is_denied = held
                .denied
                .as_ref()
                .is_some_and(|(denied, at)| *denied == all && at.elapsed() < BETWEEN_TRIES);
            if self.exchanger.has_own_scopes() || all.len() == had.len() || is_denied {
                return lacking(wanted);
            }
            all
        };
        if self.made(turn.ok(), all.clone()).await.is_ok() {
            return Remedy::Another;
        }
        // What there was still serves whatever does not need more.
        let mut held = self.held.lock();
        (held.tried, held.denied) = (None, Some((all, Instant::now())));
        lacking(wanted)
    }

    /// Has one made, in a task that no caller can end: who calls and leaves would have the issuer asked each time. `turn`: of
    /// whoever calls, until it is made.
    async fn made(
        self: &Arc<Self>,
        turn: Option<OwnedSemaphorePermit>,
        also: Vec<String>,
    ) -> Result<Bearer, Remedy> {
        let this = self.clone();
        let making = tokio::spawn(async move {
            let made = this.make(also).await;
            drop(turn);
            made
        });
        making.await.unwrap_or_else(|_| Err(Remedy::Failed("no token could be made".to_owned())))
    }

    /// Has one made of the caller's tokens, that which ends last first. Called by whoever has the turn.
    async fn make(&self, also: Vec<String>) -> Result<Bearer, Remedy> {
        let lent = self.lent();
        if let Some(tried) =
            self.held.lock().tried.as_ref().filter(|tried| tried.at.elapsed() < BETWEEN_TRIES)
            && !lent.is_empty()
            && lent.iter().all(|lent| tried.of.contains(&lent.number))
        {
            return Err(tried.why.clone());
        }
        let mut why = Remedy::Login(NONE_AT_HAND.to_owned());
        for Lent { number, token } in &lent {
            match self.exchanger.exchange(token, &also).await {
                Ok(login) => {
                    let bearer = Bearer::of(login);
                    self.of_late.add(&bearer);
                    let made = Made { bearer: bearer.clone(), of: *number, at: Instant::now() };
                    let mut held = self.held.lock();
                    (held.made, held.tried, held.also) = (Some(made), None, also);
                    tracing::debug!(server = self.server, "a token was made of a caller's");
                    return Ok(bearer);
                }
                Err(GrantError::Refused(said)) => {
                    let sentence = format!(
                        "its issuer makes none of the caller's token ({said}); call with a fresh one, or {}",
                        self.look()
                    );
                    why = Remedy::Login(sentence);
                }
                Err(GrantError::Failed(said)) => {
                    why = Remedy::Failed(format!("no token could be made of the caller's: {said}"));
                    break;
                }
            }
        }
        if let Remedy::Login(sentence) | Remedy::Failed(sentence) = &why
            && !lent.is_empty()
        {
            tracing::warn!(server = self.server, why = sentence, "no token was made of a caller's");
        }
        self.tried(&lent, &why);
        Err(why)
    }

    fn tried(&self, lent: &[Lent], why: &Remedy) {
        let of = lent.iter().map(|lent| lent.number).collect();
        self.held.lock().tried = Some(Tried { of, at: Instant::now(), why: why.clone() });
    }

    fn lent(&self) -> Vec<Lent> {
        self.exchanger.own_tokens().of(&self.grant, Instant::now().into_std())
    }

    fn look(&self) -> String {
        format!("look at servers.{}.oauth", toml_key(&self.server))
    }
}

fn lacking(wanted: &[String]) -> Remedy {
    let rights = wanted.join(" ");
    Remedy::Failed(format!("wants rights that what is made of the caller's token does not have ({rights})"))
}

const NONE_AT_HAND: &str = "is reached with a token that is made of the caller's own, and none is at hand that holds; call with a fresh one";
/// How long what an issuer refuses is not asked for again, unless with another token.
const BETWEEN_TRIES: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
