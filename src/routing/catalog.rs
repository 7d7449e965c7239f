//! All servers' lists, merged: what clients see, and where each exposed name leads.
//!
//! Owns the exposed names and the rendered items of one moment; a change is a new `Catalog`. Merging is a
//! pure function of the servers' lists in the order of the configuration, so neither arrival nor a restart
//! shows in it. It renders lazily: one text per page and revision in use.

use super::cursor::{self, ListDigest};
use super::exposure::{Exposure, Pass, Why};
use super::item::Item;
use super::names::{Change, Exposed, NamePlan, ServerName};
use super::template;
use super::tool_look::ToolLook;
use super::uris::UriMap;
use crate::mcp::caller::Principal;
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
    /// What of it is shown, and how; `None`: all of it, as it is. Of one catalog to the next it never changes.
    pub exposure: Option<Arc<Exposure>>,
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
    /// A tool that says that it changes nothing.
    pub reads_only: bool,
    /// Which of its arguments stand in headers as well.
    pub mirrors: Option<Arc<Mirrors>>,
    /// How it looks, if not as its server wrote it.
    pub look: Option<Arc<ToolLook>>,
    pass: Pass,
    spoken: Option<Revision>,
    text: Bytes,
}

/// An item that its server lists and clients do not see. It has its name all the same: none of the others changes its own
/// when it is shown or hidden.
#[derive(Debug, Clone)]
pub struct Withheld {
    /// Its server's place in the configuration.
    pub server: usize,
    pub own: Arc<str>,
    /// What it would be called.
    pub exposed: Box<str>,
    pub change: Change,
    pub why: Why,
    /// As its server wrote it.
    pub text: Bytes,
}

impl Entry {
    /// Proof that it is shown.
    pub fn pass(&self) -> &Pass {
        &self.pass
    }

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
    /// For whom it is.
    whose: Arc<str>,
}

/// What one server can be asked about beyond what it lists.
#[derive(Debug)]
struct Claim {
    name: Arc<ServerName>,
    /// `None`: it is not shown, and nothing leads to it.
    uris: Option<UriMap>,
    offers_resources: bool,
    completes: bool,
    exposure: Option<Arc<Exposure>>,
}

#[derive(Debug)]
struct Shelf {
    entries: Vec<Entry>,
    by_exposed: HashMap<Box<str>, usize, RandomState>,
    by_own: HashMap<Arc<str>, Vec<usize>>,
    /// Entries that could not be listed: an earlier server has the same URI and neither may be rewritten.
    hidden: Vec<Entry>,
    /// Items that are not to be seen, in list order.
    withheld: Vec<Withheld>,
    digest: ListDigest,
    /// The lists that it was made of, a place for each server.
    sources: Vec<Source>,
    /// No longer than any part of it.
    holds: Holds,
    rendered: [OnceLock<Vec<Bytes>>; Revision::ALL.len()],
}

/// An item with its name, and whether it is shown.
enum Judged {
    Shown(Entry),
    Withheld(Withheld),
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
        Self { shelves, servers, page_items_max: page_items_max.max(1), whose: Arc::from("") }
    }

    /// The same for this principal: its cursors lead nobody else anywhere.
    #[must_use]
    pub fn of(self, principal: &Principal) -> Self {
        Self { whose: Arc::from(principal.as_str()), ..self }
    }

    /// The same as a new one of these offers, if this one was made of the same plan. Lists of which none has changed
    /// are not made again.
    pub fn renewed(&self, plan: &NamePlan, offers: &[Offer]) -> Self {
        let servers = claims(plan, offers);
        let shelves = Kind::ALL.map(|kind| match self.shelves.get(kind.index()) {
            Some(shelf) if shelf.is_of(kind, offers) => shelf.clone(),
            Some(_) | None => Arc::new(Shelf::of(kind, plan, offers, &servers)),
        });
        Self { shelves, servers, page_items_max: self.page_items_max, whose: self.whose.clone() }
    }

    /// Every listed item of a kind, in list order.
    pub fn entries(&self, kind: Kind) -> &[Entry] {
        &self.shelf(kind).entries
    }

    /// How many of them are one server's.
    pub fn count(&self, kind: Kind, server: usize) -> usize {
        self.entries(kind).iter().filter(|entry| entry.server == server).count()
    }

    /// Items that an earlier server's item of the same URI keeps out of the list.
    pub fn hidden(&self, kind: Kind) -> &[Entry] {
        &self.shelf(kind).hidden
    }

    /// Items that are not to be seen, in list order.
    pub fn withheld(&self, kind: Kind) -> &[Withheld] {
        &self.shelf(kind).withheld
    }

    /// Everything that a server lists, shown or not, as it wrote it. Nothing of one that is not behind the door.
    pub fn items(&self, kind: Kind, server: usize) -> &[Item] {
        let source = self.shelf(kind).sources.get(server);
        let shown = source.filter(|(presence, ..)| *presence == Presence::Shown);
        shown.map_or(&[], |(_, _, _, items)| items.as_slice())
    }

    /// Whether a URI may be asked of a server: it is to be seen, and no template alone leads to it that is not.
    pub fn admits(&self, server: usize, own: &str) -> Result<Pass, Why> {
        let exposure = self.servers.get(server).and_then(|claim| claim.exposure.as_deref());
        let pass = Pass::to_uri(exposure, server, own)?;
        if !exposure.is_some_and(Exposure::filters_resources) || self.is_led_to(server, own) {
            return Ok(pass);
        }
        let mut withheld = self.withheld(Kind::Templates).iter().filter(|template| template.server == server);
        match withheld.find(|template| template::matches(&template.own, own)) {
            Some(template) => Err(Exposure::by_template(&template.why, &template.own)),
            None => Ok(pass),
        }
    }

    /// Whether what is to be seen of a server's lists leads to this URI.
    fn is_led_to(&self, server: usize, own: &str) -> bool {
        let of_server = |entry: &&Entry| entry.server == server;
        self.owned(Kind::Resources, own).any(|entry| of_server(&entry))
            || self
                .entries(Kind::Templates)
                .iter()
                .filter(of_server)
                .any(|entry| template::matches(&entry.own, own))
    }

    /// Whether a task may be asked about: as long as its tool is to be seen.
    pub fn admits_task(&self, server: usize, own: &str, tool: &str) -> Result<Pass, Why> {
        let exposure = self.servers.get(server).and_then(|claim| claim.exposure.as_deref());
        let is_shown = || self.owned(Kind::Tools, tool).any(|entry| entry.server == server);
        Pass::to_task(exposure, server, own, tool, exposure.is_some() && is_shown())
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

    /// A server's key, as the configuration writes it.
    pub fn key(&self, server: usize) -> Option<&str> {
        self.servers.get(server).map(|claim| claim.name.key())
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
            Some(cursor) => cursor::read(kind, (&shelf.digest, &self.whose), cursor).ok_or(StaleCursor)?,
        };
        let [first, second, third, fourth, modern] = &shelf.rendered;
        let rendered = match revision {
            Revision::V2024_11_05 => first,
            Revision::V2025_03_26 => second,
            Revision::V2025_06_18 => third,
            Revision::V2025_11_25 => fourth,
            Revision::V2026_07_28 => modern,
        };
        let pages = rendered.get_or_init(|| shelf.render(kind, revision, &self.whose, self.page_items_max));
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

    fn new(kind: Kind, sources: Vec<Source>, all: impl Iterator<Item = Judged>) -> Self {
        let (mut entries, mut hidden, mut withheld) = (Vec::new(), Vec::new(), Vec::new());
        let mut by_exposed = HashMap::default();
        let mut by_own: HashMap<Arc<str>, Vec<usize>> = HashMap::new();
        let mut hash = Sha256::new();
        hash.update(kind.list_method());
        for judged in all {
            let entry = match judged {
                Judged::Shown(entry) => entry,
                Judged::Withheld(item) => {
                    withheld.push(item);
                    continue;
                }
            };
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
            withheld,
            digest,
            sources,
            holds: Holds::Unsaid,
            rendered: Default::default(),
        }
    }

    /// Every page as a result object, without how long it may be kept. An empty list has one page.
    fn render(&self, kind: Kind, revision: Revision, whose: &str, page_items_max: usize) -> Vec<Bytes> {
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
                let cursor = cursor::write(kind, (&self.digest, whose), offset);
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
            name: name.clone(),
            uris: Some(UriMap::new(name)),
            offers_resources: offer.capabilities.resources,
            completes: offer.completes,
            exposure: offer.exposure.clone(),
        },
        Presence::Named => Claim {
            name: name.clone(),
            uris: None,
            offers_resources: false,
            completes: false,
            exposure: None,
        },
    });
    servers.collect()
}

/// Tools and prompts: exposed names come from the plan, and none is ever lost. What is not to be seen takes part, so that
/// nothing is called otherwise when a filter is set.
fn named<'a>(
    kind: Kind,
    plan: &NamePlan,
    offers: &'a [Offer],
    servers: &'a [Claim],
) -> impl Iterator<Item = Judged> + use<'a> {
    let wishes: Vec<Vec<(usize, &str)>> = offers.iter().map(|offer| wishes(offer, kind)).collect();
    let rows: Vec<Vec<&str>> = wishes.iter().map(|row| row.iter().map(|(_, name)| *name).collect()).collect();
    let exposed =
        plan.expose(&rows).into_iter().zip(wishes).map(|(names, wishes)| in_list_order(names, &wishes));
    shown(offers, servers).zip(exposed).flat_map(move |((server, items), names)| {
        let items = items
            .into_iter()
            .flat_map(move |(offer, uris)| list(offer, kind).iter().map(move |item| (item, uris, offer)));
        items
            .zip(names)
            .map(move |((item, uris, offer), name)| judged(kind, (server, offer), item, uris, name))
    })
}

/// What the items of a list are to be called, with their places in it. Those that the configuration names come first: no
/// other item takes such a name from them, whatever a server lists.
fn wishes(offer: &Offer, kind: Kind) -> Vec<(usize, &str)> {
    let named = |item: &Item| match kind {
        Kind::Tools => offer.exposure.as_ref().and_then(|exposure| exposure.look(item.own())?.name()),
        Kind::Prompts | Kind::Resources | Kind::Templates => None,
    };
    let all = list(offer, kind).iter().enumerate();
    let (mut first, mut others) = (Vec::new(), Vec::new());
    for (at, item) in all {
        match named(item) {
            Some(name) => first.push((at, name)),
            None => others.push((at, item.own())),
        }
    }
    first.append(&mut others);
    first
}

/// The names in the order of the list again.
fn in_list_order(names: Vec<Exposed>, wishes: &[(usize, &str)]) -> Vec<Exposed> {
    let mut placed: Vec<(usize, Exposed)> = wishes.iter().map(|(at, _)| *at).zip(names).collect();
    placed.sort_by_key(|(at, _)| *at);
    placed.into_iter().map(|(_, name)| name).collect()
}

/// Resources and templates: their URIs follow their server's map.
fn addressed<'a>(
    kind: Kind,
    offers: &'a [Offer],
    servers: &'a [Claim],
) -> impl Iterator<Item = Judged> + use<'a> {
    shown(offers, servers).filter_map(|(server, shown)| Some((server, shown?))).flat_map(
        move |(server, (offer, uris))| {
            list(offer, kind).iter().map(move |item| {
                let name = uris.expose(item.own()).into_owned().into_boxed_str();
                judged(kind, (server, offer), item, uris, Exposed { name, change: Change::None })
            })
        },
    )
}

/// One item under its exposed name, if it is shown.
fn judged(kind: Kind, (server, offer): (usize, &Offer), item: &Item, uris: &UriMap, name: Exposed) -> Judged {
    let exposure = offer.exposure.as_deref();
    let pass = match Pass::to_item(exposure, server, kind, item) {
        Ok(pass) => pass,
        Err(why) => {
            return Judged::Withheld(Withheld {
                server,
                own: item.own().into(),
                exposed: name.name,
                change: name.change,
                why,
                text: item.text().clone(),
            });
        }
    };
    let look = match kind {
        Kind::Tools => exposure.and_then(|exposure| exposure.look(item.own())).cloned(),
        Kind::Prompts | Kind::Resources | Kind::Templates => None,
    };
    Judged::Shown(Entry {
        server,
        spoken: offer.spoken,
        own: pass.own().clone(),
        text: item.render(&name.name, uris, look.as_deref()),
        exposed: name.name,
        change: name.change,
        needs_task: item.needs_task(),
        reads_only: item.says_read_only(),
        mirrors: item.mirrors().ok().flatten().cloned(),
        look,
        pass,
    })
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
    use crate::config::{Command, Names, Prefix, PrefixMode, Reach, ServerConfig, ToolConfig, Uris};
    use crate::routing::glob::Glob;
    use crate::routing::names::NamePlan;
    use crate::wire::members::{elements, member, quote, string};
    use proptest::prelude::*;
    use std::path::Path;
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

    /// An offer with what its server's settings show of it.
    fn exposed_as(offer: Offer, set: impl FnOnce(&mut ServerConfig)) -> Offer {
        let mut server = ServerConfig::new("s", Reach::Stdio(Command::new("x", Path::new("/"))));
        set(&mut server);
        Offer { exposure: Exposure::new(&server, None), ..offer }
    }

    fn called(name: &str) -> ToolConfig {
        ToolConfig { name: Some(name.to_owned()), ..ToolConfig::default() }
    }

    #[test]
    fn a_name_that_is_given_is_nobody_elses_whatever_is_listed_first() {
        for names in [["open", "create"], ["create", "open"]] {
            let names = names.map(str::to_owned);
            let offer = exposed_as(tools(&names), |server| {
                server.tools.insert("create".to_owned(), called("open"));
            });
            let catalog = Catalog::merge(&plan(&["s"]), &[offer], 10);
            let given = catalog.exposed(Kind::Tools, "s__open").unwrap();
            assert_eq!((&*given.own, given.change), ("create", Change::None));
            let other = catalog.owned(Kind::Tools, "open").next().unwrap();
            assert_eq!(other.change, Change::Duplicate, "{}", other.exposed);
            let order: Vec<&str> = catalog.entries(Kind::Tools).iter().map(|entry| &*entry.own).collect();
            assert_eq!(order, names, "the list is in its server's order");
        }
    }

    #[test]
    fn a_given_name_is_made_fit_for_clients_and_counts_where_its_server_is_not_shown() {
        let names = Names { prefix: PrefixMode::OnCollision, ..Names::default() };
        let servers = [("a", &Prefix::Key, Uris::Prefixed), ("b", &Prefix::Key, Uris::Prefixed)];
        let plan = NamePlan::new(&names, &servers);
        let first = exposed_as(tools(&["x".to_owned(), "z".to_owned()]), |server| {
            server.tools.insert("x".to_owned(), called("y"));
            server.tools.insert("z".to_owned(), called("ö z"));
        });
        let second = tools(&["y".to_owned()]);
        let whole = Catalog::merge(&plan, &[first.clone(), second.clone()], 10);
        let exposed = |catalog: &Catalog| -> Vec<String> {
            catalog.entries(Kind::Tools).iter().map(|entry| entry.exposed.to_string()).collect()
        };
        assert_eq!(exposed(&whole), ["a__y", "x_z", "b__y"]);
        let named = Offer { presence: Presence::Named, ..first };
        assert_eq!(exposed(&Catalog::merge(&plan, &[named, second], 10)), ["b__y"]);
    }

    #[test]
    fn a_uri_that_only_a_hidden_template_leads_to_is_hidden() {
        let item = |kind: Kind, uri: &str| {
            Arc::new(vec![Item::parse(kind, format!(r#"{{"{}":"{uri}"}}"#, kind.key()).into()).unwrap()])
        };
        let lists = [
            Arc::default(),
            Arc::default(),
            item(Kind::Resources, "note://listed"),
            item(Kind::Templates, "note://{secret}"),
        ];
        let offer = exposed_as(Offer { lists, ..Offer::default() }, |server| {
            server.filters.resources.deny = vec!["*{secret*".to_owned()];
        });
        let catalog = Catalog::merge(&plan(&["s"]), &[offer], 10);
        assert_eq!(catalog.withheld(Kind::Templates).len(), 1);
        assert!(catalog.admits(0, "note://listed").is_ok() && catalog.admits(0, "other://x").is_ok());
        let why = catalog.admits(0, "note://7").unwrap_err().to_string();
        assert_eq!(
            why,
            "only the template `note://{secret}` leads to it, which `servers.s.resources.deny` hides"
        );
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
        /// What is shown is called as it is without the filter, in the same order, and the rest is there as well.
        #[test]
        fn a_filter_renames_nothing(
            lists in prop::collection::vec(prop::collection::vec("[a-c_.]{0,3}|\\PC{0,4}", 0..5), 1..4),
            deny in "[a-c_.*?]{1,3}",
            mode in prop::sample::select(vec![PrefixMode::Always, PrefixMode::OnCollision, PrefixMode::Never]),
        ) {
            let keys = ["a", "a__b", "A b"];
            let servers: Vec<_> = keys.iter().take(lists.len()).map(|key| (*key, &Prefix::Key, Uris::Prefixed)).collect();
            let plan = NamePlan::new(&Names { prefix: mode, ..Names::default() }, &servers);
            let offers: Vec<Offer> = lists.iter().map(|names| tools(names)).collect();
            let whole = Catalog::merge(&plan, &offers, 10);
            let filter = |offer: &Offer| {
                exposed_as(offer.clone(), |server| server.filters.tools.deny = vec![deny.clone()])
            };
            let filtered: Vec<Offer> = offers.iter().map(filter).collect();
            let filtered = Catalog::merge(&plan, &filtered, 10);
            let shown = filtered.entries(Kind::Tools).iter().map(|entry| (entry.server, &entry.own, &entry.exposed));
            let hidden = filtered.withheld(Kind::Tools).iter().map(|item| (item.server, &item.own, &item.exposed));
            let is_hidden = |own: &str| Glob::new(&deny).matches(own);
            let all = || whole.entries(Kind::Tools).iter().map(|entry| (entry.server, &entry.own, &entry.exposed));
            prop_assert_eq!(shown.collect::<Vec<_>>(), all().filter(|(_, own, _)| !is_hidden(own)).collect::<Vec<_>>());
            prop_assert_eq!(hidden.collect::<Vec<_>>(), all().filter(|(_, own, _)| is_hidden(own)).collect::<Vec<_>>());
            for item in filtered.withheld(Kind::Tools) {
                prop_assert!(filtered.exposed(Kind::Tools, &item.exposed).is_none());
                prop_assert!(filtered.owned(Kind::Tools, &item.own).next().is_none());
            }
        }

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
