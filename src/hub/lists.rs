//! Keeps one server's lists: all pages of each, fetched anew when the server says that they changed.
//!
//! One task per link. A burst of changes costs two fetches, the one that runs and one more; a list that
//! fails keeps its last good items. Pages, items and bytes are bounded, and cursors that go in circles end. What another run
//! kept of the lists is read by the same reader, and shown until the server is heard.

use super::Hub;
use super::catalog_cache::{Known, Memo, Whose};
use super::views::{Recollection, Standing};
use crate::config::Limits;
use crate::mcp::method::Kind;
use crate::routing::catalog::Holds;
use crate::routing::item::Item;
use crate::upstream::link::{Link, State};
use crate::upstream::server::{LinkKey, Server, Watched};
use crate::wire::fault::Fault;
use crate::wire::members::{elements, member, quote, string};
use crate::wire::message::{Head, Outcome};
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Lists that were fetched whole.
pub(super) type Lists = Vec<(Kind, List)>;

/// One list, and how long it may be kept.
pub(super) struct List {
    pub(super) items: Arc<Vec<Item>>,
    pub(super) holds: Holds,
}

impl List {
    /// Of a server that has none.
    fn none() -> Self {
        Self { items: Arc::default(), holds: Holds::Ever }
    }
}

/// Follows a link for as long as it lives.
pub(super) async fn keep(hub: Arc<Hub>, server: Arc<Server>, mut watched: Watched, whose: Whose) {
    let key = watched.key.clone();
    let mut keeper = Keeper { hub: &hub, server: &server, key: &key, whose, memo: None };
    loop {
        keeper.recall().await;
        let state = watched.state.borrow_and_update().clone();
        match state {
            State::Connecting => {}
            State::Down { .. } => hub.views.stands(server.id(), &key, Standing::Failed),
            State::Ready(link) => {
                link.is_listened_to().await;
                // What was announced before is in the lists that are fetched now.
                watched.audience.changed().take();
                keeper.refresh(&link, &Kind::ALL).await;
                hub.views.stands(server.id(), &key, Standing::Heard);
                keeper.remember(&link).await;
                keeper.follow(&link, &mut watched).await;
                continue;
            }
        }
        if watched.state.changed().await.is_err() {
            // It has ended for good; nobody looks at its lists any more.
            if !server.has_another(&key, &watched.audience) {
                hub.views.forget(server.id(), &key);
            }
            return;
        }
    }
}

/// Whose lists are kept, and where.
struct Keeper<'a> {
    hub: &'a Hub,
    server: &'a Server,
    key: &'a LinkKey,
    whose: Whose,
    /// Where they are kept for the next run, if they are, by which edition of the server's setup.
    memo: Option<(u64, Option<Memo>)>,
}

impl Keeper<'_> {
    /// Shows what another run kept of a server that was not heard in this one, as it is reached now. Nothing to do, if that
    /// was done since it is reached so.
    async fn recall(&mut self) {
        let Self { hub, server, key, whose, memo } = self;
        let Some(cache) = hub.catalog_cache() else { return };
        loop {
            let (settings, edition) = server.settings_and_edition();
            if memo.as_ref().is_some_and(|(known, _)| *known == edition) {
                return;
            }
            let (_, memo) = memo.insert((edition, cache.memo(&settings, key, whose).await));
            let Some(memo) = memo.as_ref() else { continue };
            if hub.views.standing(server.id(), key) != Standing::Awaited {
                continue;
            }
            let Some(sheet) = memo.read().await else { continue };
            let mirrors = server.mirrors_in(sheet.revision);
            let lists = Kind::ALL.into_iter().map(|kind| {
                let mut gathered = Gathered::new(kind, &hub.config().limits, mirrors);
                gathered.take(sheet.items(kind));
                // Its time is long over.
                (kind, List { items: Arc::new(gathered.items), holds: Holds::Unsaid })
            });
            let lists = lists.collect();
            let recollection = Recollection {
                capabilities: sheet.capabilities,
                revision: sheet.revision,
                instructions: sheet.instructions.as_deref().map(Arc::from),
            };
            hub.views.recall((server.id(), key), edition, recollection, lists).await;
        }
    }

    /// Keeps the lists as they are now for the next run, if all of them are known.
    async fn remember(&self, link: &Link) {
        // Where it is reached otherwise by now, they are not what is kept of it.
        let Some((edition, Some(memo))) = &self.memo else { return };
        if *edition == link.edition()
            && let Some(lists) = self.hub.views.whole(self.server.id(), self.key, *edition)
        {
            let greeting = link.greeting();
            let known = Known {
                revision: greeting.revision,
                capabilities: &greeting.capabilities,
                instructions: greeting.instructions.as_deref(),
                lists: &lists,
            };
            memo.write(&known).await;
        }
    }

    /// Fetches what the server says has changed, until the link's state changes.
    async fn follow(&self, link: &Link, watched: &mut Watched) {
        let changed = watched.audience.clone();
        let changed = changed.changed();
        let mut next = Instant::now() + BETWEEN_FETCHES;
        loop {
            tokio::select! {
                _ = watched.state.changed() => return,
                () = changed.rung() => {}
            }
            // One that runs and one that is wanted, however many are announced meanwhile.
            sleep_until(next).await;
            let kinds = changed.take();
            if !kinds.is_empty() {
                self.refresh(link, &kinds).await;
                self.remember(link).await;
            }
            next = Instant::now() + BETWEEN_FETCHES;
        }
    }

    async fn refresh(&self, link: &Link, kinds: &[Kind]) {
        let Self { hub, server, .. } = self;
        let declared = kinds.iter().filter(|kind| link.greeting().capabilities.lists(**kind));
        let limits = &hub.config().limits;
        let fetched = declared.map(|kind| async move {
            let mut fetch = Fetch { server, link, kind: *kind, limits, until: None, trouble: None };
            let items = fetch.pages().await;
            let holds = fetch.holds();
            (*kind, items.map(|items| List { items: Arc::new(items), holds }), fetch.trouble)
        });
        let undeclared = kinds.iter().filter(|kind| !link.greeting().capabilities.lists(**kind));
        self.publish(link, undeclared.map(|kind| (*kind, List::none())).collect()).await;
        // Each list counts as soon as it is there: one that hangs holds up no other.
        let mut fetched: FuturesUnordered<_> = fetched.collect();
        while let Some((kind, list, mut trouble)) = fetched.next().await {
            match list {
                Ok(list) => self.publish(link, vec![(kind, list)]).await,
                Err(fault) => trouble = Some(format!("{}; the list is kept as it was", fault.text)),
            }
            if let Some(trouble) = &trouble {
                tracing::warn!(server = server.key(), list = kind.list_method(), "{trouble}");
            }
            hub.views.note_trouble(server.id(), self.key, kind, trouble);
        }
    }

    async fn publish(&self, link: &Link, lists: Lists) {
        let greeting = link.greeting();
        let whose = (self.server.id(), self.key);
        let (capabilities, revision) = (&greeting.capabilities, greeting.revision);
        self.hub.views.publish(whose, link.edition(), capabilities, revision, lists).await;
    }
}

/// The items of one list, as they come.
struct Gathered<'a> {
    kind: Kind,
    limits: &'a Limits,
    /// Calls of its tools repeat arguments in headers.
    mirrors: bool,
    items: Vec<Item>,
    bytes: usize,
    /// Why the list is not all that the server has.
    trouble: Option<String>,
}

/// Whether more of a list is taken.
enum Takes {
    More,
    NoMore,
}

impl<'a> Gathered<'a> {
    fn new(kind: Kind, limits: &'a Limits, mirrors: bool) -> Self {
        Self { kind, limits, mirrors, items: Vec::new(), bytes: 0, trouble: None }
    }

    /// The items of one page, each as its server wrote it.
    fn take(&mut self, page: Vec<&str>) -> Takes {
        let limits = self.limits;
        for text in page {
            self.bytes += text.len();
            if self.items.len() >= limits.list_items_max || self.bytes > limits.list_bytes_max {
                self.left_out("more than limits.list_items or limits.list_size allow: the rest is left out");
                return Takes::NoMore;
            }
            // A copy: an item lives long, and must not keep the whole page in memory.
            let item = match text.len() > limits.list_item_bytes_max {
                true => None,
                false => Item::parse(self.kind, Bytes::copy_from_slice(text.as_bytes())),
            };
            match item {
                None if text.len() > limits.list_item_bytes_max => {
                    self.left_out("an item is larger than limits.list_item: it is left out");
                }
                // Its calls could not be sent (2026-07-28, basic/transports/streamable-http, Schema Extension).
                Some(item) if self.mirrors && item.mirrors().is_err() => {
                    let why = item.mirrors().err().map(ToString::to_string).unwrap_or_default();
                    let name: String = item.own().escape_debug().take(EXCERPT_CHARS_MAX).collect();
                    self.left_out(&format!("the tool `{name}` is left out: {why}"));
                }
                Some(item) => self.items.push(item),
                None => self.left_out("an item has no name: it is left out"),
            }
        }
        Takes::More
    }

    fn left_out(&mut self, why: &str) {
        self.trouble = Some(format!("{}: {why} (BRAID-L004)", self.kind.list_method()));
    }
}

/// One list on its way in.
struct Fetch<'a> {
    server: &'a Server,
    link: &'a Link,
    kind: Kind,
    limits: &'a Limits,
    /// Until when its pages may be kept, the shortest of them.
    until: Option<Instant>,
    /// Why the list is not all that the server has.
    trouble: Option<String>,
}

impl Fetch<'_> {
    /// Every page. A server that declares a capability and knows no method for it has an empty list.
    async fn pages(&mut self) -> Result<Vec<Item>, Fault> {
        let mut gathered = Gathered::new(self.kind, self.limits, self.server.mirrors(self.link));
        let fetched = self.gather(&mut gathered).await;
        self.trouble = gathered.trouble;
        fetched.map(|()| gathered.items)
    }

    async fn gather(&mut self, gathered: &mut Gathered<'_>) -> Result<(), Fault> {
        let mut cursors = HashSet::new();
        let mut cursor: Option<String> = None;
        let (limits, kind) = (self.limits, self.kind);
        for _ in 0..limits.list_pages_max {
            let params = match &cursor {
                None => "{}".to_owned(),
                Some(cursor) => format!(r#"{{"cursor":{}}}"#, quote(cursor)),
            };
            let response = self.server.ask(self.link, kind.list_method(), &params).await?;
            let Head::Response { outcome, .. } = response.head() else { break };
            let result = match outcome {
                Outcome::Result { value, .. } => response.str(*value),
                Outcome::Error { code: Some(METHOD_NOT_FOUND), .. } => return Ok(()),
                Outcome::Error { value, .. } => return Err(self.refused(response.str(*value))),
            };
            let ttl_ms =
                member(result, "ttlMs").and_then(|ttl| ttl.parse().ok()).unwrap_or(0).min(TTL_MS_MAX);
            let until = Instant::now() + Duration::from_millis(ttl_ms);
            self.until = Some(self.until.map_or(until, |before| before.min(until)));
            let Some(page) = member(result, kind.member()).and_then(elements) else {
                return Err(self.refused("the result has no list"));
            };
            if let Takes::NoMore = gathered.take(page) {
                return Ok(());
            }
            // The empty string is a cursor like any other (2026-07-28, server/utilities/pagination).
            cursor = member(result, "nextCursor").and_then(string).map(std::borrow::Cow::into_owned);
            match &cursor {
                None => return Ok(()),
                Some(next) if !cursors.insert(next.clone()) => break,
                Some(_) => {}
            }
        }
        gathered
            .left_out("its pages do not end, or are more than limits.list_pages: what came so far is listed");
        Ok(())
    }

    /// How long the list may be kept from now on. Only a server without a handshake says so.
    fn holds(&self) -> Holds {
        match self.link.greeting().revision.is_modern() {
            true => Holds::Until(self.until.unwrap_or_else(Instant::now).into_std()),
            false => Holds::Unsaid,
        }
    }

    fn refused(&self, why: &str) -> Fault {
        let why = self.link.stream().quoted(why, EXCERPT_CHARS_MAX);
        Fault::plain(0, format!("{}: {} failed: {why}", self.server.key(), self.kind.list_method()))
    }
}

const METHOD_NOT_FOUND: i64 = -32601;
/// A list that may be kept longer is looked at again after a day.
const TTL_MS_MAX: u64 = 24 * 3600 * 1000;
const EXCERPT_CHARS_MAX: usize = 200;
/// The shortest time between two fetches for one link.
const BETWEEN_FETCHES: Duration = Duration::from_millis(250);
