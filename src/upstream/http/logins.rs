//! Whose login is shown on a link.
//!
//! Owns a keeper for each login of one server: one that all share whom we serve, or, where the configuration says so, one for
//! each principal. Who says nothing of himself has none, unless the server is lent to anybody.

use super::super::oauth::{EVERYBODY, Keeper, Store};
use crate::config::{OAuth, Remote};
use crate::mcp::caller::Principal;
use parking_lot::Mutex;
use reqwest::Url;
use std::collections::BTreeMap;
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
}

impl Logins {
    /// `None`: none is looked for.
    pub(super) fn of(server: &str, remote: &Remote, store: Option<Store>, lends: bool) -> Option<Self> {
        let oauth = OAuth::clone(remote.oauth.as_ref()?);
        let url = Url::parse(&remote.url).ok()?;
        let (ca_file, keepers) = (remote.ca_file.clone(), Mutex::default());
        Some(Self { server: server.to_owned(), url, oauth, ca_file, store, lends, keepers })
    }

    /// That of a principal, if it may have one.
    pub(super) fn of_whom(&self, whose: Option<&Principal>) -> Option<Arc<Keeper>> {
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

    fn logins(is_per_principal: bool, lends: bool) -> Logins {
        let oauth = OAuth { is_per_principal, ..OAuth::default() };
        let remote = Remote { oauth: Some(Box::new(oauth)), ..Remote::new("https://far.test/mcp") };
        Logins::of("far", &remote, None, lends).unwrap()
    }

    #[test]
    fn h08_who_says_nothing_of_himself_has_no_login() {
        for is_per_principal in [false, true] {
            assert!(logins(is_per_principal, false).of_whom(Some(&Principal::anonymous())).is_none());
            assert!(logins(is_per_principal, true).of_whom(Some(&Principal::anonymous())).is_some());
        }
    }

    #[test]
    fn each_has_his_own_where_that_is_wanted() {
        let (local, bearer) = (Principal::local(), Principal::bearer());
        let is_one = |logins: &Logins| {
            let of = |whose| logins.of_whom(Some(whose)).unwrap();
            let (one, other) = (of(&local), of(&bearer));
            Arc::ptr_eq(&one, &other)
        };
        assert!(is_one(&logins(false, false)) && !is_one(&logins(true, false)));
    }

    #[test]
    fn those_that_no_link_has_are_forgotten() {
        let logins = logins(true, false);
        let kept = logins.of_whom(Some(&Principal::local())).unwrap();
        for number in 0..99 {
            logins.of_whom(Some(&Principal::token(&number.to_string()))).unwrap();
        }
        assert_eq!(logins.keepers.lock().len(), 2);
        assert!(Arc::ptr_eq(&kept, &logins.of_whom(Some(&Principal::local())).unwrap()));
    }

    #[test]
    fn where_a_header_is_written_none_is_looked_for() {
        let remote = Remote { oauth: None, ..Remote::new("https://far.test/mcp") };
        assert!(Logins::of("far", &remote, None, true).is_none());
    }
}
