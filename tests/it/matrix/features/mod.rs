//! What it means that a feature works, and that it is refused.

mod asks;
mod ends;
mod news;
mod notes;
mod requests;

use super::feature::Feature;
use super::pair::Pair;

pub(super) async fn works(pair: &mut Pair, feature: Feature) -> Result<(), String> {
    match feature {
        Feature::Call => requests::call(pair).await,
        Feature::List => requests::list(pair).await,
        Feature::Read => requests::read(pair).await,
        Feature::Prompt => requests::prompt(pair).await,
        Feature::Completion => requests::completion(pair).await,
        Feature::Progress => notes::progress(pair).await,
        Feature::Log => notes::log(pair).await,
        Feature::Cancel => ends::cancel(pair).await,
        Feature::ListChanged => news::list_changed(pair).await,
        Feature::Updated => news::updated(pair).await,
        Feature::ElicitationForm => asks::form(pair).await,
        Feature::ElicitationUrl => asks::page(pair).await,
        Feature::Sampling => asks::sampling(pair).await,
        Feature::Roots => asks::roots(pair).await,
        Feature::Timeout => ends::timeout(pair).await,
        Feature::ServerDeath => ends::death(pair).await,
    }
}

/// Only what is asked can be refused: nothing else is younger than the first revision.
pub(super) async fn is_refused(pair: &mut Pair, feature: Feature) -> Result<(), String> {
    match feature {
        Feature::ElicitationForm => asks::is_refused(pair, "form").await,
        Feature::ElicitationUrl => asks::is_refused(pair, "page").await,
        Feature::Sampling => asks::is_refused(pair, "sample").await,
        Feature::Roots => asks::is_refused(pair, "roots").await,
        Feature::Call
        | Feature::List
        | Feature::Read
        | Feature::Prompt
        | Feature::Completion
        | Feature::Progress
        | Feature::Log
        | Feature::Cancel
        | Feature::ListChanged
        | Feature::Updated
        | Feature::Timeout
        | Feature::ServerDeath => Err("is in every revision, whatever the list says".to_owned()),
    }
}

/// Whether it is so; what stands there if not.
fn is(so: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if so { Ok(()) } else { Err(what()) }
}
