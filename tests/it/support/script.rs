//! What a play's text says: who takes part, how Braid is set up, and the steps in their order.
//!
//! ```text
//! server files: 2025-11-25, tools read write     a server that greets and lists by itself
//! client: 2025-11-25                              the client greets by itself; so it does without this line
//! group work: files notes                         a door to some of the servers
//! config servers.files.timeouts.call = "30s"      a line of braid.toml
//!
//! client> TEXT          says a line                client>> TEXT     says it without a newline
//! files<  PATTERN       hears exactly this next    files<~ PATTERN   hears it among all that waits
//! files<* PATTERN       hears any number of such   files silent      hears nothing more
//! wait 31s              time passes                times 9: STEP     nine times, `$n` from 1 to 9
//! files DEED            see `Deed`                 files open 1      see `Count`
//! braid stops
//! braid starts again                              all clients leave, and the same come to another run
//!
//! client> … {"_meta":{$meta}} …                   a request that stands by itself (2026-07-28), of a client that can be
//! client> … {"_meta":{$able}} …                   asked for nothing, or for anything
//! ```
//! Before the next line is played everything happens that can, except between the `times` of one line; what must
//! come in one piece is said with `>>` and `\x0a`. Time passes only in `wait`. A server that ends is not started
//! again for an hour, more or less, unless `restart_backoff` is set.

use super::pattern::Pattern;
use mcp_braid::config::Group;
use std::time::Duration;

/// A whole play.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) servers: Vec<Role>,
    pub(crate) clients: Vec<Role>,
    pub(crate) groups: Vec<Group>,
    /// Lines of braid.toml.
    pub(crate) config: Vec<String>,
    pub(crate) lines: Vec<ScriptLine>,
}

/// Who takes part, and how: the words behind the colon.
#[derive(Debug)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) traits: Vec<String>,
}

/// A step and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct ScriptLine {
    /// From 1.
    pub(crate) number: usize,
    pub(crate) text: String,
    /// How often; `None`: once, and there is no `$n`.
    pub(crate) times: Option<usize>,
    pub(crate) step: Step,
}

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Say {
        party: String,
        text: String,
    },
    /// Without a newline.
    Write {
        party: String,
        text: String,
    },
    Hear {
        party: String,
        which: Which,
        pattern: Pattern,
    },
    Silent {
        party: String,
    },
    Wait(Duration),
    Do {
        party: String,
        deed: Deed,
    },
    Counts {
        party: String,
        count: Count,
        at_most: bool,
        number: u64,
    },
    BraidStops,
    BraidStartsAgain,
}

/// Which of the lines that wait for the script.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    Next,
    /// The first that is so.
    Among,
    /// All of the next ones that are so, and it may be none.
    AnyNumber,
}

/// What a party does beside talking.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    /// A client closes its side, and goes on reading.
    Leaves,
    /// It is gone, and nobody reads its side any more.
    Goes,
    /// A client's door has closed.
    IsLeft,
    /// It stops reading, or reads again.
    Stalls,
    Reads,
    /// A server ends, both pipes at once.
    Dies,
    ClosesStdout,
    /// It cannot be started any more, or can again.
    Refuses,
    Returns,
    /// From now on a server lists this: a kind and its items.
    Offers(String),
    /// From now on the script answers for it.
    Mutes,
}

/// What is counted at a server.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Count {
    /// How often it was started.
    Started,
    /// Requests open at its present link.
    Open,
    /// Requests of its own that have no answer.
    Asks,
    /// What its present link has dropped: answers to nothing open, notes, lines that are no message.
    Strays,
    Notes,
    Noise,
}

impl Script {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut script =
            Self { servers: vec![], clients: vec![], groups: vec![], config: vec![], lines: vec![] };
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (word, rest) = line.split_once([' ', ':']).unwrap_or((line, ""));
            match word {
                "server" => script.servers.push(role(rest)),
                "client" if is_role(line) => {
                    let rest = line.strip_prefix("client").unwrap_or_default();
                    script.clients.push(role(&rest.replacen(':', " : ", 1)));
                }
                "group" => {
                    let (name, servers) = rest.split_once(':').unwrap_or((rest, ""));
                    let servers = servers.split_whitespace().map(str::to_owned).collect();
                    script.groups.push(Group::new(name, servers));
                }
                "config" => script.config.push(rest.to_owned()),
                _ => {
                    let fault = |why| format!("line {}: {why}: {line}", at + 1);
                    let (times, rest) = times(line).map_err(fault)?;
                    let step = step(rest).map_err(fault)?;
                    script.lines.push(ScriptLine { number: at + 1, text: line.to_owned(), times, step });
                }
            }
        }
        if script.clients.is_empty() {
            script.clients.push(role("client: 2025-11-25"));
        }
        Ok(script)
    }
}

/// `client: …` or `client NAME: …`.
fn is_role(line: &str) -> bool {
    let head = line.split([':', '>', '<', '{']).next().unwrap_or_default();
    line[head.len()..].starts_with(':')
}

fn role(text: &str) -> Role {
    let (name, traits) = text.split_once(':').unwrap_or((text, ""));
    let name = match name.trim() {
        "" => "client",
        name => name,
    };
    let traits = traits.split(',').map(|one| one.trim().to_owned()).filter(|one| !one.is_empty());
    Role { name: name.to_owned(), traits: traits.collect() }
}

/// How often a line is played, and what is played.
fn times(line: &str) -> Result<(Option<usize>, &str), String> {
    let Some(rest) = line.strip_prefix("times ") else { return Ok((None, line)) };
    let (count, rest) = rest.split_once(':').ok_or("`times` without a colon")?;
    let count = count.trim().parse().map_err(|_| "`times` without a number")?;
    Ok((Some(count), rest.trim()))
}

fn step(line: &str) -> Result<Step, String> {
    if let Some(rest) = line.strip_prefix("wait ") {
        return Ok(Step::Wait(duration(rest.trim()).ok_or("no time")?));
    }
    if line == "braid stops" {
        return Ok(Step::BraidStops);
    }
    if line == "braid starts again" {
        return Ok(Step::BraidStartsAgain);
    }
    let end = line.find([' ', '>', '<']).ok_or("no step")?;
    let (party, rest) = (line[..end].to_owned(), line[end..].trim_start());
    for (mark, make) in MARKS {
        if let Some(text) = rest.strip_prefix(mark) {
            return Ok(make(party, text.trim()));
        }
    }
    deed(party, rest)
}

type Make = fn(String, &str) -> Step;

/// The longer marks first.
const MARKS: [(&str, Make); 5] = [
    (">>", |party, text| Step::Write { party, text: text.to_owned() }),
    (">", |party, text| Step::Say { party, text: text.to_owned() }),
    ("<~", |party, text| hear(party, Which::Among, text)),
    ("<*", |party, text| hear(party, Which::AnyNumber, text)),
    ("<", |party, text| hear(party, Which::Next, text)),
];

fn hear(party: String, which: Which, text: &str) -> Step {
    Step::Hear { party, which, pattern: Pattern::parse(text) }
}

fn deed(party: String, words: &str) -> Result<Step, String> {
    let deed = match words {
        "silent" => return Ok(Step::Silent { party }),
        "leaves" => Deed::Leaves,
        "goes" => Deed::Goes,
        "is left" => Deed::IsLeft,
        "stalls" => Deed::Stalls,
        "reads" => Deed::Reads,
        "dies" => Deed::Dies,
        "closes stdout" => Deed::ClosesStdout,
        "refuses" => Deed::Refuses,
        "returns" => Deed::Returns,
        "mutes" => Deed::Mutes,
        _ => match words.split_once(' ') {
            Some(("offers", items)) => Deed::Offers(items.to_owned()),
            Some((word, number)) => return counts(party, word, number),
            None => return Err("no such step".to_owned()),
        },
    };
    Ok(Step::Do { party, deed })
}

fn counts(party: String, word: &str, number: &str) -> Result<Step, String> {
    let count = match word {
        "started" => Count::Started,
        "open" => Count::Open,
        "asks" => Count::Asks,
        "strays" => Count::Strays,
        "notes" => Count::Notes,
        "noise" => Count::Noise,
        _ => return Err("no such step".to_owned()),
    };
    let (at_most, number) = match number.strip_prefix("at most ") {
        Some(number) => (true, number),
        None => (false, number),
    };
    let number = number.trim().parse().map_err(|_| "no number")?;
    Ok(Step::Counts { party, count, at_most, number })
}

/// `31s`, `250ms`, `1h`.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number * unit))
}
