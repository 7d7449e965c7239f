//! How one server looks to the clients of one door: where its URIs lead, and what stands before its questions.
//!
//! Made of the configuration alone and shared by everybody who comes by that door. It says nothing of names of tools
//! and prompts, which the catalog has.

use super::exposure::Exposure;
use super::names::ServerName;
use super::uris::UriMap;
use std::sync::Arc;

/// One server under one naming. The default changes nothing and bears no name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    pub uris: UriMap,
    /// How an elicitation names the server; `None`: there is no other that it could be.
    pub label: Option<Box<str>>,
    /// What of the server is shown; `None`: all of it, as it is.
    pub exposure: Option<Arc<Exposure>>,
}

impl Look {
    /// One server among others, which says who it is before it asks a person.
    pub fn among_others(name: &ServerName) -> Self {
        Self { uris: UriMap::new(name), label: Some(Box::from(name.key())), exposure: None }
    }

    /// A server that is alone: there is nobody to tell it from.
    pub fn alone(name: &ServerName) -> Self {
        Self { uris: UriMap::new(name), label: None, exposure: None }
    }

    /// The same, with only this of the server to be seen.
    #[must_use]
    pub fn showing(self, exposure: Option<Arc<Exposure>>) -> Self {
        Self { exposure, ..self }
    }

    /// Whether any of its resources may be hidden.
    pub fn filters_resources(&self) -> bool {
        self.exposure.as_ref().is_some_and(|exposure| exposure.filters_resources())
    }
}
