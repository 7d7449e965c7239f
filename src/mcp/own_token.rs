//! The tokens by which people showed who they are, for as long as they are here.
//!
//! Kept only where some server is reached with a token that is made of the caller's own (RFC 8693), and in memory only. Owns
//! how long: until a token ends, and no longer than somebody holds its `OwnToken`, as a connection, a session and a request do
//! that came by it. Nothing here shows a token but to whoever asks for those of a grant. Pure; its caller says what time it is.

use super::caller::Grant;
use crate::config::Secret;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Holds what a grant was proven by. Two are never told apart: who somebody is, and what was granted, the grant says.
#[derive(Clone, Default)]
pub struct OwnToken(Option<Arc<Kept>>);

/// All that are held in a run.
#[derive(Default)]
pub struct OwnTokens {
    /// How many servers need them.
    wanted: AtomicUsize,
    /// How often that became so.
    turn: AtomicU64,
    numbers: AtomicU64,
    people: Mutex<People>,
}

/// There for as long as a server needs them.
pub struct Wanted(Arc<OwnTokens>);

/// One token, lent to whoever shows it to the issuer.
#[derive(Clone)]
pub struct Lent {
    pub number: Number,
    pub token: Secret,
}

/// Which token it is. No other of the run has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(u64);

#[derive(Default)]
struct People {
    /// A grant that holds nothing itself: nobody is kept here for being known.
    known: HashMap<Grant, Weak<Kept>>,
    /// When those that had ended were looked for.
    swept: Option<Instant>,
}

/// The tokens of one grant; who ends last stands first.
#[derive(Default)]
struct Kept(Mutex<Vec<Token>>);

struct Token {
    number: Number,
    secret: Secret,
    until: Instant,
}

impl OwnTokens {
    /// From now on what is shown is kept, until what is returned is dropped.
    pub fn want(self: &Arc<Self>) -> Wanted {
        if self.wanted.fetch_add(1, Ordering::AcqRel) == 0 {
            self.turn.fetch_add(1, Ordering::AcqRel);
        }
        Wanted(self.clone())
    }

    /// Whether anything is kept at all.
    pub fn are_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire) > 0
    }

    /// Another number when what was shown before must be shown once more: they were not wanted then, or not since.
    pub fn turn(&self) -> u64 {
        self.turn.load(Ordering::Acquire)
    }

    /// Keeps a token that was found good for this grant, and ends then. Holds nothing where nobody wants it, where it cannot
    /// be sent in a form, and where there are too many people.
    pub fn keep(&self, grant: &Grant, token: &[u8], until: Instant, now: Instant) -> OwnToken {
        let Ok(token) = std::str::from_utf8(token) else { return OwnToken(None) };
        if !self.are_wanted() || token.len() > TOKEN_BYTES_MAX || until <= now {
            return OwnToken(None);
        }
        let mut people = self.people.lock();
        people.sweep(now);
        let Some(kept) = people.place_of(grant) else { return OwnToken(None) };
        let mut tokens = kept.0.lock();
        tokens.retain(|known| now < known.until);
        match tokens.iter_mut().find(|known| known.secret.expose() == token) {
            Some(known) => known.until = known.until.max(until),
            None => {
                // Numbers are never used up in the life of a program.
                let number = Number(self.numbers.fetch_add(1, Ordering::Relaxed));
                tokens.push(Token { number, secret: Secret::new(token), until });
            }
        }
        tokens.sort_by_key(|known| std::cmp::Reverse((known.until, known.number.0)));
        tokens.truncate(TOKENS_MAX);
        drop(tokens);
        OwnToken(Some(kept))
    }

    /// The tokens of a grant that have not ended; who ends last stands first.
    pub fn of(&self, grant: &Grant, now: Instant) -> Vec<Lent> {
        let Some(kept) = self.find(grant) else { return Vec::new() };
        let mut tokens = kept.0.lock();
        tokens.retain(|known| now < known.until);
        let lent = |known: &Token| Lent { number: known.number, token: known.secret.clone() };
        tokens.iter().map(lent).collect()
    }

    /// Whether a token is still there and has not ended.
    pub fn holds(&self, grant: &Grant, number: Number, now: Instant) -> bool {
        let is_it = |known: &Token| known.number == number && now < known.until;
        self.find(grant).is_some_and(|kept| kept.0.lock().iter().any(is_it))
    }

    /// A token that is good no more, whatever it says itself, and whoever showed it.
    pub fn withdraw(&self, token: &[u8]) {
        if !self.are_wanted() {
            return;
        }
        let kept: Vec<Arc<Kept>> = self.people.lock().known.values().filter_map(Weak::upgrade).collect();
        for kept in kept {
            kept.0.lock().retain(|known| known.secret.expose().as_bytes() != token);
        }
    }

    /// How many tokens are held.
    pub fn count(&self) -> usize {
        let people = self.people.lock();
        people.known.values().filter_map(Weak::upgrade).map(|kept| kept.0.lock().len()).sum()
    }

    fn find(&self, grant: &Grant) -> Option<Arc<Kept>> {
        self.people.lock().known.get(grant)?.upgrade()
    }
}

impl People {
    /// Where the tokens of a grant are kept, if there is room.
    fn place_of(&mut self, grant: &Grant) -> Option<Arc<Kept>> {
        if let Some(kept) = self.known.get(grant).and_then(Weak::upgrade) {
            return Some(kept);
        }
        if self.known.len() >= PEOPLE_MAX {
            self.known.retain(|_, kept| kept.strong_count() > 0);
        }
        if self.known.len() >= PEOPLE_MAX && !self.known.contains_key(grant) {
            return None;
        }
        // Whoever has tokens made with ever other scopes takes no place of others.
        let of_one = || {
            let there = self.known.iter().filter(|(_, kept)| kept.strong_count() > 0);
            there.filter(|(known, _)| known.principal == grant.principal).count()
        };
        if of_one() >= GRANTS_OF_ONE_MAX {
            return None;
        }
        let kept = Arc::<Kept>::default();
        self.known.insert(grant.bare(), Arc::downgrade(&kept));
        Some(kept)
    }

    /// Forgets what has ended, of everybody.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now.saturating_duration_since(swept) < SWEPT_EVERY) {
            return;
        }
        self.swept = Some(now);
        for kept in self.known.values().filter_map(Weak::upgrade) {
            kept.0.lock().retain(|known| now < known.until);
        }
    }
}

impl OwnToken {
    /// Whether it holds anything.
    pub fn is_kept(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        if self.0.wanted.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let kept: Vec<Arc<Kept>> = self.0.people.lock().known.values().filter_map(Weak::upgrade).collect();
        kept.iter().for_each(|kept| kept.0.lock().clear());
    }
}

impl PartialEq for OwnToken {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for OwnToken {}

impl Hash for OwnToken {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// Says nothing of what it holds.
impl fmt::Debug for OwnToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Says nothing of what it holds.
impl fmt::Debug for OwnTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Tokens of one grant at once: a person has as many programs that each got one. Who ends first makes room.
pub const TOKENS_MAX: usize = 4;
/// Grants of which tokens are held at once. Beyond them nothing is held.
pub const PEOPLE_MAX: usize = 4096;
/// Sets of scopes of one person at once.
pub const GRANTS_OF_ONE_MAX: usize = 64;
/// A longer one came in no head of a request.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// How often it is looked for what has ended, where somebody comes with another.
const SWEPT_EVERY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::caller::{Principal, Scopes};

    fn grant(name: &str, scopes: &[&str]) -> Grant {
        Grant::of(Principal::oauth(name), Scopes::of(scopes.iter().copied()).unwrap())
    }

    fn tokens(own_tokens: &OwnTokens, grant: &Grant, now: Instant) -> Vec<String> {
        own_tokens.of(grant, now).iter().map(|lent| lent.token.expose().to_owned()).collect()
    }

    fn wanted() -> (Arc<OwnTokens>, Wanted, Instant) {
        let own_tokens = Arc::<OwnTokens>::default();
        let wanted = own_tokens.want();
        (own_tokens, wanted, Instant::now())
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn nothing_is_kept_where_nobody_wants_it() {
        let (own_tokens, now) = (Arc::<OwnTokens>::default(), Instant::now());
        assert!(!own_tokens.keep(&grant("ana", &[]), b"t", now + MINUTE, now).is_kept());
        let wanted = own_tokens.want();
        let held = own_tokens.keep(&grant("ana", &[]), b"t", now + MINUTE, now);
        assert!(held.is_kept() && own_tokens.count() == 1);
        let other = own_tokens.want();
        drop(wanted);
        assert_eq!(own_tokens.count(), 1, "somebody else wants it");
        drop(other);
        assert_eq!((own_tokens.count(), own_tokens.are_wanted(), own_tokens.turn()), (0, false, 1));
        let _again = own_tokens.want();
        assert_eq!(own_tokens.turn(), 2, "what was let go is asked for again");
    }

    #[test]
    fn h07_each_grant_has_its_own_and_a_narrower_one_has_none_of_a_broader_one() {
        let (own_tokens, _wanted, now) = wanted();
        let (broad, narrow, other) =
            (grant("ana", &["read", "write"]), grant("ana", &["read"]), grant("bob", &["read", "write"]));
        let _held = own_tokens.keep(&broad, b"broad", now + MINUTE, now);
        assert_eq!(tokens(&own_tokens, &broad, now), ["broad"]);
        let none: [String; 0] = [];
        assert_eq!(
            (tokens(&own_tokens, &narrow, now), tokens(&own_tokens, &other, now)),
            (none.to_vec(), none.to_vec())
        );
        let number = own_tokens.of(&broad, now)[0].number;
        assert!(own_tokens.holds(&broad, number, now) && !own_tokens.holds(&narrow, number, now));
    }

    #[test]
    fn it_is_forgotten_when_it_ends_and_when_nobody_is_there() {
        let (own_tokens, _wanted, now) = wanted();
        let ana = grant("ana", &[]);
        let held = own_tokens.keep(&ana, b"t", now + MINUTE, now);
        let number = own_tokens.of(&ana, now)[0].number;
        assert!(!own_tokens.holds(&ana, number, now + MINUTE), "it has ended");
        let session = Grant { own_token: held.clone(), ..ana.clone() };
        drop(held);
        assert!(own_tokens.holds(&ana, number, now), "a session holds it");
        drop(session);
        assert!(!own_tokens.holds(&ana, number, now) && own_tokens.count() == 0);
        // What ended of somebody who is still there goes when anybody comes with another.
        let _held = own_tokens.keep(&ana, b"t", now + MINUTE, now);
        let _other = own_tokens.keep(&grant("bob", &[]), b"u", now + MINUTE * 9, now + MINUTE * 2);
        assert_eq!(own_tokens.count(), 1);
    }

    #[test]
    fn the_last_to_end_comes_first_and_one_of_many_makes_room() {
        let (own_tokens, _wanted, now) = wanted();
        let ana = grant("ana", &[]);
        let held: Vec<OwnToken> = [3_u32, 5, 1, 4, 2]
            .iter()
            .map(|minutes| {
                own_tokens.keep(&ana, format!("t{minutes}").as_bytes(), now + MINUTE * *minutes, now)
            })
            .collect();
        assert_eq!(tokens(&own_tokens, &ana, now), ["t5", "t4", "t3", "t2"]);
        assert_eq!((own_tokens.count(), held.len()), (TOKENS_MAX, TOKENS_MAX + 1));
        // The same once more is the same, and may hold for longer.
        let number = own_tokens.of(&ana, now)[3].number;
        let _again = own_tokens.keep(&ana, b"t2", now + MINUTE * 9, now);
        assert_eq!((own_tokens.of(&ana, now)[0].number, own_tokens.count()), (number, TOKENS_MAX));
        own_tokens.withdraw(b"t2");
        assert!(!own_tokens.holds(&ana, number, now) && own_tokens.count() == 3);
    }

    #[test]
    fn beyond_so_many_people_nothing_is_held() {
        let (own_tokens, _wanted, now) = wanted();
        let keep = |number: usize| own_tokens.keep(&grant(&number.to_string(), &[]), b"t", now + MINUTE, now);
        let mut held: Vec<OwnToken> = (0..PEOPLE_MAX).map(keep).collect();
        assert!(held.iter().all(OwnToken::is_kept) && !keep(PEOPLE_MAX).is_kept());
        assert!(keep(7).is_kept(), "who is there stays");
        held.pop();
        assert!(keep(PEOPLE_MAX).is_kept(), "who left makes room");
    }

    #[test]
    fn one_person_takes_no_place_of_others() {
        let (own_tokens, _wanted, now) = wanted();
        let keep = |name: &str, scope: usize| {
            own_tokens.keep(&grant(name, &[&scope.to_string()]), b"t", now + MINUTE, now)
        };
        let mut held: Vec<OwnToken> = (0..GRANTS_OF_ONE_MAX).map(|scope| keep("ana", scope)).collect();
        assert!(held.iter().all(OwnToken::is_kept) && !keep("ana", GRANTS_OF_ONE_MAX).is_kept());
        assert!(keep("bob", 0).is_kept() && keep("ana", 0).is_kept());
        held.pop();
        assert!(keep("ana", GRANTS_OF_ONE_MAX).is_kept());
    }

    #[test]
    fn what_cannot_be_sent_is_not_held_and_nothing_is_shown() {
        let (own_tokens, _wanted, now) = wanted();
        let ana = grant("ana", &[]);
        for odd in [&b"\xff"[..], &[b'a'; TOKEN_BYTES_MAX + 1]] {
            assert!(!own_tokens.keep(&ana, odd, now + MINUTE, now).is_kept());
        }
        assert!(!own_tokens.keep(&ana, b"t", now, now).is_kept(), "it has ended");
        let held = own_tokens.keep(&ana, b"c4nary", now + MINUTE, now);
        let grant = Grant { own_token: held, ..ana };
        assert!(!format!("{grant:?} {own_tokens:?}").contains("c4nary"));
    }
}
