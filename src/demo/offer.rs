//! What a demo server offers: the part that differs between them.
//!
//! An `Offer` answers at once and from memory. It knows neither ids nor revisions nor time: what takes longer it
//! hands back as an `Outcome`, and `Server` does the waiting.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::fault::Fault;
use super::result::ToolResult;

/// Every list is complete: there are no pages.
pub(super) trait Offer {
    fn name(&self) -> &'static str;
    fn title(&self) -> &'static str;
    fn instructions(&self) -> &'static str;
    /// Whether resources come and go, which is then announced.
    fn resources_change(&self) -> bool;

    fn tools(&self) -> Vec<Value>;
    fn resources(&self) -> Vec<Value>;
    fn templates(&self) -> Vec<Value>;
    fn prompts(&self) -> Vec<Value>;

    fn call(&mut self, call: &Call<'_>) -> Result<Outcome, Refusal>;
    /// The one element of `contents`, or `None` where there is no such resource.
    fn read(&self, uri: &str) -> Option<Value>;
    fn prompt(&self, name: &str, arguments: &BTreeMap<String, String>) -> Result<Value, Fault>;
    /// Everything that may be put for an argument; `Server` keeps what the typed text begins.
    fn candidates(&self, target: Target<'_>, argument: &str) -> Result<Vec<String>, Fault>;
}

pub(super) struct Call<'a> {
    pub(super) tool: &'a str,
    pub(super) arguments: Arguments<'a>,
    /// Whether this client can be shown a form.
    pub(super) client_takes_forms: bool,
}

pub(super) enum Outcome {
    Done(ToolResult),
    /// Done, and the list of resources is another one now.
    Changed(ToolResult),
    Countdown {
        steps: u32,
        delay: Duration,
    },
    /// The client is to show a form to its user. `conclude` gets the result of `elicitation/create`, or why there
    /// is none.
    Ask {
        message: String,
        form: Value,
        conclude: Conclude,
    },
}

pub(super) type Conclude = fn(Result<Value, String>) -> ToolResult;

pub(super) enum Refusal {
    UnknownTool,
    /// The tool is there, and what it was asked cannot be done.
    Failed(String),
}

/// What is to be completed.
pub(super) enum Target<'a> {
    Prompt(&'a str),
    Template(&'a str),
}

/// The arguments of a call: a JSON object, as text until somebody wants a member.
pub(super) struct Arguments<'a>(Option<&'a RawValue>);

/// The members of the arguments, each with its type checked on the way out.
pub(super) struct Members(Map<String, Value>);

impl<'a> Arguments<'a> {
    pub(super) fn parse(raw: Option<&'a RawValue>) -> Result<Self, Fault> {
        match raw {
            Some(raw) if !raw.get().starts_with('{') => {
                Err(Fault::invalid_params("`arguments` must be an object"))
            }
            raw => Ok(Self(raw)),
        }
    }

    pub(super) fn text(&self) -> &'a str {
        self.0.map_or("{}", RawValue::get)
    }

    pub(super) fn members(&self) -> Result<Members, Refusal> {
        match serde_json::from_str(self.text()) {
            Ok(members) => Ok(Members(members)),
            // The line was JSON: what is left to fail is depth, or a number that no float holds.
            Err(error) => Err(Refusal::Failed(format!("the arguments cannot be read: {error}"))),
        }
    }
}

impl Members {
    pub(super) fn text(&self, name: &str) -> Result<&str, Refusal> {
        match self.0.get(name).map(Value::as_str) {
            Some(Some(text)) => Ok(text),
            Some(None) => Err(Refusal::Failed(format!("`{name}` must be a string"))),
            None => Err(Refusal::Failed(format!("`{name}` is missing"))),
        }
    }

    pub(super) fn text_or<'a>(&'a self, name: &str, default: &'a str) -> Result<&'a str, Refusal> {
        if self.0.contains_key(name) { self.text(name) } else { Ok(default) }
    }

    pub(super) fn number(&self, name: &str) -> Result<&Value, Refusal> {
        match self.0.get(name) {
            Some(value) if value.is_number() => Ok(value),
            Some(_) => Err(Refusal::Failed(format!("`{name}` must be a number"))),
            None => Err(Refusal::Failed(format!("`{name}` is missing"))),
        }
    }

    pub(super) fn integer_or(
        &self,
        name: &str,
        default: i64,
        range: RangeInclusive<i64>,
    ) -> Result<i64, Refusal> {
        let Some(value) = self.0.get(name) else { return Ok(default) };
        // JSON Schema takes 3.0 for an integer too.
        let whole = value
            .as_i64()
            .or_else(|| value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i64));
        whole.filter(|whole| range.contains(whole)).ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            Refusal::Failed(format!("`{name}` must be an integer from {least} to {most}"))
        })
    }
}
