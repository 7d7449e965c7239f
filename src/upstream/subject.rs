//! How to speak of a request in an error: what was asked of its server, and which settings bound its time.
//!
//! The words are made when something has gone wrong, and never before. It measures no time.

use crate::config::toml_key;
use crate::wire::fault::brief;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// How to speak of a request in an error.
#[derive(Debug)]
pub(super) struct Subject {
    method: Cow<'static, str>,
    /// What the server calls what was asked for; nothing, where a method says all.
    own: Option<Arc<str>>,
    idle: Bound,
    whole: Bound,
}

/// For how long, and by which setting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    pub(super) setting: Setting,
    pub(super) time: Duration,
}

/// A setting of one server's, or of one of its tools: that which is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Setting {
    Start,
    List,
    Read,
    Call,
    CallMax,
    ToolCall,
    ToolCallMax,
    Result,
    ToolResult,
}

impl Subject {
    pub(super) fn new(method: &str, own: Option<&Arc<str>>, idle: Bound, whole: Bound) -> Self {
        let known = COMMON.into_iter().find(|known| *known == method);
        let method = known.map_or_else(|| Cow::Owned(method.to_owned()), Cow::Borrowed);
        Self { method, own: own.cloned(), idle, whole }
    }

    /// A request of our own, which has so long and no longer.
    pub(super) fn ours(method: &str, setting: Setting, time: Duration) -> Self {
        let bound = Bound { setting, time };
        Self::new(method, None, bound, bound)
    }

    pub(super) fn method(&self) -> &str {
        &self.method
    }

    /// What the server calls what was asked for.
    pub(super) fn own(&self) -> Option<&Arc<str>> {
        self.own.as_ref()
    }

    /// The method, and what the server calls what was asked for: no longer than a line, as it is a peer's.
    pub(super) fn what(&self) -> String {
        let Some(own) = &self.own else { return self.method.clone().into_owned() };
        format!("{} {}", self.method, brief(own, OWN_CHARS_MAX))
    }

    /// Why it was given up for its silence.
    pub(super) fn silent(&self, server: &str) -> String {
        format!("no answer to {} for {}", self.what(), self.idle.words(server, self.own.as_deref()))
    }

    /// Why it was given up although there were signs of life.
    pub(super) fn endless(&self, server: &str) -> String {
        format!("{} took longer than {}", self.what(), self.whole.words(server, self.own.as_deref()))
    }
}

impl Bound {
    fn words(self, server: &str, own: Option<&str>) -> String {
        format!("{} ({})", words(self.time), self.setting.name(server, own))
    }
}

impl Setting {
    /// As it is written in the configuration. `own`: what the server calls the tool, if it is one of a tool's.
    pub(super) fn name(self, server: &str, own: Option<&str>) -> String {
        let (key, own) = (toml_key(server), toml_key(own.unwrap_or_default()));
        match self {
            Self::Start => format!("servers.{key}.timeouts.start"),
            Self::List => format!("servers.{key}.timeouts.list"),
            Self::Read => format!("servers.{key}.timeouts.read"),
            Self::Call => format!("servers.{key}.timeouts.call"),
            Self::CallMax => format!("servers.{key}.timeouts.call_max"),
            Self::ToolCall => format!("servers.{key}.tool.{own}.timeout"),
            Self::ToolCallMax => format!("servers.{key}.tool.{own}.timeout_max"),
            Self::Result => format!("servers.{key}.max_result"),
            Self::ToolResult => format!("servers.{key}.tool.{own}.max_result"),
        }
    }
}

/// A time as people write it: `120 s`, `1.5 s`, `250 ms`.
pub(super) fn words(time: Duration) -> String {
    match time.as_millis() {
        ms if ms < 1000 => format!("{ms} ms"),
        ms if ms % 1000 == 0 => format!("{} s", ms / 1000),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

const OWN_CHARS_MAX: usize = 200;
/// What is asked most often is not written down for each request anew.
const COMMON: [&str; 4] = ["tools/call", "resources/read", "prompts/get", "completion/complete"];

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(own: &str) -> Subject {
        let idle = Bound { setting: Setting::ToolCall, time: Duration::from_millis(1500) };
        let whole = Bound { setting: Setting::CallMax, time: Duration::from_secs(1800) };
        Subject::new("tools/call", Some(&Arc::from(own)), idle, whole)
    }

    #[test]
    fn each_bound_names_its_setting() {
        let subject = subject("add");
        assert_eq!(
            subject.silent("my server"),
            r#"no answer to tools/call add for 1.5 s (servers."my server".tool.add.timeout)"#
        );
        assert_eq!(
            subject.endless("my server"),
            r#"tools/call add took longer than 1800 s (servers."my server".timeouts.call_max)"#
        );
    }

    #[test]
    fn a_name_without_end_is_cut_between_two_characters() {
        assert_eq!(subject(&"ä".repeat(300)).what(), format!("tools/call {}", "ä".repeat(200)));
        let own = "ä".repeat(200);
        assert_eq!(subject(&own).what(), format!("tools/call {own}"));
        let ours = Subject::ours("initialize", Setting::Start, Duration::from_secs(30));
        assert_eq!(ours.silent("s"), "no answer to initialize for 30 s (servers.s.timeouts.start)");
    }
}
