//! Logins that wait for a person whom a client sends to a page of ours.
//!
//! Owns what is open: at which server, for whom, and in which browser. A page is known by an id that nobody guesses, for as long
//! as a person may take. What the browser brings back counts for the browser alone that was sent out from that page: a link that
//! somebody passes on to another is worth nothing. Whether who opens a page is who was asked, is its caller's business.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::Url;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::DropGuard;

use super::super::mail::Mail;
use super::attempt::{Attempt, Granted, SignIn, Wanted, probe};
use super::callback::{COMES_WITHIN, Callback, Port};
use super::discovery::canonical;
use super::registration::Registration;
use super::store::Store;
use super::web::Web;
use crate::config::remote::is_of_this_machine;
use crate::config::{OAuth, Secret};
use crate::mcp::caller::Principal;
use crate::wire::hex::hex;
use crate::wire::members::quote;
use crate::wire::same::is_same;

/// All that are open.
pub struct Desk {
    store: Store,
    open: Mutex<HashMap<Box<str>, Open>>,
}

/// What somebody is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The server's key, for people.
    pub server: String,
    pub url: Url,
    pub oauth: OAuth,
    pub ca_file: Option<PathBuf>,
    /// Whose login it becomes: what it is kept under.
    pub whose: String,
    /// Whom the client that was asked speaks for.
    pub asked: Principal,
}

/// Where a page is, and where browsers come back to.
pub struct Placed {
    pub page: String,
    /// From where people log in at the server. Another for each server: what one issuer sends back must not pass for another's,
    /// and not all of them say who they are (RFC 9700, 4.4.2).
    pub from_server: String,
    /// From where they say who they are.
    pub from_sign_in: String,
    /// What is there for this page alone, and ends with it.
    pub held: Option<DropGuard>,
}

struct Open {
    wish: Arc<Wish>,
    placed: Placed,
    number: Arc<str>,
    until: Instant,
    begun: usize,
    /// What an issuer gave us for this page.
    registered: Option<Registration>,
    wrong: usize,
    /// The last comes last.
    away: Vec<Away>,
    done: watch::Sender<bool>,
    told: Vec<Weak<Mail>>,
}

/// What is needed to send a browser out.
struct Begins {
    wish: Arc<Wish>,
    from_server: String,
    from_sign_in: String,
    registered: Option<Registration>,
}

/// A page that is open.
pub struct Looked {
    pub wish: Arc<Wish>,
    /// Where it is.
    pub page: String,
}

/// A browser that was sent out.
struct Away {
    attempt: Attempt,
    web: Web,
    browser: Secret,
    is_sign_in: bool,
}

/// A page, as a client is told of it.
#[derive(Clone)]
pub struct Ticket {
    page: Arc<str>,
    number: Arc<str>,
    done: watch::Receiver<bool>,
}

/// Where a browser is sent, and what it must bring back as a cookie.
pub struct Sent {
    pub url: Url,
    /// What is asked for there.
    pub scopes: Vec<String>,
    pub browser: Secret,
}

/// What a browser has brought.
pub enum Came {
    /// A token of our own identity provider, which says who is there.
    SignedIn {
        id: String,
        token: Secret,
    },
    LoggedIn(Finished),
}

/// A login that is kept by now, and of which nobody was told yet.
pub struct Finished {
    pub wish: Arc<Wish>,
    number: Arc<str>,
    done: watch::Sender<bool>,
    told: Vec<Weak<Mail>>,
    /// The page has an answer to give.
    _held: Option<DropGuard>,
}

/// Why what a browser brought is no login.
#[derive(Debug, PartialEq, Eq)]
pub enum Unwanted {
    /// Nobody waits for it, or not in this browser.
    Unknown,
    /// A sentence that goes on after the server's name, and the page where it can be tried again.
    Failed { server: String, why: String, page: String },
}

impl Desk {
    /// Logins are kept there.
    pub fn new(store: Store) -> Self {
        Self { store, open: Mutex::default() }
    }

    /// A page for this wish: the one that is open for it, or another. `place`: where that of an id is to be, and to which port
    /// the browser comes back if it comes back to this machine. `None`: there is no place, or too many are open.
    pub fn open(&self, wish: Wish, place: impl FnOnce(&str, Port) -> Option<Placed>) -> Option<Ticket> {
        let known = self.open.lock().values().find(|open| *open.wish == wish).map(Open::ticket);
        let port = if known.is_none() { self.port(&wish) } else { Port::Any };
        let mut open = self.open.lock();
        let now = Instant::now();
        open.retain(|_, open| now < open.until);
        if let Some(known) = open.values().find(|open| *open.wish == wish) {
            return Some(known.ticket());
        }
        let of_one = open.values().filter(|open| open.wish.asked == wish.asked).count();
        if open.len() >= OPEN_MAX || of_one >= OPEN_OF_ONE_MAX {
            return None;
        }
        let (id, number) = (random()?, random()?);
        let fresh = Open {
            placed: place(&id, port)?,
            wish: Arc::new(wish),
            number: number.into(),
            until: now + COMES_WITHIN,
            begun: 0,
            registered: None,
            wrong: 0,
            away: Vec::new(),
            done: watch::Sender::new(false),
            told: Vec::new(),
        };
        let ticket = fresh.ticket();
        open.insert(id.into(), fresh);
        Some(ticket)
    }

    /// Reads a small file.
    fn port(&self, wish: &Wish) -> Port {
        Port::of(&wish.oauth, || {
            let kept = self.store.read().ok()?;
            kept.login(&canonical(&wish.url), &wish.whose)?.callback_port()
        })
    }

    /// Has a client told, as 2025-11-25 has it, when the login is there.
    pub fn tells(&self, ticket: &Ticket, mail: &Arc<Mail>) {
        let mut open = self.open.lock();
        let Some(open) = open.values_mut().find(|open| open.number == ticket.number) else { return };
        open.told.retain(|told| told.strong_count() > 0);
        let is_known = open.told.iter().any(|told| told.as_ptr() == Arc::as_ptr(mail));
        if !is_known && open.told.len() < TOLD_MAX {
            open.told.push(Arc::downgrade(mail));
        }
    }

    /// A page, if it is open.
    pub fn look(&self, id: &str) -> Option<Looked> {
        let open = self.open.lock();
        let open = open.get(id).filter(|open| Instant::now() < open.until)?;
        Some(Looked { wish: open.wish.clone(), page: open.placed.page.clone() })
    }

    /// Somebody opened the page who is not who was asked. It is closed to all when that goes on.
    pub fn is_not_who_was_asked(&self, id: &str) {
        let mut open = self.open.lock();
        if let Some(page) = open.get_mut(id) {
            page.wrong += 1;
            if page.wrong >= WRONG_MAX {
                open.remove(id);
            }
        }
    }

    /// Sends the browser out to log in. `browsers`: what it was given before, for this page and for others.
    pub async fn begin(&self, id: &str, browsers: &[String]) -> Result<Sent, String> {
        let Begins { wish, from_server, registered, .. } = self.begins(id)?;
        let begun = async {
            let web = Web::begin(&wish.url, wish.oauth.issuer.as_deref(), wish.ca_file.as_deref()).await;
            let web = web.map_err(|error| error.to_string())?;
            let probed = probe(&web, &wish.url).await.map_err(|error| error.to_string())?;
            let mut kept = self.store.apart(Store::read).await.map_err(|error| error.to_string())?;
            kept.registrations.extend(registered);
            let before = kept.login(&canonical(&wish.url), &wish.whose);
            let (server, oauth, challenge) = (&wish.url, &wish.oauth, probed.1.as_ref());
            let wanted = Wanted { server, oauth, challenge, before };
            let attempt = Attempt::begin(&web, &wanted, &from_server, &kept).await;
            Ok::<_, String>((attempt.map_err(|error| error.to_string())?, web))
        };
        let (attempt, web) = timeout(BEGINS_WITHIN, begun).await.map_err(|_| slow())??;
        self.sends(id, browsers, (attempt, web), false)
    }

    /// Sends the browser out to our own identity provider, to say who is there.
    pub async fn sign_in(&self, id: &str, browsers: &[String], sign_in: &SignIn) -> Result<Sent, String> {
        let Begins { from_sign_in, .. } = self.begins(id)?;
        let begun = async {
            let issuer = Url::parse(&sign_in.issuer).map_err(|_| "has no usable issuer".to_owned())?;
            let web = Web::begin(&issuer, None, sign_in.ca_file.as_deref()).await;
            let web = web.map_err(|error| error.to_string())?;
            let attempt = Attempt::sign_in(&web, sign_in, &from_sign_in).await;
            Ok::<_, String>((attempt.map_err(|error| error.to_string())?, web))
        };
        let (attempt, web) = timeout(BEGINS_WITHIN, begun).await.map_err(|_| slow())??;
        self.sends(id, browsers, (attempt, web), true)
    }

    fn begins(&self, id: &str) -> Result<Begins, String> {
        let mut open = self.open.lock();
        let page = open.get_mut(id).filter(|page| Instant::now() < page.until).ok_or_else(over)?;
        if page.begun >= BEGUN_MAX {
            return Err(over());
        }
        page.begun += 1;
        Ok(Begins {
            wish: page.wish.clone(),
            from_server: page.placed.from_server.clone(),
            from_sign_in: page.placed.from_sign_in.clone(),
            registered: page.registered.clone(),
        })
    }

    fn sends(
        &self,
        id: &str,
        browsers: &[String],
        (attempt, web): (Attempt, Web),
        is_sign_in: bool,
    ) -> Result<Sent, String> {
        let (url, scopes) = (attempt.url().clone(), attempt.scopes().to_vec());
        if url.scheme() != "https" && !is_of_this_machine(&url) {
            return Err("wants people to log in at a page that is not https".to_owned());
        }
        let fresh = Secret::new(random().ok_or_else(|| "there is no randomness".to_owned())?);
        let mut open = self.open.lock();
        let page = open.get_mut(id).ok_or_else(over)?;
        if !is_sign_in {
            page.registered = Some(attempt.registration().clone());
        }
        // Two tabs of one browser may both be out.
        let same = page.away.iter().find(|away| away.is_of(browsers)).map(|away| away.browser.clone());
        let browser = same.unwrap_or(fresh);
        if page.away.len() >= AWAY_MAX {
            page.away.remove(0);
        }
        page.away.push(Away { attempt, web, browser: browser.clone(), is_sign_in });
        Ok(Sent { url, scopes, browser })
    }

    /// Takes what a browser brings, once, if it is one that was sent out and comes back where it was to come. `browsers`: what
    /// it was given then, for this page and for others.
    pub async fn come_back(&self, to: &str, browsers: &[String], query: &str) -> Result<Came, Unwanted> {
        let (state, callback) = Callback::read(query).ok_or(Unwanted::Unknown)?;
        let (id, away, finished, page) = {
            let mut open = self.open.lock();
            let now = Instant::now();
            open.retain(|_, open| now < open.until);
            let is_it = |away: &Away| {
                is_same(away.attempt.state().expose().as_bytes(), state.expose().as_bytes())
                    && away.attempt.redirect_uri() == to
                    && away.is_of(browsers)
            };
            let mut all = open.iter_mut();
            let found = all.find_map(|(id, open)| Some((id, open.away.iter().position(is_it)?, open)));
            let (id, at, open) = found.ok_or(Unwanted::Unknown)?;
            let away = open.away.remove(at);
            (id.to_string(), away, open.finished(), open.placed.page.clone())
        };
        let wish = &finished.wish;
        let failed = |why: String| Unwanted::Failed { server: wish.server.clone(), why, page: page.clone() };
        let Away { attempt, web, is_sign_in, .. } = away;
        let Granted(login) = attempt
            .finish(&web, callback, &wish.url, &wish.whose)
            .await
            .map_err(|error| failed(error.to_string()))?;
        if is_sign_in {
            return Ok(Came::SignedIn { id, token: login.token() });
        }
        let kept = self.store.apart(move |store| store.change(|all| all.keep(login))).await;
        kept.map_err(|error| failed(error.to_string()))?;
        tracing::info!(event = "login", server = wish.server, principal = wish.asked.as_str(), "logged in");
        // It may be over by now, for whatever reason: the login is there.
        let held = self.open.lock().remove(&*id).and_then(|open| open.placed.held);
        Ok(Came::LoggedIn(Finished { _held: held, ..finished }))
    }
}

impl Away {
    fn is_of(&self, browsers: &[String]) -> bool {
        browsers.iter().any(|it| is_same(it.as_bytes(), self.browser.expose().as_bytes()))
    }
}

impl Open {
    fn finished(&self) -> Finished {
        let (wish, number) = (self.wish.clone(), self.number.clone());
        Finished { wish, number, done: self.done.clone(), told: self.told.clone(), _held: None }
    }

    fn ticket(&self) -> Ticket {
        let page = Arc::from(&*self.placed.page);
        Ticket { page, number: self.number.clone(), done: self.done.subscribe() }
    }
}

impl Finished {
    /// The clients that were sent there hear of it, and who waits goes on.
    pub fn tell(self) {
        self.done.send_replace(true);
        let text = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{{"elicitationId":{}}}}}"#,
            quote(&self.number)
        );
        let text = Bytes::from(text);
        for mail in self.told.iter().filter_map(Weak::upgrade) {
            mail.tell(text.clone());
        }
    }
}

impl Ticket {
    /// Where the person is to go.
    pub fn page(&self) -> &str {
        &self.page
    }

    /// What 2025-11-25 calls it.
    pub fn number(&self) -> &str {
        &self.number
    }

    /// Waits until the login is there, or so long at most. Cancel-safe.
    pub async fn settled(mut self, within: Duration) -> bool {
        timeout(within, self.done.wait_for(|done| *done)).await.is_ok_and(|done| done.is_ok())
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}

fn over() -> String {
    "is asked for on this page no more; let your client call once again".to_owned()
}

fn slow() -> String {
    "takes too long to say where people log in".to_owned()
}

fn random() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(hex(&bytes))
}

/// Pages that may be open, in all and for one principal.
const OPEN_MAX: usize = 1024;
const OPEN_OF_ONE_MAX: usize = 8;
/// Clients that are told of one login.
const TOLD_MAX: usize = 16;
/// Browsers, or tabs of one, that may be out from one page at once.
const AWAY_MAX: usize = 3;
/// How often a browser may be sent out from one page, and how often somebody else may try.
const BEGUN_MAX: usize = 10;
const WRONG_MAX: usize = 5;
/// How long it may take to find where people log in.
const BEGINS_WITHIN: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Grant;

    fn desk(folder: &tempfile::TempDir) -> Desk {
        Desk::new(Store::at(folder.path().join("logins.json")))
    }

    fn wish(server: &str, asked: &Principal) -> Wish {
        Wish {
            server: server.to_owned(),
            url: Url::parse("https://far.test/mcp").unwrap(),
            oauth: OAuth { grant: Grant::Code, ..OAuth::default() },
            ca_file: None,
            whose: "*".to_owned(),
            asked: asked.clone(),
        }
    }

    fn place(id: &str, _: Port) -> Option<Placed> {
        let (from_server, from_sign_in) = (String::new(), String::new());
        Some(Placed { page: format!("https://gw.test/login/{id}"), from_server, from_sign_in, held: None })
    }

    fn id(ticket: &Ticket) -> String {
        ticket.page().rsplit('/').next().unwrap().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_one_page_for_one_wish_for_as_long_as_a_person_may_take() {
        let folder = tempfile::tempdir().unwrap();
        let (desk, ann) = (desk(&folder), Principal::token("ann"));
        let first = desk.open(wish("far", &ann), place).unwrap();
        assert_eq!(desk.open(wish("far", &ann), |_, _| None).unwrap().page(), first.page());
        assert!(desk.open(wish("other", &ann), |_, _| None).is_none(), "there is no place for another");
        assert_ne!(desk.open(wish("far", &Principal::token("bob")), place).unwrap().page(), first.page());
        assert!(desk.look(&id(&first)).is_some() && desk.look("0").is_none());
        tokio::time::advance(COMES_WITHIN).await;
        assert!(desk.look(&id(&first)).is_none());
        assert!(!first.clone().settled(Duration::ZERO).await);
        let next = desk.open(wish("far", &ann), place).unwrap();
        assert_ne!(next.page(), first.page());
        assert_eq!(desk.open.lock().len(), 1, "what is over is forgotten");
    }

    #[tokio::test]
    async fn pages_are_bounded_in_all_and_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let desk = desk(&folder);
        let mut open = 0;
        for person in 0..OPEN_MAX / 4 {
            let person = Principal::token(&person.to_string());
            let all = (0..=OPEN_OF_ONE_MAX).filter_map(|at| desk.open(wish(&at.to_string(), &person), place));
            let count = all.count();
            assert!(count <= OPEN_OF_ONE_MAX);
            open += count;
        }
        assert_eq!((open, desk.open.lock().len()), (OPEN_MAX, OPEN_MAX));
    }

    #[tokio::test]
    async fn a_page_is_tried_so_often_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let (desk, ann) = (desk(&folder), Principal::token("ann"));
        let page = id(&desk.open(wish("far", &ann), place).unwrap());
        for _ in 1..WRONG_MAX {
            desk.is_not_who_was_asked(&page);
        }
        assert!(desk.look(&page).is_some());
        desk.is_not_who_was_asked(&page);
        assert!(desk.look(&page).is_none(), "it is closed to all");
        let page = id(&desk.open(wish("far", &ann), place).unwrap());
        let begun = (0..=BEGUN_MAX).filter(|_| desk.begins(&page).is_ok()).count();
        assert_eq!((begun, desk.look(&page).is_some()), (BEGUN_MAX, true), "whoever is out may come back");
    }

    #[tokio::test]
    async fn clients_are_told_once_each() {
        let folder = tempfile::tempdir().unwrap();
        let desk = desk(&folder);
        let ticket = desk.open(wish("far", &Principal::local()), place).unwrap();
        let clients: Vec<Arc<Mail>> = (0..TOLD_MAX + 4).map(|_| Arc::default()).collect();
        for client in clients.iter().chain(&clients) {
            desk.tells(&ticket, client);
        }
        assert_eq!(desk.open.lock()[&*id(&ticket)].told.len(), TOLD_MAX);
        drop(clients);
        desk.tells(&ticket, &Arc::default());
        assert_eq!(desk.open.lock()[&*id(&ticket)].told.len(), 1, "who has left is forgotten");
    }
}
