//! A JSON object as it is written, member by member.
//!
//! It builds no tree and holds nothing but the text so far.

use crate::upstream::stamp::stamp;
use crate::wire::members::quote;
use std::time::{Duration, SystemTime};

/// The object so far.
pub(super) struct Object(String);

impl Object {
    pub(super) fn new() -> Self {
        Self(String::from("{"))
    }

    /// `json` is JSON already.
    pub(super) fn raw(&mut self, key: &str, json: &str) -> &mut Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&quote(key));
        self.0.push(':');
        self.0.push_str(json);
        self
    }

    pub(super) fn text(&mut self, key: &str, text: &str) -> &mut Self {
        self.raw(key, &quote(text))
    }

    /// `null`, if there is none.
    pub(super) fn maybe(&mut self, key: &str, text: Option<&str>) -> &mut Self {
        self.raw(key, &text.map_or_else(|| "null".to_owned(), quote))
    }

    pub(super) fn number(&mut self, key: &str, number: impl TryInto<u64>) -> &mut Self {
        self.raw(key, &number.try_into().unwrap_or(u64::MAX).to_string())
    }

    pub(super) fn flag(&mut self, key: &str, flag: bool) -> &mut Self {
        self.raw(key, if flag { "true" } else { "false" })
    }

    pub(super) fn time(&mut self, key: &str, at: Option<SystemTime>) -> &mut Self {
        self.maybe(key, at.map(stamp).as_deref())
    }

    /// In milliseconds; `null`, if it is not known.
    pub(super) fn ms(&mut self, key: &str, time: Option<Duration>) -> &mut Self {
        let ms = time.map(|time| format!("{:.3}", time.as_secs_f64() * 1000.0));
        self.raw(key, ms.as_deref().unwrap_or("null"))
    }

    pub(super) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// Values that are JSON already, as one array.
pub(super) fn array(values: impl IntoIterator<Item = String>) -> String {
    let values: Vec<String> = values.into_iter().collect();
    format!("[{}]", values.join(","))
}
