//! What servers' tools and prompts are called in front of a client.
//!
//! A `NamePlan` is made of the configuration alone and fixed for a run. It owns the rules: prefix, legal
//! characters, length, collisions. Exposed names are injective, so a table of them leads back; nothing is
//! ever split at a separator. It keeps no lists, reads no clock and asks no server: equal input, equal names.
//!
//! Why two servers' prefixed names cannot meet: in a prefix followed by the separator, the separator
//! occurs for the first time at the prefix's end, so no such front is the beginning of another one. What
//! one server lists can therefore never change what another server's tools are called.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::config;

/// The shortest `names.max_length` that leaves room for a prefix, a separator and a hash; less counts as this.
pub const LENGTH_MIN: usize = 24;
/// The longest separator, in characters. A longer, empty or illegal one counts as `__`.
pub const SEPARATOR_LENGTH_MAX: usize = 8;

/// All configured servers' names, fixed for a run: made of the configuration alone.
#[derive(Debug, Clone)]
pub struct NamePlan {
    servers: Vec<Arc<ServerName>>,
    style: Style,
    /// What stands first where a letter must and none does. Not a character of the separator.
    lead: char,
    /// Begins what must not look prefixed. No front begins with it, and it begins with no front.
    guard: String,
    /// Per server: prefix and separator, or `None` for a server that has no prefix.
    fronts: Vec<Option<Front>>,
}

/// A configured server's key and the two prefixes made of it.
///
/// No two servers of a plan have the same prefix of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerName {
    key: Box<str>,
    name_prefix: Box<str>,
    uri_prefix: Option<Box<str>>,
    change: Change,
}

/// What one item is called in front of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposed {
    /// `[A-Za-z][A-Za-z0-9_-]*`, never longer than `names.max_length`, one item's only.
    pub name: Box<str>,
    pub change: Change,
}

/// Why an exposed name is not just prefix, separator and the server's own name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    None,
    /// Characters that some client refuses became `_`.
    Sanitised,
    /// Too long: it kept its head and got a hash.
    Shortened,
    /// Something else has the plain form too, so it got a hash, or (`on-collision`) the prefix.
    Collided,
    /// The server lists this very name more than once; this is not the first.
    Duplicate,
}

impl ServerName {
    /// As the configuration writes it; may hold any character.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// `[A-Za-z][A-Za-z0-9_-]*`; empty for a server whose names are not prefixed.
    ///
    /// With `on-collision` it is the prefix that colliding names get.
    pub fn name_prefix(&self) -> &str {
        &self.name_prefix
    }

    /// `[a-z][a-z0-9-]*` (RFC 3986 §3.1 knows no `_` in a scheme, and clients lower its case).
    /// `None`: this server's URIs stay as they are. With `on-collision` URIs are prefixed
    /// nevertheless: whether two servers share a URI cannot be known from lists.
    pub fn uri_prefix(&self) -> Option<&str> {
        self.uri_prefix.as_deref()
    }

    /// Why the name prefix is not the key itself. A URI prefix in lower case alone is no change.
    pub fn change(&self) -> Change {
        self.change
    }
}

impl NamePlan {
    /// `servers` in configuration order: key, prefix and URI rule of each.
    ///
    /// `names.prefix` speaks to servers whose prefix is their key; one written out for a server always stands.
    pub fn new(names: &config::Names, servers: &[(&str, &config::Prefix, config::Uris)]) -> Self {
        let style = Style::new(names);
        let lead = style.lead();
        let wants: Vec<Option<PrefixText<'_>>> = prefix_texts(names.prefix, servers);
        let prefixes = settle_prefixes(&style, lead, &wants);
        let uri_prefixes = settle_uri_prefixes(servers, &wants, &prefixes);
        let mut fronts = Vec::with_capacity(servers.len());
        let mut named = Vec::with_capacity(servers.len());
        for (((key, _, _), want), (prefix, uri_prefix)) in
            servers.iter().zip(&wants).zip(prefixes.into_iter().zip(uri_prefixes))
        {
            let (name_prefix, change) = prefix.unwrap_or((String::new(), Change::None));
            fronts.push(want.as_ref().map(|want| Front {
                text: format!("{name_prefix}{}", style.separator),
                on_collision: want.on_collision,
            }));
            named.push(Arc::new(ServerName {
                key: Box::from(*key),
                name_prefix: name_prefix.into_boxed_str(),
                uri_prefix: uri_prefix.map(String::into_boxed_str),
                change,
            }));
        }
        let guard = guard(lead, &fronts);
        Self { servers: named, style, lead, guard, fronts }
    }

    /// In configuration order.
    pub fn servers(&self) -> &[Arc<ServerName>] {
        &self.servers
    }

    /// What stands between a prefix and a name.
    pub fn separator(&self) -> &str {
        &self.style.separator
    }

    /// Whether what one server lists can change what another's items are called: not while each has a prefix of its
    /// own all the time.
    pub fn compares_lists(&self) -> bool {
        self.fronts.iter().any(|front| front.as_ref().is_none_or(|front| front.on_collision))
    }

    /// Exposed names for all items of one kind, in the shape of the input: row `i` holds the own names
    /// of server `i`, in its order. A row without a server is answered with an empty row.
    ///
    /// Injective over the whole input and pure. A prefixed server's names depend on its own row only.
    pub fn expose(&self, own: &[Vec<&str>]) -> Vec<Vec<Exposed>> {
        let shared = self.shared_names(own);
        let mut items = Vec::new();
        for (server, row) in own.iter().enumerate().take(self.servers.len()) {
            let mut seen: HashMap<&str, u32> = HashMap::with_capacity(row.len());
            for name in row {
                let count = seen.entry(name).or_default();
                items.push(self.item(server, name, *count, &shared));
                *count += 1;
            }
        }
        let mut claims: Vec<Claim> = items
            .iter()
            .map(|item| Claim { owner: item.server, lossless: item.lossless, level: item.level, lost: false })
            .collect();
        let forms = settle(&mut claims, |index, level| self.form(&items[index], level));
        let mut exposed: Vec<Vec<Exposed>> = own.iter().map(|_| Vec::new()).collect();
        for ((item, claim), name) in items.iter().zip(&claims).zip(forms) {
            let change = if claim.lost { item.change.max(Change::Collided) } else { item.change };
            if let Some(row) = exposed.get_mut(item.server) {
                row.push(Exposed { name: name.into_boxed_str(), change });
            }
        }
        exposed
    }

    /// The bare forms, in lower case, that more than one server would use. Of interest only to
    /// `on-collision`, where a client that ignores case must not confuse two servers either.
    fn shared_names(&self, own: &[Vec<&str>]) -> HashMap<String, Owners> {
        let mut owners = HashMap::new();
        if !self.fronts.iter().flatten().any(|front| front.on_collision) {
            return owners;
        }
        for (server, row) in own.iter().enumerate().take(self.servers.len()) {
            if self.front(server).is_some_and(|front| !front.on_collision) {
                continue;
            }
            for name in row {
                let bare = self.bare_item(server, name, 0);
                owners
                    .entry(self.form(&bare, bare.level).to_ascii_lowercase())
                    .and_modify(|known| {
                        if *known != Owners::One(server) {
                            *known = Owners::Several;
                        }
                    })
                    .or_insert(Owners::One(server));
            }
        }
        owners
    }

    fn item<'a>(
        &'a self,
        server: usize,
        own: &'a str,
        ordinal: u32,
        shared: &HashMap<String, Owners>,
    ) -> Item<'a> {
        let Some(front) = self.front(server) else {
            let bare = self.bare_item(server, own, ordinal);
            return if self.is_shared(&bare, shared) { bare.collided().hashed() } else { bare };
        };
        if !front.on_collision {
            return self.prefixed_item(server, front, own, ordinal);
        }
        let bare = self.bare_item(server, own, ordinal);
        // What looks like another server's prefixed name takes our prefix, so that it cannot be one.
        if self.is_shared(&bare, shared) || self.is_reserved(server, &bare.plain) {
            return self.prefixed_item(server, front, own, ordinal).collided();
        }
        bare
    }

    fn is_shared(&self, bare: &Item<'_>, shared: &HashMap<String, Owners>) -> bool {
        if shared.is_empty() {
            return false;
        }
        let first = self.bare_item(bare.server, bare.own, 0);
        let form = self.form(&first, first.level).to_ascii_lowercase();
        shared.get(&form).is_some_and(|owners| *owners == Owners::Several)
    }

    fn prefixed_item<'a>(&'a self, server: usize, front: &'a Front, own: &'a str, ordinal: u32) -> Item<'a> {
        let plain = Plain::of(own, self.style.length_max);
        self.judged(server, &front.text, own, ordinal, plain)
    }

    fn bare_item<'a>(&'a self, server: usize, own: &'a str, ordinal: u32) -> Item<'a> {
        let plain = Plain::of(own, self.style.length_max).led_by(self.lead);
        let item = self.judged(server, "", own, ordinal, plain);
        if self.is_reserved(server, &item.plain) { item.collided().hashed() } else { item }
    }

    fn judged<'a>(
        &'a self,
        server: usize,
        front: &'a str,
        own: &'a str,
        ordinal: u32,
        plain: Plain,
    ) -> Item<'a> {
        let key = self.servers.get(server).map_or("", |name| name.key());
        let mut item = Item {
            server,
            front,
            key,
            own,
            ordinal,
            plain: plain.text,
            lossless: plain.lossless && ordinal == 0,
            level: 0,
            change: if plain.lossless { Change::None } else { Change::Sanitised },
        };
        if item.plain.is_empty() {
            // Nothing is left to tell such names apart, so the hash does from the start, and a second
            // one later does not rename the first.
            item.plain.push(self.lead);
            item.level = 1;
        }
        if item.front.len() + item.plain.len() > self.style.length_max {
            item.change = Change::Shortened;
            item.level = 1;
        }
        if ordinal > 0 {
            item.change = Change::Duplicate;
            item.level = 1;
        }
        item
    }

    /// What an item is called at this level: 0 is its plain form, each further one has a longer hash.
    fn form(&self, item: &Item<'_>, level: u32) -> String {
        if level == 0 {
            return format!("{}{}", item.front, item.plain);
        }
        let hash = |level| hash(&[item.key, item.own], u64::from(item.ordinal), level);
        let tagged = tagged(item.front, &item.plain, '_', &hash(level), self.style.length_max);
        if item.front.is_empty() && self.is_reserved(item.server, &tagged) {
            return self::tagged(&self.guard, &item.plain, '_', &hash(level), self.style.length_max);
        }
        tagged
    }

    /// Whether a bare form would stand among another server's prefixed names.
    fn is_reserved(&self, server: usize, bare: &str) -> bool {
        let starts =
            |front: &Option<Front>| front.as_ref().is_some_and(|front| bare.starts_with(&front.text));
        self.fronts.iter().enumerate().any(|(other, front)| other != server && starts(front))
    }

    fn front(&self, server: usize) -> Option<&Front> {
        self.fronts.get(server)?.as_ref()
    }
}

/// Separator and length, as far as they are usable.
#[derive(Debug, Clone)]
struct Style {
    separator: String,
    length_max: usize,
}

/// A prefix with the separator behind it. No front of a plan begins with another one.
#[derive(Debug, Clone)]
struct Front {
    text: String,
    /// Used only for names that two servers have.
    on_collision: bool,
}

/// What a prefix is made of.
struct PrefixText<'a> {
    text: &'a str,
    key: &'a str,
    /// How many servers before this one have the same key: none, in a valid configuration.
    ordinal: u64,
    on_collision: bool,
}

/// One name to be exposed.
struct Item<'a> {
    server: usize,
    front: &'a str,
    key: &'a str,
    own: &'a str,
    /// Which of several equal names of one row.
    ordinal: u32,
    /// The own name in legal characters; at most one character longer than any exposed name.
    plain: String,
    lossless: bool,
    /// Where it starts: 0 is the plain form.
    level: u32,
    change: Change,
}

impl Item<'_> {
    fn collided(mut self) -> Self {
        self.change = self.change.max(Change::Collided);
        self
    }

    fn hashed(mut self) -> Self {
        self.level = self.level.max(1);
        self
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owners {
    One(usize),
    Several,
}

/// A text in legal characters. A run of others became one `_`; nothing else was done to it.
struct Plain {
    /// Cut one character after the maximum, which is enough to see that it is too long. Empty if the
    /// text had no letter and no digit and was not legal as it is.
    text: String,
    lossless: bool,
}

impl Plain {
    fn of(text: &str, length_max: usize) -> Self {
        let mut plain = String::new();
        let mut lossless = !text.is_empty();
        let mut in_run = false;
        for char in text.chars() {
            if plain.len() > length_max {
                break;
            }
            let legal = char.is_ascii_alphanumeric() || matches!(char, '_' | '-');
            if legal {
                plain.push(char);
            } else if !in_run {
                plain.push('_');
            }
            lossless &= legal;
            in_run = !legal;
        }
        if !lossless && !plain.contains(|char: char| char.is_ascii_alphanumeric()) {
            plain.clear();
        }
        Self { text: plain, lossless }
    }

    fn led_by(mut self, lead: char) -> Self {
        if self.text.starts_with(|char: char| !char.is_ascii_alphabetic()) {
            self.text.insert(0, lead);
            self.lossless = false;
        }
        self
    }
}

impl Style {
    fn new(names: &config::Names) -> Self {
        let legal = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-');
        let separator = names.separator.as_str();
        let usable = (1..=SEPARATOR_LENGTH_MAX).contains(&separator.len()) && separator.chars().all(legal);
        Self {
            separator: if usable { separator } else { "__" }.to_owned(),
            length_max: names.length_max.max(LENGTH_MIN),
        }
    }

    fn lead(&self) -> char {
        ('a'..='z').rev().skip(2).find(|char| !self.separator.contains(*char)).unwrap_or('x')
    }

    /// Half the name, less the separator: the other half is the server's.
    fn prefix_length_max(&self) -> usize {
        (self.length_max / 2).saturating_sub(self.separator.len()).max(8)
    }

    /// Takes from a prefix whatever makes the separator occur before the prefix's end: `a__b` becomes
    /// `a_b`. For a separator of one of the two signs the other sign replaces it.
    fn without_separator(&self, mut prefix: String) -> String {
        let other = match self.separator.as_str() {
            "_" => "-",
            "-" => "_",
            _ => "",
        };
        loop {
            let front = format!("{prefix}{}", self.separator);
            match front.find(&self.separator) {
                Some(at) if at < prefix.len() => prefix.replace_range(at..=at, other),
                _ => return prefix,
            }
        }
    }
}

fn prefix_texts<'a>(
    mode: config::PrefixMode,
    servers: &[(&'a str, &'a config::Prefix, config::Uris)],
) -> Vec<Option<PrefixText<'a>>> {
    let mut seen: HashMap<&str, u64> = HashMap::new();
    let mut texts = Vec::with_capacity(servers.len());
    for (key, prefix, _) in servers {
        let count = seen.entry(key).or_default();
        let want = |text, on_collision| Some(PrefixText { text, key, ordinal: *count, on_collision });
        texts.push(match (prefix, mode) {
            (config::Prefix::Text(text), _) if !text.is_empty() => want(text.as_str(), false),
            (config::Prefix::Key, config::PrefixMode::Always) => want(key, false),
            (config::Prefix::Key, config::PrefixMode::OnCollision) => want(key, true),
            (config::Prefix::Key, config::PrefixMode::Never)
            | (config::Prefix::Bare | config::Prefix::Text(_), _) => None,
        });
        *count += 1;
    }
    texts
}

/// Per server its prefix and why it is not the text as it was written.
fn settle_prefixes(
    style: &Style,
    lead: char,
    wants: &[Option<PrefixText<'_>>],
) -> Vec<Option<(String, Change)>> {
    let length_max = style.prefix_length_max();
    let wanted: Vec<&PrefixText<'_>> = wants.iter().flatten().collect();
    let mut plains = Vec::with_capacity(wanted.len());
    let mut changes = Vec::with_capacity(wanted.len());
    let mut claims = Vec::with_capacity(wanted.len());
    for want in &wanted {
        let cut = Plain::of(want.text, length_max);
        let too_long = cut.text.len() > length_max;
        let mut plain = Plain { text: style.without_separator(cut.text), ..cut }.led_by(lead);
        let nothing_left = plain.text.is_empty();
        if nothing_left {
            plain.text.push(lead);
        }
        let lossless = !too_long && plain.text == want.text;
        changes.push(match (too_long, lossless) {
            (true, _) => Change::Shortened,
            (false, false) => Change::Sanitised,
            (false, true) => Change::None,
        });
        let hashed = too_long || nothing_left || plain.text.len() > length_max;
        claims.push(Claim { owner: 0, lossless, level: u32::from(hashed), lost: false });
        plains.push(plain.text);
    }
    let forms = settle(&mut claims, |index, level| {
        let (plain, want) = (&plains[index], &wanted[index]);
        if level == 0 {
            return plain.clone();
        }
        let hash = hash(&[want.key], want.ordinal, level);
        let text = style.without_separator(tagged("", plain, '_', &hash, length_max));
        Plain { text, lossless: false }.led_by(lead).text
    });
    let mut settled = forms
        .into_iter()
        .zip(claims)
        .zip(changes)
        .map(|((form, claim), change)| (form, if claim.lost { Change::Collided } else { change }));
    wants.iter().map(|want| want.as_ref().and_then(|_| settled.next())).collect()
}

/// Per server its prefix for URIs: the one for names in lower case, with `-` for `_`.
fn settle_uri_prefixes(
    servers: &[(&str, &config::Prefix, config::Uris)],
    wants: &[Option<PrefixText<'_>>],
    prefixes: &[Option<(String, Change)>],
) -> Vec<Option<String>> {
    let mut texts: Vec<Option<String>> = Vec::with_capacity(servers.len());
    let mut claims = Vec::new();
    let mut wanted = Vec::new();
    for (((_, _, uris), want), prefix) in servers.iter().zip(wants).zip(prefixes) {
        let (Some(want), Some((prefix, _)), config::Uris::Prefixed) = (want, prefix, uris) else {
            texts.push(None);
            continue;
        };
        let text = prefix.to_ascii_lowercase().replace('_', "-");
        claims.push(Claim { owner: 0, lossless: text == want.text, level: 0, lost: false });
        wanted.push((want, text.clone()));
        texts.push(Some(text));
    }
    let forms = settle(&mut claims, |index, level| {
        let (want, text) = &wanted[index];
        if level == 0 {
            return text.clone();
        }
        tagged("", text, '-', &hash(&[want.key], want.ordinal, level), usize::MAX)
    });
    let mut forms = forms.into_iter();
    texts.into_iter().map(|text| text.and_then(|_| forms.next())).collect()
}

/// `x-`, or as many `x` as it takes until no front begins like it and it begins like no front.
fn guard(lead: char, fronts: &[Option<Front>]) -> String {
    let mut guard = String::from(lead);
    loop {
        let whole = format!("{guard}-");
        let free = |front: &Front| !front.text.starts_with(&whole) && !whole.starts_with(&front.text);
        if fronts.iter().flatten().all(free) {
            return whole;
        }
        guard.push(lead);
    }
}

/// Further hashes that a claim tries.
const LEVELS_MAX: u32 = 16;

/// Somebody who wants a name.
struct Claim {
    owner: usize,
    /// Its plain form is what was asked for, letter by letter.
    lossless: bool,
    level: u32,
    /// Had to leave a name to somebody else, or to nobody.
    lost: bool,
}

/// Gives each claim a form that no other claim has. `form` says what a claim is called at a level.
///
/// Of several that want one form: an owner's only lossless one keeps it against its own others; otherwise
/// nobody gets it, now or later, since a name that led to one server must not come to lead to another.
/// All claims move in step, so the outcome does not depend on their order.
fn settle(claims: &mut [Claim], form: impl Fn(usize, u32) -> String) -> Vec<String> {
    let mut holders: HashMap<String, Option<usize>> = HashMap::with_capacity(claims.len());
    let mut moving: Vec<usize> = (0..claims.len()).collect();
    while !moving.is_empty() {
        let mut wanted: HashMap<String, Vec<usize>> = HashMap::with_capacity(moving.len());
        for index in moving.drain(..) {
            let level = claims[index].level;
            let name = match level {
                0..=LEVELS_MAX => form(index, level),
                // Claims that differ in nothing that is hashed, which a valid configuration has not.
                _ => format!("x{index}-{level}"),
            };
            wanted.entry(name).or_default().push(index);
        }
        for (name, mut rivals) in wanted {
            let spoilt = match holders.get(&name) {
                Some(Some(holder)) => {
                    rivals.push(*holder);
                    false
                }
                Some(None) => true,
                None => false,
            };
            let keeper = if spoilt { None } else { keeper(claims, &rivals) };
            for rival in rivals.into_iter().filter(|rival| Some(*rival) != keeper) {
                claims[rival].level += 1;
                claims[rival].lost = true;
                moving.push(rival);
            }
            holders.insert(name, keeper);
        }
    }
    let mut forms = vec![String::new(); claims.len()];
    for (name, holder) in holders {
        if let Some(form) = holder.and_then(|holder| forms.get_mut(holder)) {
            *form = name;
        }
    }
    forms
}

fn keeper(claims: &[Claim], rivals: &[usize]) -> Option<usize> {
    if let [only] = rivals {
        return Some(*only);
    }
    let owner = claims.get(*rivals.first()?)?.owner;
    if rivals.iter().any(|rival| claims[*rival].owner != owner) {
        return None;
    }
    let mut rightful = rivals.iter().filter(|rival| claims[**rival].lossless && claims[**rival].level == 0);
    match (rightful.next(), rightful.next()) {
        (Some(only), None) => Some(*only),
        _ => None,
    }
}

/// `front`, as much of `text` as fits, the joint and the hash. Room for one character of `text` and
/// six of the hash is the caller's promise.
fn tagged(front: &str, text: &str, joint: char, hash: &str, length_max: usize) -> String {
    let room = length_max.saturating_sub(front.len());
    let hash = hash.get(..room.saturating_sub(2)).unwrap_or(hash);
    let head = text.get(..room.saturating_sub(1 + hash.len())).unwrap_or(text);
    format!("{front}{head}{joint}{hash}")
}

/// SHA-256 over the parts with a zero byte between them, in hexadecimal: 6 digits at level 1, then 12, 24
/// and 64, and from there on a new hash at each level.
fn hash(parts: &[&str], ordinal: u64, level: u32) -> String {
    let (digits, salt) = match level {
        0 | 1 => (6, 0),
        2 => (12, 0),
        3 => (24, 0),
        _ => (64, level - 4),
    };
    let mut hasher = Sha256::new();
    if parts.iter().any(|part| part.contains('\0')) {
        // A zero byte within a part could stand for the one between parts: then lengths keep them apart.
        hasher.update([0]);
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.update(ordinal.to_be_bytes());
        hasher.update(salt.to_be_bytes());
    } else {
        hasher.update(parts.join("\0"));
        if ordinal > 0 || salt > 0 {
            hasher.update(format!("\0{ordinal}\0{salt}"));
        }
    }
    let mut hex = String::with_capacity(64);
    for byte in hasher.finalize() {
        for digit in [byte >> 4, byte & 15] {
            hex.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    hex.truncate(digits);
    hex
}

#[cfg(test)]
mod tests;
