//! Plays: transcripts of clients and servers, each a claim that is its file's name.
//!
//! What the marks in them mean stands in `support::script`.

use crate::support::play;
use std::collections::BTreeSet;

macro_rules! plays {
    ($($name:ident)*) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $name() {
                play(stringify!($name), include_str!(concat!(stringify!($name), ".play"))).await;
            }
        )*
        const PLAYS: &[&str] = &[$(stringify!($name)),*];
    };
}

plays! {
    a_call_goes_there_and_back
    a_hung_initialize_ends_at_its_deadline_and_is_never_cancelled
    a_late_answer_is_nobodys
    a_ping_is_answered_before_and_after_initialize
    a_revision_that_begins_otherwise_gets_our_latest
    a_run_that_ourselves_started_refuses_initialize
    a_second_initialize_is_refused
    a_server_is_told_its_clients_revision_and_our_mark
    a_server_of_a_foreign_revision_is_not_used
    a_server_that_dies_mid_call_leaves_its_outcome_unknown
    a_server_that_refuses_initialize_is_quoted
    a_silent_call_times_out_and_is_cancelled_at_the_server
    an_initialize_cannot_be_cancelled
    an_initialize_is_answered_within_250_ms_with_every_server_hung
    an_initialize_with_our_own_mark_is_refused
    an_initialize_without_a_version_is_refused_and_may_be_said_again
    each_revision_is_answered_in_kind
    instructions_may_be_our_own_or_none
    instructions_of_a_slow_server_are_not_waited_for
    instructions_of_all_servers_are_merged
    nothing_but_a_ping_is_served_before_initialize
    the_first_list_waits_for_a_hung_server_and_no_longer
}

#[test]
fn every_play_is_listed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/play");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let files = files.filter_map(|name| Some(name.to_str()?.strip_suffix(".play")?.to_owned()));
    let listed: BTreeSet<String> = PLAYS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(files.collect::<BTreeSet<_>>(), listed);
}
