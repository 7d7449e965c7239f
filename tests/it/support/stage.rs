//! Plays a script, and checks at its end that nothing is left.
//!
//! A stage owns the hub, the doors and the scripted parties. It lets everything happen that can happen within
//! an instant before it looks, so that what it sees does not depend on which task ran first.

use super::client::{Client, IDENTITY};
use super::panics;
use super::pattern::{self, Names, Pattern};
use super::script::{Count, Deed, Role, Script, ScriptLine, Step, Which};
use super::server::{Act, Desk, DeskDial, MODERN};
use mcp_braid::config::{Config, file};
use mcp_braid::hub::Hub;
use mcp_braid::hub::catalog_cache::CatalogCache;
use mcp_braid::mcp::caller::Company;
use mcp_braid::upstream::dial::Dial;
use mcp_braid::upstream::link::State;
use mcp_braid::upstream::process::Pace;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::task::{LocalSet, yield_now};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;

/// Plays a text to its end; the file's name is for the report of a failure.
pub(crate) async fn play(name: &str, text: &str) {
    if let Err(why) = performed(text).await {
        panic!("\n{name}.play{why}\n");
    }
}

/// Plays a text to its end, or to the line that fails.
async fn performed(text: &str) -> Outcome {
    // A door is served on the thread of its client.
    LocalSet::new().run_until(perform(text)).await
}

async fn perform(text: &str) -> Outcome {
    panics::watch();
    let panics = panics::count();
    let script = Script::parse(text).map_err(|why| format!(": {why}"))?;
    let mut stage = Stage::open(&script).await.map_err(|why| format!(", at its beginning: {why}"))?;
    for line in &script.lines {
        let failed = |why| format!(":{}\n  {}\n{why}", line.number, line.text);
        if matches!(line.step, Step::BraidStartsAgain) {
            stage = stage.again(&script).await.map_err(failed)?;
        } else {
            stage.line(line).await.map_err(failed)?;
        }
    }
    stage.close().await.map_err(|why| format!(", at its end: {why}"))?;
    match panics::count() - panics {
        0 => Ok(()),
        panics => Err(format!(", at its end: {panics} tasks have panicked")),
    }
}

/// Everything that takes part.
struct Stage {
    hub: Arc<Hub>,
    tracker: TaskTracker,
    clients: Vec<Client>,
    desks: Vec<Arc<Desk>>,
    /// The tasks of the servers' lives.
    crew: TaskTracker,
    /// What outlives a run of Braid.
    home: Arc<tempfile::TempDir>,
    names: Names,
    begun: Instant,
}

/// What went wrong, in words.
type Outcome = Result<(), String>;

impl Stage {
    async fn open(script: &Script) -> Result<Self, String> {
        let crew = TaskTracker::new();
        let desks: Result<Vec<_>, _> =
            script.servers.iter().map(|role| Desk::new(role, crew.clone())).collect();
        let home = tempfile::tempdir().map_err(|error| error.to_string())?;
        Self::begin(script, desks?, crew, Arc::new(home)).await
    }

    /// A run of Braid before these servers.
    async fn begin(
        script: &Script,
        desks: Vec<Arc<Desk>>,
        crew: TaskTracker,
        home: Arc<tempfile::TempDir>,
    ) -> Result<Self, String> {
        let tracker = TaskTracker::new();
        let config = config(script)?;
        let recalls = config.admin.catalog_cache;
        let dials = desks.iter().map(|desk| -> Arc<dyn Dial> { Arc::new(DeskDial(desk.clone())) });
        let hub = Hub::new(Arc::new(config), dials.collect(), IDENTITY, tracker.clone());
        if recalls {
            let folder = home.path().to_owned();
            let variable = move |name: &str| (name == "HOME").then(|| folder.clone().into());
            hub.recalls(CatalogCache::open(variable).map_err(|error| error.to_string())?);
        }
        let alone = script.clients.len() == 1;
        let clients: Result<Vec<_>, _> =
            script.clients.iter().map(|role| Client::open(role, alone, &hub)).collect();
        let names = [("meta", "{}"), ("able", ABLE)].map(|(name, can)| (name.to_owned(), standing(can)));
        let (names, begun) = (Names::from(names), Instant::now());
        let mut stage = Self { hub, tracker, clients: clients?, desks, crew, home, names, begun };
        stage.settle().await;
        for at in 0..stage.clients.len() {
            stage.greet(at).await?;
        }
        Ok(stage)
    }

    /// The handshake of a client that greets by itself.
    async fn greet(&mut self, at: usize) -> Outcome {
        let Some(revision) = self.clients[at].greets.clone() else { return Ok(()) };
        let initialize = format!(
            r#"{{"jsonrpc":"2.0","id":"greeting","method":"initialize","params":{{"protocolVersion":"{revision}","capabilities":{},"clientInfo":{{"name":"play","version":"1"}}}}}}"#,
            self.clients[at].capabilities
        );
        self.clients[at].say(format!("{initialize}\n").into_bytes())?;
        self.settle().await;
        if self.clients[at].heard.is_empty() {
            self.wait(GREETING_MAX).await;
        }
        match self.clients[at].heard.pop_front() {
            Some(line) if line.starts_with(r#"{"jsonrpc":"2.0","id":"greeting","result":"#) => {}
            line => return Err(format!("initialize was answered with {line:?}")),
        }
        self.clients[at].say(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n".to_vec())?;
        self.settle().await;
        Ok(())
    }

    async fn line(&mut self, line: &ScriptLine) -> Outcome {
        // What one line causes comes before the next; only what is said `times` comes in one burst.
        self.settle().await;
        let Some(times) = line.times else { return self.step(&line.step).await };
        for n in 1..=times {
            self.names.insert("n".to_owned(), n.to_string());
            self.step(&line.step).await.map_err(|why| format!("(time {n}) {why}"))?;
        }
        self.names.remove("n");
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Outcome {
        match step {
            Step::Say { party, text } => {
                let mut bytes = pattern::said(text, &self.names)?;
                bytes.push(b'\n');
                self.say(party, bytes).await
            }
            Step::Write { party, text } => {
                let bytes = pattern::said(text, &self.names)?;
                self.say(party, bytes).await
            }
            Step::Hear { party, which, pattern } => {
                let mut found = self.hear(party, |heard, names| take(heard, *which, pattern, names))?;
                if found.is_none() {
                    self.settle().await;
                    found = self.hear(party, |heard, names| take(heard, *which, pattern, names))?;
                }
                self.heard(party, found)
            }
            Step::Silent { party } => match self.waiting(party)? {
                waiting if waiting.is_empty() => Ok(()),
                waiting => Err(format!("but {party} heard\n{}", listed(&waiting))),
            },
            Step::Wait(time) => {
                self.wait(*time).await;
                Ok(())
            }
            Step::Do { party, deed } => self.act(party, deed).await,
            Step::Counts { party, count, at_most, number } => {
                self.settle().await;
                let found = self.count(party, *count)?;
                match (found == *number, *at_most && found < *number) {
                    (false, false) => Err(format!("but it is {found}")),
                    _ => Ok(()),
                }
            }
            Step::BraidStops => self.stop().await,
            Step::BraidStartsAgain => Err("it cannot be played several times at once".to_owned()),
        }
    }

    async fn say(&mut self, party: &str, bytes: Vec<u8>) -> Outcome {
        if let Some(client) = self.clients.iter_mut().find(|client| client.name == party) {
            return client.say(bytes);
        }
        let (desk, life) = self.desk(party)?;
        desk.act(life, Act::Write(bytes)).await
    }

    async fn act(&mut self, party: &str, deed: &Deed) -> Outcome {
        self.settle().await;
        if let Some(client) = self.clients.iter_mut().find(|client| client.name == party) {
            match deed {
                Deed::Leaves => client.leave(),
                Deed::Goes => client.go(),
                Deed::IsLeft if client.closed.is_none() => return Err("but its door is open".to_owned()),
                Deed::IsLeft => {}
                Deed::Stalls => client.stalls = true,
                Deed::Reads => client.stalls = false,
                Deed::Dies
                | Deed::ClosesStdout
                | Deed::Refuses
                | Deed::Returns
                | Deed::Offers(_)
                | Deed::Mutes => {
                    return Err("a client does no such thing".to_owned());
                }
            }
            return Ok(());
        }
        let (desk, life) = self.desk(party)?;
        match deed {
            Deed::Stalls => desk.act(life, Act::Stall).await?,
            Deed::Reads => desk.act(life, Act::Read).await?,
            Deed::Dies => desk.act(life, Act::Die).await?,
            Deed::ClosesStdout => desk.act(life, Act::CloseStdout).await?,
            Deed::Refuses => desk.refuses(),
            Deed::Returns => desk.returns(),
            Deed::Offers(items) => desk.offers(items)?,
            Deed::Mutes => desk.mutes(),
            Deed::Leaves | Deed::Goes | Deed::IsLeft => return Err("a server does no such thing".to_owned()),
        }
        self.settle().await;
        Ok(())
    }

    fn count(&self, party: &str, count: Count) -> Result<u64, String> {
        let (desk, _) = self.desk(party)?;
        if let Count::Started = count {
            return Ok(desk.started());
        }
        let link = self.links().into_iter().find(|(key, _)| key == party);
        let (_, link) = link.ok_or("it is not ready")?;
        let counters = link.stream().counters();
        Ok(match count {
            Count::Started => desk.started(),
            Count::Open => link.stream().in_flight() as u64,
            Count::Asks => link.stream().asks_open() as u64,
            Count::Strays => counters.strays.load(Ordering::Relaxed),
            Count::Notes => counters.notes.load(Ordering::Relaxed),
            Count::Noise => counters.noise.load(Ordering::Relaxed),
        })
    }

    /// Every link that is ready, with its server's key.
    fn links(&self) -> Vec<(String, Arc<mcp_braid::upstream::link::Link>)> {
        let reports =
            self.clients.iter().flat_map(|client| self.hub.reports(&client.caller, &self.hub.entrance_all()));
        reports
            .filter_map(|report| match report.state {
                State::Ready(link) => Some((report.key, link)),
                State::Connecting | State::Down { .. } => None,
            })
            .collect()
    }

    /// Looks at what waits for the script, and may take of it.
    fn hear<T>(
        &mut self,
        party: &str,
        take: impl FnOnce(&mut VecDeque<String>, &Names) -> T,
    ) -> Result<T, String> {
        if let Some(client) = self.clients.iter_mut().find(|client| client.name == party) {
            return Ok(take(&mut client.heard, &self.names));
        }
        let (desk, life) = self.desk(party)?;
        desk.hear(life, |heard| take(heard, &self.names))
    }

    fn waiting(&mut self, party: &str) -> Result<Vec<String>, String> {
        self.hear(party, |heard, _| heard.iter().cloned().collect())
    }

    fn heard(&mut self, party: &str, found: Option<Names>) -> Outcome {
        let Some(names) = found else {
            let waiting = self.waiting(party)?;
            let names: Vec<_> = self.names.iter().map(|(name, value)| format!("${name} = {value}")).collect();
            let at = self.begun.elapsed().as_millis();
            return Err(match waiting.is_empty() {
                true => format!("but {party} heard nothing more, after {at} ms; {}", names.join(", ")),
                false => {
                    format!("but {party} heard\n{}  after {at} ms; {}", listed(&waiting), names.join(", "))
                }
            });
        };
        self.names = names;
        Ok(())
    }

    /// A server, and which of its lives if the name says so: `files`, `files.2`.
    fn desk(&self, party: &str) -> Result<(&Arc<Desk>, Option<usize>), String> {
        let (name, life) = match party.split_once('.') {
            Some((name, life)) => (name, Some(life.parse().map_err(|_| format!("no life: {party}"))?)),
            None => (party, None),
        };
        let desk = self.desks.iter().find(|desk| desk.name == name);
        desk.map(|desk| (desk, life)).ok_or_else(|| format!("nobody is called {party}"))
    }

    /// Lets happen what can happen in this instant.
    async fn settle(&mut self) {
        if self.hub.config().admin.catalog_cache {
            // What is read and written on other threads is there before time passes.
            self.passes(Duration::from_millis(1)).await;
        }
        let mut quiet = 0;
        let mut before = 0;
        while quiet < QUIET_ROUNDS {
            yield_now().await;
            let heard = poll_fn(|cx| Poll::Ready(self.poll(cx).is_ready())).await;
            let moves: u64 = self.desks.iter().map(|desk| desk.moves()).sum();
            quiet = if heard || moves != before { 0 } else { quiet + 1 };
            before = moves;
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let heard = self.clients.iter_mut().filter_map(|client| client.poll(cx).is_ready().then_some(()));
        if heard.count() > 0 { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Lets time pass, and what happens meanwhile happen in its own time.
    async fn wait(&mut self, time: Duration) {
        self.passes(time).await;
        self.settle().await;
    }

    async fn passes(&mut self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            tokio::select! {
                biased;
                () = poll_fn(|cx| self.poll(cx)) => {}
                () = sleep_until(until) => break,
            }
        }
    }

    async fn stop(&mut self) -> Outcome {
        self.settle().await;
        let asked = Instant::now();
        self.hub.stop(Pace::LEAVING, STOP_MAX).await;
        if asked.elapsed() >= STOP_MAX {
            return Err(format!("{} tasks are left after {STOP_MAX:?}", self.tracker.len()));
        }
        self.settle().await;
        Ok(())
    }

    /// Another run before the same servers, once nothing is left of this one.
    async fn again(mut self, script: &Script) -> Result<Self, String> {
        // What is written on other threads is there before time passes.
        self.wait(Duration::from_millis(1)).await;
        let (desks, crew, home) = (self.desks.clone(), self.crew.clone(), self.home.clone());
        self.close().await?;
        Self::begin(script, desks, crew, home).await
    }

    /// Nothing is in flight or queued, and once everybody has left no task and no life goes on.
    async fn close(mut self) -> Outcome {
        self.settle().await;
        self.all_was_heard()?;
        self.nothing_is_open().await?;
        for client in &mut self.clients {
            client.stalls = false;
            client.leave();
        }
        self.settle().await;
        for client in &self.clients {
            match &client.closed {
                Some(Ok(_)) => {}
                Some(Err(panicked)) => return Err(format!("the door of {}: {panicked}", client.name)),
                None => return Err(format!("the door of {} is still open", client.name)),
            }
        }
        self.stop().await?;
        self.all_was_heard()?;
        for desk in &self.desks {
            if desk.started() != desk.ended() {
                return Err(format!("{}: {} starts, {} ends", desk.name, desk.started(), desk.ended()));
            }
        }
        let holders = Arc::strong_count(&self.hub);
        if holders != 1 {
            return Err(format!("the hub is held {holders} times"));
        }
        drop((self.clients, self.hub));
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        if tasks != 0 {
            return Err(format!("{tasks} tasks are left, {} of them servers of the script", self.crew.len()));
        }
        Ok(())
    }

    fn all_was_heard(&self) -> Outcome {
        let mut left = String::new();
        for client in &self.clients {
            if !client.heard.is_empty() {
                let lines: Vec<_> = client.heard.iter().cloned().collect();
                write!(left, "{} also heard\n{}", client.name, listed(&lines)).map_err(|e| e.to_string())?;
            }
        }
        for desk in &self.desks {
            let lines = desk.left();
            if !lines.is_empty() {
                write!(left, "{} also heard\n{}", desk.name, listed(&lines)).map_err(|e| e.to_string())?;
            }
        }
        if left.is_empty() { Ok(()) } else { Err(left) }
    }

    async fn nothing_is_open(&mut self) -> Outcome {
        for (key, link) in self.links() {
            let open = link.stream().in_flight();
            if open > 0 {
                return Err(format!("{open} requests are in flight at {key}"));
            }
            let asks = link.stream().asks_open();
            if asks > 0 {
                return Err(format!("{asks} requests of {key} have no answer"));
            }
        }
        let budget = self.hub.config().limits.buffered_bytes_max / 100 * 85;
        if self.hub.allowance(Company::One).request(budget).is_none() {
            return Err("a request holds its room in memory".to_owned());
        }
        for at in 0..self.clients.len() {
            self.ids_are_free(at).await?;
        }
        Ok(())
    }

    /// A door that forgot a request's end would refuse its id as open already.
    async fn ids_are_free(&mut self, at: usize) -> Outcome {
        let client = &self.clients[at];
        if client.has_left() || client.closed.is_some() || client.stalls || client.ids.is_empty() {
            return Ok(());
        }
        let ids = std::mem::take(&mut self.clients[at].ids);
        let lists =
            ids.iter().map(|id| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/list\"}}\n"));
        self.clients[at].say(lists.collect::<String>().into_bytes())?;
        self.settle().await;
        if self.clients[at].heard.len() < ids.len() {
            self.wait(LIST_MAX).await;
        }
        let answers = std::mem::take(&mut self.clients[at].heard);
        if let Some(answer) = answers.iter().find(|answer| answer.contains("is open already")) {
            return Err(format!("an id is not free: {answer}"));
        }
        match answers.len() == ids.len() {
            true => Ok(()),
            false => Err(format!("{} ids were tried again, {} answered", ids.len(), answers.len())),
        }
    }
}

/// Takes what a line of the script expects; the names after it, or `None`.
fn take(heard: &mut VecDeque<String>, which: Which, pattern: &Pattern, names: &Names) -> Option<Names> {
    match which {
        Which::Next => {
            let matched = pattern.matched(heard.front()?, names)?;
            heard.pop_front();
            Some(matched)
        }
        Which::Among => {
            let mut lines = heard.iter().enumerate();
            let (at, matched) = lines.find_map(|(at, line)| Some((at, pattern.matched(line, names)?)))?;
            heard.remove(at);
            Some(matched)
        }
        Which::AnyNumber => {
            while heard.front().is_some_and(|line| pattern.matched(line, names).is_some()) {
                heard.pop_front();
            }
            Some(names.clone())
        }
    }
}

/// The script's lines of braid.toml behind a line for each server.
fn config(script: &Script) -> Result<Config, String> {
    let servers = script.servers.iter().map(|role| format!("servers.{:?}.command = \"played\"", role.name));
    let mut lines: Vec<String> = servers.chain(script.config.iter().cloned()).collect();
    // A pause is random: only in a play about restarts is one short.
    if !lines.iter().any(|line| line.contains("restart_backoff")) {
        lines.push(r#"defaults.restart_backoff = { min = "1h", max = "1h" }"#.to_owned());
    }
    // A server is only asked whether it does without a handshake where a play is about that.
    let has_handshake = |role: &&Role| !role.traits.iter().any(|word| word == MODERN);
    if !lines.iter().any(|line| line.contains("protocol")) {
        let greeted = script.servers.iter().filter(has_handshake);
        lines.extend(greeted.map(|role| format!("servers.{:?}.protocol = \"handshake\"", role.name)));
    }
    let loaded = file::from_text(&lines.join("\n"), "play.toml", Path::new("/"), &|_| None);
    match loaded {
        Ok(loaded) => {
            let groups = loaded.config.groups.iter().chain(&script.groups).cloned().collect();
            Ok(Config { groups, ..loaded.config })
        }
        Err(report) => Err(report.render(false)),
    }
}

fn listed(lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines.iter().take(LISTED_MAX) {
        text += &format!("  {}\n", line.chars().take(2000).collect::<String>());
    }
    match lines.len().saturating_sub(LISTED_MAX) {
        0 => text,
        more => format!("{text}  and {more} more\n"),
    }
}

/// The members of `_meta` of a request of 2026-07-28 whose client can do this; a script may add others behind them.
fn standing(capabilities: &str) -> String {
    format!(
        r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{capabilities}"#
    )
}

const ABLE: &str = r#"{"roots":{},"sampling":{},"elicitation":{"form":{},"url":{}}}"#;
/// Rounds of all tasks in which nothing moved.
const QUIET_ROUNDS: usize = 64;
const LISTED_MAX: usize = 8;
/// `initialize` is answered in this time, whatever the servers do (A-06).
const GREETING_MAX: Duration = Duration::from_millis(250);
const LIST_MAX: Duration = Duration::from_secs(60);
/// A client gives us two seconds for everything.
const STOP_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &str = r#"
        server files: tools read
        client> {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read"}}
        files<  {"jsonrpc":"2.0","id":$1,*}
    "#;

    async fn fails(rest: &str, why: &str) {
        let failed = performed(&format!("{CALL}{rest}")).await.unwrap_err();
        assert!(failed.contains(why), "{failed}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_line_that_fails_is_shown_with_what_was_heard() {
        let rest = r#"files> {"jsonrpc":"2.0","id":$1,"result":7}
            client< {"jsonrpc":"2.0","id":1,"result":8}"#;
        fails(rest, ":6\n  client< ").await;
        fails(
            rest,
            r#"but client heard
  {"jsonrpc":"2.0","id":1,"result":7}"#,
        )
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_at_the_end_fails_the_play() {
        fails("", "at its end: 1 requests are in flight at files").await;
        fails(r#"files> {"jsonrpc":"2.0","id":$1,"result":7}"#, "at its end: client also heard").await;
        fails("client leaves\nwait 1s", "at its end: files also heard").await;
        fails("client silent\nfiles silent\nwait 1h", "at its end: client also heard").await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_script_is_refused() {
        for (rest, why) in [
            ("files shouts", "line 5: no such step"),
            ("wait long", "line 5: no time"),
            ("others< x", "nobody is called others"),
            ("files> $2", "nothing was heard for `$2`"),
            ("config limits.depth = true", "at its beginning"),
        ] {
            fails(rest, why).await;
        }
    }
}
