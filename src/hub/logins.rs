//! Where clients are sent whose server wants a login.
//!
//! Owns who is asked: a client that can be sent to a page, for a person who can prove there to be the one who was asked, and
//! only for a login that is that person's to make. All others read what to do in the error. What is on the page is a door's
//! business, what a login is, `upstream::oauth`'s.

use super::Hub;
use super::seat::Seat;
use crate::config::codes::Code;
use crate::config::{Grant, OAuth, Reach, ServerConfig};
use crate::mcp::askable::Askable;
use crate::mcp::caller::Principal;
use crate::upstream::oauth::{Desk, EVERYBODY, Placed, Port, Ticket, Wish};
use crate::wire::fault::Fault;
use reqwest::Url;
use std::sync::Arc;

/// Where pages are.
pub trait Mount: Send + Sync {
    /// Whether whoever opens a page can prove to be this one.
    fn knows(&self, whose: &Principal) -> bool;

    /// The place of the page with this id, for a login at this server. `port`: where the browser comes back to if it comes back
    /// to this machine.
    fn place(&self, id: &str, server: &str, port: Port) -> Option<Placed>;
}

/// What a run has to send its clients there.
pub struct Logins {
    pub desk: Arc<Desk>,
    pub mount: Box<dyn Mount>,
}

impl Hub {
    /// From now on clients are sent to pages. Of two the first holds.
    pub fn sends_to_pages(&self, logins: Logins) {
        self.logins.set(logins).ok();
    }

    /// The page that this client may be sent to because of this fault.
    #[cold]
    pub fn page_for(&self, fault: &Fault, seat: &Seat, askable: &Askable) -> Option<Ticket> {
        let logins = self.logins.get()?;
        let whose = &seat.caller().principal;
        if !askable.url || !logins.mount.knows(whose) {
            return None;
        }
        let edition = self.edition();
        let key = fault.server.as_deref()?;
        let server = edition.settings.iter().find(|server| server.key == key)?;
        let wish = wish(server, whose)?;
        let ticket = logins.desk.open(wish, |id, port| logins.mount.place(id, key, port))?;
        logins.desk.tells(&ticket, seat.mail());
        Some(ticket)
    }

    /// There is another login at this server: what waited for one goes on.
    pub fn has_login(&self, key: &str) {
        let edition = self.edition();
        for server in edition.servers().iter().filter(|server| server.key() == key) {
            server.has_login();
        }
    }
}

/// Whether a fault is that a login is needed.
pub fn is_about_login(fault: &Fault) -> bool {
    fault.explain == Some(Code::LoginNeeded)
}

fn wish(server: &ServerConfig, whose: &Principal) -> Option<Wish> {
    let Reach::Http(remote) = &server.reach else { return None };
    let oauth = OAuth::clone(remote.oauth.as_ref()?);
    let is_by_hand = oauth.grant == Grant::Code;
    // What all of us share is not one guest's to choose.
    let is_ones = oauth.is_per_principal && !whose.is_anonymous();
    let is_owner = [Principal::local(), Principal::bearer()].contains(whose);
    if !is_by_hand || !(is_ones || is_owner) {
        return None;
    }
    let whose_login = if oauth.is_per_principal { whose.as_str() } else { EVERYBODY };
    Some(Wish {
        server: server.key.clone(),
        url: Url::parse(&remote.url).ok()?,
        ca_file: remote.ca_file.clone(),
        whose: whose_login.to_owned(),
        asked: whose.clone(),
        oauth,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Remote;

    fn asked(oauth: OAuth, whose: &Principal) -> Option<String> {
        let remote = Remote { oauth: Some(Box::new(oauth)), ..Remote::new("https://far.test/mcp") };
        let server = ServerConfig::new("far", Reach::Http(remote));
        wish(&server, whose).map(|wish| wish.whose)
    }

    #[test]
    fn h08_a_login_for_all_is_its_owners_to_make() {
        let all = OAuth::default;
        let each = || OAuth { is_per_principal: true, ..OAuth::default() };
        let machine = || OAuth { grant: Grant::Client, ..OAuth::default() };
        for (whose, of_all, of_each) in [
            (Principal::local(), Some("*"), Some("local")),
            (Principal::bearer(), Some("*"), Some("bearer")),
            (Principal::token("ci"), None, Some("token:ci")),
            (Principal::oauth("ann"), None, Some("oauth:ann")),
            (Principal::certificate("ann"), None, Some("cert:ann")),
            (Principal::anonymous(), None, None),
        ] {
            assert_eq!(asked(all(), &whose).as_deref(), of_all, "{whose:?}");
            assert_eq!(asked(each(), &whose).as_deref(), of_each, "{whose:?}");
            assert_eq!(asked(machine(), &whose), None, "{whose:?}");
        }
    }
}
