//! Results of one server that are kept for a time, so that it need not be asked for the same again.
//!
//! Owns them, within bounds: entries and bytes, the oldest goes first. A result is kept for the connection on which it came,
//! and so for one principal, or one client where each has its own; one that its server calls private is for the client
//! that asked alone. Whatever may change what a server says drops all of it: a note of the server's, and a call of a tool
//! that does not say that it changes nothing, when it is sent and when it is over. It waits for nobody.

use super::outgoing::Outgoing;
use super::round::{self, Says};
use super::tally::Asked;
use crate::config::CacheConfig;
use crate::mcp::caller::ClientId;
use crate::wire::members::{member, members, quote, string};
use crate::wire::message::{Head, Message, Outcome, Span};
use crate::wire::splice::splice;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What is kept of one server's results.
#[derive(Debug)]
pub(super) struct Cache {
    config: CacheConfig,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Arc<str>, Kept>,
    /// In the order in which they came.
    order: BTreeMap<u64, Arc<str>>,
    bytes: usize,
    next: u64,
    /// How often all was dropped: what was asked for before that is not kept.
    epoch: u64,
}

#[derive(Debug)]
struct Kept {
    /// The whole response, under an id of ours.
    text: Bytes,
    came: Instant,
    until: Instant,
    /// The only client that it is for.
    only: Option<ClientId>,
    number: u64,
}

/// What there is for a request.
#[derive(Debug)]
pub(super) enum Found {
    Hit(Bytes),
    Miss(Asking),
}

/// A request that is on its way, and whose result may be kept.
#[derive(Debug)]
pub(super) struct Asking {
    cache: Arc<Cache>,
    key: Arc<str>,
    epoch: u64,
    ttl: Duration,
    client: ClientId,
    /// Its server has words for how long and for whom a result is.
    is_stateless: bool,
}

/// A call that may change what its server says: all is dropped when it begins, and when this is dropped.
#[derive(Debug)]
pub(super) struct Writes(Arc<Cache>);

/// What a request is to the cache.
#[derive(Debug)]
pub(super) enum Bearing {
    Asks(Box<Asking>),
    Writes(#[expect(dead_code, reason = "it is dropped at the right time, and no more")] Writes),
}

impl Cache {
    /// `None`: nothing is to be kept.
    pub(super) fn of(config: &CacheConfig) -> Option<Arc<Self>> {
        let keeps = config.tools.is_some() || config.resources.is_some();
        keeps.then(|| Arc::new(Self { config: config.clone(), state: Mutex::default() }))
    }

    /// What there is for a request on this connection. `None`: it is none whose result is kept.
    pub(super) fn find(
        self: &Arc<Self>,
        connection: u64,
        is_stateless: bool,
        outgoing: &Outgoing<'_>,
    ) -> Option<Found> {
        let (asked, ttl) = match Asked::of(outgoing.method) {
            asked @ Asked::Call => {
                (asked, self.config.tools.filter(|_| outgoing.reads_only && !outgoing.needs_task)?)
            }
            asked @ Asked::Read => (asked, self.config.resources?),
            Asked::Prompt | Asked::Complete | Asked::Other => return None,
        };
        let mut key = key(outgoing.message)?;
        key.push_str(&format!("{connection} {} {}", asked.as_str(), quote(outgoing.pass.own())));
        if let (true, Some(told)) = (is_stateless, outgoing.told) {
            key.push_str(&told.capabilities);
        }
        let (key, client) = (Arc::<str>::from(key), outgoing.keeper);
        let mut state = self.state.lock();
        if let Some(kept) = state.entries.get(&key) {
            if kept.until <= Instant::now() {
                state.drop_one(&key);
            } else if kept.only.is_none_or(|only| only == client) {
                return Some(Found::Hit(aged(&kept.text, kept.came.elapsed())));
            }
        }
        let epoch = state.epoch;
        Some(Found::Miss(Asking { cache: self.clone(), key, epoch, ttl, client, is_stateless }))
    }

    /// All that is kept may be wrong by now.
    pub(super) fn forget(&self) {
        let mut state = self.state.lock();
        state.epoch += 1;
        state.entries.clear();
        state.order.clear();
        state.bytes = 0;
    }

    /// A call begins that may change what the server says.
    pub(super) fn writes(self: &Arc<Self>) -> Writes {
        self.forget();
        Writes(self.clone())
    }

    fn keep(&self, asking: &Asking, text: &Bytes, until: Instant, only: Option<ClientId>) {
        let size = size(&asking.key, text);
        // One alone must not drive out all others.
        if size > self.config.bytes_max / PARTS {
            return;
        }
        let mut state = self.state.lock();
        if state.epoch != asking.epoch {
            return;
        }
        state.drop_one(&asking.key);
        while state.entries.len() >= self.config.entries_max || state.bytes + size > self.config.bytes_max {
            let Some(oldest) = state.order.first_key_value().map(|(_, key)| key.clone()) else { return };
            state.drop_one(&oldest);
        }
        let number = state.next;
        state.next += 1;
        state.bytes += size;
        state.order.insert(number, asking.key.clone());
        // A copy: what it came in is given back.
        let text = Bytes::copy_from_slice(text);
        state.entries.insert(asking.key.clone(), Kept { text, came: Instant::now(), until, only, number });
    }
}

impl State {
    fn drop_one(&mut self, key: &Arc<str>) {
        if let Some(kept) = self.entries.remove(key) {
            self.order.remove(&kept.number);
            self.bytes -= size(key, &kept.text);
        }
    }
}

impl Asking {
    /// The answer is there: it is kept if it is a result, whole and no error, for as long as both we and its server say.
    pub(super) fn ends(self, response: &Message) {
        let Head::Response { outcome: Outcome::Result { value, places }, .. } = response.head() else {
            return;
        };
        if places.is_error || !matches!(round::says(response), Says::Complete) {
            return;
        }
        let result = response.str(*value);
        // What nobody can read is not kept (2026-07-28, server/utilities/caching).
        let ttl = match member(result, "ttlMs") {
            Some(ms) => ms.parse().map(Duration::from_millis).unwrap_or_default().min(self.ttl),
            None => self.ttl,
        };
        let scope = member(result, "cacheScope").and_then(string);
        let only = match scope.as_deref() {
            Some("public") => None,
            None if !self.is_stateless => None,
            Some(_) | None => Some(self.client),
        };
        if !ttl.is_zero() {
            self.cache.keep(&self, response.text(), Instant::now() + ttl, only);
        }
    }
}

impl Drop for Writes {
    fn drop(&mut self) {
        self.0.forget();
    }
}

/// All that a request says but its name, which is told apart by its server's own, and its progress token. `None`: it is no
/// request like any other.
fn key(request: &Message) -> Option<String> {
    let params = request.params()?;
    let is_again = params.request_state.is_some() || params.input_responses.is_some();
    if is_again || params.task.is_some() {
        return None;
    }
    let object = params.object.map(|span| request.str(span))?;
    if object.len() > KEY_BYTES_MAX {
        return None;
    }
    let mut key = String::with_capacity(object.len() + 64);
    for member in members(object)? {
        match member.key.as_ref() {
            "name" | "uri" => {}
            "_meta" => {
                let meta = members(member.value)?;
                let said = meta.iter().filter(|member| member.key != "progressToken");
                said.for_each(|member| key.push_str(&format!("{}:{},", member.key_raw, member.value)));
            }
            _ => key.push_str(&format!("{}:{};", member.key_raw, member.value)),
        }
    }
    // No JSON has such a sign: nothing that a client says reads as what comes behind it.
    key.push('\0');
    Some(key)
}

/// A response as it is after so long: what its server says of how long it holds is less by that.
fn aged(text: &Bytes, age: Duration) -> Bytes {
    let Ok(response) = Message::parse_server(text.clone()) else { return text.clone() };
    let Head::Response { outcome: Outcome::Result { value, .. }, .. } = response.head() else {
        return text.clone();
    };
    let whole = response.str(Span { start: 0, end: text.len() as u32 });
    let Some(said) = member(response.str(*value), "ttlMs") else { return text.clone() };
    let (Some(place), Ok(ms)) = (Span::of(whole, said), said.parse::<u64>()) else { return text.clone() };
    let left = u128::from(ms).saturating_sub(age.as_millis());
    splice(text, &mut [(place, Bytes::from(left.to_string()))])
}

fn size(key: &str, text: &Bytes) -> usize {
    key.len() + text.len() + ENTRY_BYTES
}

/// The largest that is kept is such a part of all that may be.
const PARTS: usize = 4;
/// The longest parameters of a request whose result is kept.
const KEY_BYTES_MAX: usize = 64 * 1024;
/// What an entry takes beside its texts, more or less.
const ENTRY_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::caps::Caps;

    fn cache(entries_max: usize, bytes_max: usize) -> Arc<Cache> {
        let minute = Some(Duration::from_secs(60));
        Cache::of(&CacheConfig { tools: minute, resources: minute, entries_max, bytes_max }).unwrap()
    }

    fn asking(cache: &Arc<Cache>, key: &str) -> Asking {
        let epoch = cache.state.lock().epoch;
        let ttl = Duration::from_secs(60);
        Asking {
            cache: cache.clone(),
            key: Arc::from(key),
            epoch,
            ttl,
            client: ClientId(1),
            is_stateless: false,
        }
    }

    fn response(result: &str) -> Message {
        Message::parse_server(format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#).into()).unwrap()
    }

    fn keys(cache: &Cache) -> Vec<String> {
        let state = cache.state.lock();
        assert_eq!(state.order.len(), state.entries.len());
        assert_eq!(state.bytes, state.entries.iter().map(|(key, kept)| size(key, &kept.text)).sum::<usize>());
        state.order.values().map(|key| key.to_string()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_goes_when_there_are_too_many_or_they_are_too_long() {
        let few = cache(3, 1 << 20);
        for key in ["a", "b", "c", "a", "d"] {
            asking(&few, key).ends(&response("{}"));
        }
        assert_eq!(keys(&few), ["c", "a", "d"]);
        let small = cache(99, 4 * 1024);
        for key in ["a", "b", "c", "d", "e", "f"] {
            asking(&small, key).ends(&response(&format!(r#"{{"x":"{}"}}"#, "y".repeat(500))));
        }
        assert_eq!(keys(&small), ["b", "c", "d", "e", "f"]);
        asking(&small, "long").ends(&response(&format!(r#"{{"x":"{}"}}"#, "y".repeat(1000))));
        assert_eq!(keys(&small), ["b", "c", "d", "e", "f"], "one alone must not drive out all others");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_asked_for_before_all_was_dropped_is_not_kept() {
        let cache = cache(9, 1 << 20);
        let before = asking(&cache, "a");
        asking(&cache, "b").ends(&response("{}"));
        let writes = cache.writes();
        assert!(keys(&cache).is_empty());
        before.ends(&response("{}"));
        let during = asking(&cache, "c");
        assert!(keys(&cache).is_empty());
        drop(writes);
        during.ends(&response("{}"));
        assert!(keys(&cache).is_empty());
        asking(&cache, "d").ends(&response("{}"));
        assert_eq!(keys(&cache), ["d"]);
    }

    #[tokio::test(start_paused = true)]
    async fn only_whole_results_are_kept_and_no_longer_than_their_server_says() {
        let cache = cache(9, 1 << 20);
        for result in [
            r#"{"isError":true}"#,
            r#"{"resultType":"input_required"}"#,
            r#"{"resultType":"task"}"#,
            r#"{"ttlMs":0}"#,
            r#"{"ttlMs":-1}"#,
            r#"{"ttlMs":"9"}"#,
        ] {
            asking(&cache, "a").ends(&response(result));
            assert!(keys(&cache).is_empty(), "{result}");
        }
        let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}"#;
        asking(&cache, "a").ends(&Message::parse_server(error.into()).unwrap());
        assert!(keys(&cache).is_empty());
        for (ms, seconds) in [(5_000, 5), (99_000, 60)] {
            asking(&cache, "a").ends(&response(&format!(r#"{{"ttlMs":{ms}}}"#)));
            let until = cache.state.lock().entries["a"].until;
            assert_eq!(until, Instant::now() + Duration::from_secs(seconds));
        }
        for (scope, is_stateless, only) in [
            (r#"{"cacheScope":"public"}"#, true, None),
            (r#"{"cacheScope":"private"}"#, true, Some(ClientId(1))),
            (r#"{"cacheScope":"private"}"#, false, Some(ClientId(1))),
            (r#"{"cacheScope":7}"#, true, Some(ClientId(1))),
            ("{}", true, Some(ClientId(1))),
            ("{}", false, None),
        ] {
            Asking { is_stateless, ..asking(&cache, "a") }.ends(&response(scope));
            assert_eq!(cache.state.lock().entries["a"].only, only, "{scope}");
        }
    }

    #[test]
    fn a_request_is_told_apart_by_all_that_it_says_but_its_name_and_token() {
        let key = |params: &str| {
            let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
            key(&Message::parse_client(text.into(), Caps::default()).unwrap())
        };
        let one = key(r#"{"name":"a","arguments":{"n":1},"_meta":{"progressToken":1,"k":"v"}}"#).unwrap();
        for same in [
            r#"{"_meta":{"k":"v","progressToken":"x"},"name":"b","arguments":{"n":1}}"#,
            r#"{"arguments":{"n":1},"name":"a","_meta":{"k":"v"}}"#,
        ] {
            // In whichever order: that it is another may be missed, and costs a call.
            assert_eq!(key(same).unwrap().len(), one.len(), "{same}");
        }
        assert_eq!(key(r#"{"name":"b","arguments":{"n":1},"_meta":{"k":"v"}}"#), Some(one.clone()));
        for other in [
            r#"{"name":"a","arguments":{"n":2},"_meta":{"k":"v"}}"#,
            r#"{"name":"a","arguments":{"n": 1},"_meta":{"k":"v"}}"#,
            r#"{"name":"a","arguments":{"n":1}}"#,
            r#"{"name":"a","arguments":{"n":1},"_meta":{"k":"w"}}"#,
            r#"{"name":"a","arguments":{"n":1},"_meta":{"k":"v"},"more":1}"#,
        ] {
            assert_ne!(key(other), Some(one.clone()), "{other}");
        }
        for none in [
            r#"{"name":"a","task":{}}"#,
            r#"{"name":"a","requestState":"s"}"#,
            r#"{"name":"a","inputResponses":{}}"#,
        ] {
            assert_eq!(key(none), None, "{none}");
        }
        assert_eq!(
            key(&format!(r#"{{"name":"a","arguments":{{"n":"{}"}}}}"#, "x".repeat(KEY_BYTES_MAX))),
            None
        );
    }
}
