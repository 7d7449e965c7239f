//! What a slow and simple observer notes of one link.

use mcp_braid::mcp::caller::ClientId;
use mcp_braid::mcp::level::Level;
use mcp_braid::routing::subscriptions::{Added, Removed};

#[derive(Default)]
pub struct Notes {
    /// Who listens to what.
    pub listens: Vec<(ClientId, String)>,
    /// What the server agreed to send.
    pub agreed: Vec<String>,
    /// Who asked for which level.
    pub asked: Vec<(ClientId, Level)>,
    pub ever_asked: bool,
}

impl Notes {
    pub fn add(&mut self, client: ClientId, uri: &str) -> Added {
        if !self.hears(client, uri) {
            self.listens.push((client, uri.to_owned()));
        }
        match self.agreed.iter().any(|agreed| agreed == uri) {
            true => Added::Joined,
            false => Added::First,
        }
    }

    pub fn remove(&mut self, client: ClientId, uri: &str) -> Removed {
        if !self.hears(client, uri) {
            return Removed::Unknown;
        }
        self.listens.retain(|(other, listened)| *other != client || listened != uri);
        if self.is_wanted(uri) {
            return Removed::Left;
        }
        self.agreed.retain(|agreed| agreed != uri);
        Removed::Last
    }

    pub fn confirm(&mut self, uri: &str) {
        if self.is_wanted(uri) && !self.agreed.iter().any(|agreed| agreed == uri) {
            self.agreed.push(uri.to_owned());
        }
    }

    pub fn fail(&mut self, client: ClientId, uri: &str) {
        if !self.agreed.iter().any(|agreed| agreed == uri) {
            self.remove(client, uri);
        }
    }

    /// What nobody listens to after the client left.
    pub fn leave(&mut self, client: ClientId) -> Vec<String> {
        let mut own = self.uris();
        own.retain(|uri| self.remove(client, uri) == Removed::Last);
        self.asked.retain(|(other, _)| *other != client);
        own
    }

    pub fn ask(&mut self, client: ClientId, level: Level) {
        self.asked.retain(|(other, _)| *other != client);
        self.asked.push((client, level));
        self.ever_asked = true;
    }

    pub fn lowest(&self) -> Option<Level> {
        self.asked.iter().map(|(_, level)| *level).min()
    }

    pub fn is_wanted(&self, uri: &str) -> bool {
        self.listens.iter().any(|(_, listened)| listened == uri)
    }

    /// Sorted, each once.
    pub fn uris(&self) -> Vec<String> {
        let mut uris: Vec<String> = self.listens.iter().map(|(_, uri)| uri.clone()).collect();
        uris.sort();
        uris.dedup();
        uris
    }

    /// Sorted, each once.
    pub fn whose(&self, updated: &str) -> Vec<ClientId> {
        let within = |uri: &str| match updated.strip_prefix(uri) {
            Some("") => true,
            Some(rest) => uri.ends_with('/') || "/?#".contains(rest.chars().next().expect("some rest")),
            None => false,
        };
        let listening = self.listens.iter().filter(|(_, uri)| within(uri));
        let mut whose: Vec<ClientId> = listening.map(|(client, _)| *client).collect();
        whose.sort();
        whose.dedup();
        whose
    }

    fn hears(&self, client: ClientId, uri: &str) -> bool {
        self.listens.iter().any(|(other, listened)| *other == client && listened == uri)
    }
}
