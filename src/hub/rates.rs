//! How often clients may ask: the configuration's rates, and what each client has left of them.
//!
//! Made of a configuration as a whole, and as a whole another can take its place; what clients have used is forgotten with
//! it. Nobody waits here: who asks too often is told so at once, and when to ask again. It is there only where there is a
//! rate, so that where there is none nobody pays for it.

use crate::config::codes::Code;
use crate::config::{Config, Rate, toml_key};
use crate::mcp::caller::Caller;
use crate::routing::buckets::{Buckets, Empty, Key};
use crate::upstream::tally::{Asked, Rated};
use crate::wire::fault::{CallOutcome, Fault, Reason, brief};
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::collections::HashMap;
use tokio::time::Instant;

/// The rates of a run.
#[derive(Debug)]
pub struct Rates {
    begun: Instant,
    /// Of each client at all servers.
    client: Option<Rate>,
    /// By the place of the server.
    servers: Vec<OfServer>,
    buckets: Mutex<Buckets>,
}

#[derive(Debug, PartialEq, Eq)]
struct OfServer {
    rate: Option<Rate>,
    /// By the server's own name, with what tells a tool's buckets from all others.
    tools: HashMap<Box<str>, (u32, Rate)>,
}

/// A client asks more often than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excess {
    pub rated: Rated,
    rate: Rate,
    /// After so long the same is taken.
    wait_ms: u32,
}

impl Rates {
    /// `None`: the configuration has no rate.
    pub fn of(config: &Config) -> Option<Self> {
        // Two for each server would not say more: its own is told apart by its place.
        let mut numbers = (config.servers.len() as u32).saturating_add(1)..;
        let servers: Vec<_> = config
            .servers
            .iter()
            .map(|server| {
                let rated = server.tools.iter().filter_map(|(name, tool)| Some((name, tool.rate?)));
                let tools = rated
                    .zip(&mut numbers)
                    .map(|((name, rate), number)| (Box::from(name.as_str()), (number, rate)));
                OfServer { rate: server.rate, tools: tools.collect() }
            })
            .collect();
        let client = config.limits.rate;
        let has_any = client.is_some()
            || servers.iter().any(|server| server.rate.is_some() || !server.tools.is_empty());
        let buckets = Mutex::new(Buckets::new(BUCKETS_MAX));
        has_any.then(|| Self { begun: Instant::now(), client, servers, buckets })
    }

    /// Whether both hold everybody to the same, whatever has been used of it.
    pub fn is_alike(&self, other: &Self) -> bool {
        self.client == other.client && self.servers == other.servers
    }

    /// Counts one request, if it is one that counts. `at`: the place of its server; `own`: what that calls what is asked
    /// for. What is refused is not counted.
    pub fn count(
        &self,
        caller: &Caller,
        asked: Asked,
        at: usize,
        own: &str,
        now: Instant,
    ) -> Result<(), Excess> {
        if !is_counted(asked) {
            return Ok(());
        }
        let client = caller.keeper().0;
        let server = self.servers.get(at);
        let tool = server.filter(|_| asked == Asked::Call).and_then(|server| server.tools.get(own));
        let of_server = server.and_then(|server| server.rate).map(|rate| (at as u32 + 1, rate));
        let all = [
            (Rated::Client, self.client.map(|rate| (0, rate))),
            (Rated::Server, of_server),
            (Rated::Tool, tool.copied()),
        ];
        let rated = all.into_iter().filter_map(|(rated, found)| Some((rated, found?)));
        let rated: SmallVec<[(Rated, (u32, Rate)); 3]> = rated.collect();
        if rated.is_empty() {
            return Ok(());
        }
        let wanted: SmallVec<[(Key, Rate); 3]> =
            rated.iter().map(|(_, (number, rate))| ((client, *number), *rate)).collect();
        let since = now.saturating_duration_since(self.begun).as_nanos();
        let taken = self.buckets.lock().take(&wanted, u64::try_from(since).unwrap_or(u64::MAX));
        let Err(Empty { which, wait_ns }) = taken else { return Ok(()) };
        let Some((rated, (_, rate))) = rated.get(which).copied() else { return Ok(()) };
        let wait_ms = u32::try_from(wait_ns.div_ceil(1_000_000)).unwrap_or(u32::MAX);
        Err(Excess { rated, rate, wait_ms })
    }
}

impl Excess {
    /// In words for whoever asks, most often a model: whose limit it is, of what, and when to go on.
    pub fn fault(&self, server: &str, own: &str) -> Fault {
        let Self { rate, wait_ms, .. } = self;
        let wait = match wait_ms {
            ms @ ..1000 => format!("{ms} ms"),
            // Never less than it is.
            ms => format!("{} s", ms.div_ceil(1000)),
        };
        let key = toml_key(server);
        let text = match self.rated {
            Rated::Client => format!(
                "this client is over its rate of {rate} for all servers (limits.rate); the request was not sent: wait {wait} before the next one"
            ),
            Rated::Server => format!(
                "{server}: this client is over its rate of {rate} for this server (servers.{key}.rate); the request was not sent: wait {wait} before the next one to {server}, other servers are not held back"
            ),
            Rated::Tool => format!(
                "{server}: this client is over its rate of {rate} for the tool {} (servers.{key}.tool.{}.rate); the call was not sent: wait {wait} before the next call of it, other tools are not held back",
                brief(own, OWN_CHARS_MAX),
                toml_key(own),
            ),
        };
        let fault = Fault::ours(Reason::Rate, text).outcome(CallOutcome::NotSent);
        let fault = fault.explained(Code::RateLimited).retry(*wait_ms);
        match self.rated {
            Rated::Client => fault,
            Rated::Server | Rated::Tool => fault.server(server),
        }
    }
}

/// What a server has work with. Subscriptions, levels, and questions about a task that runs do not count.
fn is_counted(asked: Asked) -> bool {
    match asked {
        Asked::Call | Asked::Prompt | Asked::Read | Asked::Complete => true,
        Asked::Other => false,
    }
}

/// Buckets of all clients that are kept at once.
const BUCKETS_MAX: usize = 16_384;
const OWN_CHARS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Command, Reach, ServerConfig, ToolConfig};
    use crate::mcp::caller::{ClientId, Principal};
    use std::path::Path;
    use std::time::Duration;

    fn config(client: &str, server: &str, tool: &str) -> Config {
        let rate = |text: &str| Rate::parse(text).ok();
        let mut config = Config::new("test", Path::new("/"));
        config.limits.rate = rate(client);
        for key in ["a", "b b"] {
            let mut one = ServerConfig::new(key, Reach::Stdio(Command::new("x", Path::new("/"))));
            one.rate = rate(server);
            one.tools.insert("t".to_owned(), ToolConfig { rate: rate(tool), ..ToolConfig::default() });
            config.servers.push(one);
        }
        config
    }

    fn caller(client: u64, guest_of: Option<u64>) -> Caller {
        let guest_of = guest_of.map(ClientId);
        Caller {
            principal: Principal::local(),
            scopes: Default::default(),
            client: ClientId(client),
            alone: true,
            guest_of,
        }
    }

    #[test]
    fn without_a_rate_there_is_nothing() {
        assert!(Rates::of(&config("", "", "")).is_none());
        for (client, server, tool) in [("1/s", "", ""), ("", "1/s", ""), ("", "", "1/s")] {
            assert!(Rates::of(&config(client, server, tool)).is_some());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_rate_holds_back_what_it_is_for_and_nothing_else() {
        let rates = Rates::of(&config("9/min", "4/min", "2/min")).unwrap();
        let (one, other) = (caller(1, None), caller(2, None));
        let count = |caller: &Caller, asked, at, own| {
            rates.count(caller, asked, at, own, Instant::now()).map_err(|excess| excess.rated)
        };
        let tool = |caller: &Caller, at| count(caller, Asked::Call, at, "t");
        assert_eq!([(); 3].map(|()| tool(&one, 0)), [Ok(()), Ok(()), Err(Rated::Tool)]);
        // A prompt may have the same name.
        assert_eq!(count(&one, Asked::Prompt, 0, "t"), Ok(()));
        assert_eq!(count(&one, Asked::Call, 0, "u"), Ok(()));
        assert_eq!(count(&one, Asked::Read, 0, "u"), Err(Rated::Server));
        assert_eq!(count(&one, Asked::Other, 0, "u"), Ok(()), "what gives a server no work");
        assert_eq!([(); 3].map(|()| tool(&one, 1)), [Ok(()), Ok(()), Err(Rated::Tool)]);
        assert_eq!(
            [(); 3].map(|()| count(&one, Asked::Complete, 1, "t")),
            [Ok(()), Ok(()), Err(Rated::Server)]
        );
        assert_eq!(tool(&other, 0), Ok(()));
        // A place that nobody has counts for its client alone.
        assert_eq!([(); 2].map(|()| count(&one, Asked::Call, 7, "t")), [Ok(()), Err(Rated::Client)]);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(tool(&one, 0), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn guests_of_one_are_one() {
        let rates = Rates::of(&config("1/min", "", "")).unwrap();
        let count = |caller: Caller| rates.count(&caller, Asked::Call, 0, "t", Instant::now()).is_ok();
        assert!(count(caller(5, Some(1))));
        assert!(!count(caller(6, Some(1))));
        assert!(!count(caller(1, None)), "and so is who keeps them");
        assert!(count(caller(7, Some(2))));
    }

    #[tokio::test(start_paused = true)]
    async fn the_fault_says_whose_limit_it_is_and_when_to_go_on() {
        let said = |client, server, tool| {
            let rates = Rates::of(&config(client, server, tool)).unwrap();
            let count = || rates.count(&caller(1, None), Asked::Call, 1, "t", Instant::now());
            count().unwrap();
            let fault = count().unwrap_err().fault("b b", "t");
            assert_eq!((fault.reason, fault.outcome), (Some(Reason::Rate), Some(CallOutcome::NotSent)));
            (fault.text, fault.server, fault.retry_ms)
        };
        assert_eq!(
            said("1/s", "", ""),
            ("this client is over its rate of 1/s for all servers (limits.rate); the request was not sent: wait 1 s before the next one".to_owned(), None, Some(1000))
        );
        let (text, server, retry) = said("", "1/min", "1/s");
        assert_eq!(
            text,
            r#"b b: this client is over its rate of 1/min for this server (servers."b b".rate); the request was not sent: wait 60 s before the next one to b b, other servers are not held back"#
        );
        assert_eq!((server.as_deref(), retry), (Some("b b"), Some(60_000)));
        let (text, _, retry) = said("", "9/s", "1/day");
        assert_eq!(
            text,
            r#"b b: this client is over its rate of 1/day for the tool t (servers."b b".tool.t.rate); the call was not sent: wait 86400 s before the next call of it, other tools are not held back"#
        );
        assert_eq!(retry, Some(86_400_000));
    }
}
