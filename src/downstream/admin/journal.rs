//! What a server wrote to stderr, a JSON object a line: the last of it, and what comes after that for who follows.
//!
//! Who follows too slowly is told how many lines he missed.

use super::object::Object;
use crate::upstream::journal::{Following, Journal, Line};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;

/// Lines for one who reads.
pub(super) struct Lines {
    kept: VecDeque<Arc<Line>>,
    following: Option<Following>,
}

impl Lines {
    pub(super) fn new(journal: &Journal, follows: bool) -> Self {
        match follows {
            false => Self { kept: journal.lines().into(), following: None },
            true => {
                let (kept, following) = journal.follow();
                Self { kept: kept.into(), following: Some(following) }
            }
        }
    }

    /// The next line, with its end; nothing, once it is over.
    pub(super) async fn next(&mut self) -> Option<String> {
        if let Some(line) = self.kept.pop_front() {
            return Some(written(&line));
        }
        match self.following.as_mut()?.recv().await {
            Ok(line) => Some(written(&line)),
            Err(RecvError::Lagged(missed)) => Some(format!("{{\"missed\":{missed}}}\n")),
            Err(RecvError::Closed) => None,
        }
    }
}

fn written(line: &Line) -> String {
    let mut object = Object::new();
    object.time("at", Some(line.at)).text("text", &line.text);
    object.end() + "\n"
}
