//! Whose login is shown on a link.
//!
//! Owns a keeper for each login of one server: one that all share whom we serve, or, where the configuration says so, one for
//! each principal. Where what is shown is made of the caller's own token, it is one for each principal and what its token says.
//! Who says nothing of himself has none, unless the server is lent to anybody.

use super::super::oauth::{EVERYBODY, Exchanged, Exchanger, Keeper, Store, TokenSource};
use crate::config::{self, OAuth, Remote};
use crate::mcp::caller::{Grant, Principal};
use crate::mcp::own_token::OwnTokens;
use parking_lot::Mutex;
use reqwest::Url;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

pub(super) struct Logins {
    server: String,
    url: Url,
    oauth: OAuth,
    ca_file: Option<PathBuf>,
    store: Option<Store>,
    lends: bool,
    /// By whose they are. Only links have them for longer: one without is forgotten when another comes.
    keepers: Mutex<BTreeMap<String, Arc<Keeper>>>,
    /// By which grant they are. They are forgotten as keepers are.
    exchanged: Mutex<HashMap<Grant, Arc<Exchanged>>>,
    /// Who has tokens made of callers', where they are.
    exchanger: Option<Arc<Exchanger>>,
}

impl Logins {
    /// `None`: none is looked for. `own_tokens`: where the tokens of callers are.
    pub(super) fn of(
        server: &str,
        remote: &Remote,
        store: Option<Store>,
        own_tokens: &Arc<OwnTokens>,
        lends: bool,
    ) -> Option<Self> {
        let oauth = OAuth::clone(remote.oauth.as_ref()?);
        let url = Url::parse(&remote.url).ok()?;
        let (ca_file, keepers) = (remote.ca_file.clone(), Mutex::default());
        let exchanger = (oauth.grant == config::Grant::Exchange).then(|| {
            let trusted = ca_file.clone().or_else(|| oauth.issuer_ca_file.clone());
            Arc::new(Exchanger::new(&url, oauth.clone(), trusted, own_tokens.clone()))
        });
        let (server, exchanged) = (server.to_owned(), Mutex::default());
        Some(Self { server, url, oauth, ca_file, store, lends, keepers, exchanged, exchanger })
    }

    /// Where the token comes from that is shown in a name; `None`: none may be. Nobody named: what serves everybody.
    pub(super) fn of_whom(&self, whose: Option<&Grant>) -> Option<TokenSource> {
        match &self.exchanger {
            Some(exchanger) => {
                // A link that is nobody's is nobody's whose token was shown.
                let nobody = Grant::plain(Principal::anonymous());
                let source = self.made_for(whose.unwrap_or(&nobody), exchanger);
                Some(TokenSource::Exchanged(source))
            }
            None => self.kept_for(whose.map(|whose| &whose.principal)).map(TokenSource::Kept),
        }
    }

    fn made_for(&self, whose: &Grant, exchanger: &Arc<Exchanger>) -> Arc<Exchanged> {
        let mut exchanged = self.exchanged.lock();
        if let Some(known) = exchanged.get(whose) {
            return known.clone();
        }
        exchanged.retain(|_, one| Arc::strong_count(one) > 1);
        let made = Arc::new(Exchanged::new(&self.server, whose.bare(), exchanger.clone()));
        exchanged.insert(whose.bare(), made.clone());
        made
    }

    fn kept_for(&self, whose: Option<&Principal>) -> Option<Arc<Keeper>> {
        if !self.lends && whose.is_some_and(|whose| *whose == Principal::anonymous()) {
            return None;
        }
        let name = match whose {
            Some(whose) if self.oauth.is_per_principal => whose.as_str(),
            Some(_) | None => EVERYBODY,
        };
        let mut keepers = self.keepers.lock();
        if let Some(known) = keepers.get(name) {
            return Some(known.clone());
        }
        keepers.retain(|_, keeper| Arc::strong_count(keeper) > 1);
        let kept = (self.ca_file.clone(), self.store.clone());
        let made = Arc::new(Keeper::new(&self.server, &self.url, name, self.oauth.clone(), kept));
        keepers.insert(name.to_owned(), made.clone());
        Some(made)
    }

    /// What was known of each is looked up once more.
    pub(super) fn look_again(&self) {
        self.keepers.lock().values().for_each(|keeper| keeper.forget());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::caller::Scopes;

    fn logins(is_per_principal: bool, lends: bool) -> Logins {
        let oauth = OAuth { is_per_principal, ..OAuth::default() };
        let remote = Remote { oauth: Some(Box::new(oauth)), ..Remote::new("https://far.test/mcp") };
        Logins::of("far", &remote, None, &Arc::default(), lends).unwrap()
    }

    #[test]
    fn h08_who_says_nothing_of_himself_has_no_login() {
        for is_per_principal in [false, true] {
            let nobody = Grant::plain(Principal::anonymous());
            assert!(logins(is_per_principal, false).of_whom(Some(&nobody)).is_none());
            assert!(logins(is_per_principal, true).of_whom(Some(&nobody)).is_some());
        }
    }

    #[test]
    fn each_has_his_own_where_that_is_wanted() {
        let (local, bearer) = (Principal::local(), Principal::bearer());
        let is_one = |logins: &Logins| {
            let of = |whose| logins.kept_for(Some(whose)).unwrap();
            let (one, other) = (of(&local), of(&bearer));
            Arc::ptr_eq(&one, &other)
        };
        assert!(is_one(&logins(false, false)) && !is_one(&logins(true, false)));
    }

    #[test]
    fn those_that_no_link_has_are_forgotten() {
        let logins = logins(true, false);
        let kept = logins.kept_for(Some(&Principal::local())).unwrap();
        for number in 0..99 {
            logins.kept_for(Some(&Principal::token(&number.to_string()))).unwrap();
        }
        assert_eq!(logins.keepers.lock().len(), 2);
        assert!(Arc::ptr_eq(&kept, &logins.kept_for(Some(&Principal::local())).unwrap()));
    }

    #[test]
    fn h07_what_is_made_for_a_grant_is_shown_under_no_other() {
        let oauth = OAuth { grant: config::Grant::Exchange, ..OAuth::default() };
        let remote = Remote { oauth: Some(Box::new(oauth)), ..Remote::new("https://far.test/mcp") };
        let own_tokens = Arc::<OwnTokens>::default();
        // To lend what we have to anybody lends nobody what another showed.
        let logins = Logins::of("far", &remote, None, &own_tokens, true).unwrap();
        assert!(own_tokens.are_wanted());
        let grant = |name: &str, scopes: &[&str]| {
            Grant::of(Principal::oauth(name), Scopes::of(scopes.iter().copied()).unwrap())
        };
        let grants = [
            grant("ana", &["read"]),
            grant("ana", &["read", "write"]),
            grant("bob", &["read"]),
            grant("ana", &[]),
            Grant::plain(Principal::anonymous()),
        ];
        let of = |grant: &Grant| match logins.of_whom(Some(grant)).unwrap() {
            TokenSource::Exchanged(exchanged) => exchanged,
            TokenSource::Kept(_) => panic!("nobody has logged in"),
        };
        let made: Vec<Arc<Exchanged>> = grants.iter().map(of).collect();
        for (at, grant) in grants.iter().enumerate() {
            let found: Vec<bool> = made.iter().map(|one| Arc::ptr_eq(one, &of(grant))).collect();
            assert_eq!(found.iter().position(|is_it| *is_it), Some(at));
            assert_eq!(found.iter().filter(|is_it| **is_it).count(), 1);
        }
        drop(made);
        let another = of(&grant("zoe", &[]));
        assert_eq!(logins.exchanged.lock().len(), 1, "those that no link has are forgotten");
        drop((another, logins));
        assert!(!own_tokens.are_wanted());
    }

    #[test]
    fn where_a_header_is_written_none_is_looked_for() {
        let remote = Remote { oauth: None, ..Remote::new("https://far.test/mcp") };
        assert!(Logins::of("far", &remote, None, &Arc::default(), true).is_none());
    }
}
