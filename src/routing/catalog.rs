//! All servers' lists, merged: what clients see, and where each exposed name leads.
//!
//! Owns the exposed names and the rendered items of one moment; a change is a new `Catalog`. Merging is a
//! pure function of the servers' lists in the order of the configuration, so neither arrival nor a restart
//! shows in it. It renders lazily: one text per page and revision in use.

use super::cursor::{self, ListDigest};
use super::item::Item;
use super::names::{Change, NamePlan};
use super::uris::UriMap;
use crate::mcp::capabilities::Capabilities;
use crate::mcp::fit;
use crate::mcp::method::Kind;
use crate::mcp::mirror::Mirrors;
use crate::mcp::revision::Revision;
use bytes::{BufMut, Bytes, BytesMut};
use foldhash::fast::RandomState;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// What one server offers, as last heard. Empty until it was heard for the first time.
#[derive(Debug, Clone, Default)]
pub struct Offer {
    pub presence: Presence,
    pub capabilities: Capabilities,
    /// Whether refs to this server are worth completing.
    pub completes: bool,
    /// The revision that it is spoken to in.
    pub spoken: Option<Revision>,
    /// Its lists, by `Kind::index`.
    pub lists: [Arc<Vec<Item>>; 4],
    /// How long each may be kept.
    pub holds: [Holds; 4],
}

/// How long a list may be kept. The first is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Holds {
    /// Nobody has said: not at all.
    #[default]
    Unsaid,
    Until(Instant),
    /// Its server has no such list, and has said so.
    Ever,
}

/// Whether a server is among those that a catalog shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Presence {
    #[default]
    Shown,
    /// None of its items is there and nothing leads to it, but what it lists counts where names must not meet: the
    /// others are called as they are where it is shown.
    Named,
}

/// An item as clients see it, and whose it is.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its server's place in the configuration.
    pub server: usize,
    pub own: Arc<str>,
    pub exposed: Box<str>,
    pub change: Change,
    /// A tool that can only be called as a task.
    pub needs_task: bool,
    /// Which of its arguments stand in headers as well.
    pub mirrors: Option<Arc<Mirrors>>,
    spoken: Option<Revision>,
    text: Bytes,
}

impl Entry {
    /// The item as rendered for clients of the latest revision.
    pub fn text(&self) -> &Bytes {
        &self.text
    }
}

/// All servers' lists, merged. Immutable; within it, exposed name to (server, own name) is one to one.
#[derive(Debug)]
pub struct Catalog {
    shelves: [Arc<Shelf>; 4],
    servers: Vec<Claim>,
    page_items_max: usize,
}

/// What one server can be asked about beyond what it lists.
#[derive(Debug)]
struct Claim {
    /// `None`: it is not shown, and nothing leads to it.
    uris: Option<UriMap>,
    offers_resources: bool,
    completes: bool,
}

#[derive(Debug)]
struct Shelf {
    entries: Vec<Entry>,
    by_exposed: HashMap<Box<str>, usize, RandomState>,
    by_own: HashMap<Arc<str>, Vec<usize>>,
    /// Entries that could not be listed: an earlier server has the same URI and neither may be rewritten.
    hidden: Vec<Entry>,
    digest: ListDigest,
    /// The lists that it was made of, a place for each server.
    sources: Vec<Source>,
    /// No longer than any part of it.
    holds: Holds,
    rendered: [OnceLock<Vec<Bytes>>; Revision::ALL.len()],
}

type Source = (Presence, Holds, Option<Revision>, Arc<Vec<Item>>);

/// The cursor is none of ours, or of a list that has changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaleCursor;

impl Catalog {
    /// `offers` in the order of the plan's servers.
    pub fn merge(plan: &NamePlan, offers: &[Offer], page_items_max: usize) -> Self {
        let servers = claims(plan, offers);
        let shelves = Kind::ALL.map(|kind| Arc::new(Shelf::of(kind, plan, offers, &servers)));
        Self { shelves, servers, page_items_max: page_items_max.max(1) }
    }

    /// The same as a new one of these offers, if this one was made of the same plan. Lists of which none has changed
    /// are not made again.
    pub fn renewed(&self, plan: &NamePlan, offers: &[Offer]) -> Self {
        let servers = claims(plan, offers);
        let shelves = Kind::ALL.map(|kind| match self.shelves.get(kind.index()) {
            Some(shelf) if shelf.is_of(kind, offers) => shelf.clone(),
            Some(_) | None => Arc::new(Shelf::of(kind, plan, offers, &servers)),
        });
        Self { shelves, servers, page_items_max: self.page_items_max }
    }

    /// Every listed item of a kind, in list order.
    pub fn entries(&self, kind: Kind) -> &[Entry] {
        &self.shelf(kind).entries
    }

    /// Items that an earlier server's item of the same URI keeps out of the list.
    pub fn hidden(&self, kind: Kind) -> &[Entry] {
        &self.shelf(kind).hidden
    }

    /// The item with this exposed name.
    pub fn exposed(&self, kind: Kind, name: &str) -> Option<&Entry> {
        let shelf = self.shelf(kind);
        shelf.by_exposed.get(name).and_then(|at| shelf.entries.get(*at))
    }

    /// Every item whose own name this is, in list order.
    pub fn owned(&self, kind: Kind, own: &str) -> impl Iterator<Item = &Entry> {
        let shelf = self.shelf(kind);
        let at = shelf.by_own.get(own).map_or(&[][..], Vec::as_slice);
        at.iter().filter_map(|at| shelf.entries.get(*at))
    }

    pub fn uris(&self, server: usize) -> Option<&UriMap> {
        self.servers.get(server).and_then(|claim| claim.uris.as_ref())
    }

    /// The map of every server that is shown, by place.
    pub fn maps(&self) -> impl Iterator<Item = (usize, &UriMap)> {
        let maps = self.servers.iter().map(|claim| &claim.uris).enumerate();
        maps.filter_map(|(at, map)| map.as_ref().map(|map| (at, map)))
    }

    /// Servers, by place, that declared resources.
    pub fn resource_servers(&self) -> impl Iterator<Item = usize> {
        self.servers.iter().enumerate().filter(|(_, claim)| claim.offers_resources).map(|(at, _)| at)
    }

    /// Whether `completion/complete` is worth asking of this server.
    pub fn completes(&self, server: usize) -> bool {
        self.servers.get(server).is_some_and(|claim| claim.completes)
    }

    /// The content of a list; equal digests are equal bytes.
    pub fn digest(&self, kind: Kind) -> &ListDigest {
        &self.shelf(kind).digest
    }

    /// One page of a list, as the `result` of its method for a client of `revision` that gets it `now`.
    pub fn page(
        &self,
        kind: Kind,
        cursor: Option<&str>,
        revision: Revision,
        now: Instant,
    ) -> Result<Bytes, StaleCursor> {
        let shelf = self.shelf(kind);
        let offset = match cursor {
            None => 0,
            Some(cursor) => cursor::read(kind, &shelf.digest, cursor).ok_or(StaleCursor)?,
        };
        let [first, second, third, fourth, modern] = &shelf.rendered;
        let rendered = match revision {
            Revision::V2024_11_05 => first,
            Revision::V2025_03_26 => second,
            Revision::V2025_06_18 => third,
            Revision::V2025_11_25 => fourth,
            Revision::V2026_07_28 => modern,
        };
        let pages = rendered.get_or_init(|| shelf.render(kind, revision, self.page_items_max));
        if !offset.is_multiple_of(self.page_items_max) {
            return Err(StaleCursor);
        }
        let page = pages.get(offset / self.page_items_max).ok_or(StaleCursor)?;
        Ok(match revision.is_modern() {
            true => kept_for(page, shelf.holds.ttl_ms(now)),
            false => page.clone(),
        })
    }

    fn shelf(&self, kind: Kind) -> &Shelf {
        let [tools, prompts, resources, templates] = &self.shelves;
        match kind {
            Kind::Tools => tools,
            Kind::Prompts => prompts,
            Kind::Resources => resources,
            Kind::Templates => templates,
        }
    }
}

impl Holds {
    /// For how many milliseconds it may be kept that is handed out now.
    fn ttl_ms(self, now: Instant) -> u64 {
        match self {
            Self::Unsaid | Self::Ever => 0,
            Self::Until(until) => {
                u64::try_from(until.saturating_duration_since(now).as_millis()).unwrap_or(u64::MAX)
            }
        }
    }
}

impl Shelf {
    fn of(kind: Kind, plan: &NamePlan, offers: &[Offer], servers: &[Claim]) -> Self {
        let source =
            |offer: &Offer| (offer.presence, holds(offer, kind), offer.spoken, list(offer, kind).clone());
        let sources = offers.iter().map(source).collect();
        let shelf = match kind {
            Kind::Tools | Kind::Prompts => Self::new(kind, sources, named(kind, plan, offers, servers)),
            Kind::Resources | Kind::Templates => Self::new(kind, sources, addressed(kind, offers, servers)),
        };
        let parts = offers.iter().filter(|offer| offer.presence == Presence::Shown);
        let holds = parts.map(|offer| holds(offer, kind)).min();
        Self { holds: holds.unwrap_or_default(), ..shelf }
    }

    /// Whether it would be the same if it were made of these.
    fn is_of(&self, kind: Kind, offers: &[Offer]) -> bool {
        let same = |(source, offer): (&Source, &Offer)| {
            let list = list(offer, kind);
            let (presence, holds_then, spoken, before) = source;
            let same_list = Arc::ptr_eq(before, list) || (before.is_empty() && list.is_empty());
            let same_server = *presence == offer.presence && *spoken == offer.spoken;
            same_server && *holds_then == holds(offer, kind) && same_list
        };
        self.sources.len() == offers.len() && self.sources.iter().zip(offers).all(same)
    }

    fn new(kind: Kind, sources: Vec<Source>, all: impl Iterator<Item = Entry>) -> Self {
        let (mut entries, mut hidden) = (Vec::new(), Vec::new());
        let mut by_exposed = HashMap::default();
        let mut by_own: HashMap<Arc<str>, Vec<usize>> = HashMap::new();
        let mut hash = Sha256::new();
        hash.update(kind.list_method());
        for entry in all {
            if by_exposed.contains_key(&entry.exposed) {
                hidden.push(entry);
                continue;
            }
            hash.update((entry.text.len() as u64).to_be_bytes());
            hash.update(&entry.text);
            by_exposed.insert(entry.exposed.clone(), entries.len());
            by_own.entry(entry.own.clone()).or_default().push(entries.len());
            entries.push(entry);
        }
        let digest = hash.finalize().into();
        Self {
            entries,
            by_exposed,
            by_own,
            hidden,
            digest,
            sources,
            holds: Holds::Unsaid,
            rendered: Default::default(),
        }
    }

    /// Every page as a result object, without how long it may be kept. An empty list has one page.
    fn render(&self, kind: Kind, revision: Revision, page_items_max: usize) -> Vec<Bytes> {
        let mut pages = Vec::new();
        let mut offset = 0;
        loop {
            let rest = self.entries.get(offset..).unwrap_or_default();
            let page = rest.get(..page_items_max).unwrap_or(rest);
            let mut text = BytesMut::with_capacity(64 + page.iter().map(|e| e.text.len() + 1).sum::<usize>());
            text.put_slice(format!(r#"{{"{}":["#, kind.member()).as_bytes());
            for (n, entry) in page.iter().enumerate() {
                if n > 0 {
                    text.put_u8(b',');
                }
                let item = std::str::from_utf8(&entry.text).unwrap_or_default();
                match fit::fit_item(kind.list_method(), item, revision, entry.spoken) {
                    Some(fitted) => text.put_slice(fitted.as_bytes()),
                    None => text.put_slice(&entry.text),
                }
            }
            text.put_u8(b']');
            offset += page.len();
            let more = offset < self.entries.len();
            if more {
                let cursor = cursor::write(kind, &self.digest, offset);
                text.put_slice(format!(r#","nextCursor":"{cursor}""#).as_bytes());
            }
            text.put_u8(b'}');
            pages.push(text.freeze());
            if !more {
                return pages;
            }
        }
    }
}

fn claims(plan: &NamePlan, offers: &[Offer]) -> Vec<Claim> {
    let servers = plan.servers().iter().zip(offers).map(|(name, offer)| match offer.presence {
        Presence::Shown => Claim {
            uris: Some(UriMap::new(name)),
            offers_resources: offer.capabilities.resources,
            completes: offer.completes,
        },
        Presence::Named => Claim { uris: None, offers_resources: false, completes: false },
    });
    servers.collect()
}

/// Tools and prompts: exposed names come from the plan, and none is ever lost.
fn named<'a>(
    kind: Kind,
    plan: &NamePlan,
    offers: &'a [Offer],
    servers: &'a [Claim],
) -> impl Iterator<Item = Entry> + use<'a> {
    let own: Vec<Vec<&str>> =
        offers.iter().map(|offer| list(offer, kind).iter().map(Item::own).collect()).collect();
    let exposed = plan.expose(&own);
    shown(offers, servers).zip(exposed).flat_map(move |((server, items), names)| {
        let items = items.into_iter().flat_map(move |(offer, uris)| {
            list(offer, kind).iter().map(move |item| (item, uris, offer.spoken))
        });
        items.zip(names).map(move |((item, uris, spoken), name)| Entry {
            server,
            spoken,
            own: item.own().into(),
            text: item.render(&name.name, uris),
            exposed: name.name,
            change: name.change,
            needs_task: item.needs_task(),
            mirrors: item.mirrors().ok().flatten().cloned(),
        })
    })
}

/// Resources and templates: their URIs follow their server's map.
fn addressed<'a>(
    kind: Kind,
    offers: &'a [Offer],
    servers: &'a [Claim],
) -> impl Iterator<Item = Entry> + use<'a> {
    shown(offers, servers).filter_map(|(server, shown)| Some((server, shown?))).flat_map(
        move |(server, (offer, uris))| {
            list(offer, kind).iter().map(move |item| {
                let exposed = uris.expose(item.own());
                Entry {
                    server,
                    spoken: offer.spoken,
                    own: item.own().into(),
                    text: item.render(&exposed, uris),
                    exposed: exposed.into_owned().into_boxed_str(),
                    change: Change::None,
                    needs_task: false,
                    mirrors: None,
                }
            })
        },
    )
}

/// Each server's place, and what it offers with its map if it is shown.
fn shown<'a>(
    offers: &'a [Offer],
    servers: &'a [Claim],
) -> impl Iterator<Item = (usize, Option<(&'a Offer, &'a UriMap)>)> {
    let all = offers.iter().zip(servers).enumerate();
    all.map(|(at, (offer, claim))| (at, claim.uris.as_ref().map(|uris| (offer, uris))))
}

fn list(offer: &Offer, kind: Kind) -> &Arc<Vec<Item>> {
    let [tools, prompts, resources, templates] = &offer.lists;
    match kind {
        Kind::Tools => tools,
        Kind::Prompts => prompts,
        Kind::Resources => resources,
        Kind::Templates => templates,
    }
}

fn holds(offer: &Offer, kind: Kind) -> Holds {
    let [tools, prompts, resources, templates] = offer.holds;
    match kind {
        Kind::Tools => tools,
        Kind::Prompts => prompts,
        Kind::Resources => resources,
        Kind::Templates => templates,
    }
}

/// A page with what a list of 2026-07-28 says of itself (server/utilities/caching). What one client sees is nobody else's,
/// whatever a server says of its part.
fn kept_for(page: &Bytes, ttl_ms: u64) -> Bytes {
    let tail = format!(r#","resultType":"complete","ttlMs":{ttl_ms},"cacheScope":"private"}}"#);
    let open = page.strip_suffix(b"}").unwrap_or(page);
    let mut text = BytesMut::with_capacity(open.len() + tail.len());
    text.put_slice(open);
    text.put_slice(tail.as_bytes());
    text.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Names, Prefix, Uris};
    use crate::routing::names::NamePlan;
    use crate::wire::members::{elements, member, quote, string};
    use proptest::prelude::*;
    use std::time::Duration;

    fn plan(keys: &[&str]) -> NamePlan {
        let servers: Vec<_> = keys.iter().map(|key| (*key, &Prefix::Key, Uris::Prefixed)).collect();
        NamePlan::new(&Names::default(), &servers)
    }

    fn tools(names: &[String]) -> Offer {
        let item = |name: &String| Item::parse(Kind::Tools, format!(r#"{{"name":{}}}"#, quote(name)).into());
        let items = names.iter().filter_map(item).collect();
        Offer { lists: [Arc::new(items), Arc::default(), Arc::default(), Arc::default()], ..Offer::default() }
    }

    fn listed(catalog: &Catalog, cursor: Option<&str>) -> Bytes {
        catalog.page(Kind::Tools, cursor, Revision::LATEST, moment()).unwrap()
    }

    /// Any.
    fn moment() -> Instant {
        Instant::now()
    }

    /// Every name on every page, as a client walks them.
    fn walked(catalog: &Catalog) -> Vec<String> {
        let (mut names, mut cursor) = (Vec::new(), None);
        loop {
            let page = listed(catalog, cursor.as_deref());
            let page = std::str::from_utf8(&page).unwrap();
            for item in elements(member(page, "tools").unwrap()).unwrap() {
                names.push(string(member(item, "name").unwrap()).unwrap().into_owned());
            }
            match member(page, "nextCursor").and_then(string) {
                Some(next) => cursor = Some(next.into_owned()),
                None => return names,
            }
        }
    }

    #[test]
    fn thousands_of_tools_are_walked_page_by_page_each_once() {
        let names = |server: &str| (0..1700).map(|n| format!("{server}{n}")).collect::<Vec<_>>();
        let offers = [tools(&names("a")), tools(&names("b"))];
        let catalog = Catalog::merge(&plan(&["one", "two"]), &offers, 1000);
        let walked = walked(&catalog);
        assert_eq!(walked.len(), 3400);
        assert_eq!((walked[0].as_str(), walked[3399].as_str()), ("one__a0", "two__b1699"));
        let again = Catalog::merge(&plan(&["one", "two"]), &offers, 1000);
        assert_eq!(listed(&catalog, None), listed(&again, None), "after a restart as before");
    }

    fn offer(holds: Holds, presence: Presence) -> Offer {
        Offer { presence, holds: [holds; 4], ..tools(&["t".to_owned()]) }
    }

    /// For how many milliseconds a client may keep what it gets.
    fn ttl_ms(catalog: &Catalog, now: Instant) -> String {
        let page = catalog.page(Kind::Tools, None, Revision::MODERN, now).unwrap();
        let page = std::str::from_utf8(&page).unwrap();
        assert_eq!(member(page, "cacheScope"), Some(r#""private""#), "{page}");
        member(page, "ttlMs").unwrap().to_owned()
    }

    #[test]
    fn a_list_may_be_kept_no_longer_than_any_part_of_it() {
        use Presence::{Named, Shown};
        let now = moment();
        let until = |ms| Holds::Until(now + Duration::from_millis(ms));
        for (parts, expected) in [
            ([(until(9000), Shown), (until(60_000), Shown), (until(1), Named)], "9000"),
            ([(until(9000), Shown), (Holds::Ever, Shown), (Holds::Unsaid, Named)], "9000"),
            ([(until(9000), Shown), (until(0), Shown), (Holds::Ever, Shown)], "0"),
            ([(until(9000), Shown), (Holds::Unsaid, Shown), (Holds::Ever, Shown)], "0"),
            ([(Holds::Ever, Shown); 3], "0"),
        ] {
            let offers = parts.map(|(holds, presence)| offer(holds, presence));
            let catalog = Catalog::merge(&plan(&["a", "b", "c"]), &offers, 10);
            assert_eq!(ttl_ms(&catalog, now), expected, "{parts:?}");
        }
    }

    #[test]
    fn a_server_that_was_not_heard_lets_no_list_be_kept() {
        let now = moment();
        let heard = offer(Holds::Until(now + Duration::from_secs(300)), Presence::Shown);
        let (plan, unheard) = (plan(&["a", "b"]), Offer::default());
        assert_eq!(ttl_ms(&Catalog::merge(&plan, &[heard, unheard], 10), now), "0");
    }

    #[test]
    fn what_is_handed_out_later_may_be_kept_for_less() {
        let now = moment();
        let offers = [offer(Holds::Until(now + Duration::from_secs(60)), Presence::Shown)];
        let catalog = Catalog::merge(&plan(&["a"]), &offers, 10);
        for (after, expected) in [(0, "60000"), (59, "1000"), (60, "0"), (61, "0")] {
            assert_eq!(ttl_ms(&catalog, now + Duration::from_secs(after)), expected, "after {after} s");
        }
    }

    #[test]
    fn an_empty_list_that_holds_longer_is_another() {
        let (plan, now) = (plan(&["a"]), moment());
        let empty =
            |ms| Offer { holds: [Holds::Until(now + Duration::from_millis(ms)); 4], ..Offer::default() };
        let catalog = Catalog::merge(&plan, &[empty(10)], 10).renewed(&plan, &[empty(5000)]);
        assert_eq!(ttl_ms(&catalog, now), "5000");
    }

    #[test]
    fn a_list_that_is_the_same_has_the_same_digest() {
        let plan = plan(&["one"]);
        let catalog = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            Catalog::merge(&plan, &[tools(&names)], 1000)
        };
        assert_eq!(catalog(&["a", "b"]).digest(Kind::Tools), catalog(&["a", "b"]).digest(Kind::Tools));
        assert_ne!(catalog(&["a", "b"]).digest(Kind::Tools), catalog(&["b", "a"]).digest(Kind::Tools));
        assert_ne!(catalog(&[]).digest(Kind::Tools), catalog(&[]).digest(Kind::Prompts));
    }

    proptest! {
        /// Whichever server is heard first, the catalog that all end up in is the same, byte by byte; and on the way
        /// nothing that was listed changes its name.
        #[test]
        fn arrival_does_not_show(
            lists in prop::collection::vec(prop::collection::vec("[a-c_.]{0,3}|\\PC{0,4}", 0..5), 1..5),
            order in any::<prop::sample::Index>(),
        ) {
            let keys = ["a", "a__b", "A b", "c"];
            let plan = plan(&keys[..lists.len()]);
            let offers: Vec<Offer> = lists.iter().map(|names| tools(names)).collect();
            let whole = Catalog::merge(&plan, &offers, 3);
            let mut arriving = vec![Offer::default(); offers.len()];
            let turn = order.index(offers.len());
            for step in 0..offers.len() {
                let at = (step + turn) % offers.len();
                arriving[at] = offers[at].clone();
                let partial = Catalog::merge(&plan, &arriving, 3);
                for entry in partial.entries(Kind::Tools) {
                    let later = whole.exposed(Kind::Tools, &entry.exposed).unwrap();
                    prop_assert_eq!((later.server, &later.own), (entry.server, &entry.own));
                }
            }
            let last = Catalog::merge(&plan, &arriving, 3);
            prop_assert_eq!(last.digest(Kind::Tools), whole.digest(Kind::Tools));
            prop_assert_eq!(walked(&last), walked(&whole));
            prop_assert_eq!(walked(&whole).len(), offers.iter().map(|offer| offer.lists[0].len()).sum::<usize>());
        }

        #[test]
        fn what_is_exposed_leads_back(lists in prop::collection::vec(prop::collection::vec("\\PC{0,70}", 0..6), 1..4)) {
            let plan = plan(&["x", "x_", "x y"][..lists.len()]);
            let offers: Vec<Offer> = lists.iter().map(|names| tools(names)).collect();
            let catalog = Catalog::merge(&plan, &offers, 1000);
            let mut expected = lists.iter().enumerate().flat_map(|(at, names)| names.iter().map(move |name| (at, name)));
            for entry in catalog.entries(Kind::Tools) {
                let found = catalog.exposed(Kind::Tools, &entry.exposed).unwrap();
                prop_assert_eq!(Some((found.server, &found.own.to_string())), expected.next());
            }
            prop_assert_eq!(expected.next(), None);
        }
    }
}
