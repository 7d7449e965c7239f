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
    a_completion_goes_to_whom_it_is_about
    a_cursor_that_is_not_ours_is_refused
    a_hung_initialize_ends_at_its_deadline_and_is_never_cancelled
    a_late_answer_is_nobodys
    a_message_is_one_line_to_whom_it_goes
    a_method_that_braid_does_not_carry_is_refused
    a_name_is_looked_up_and_never_split
    a_ping_is_answered_before_and_after_initialize
    a_prompt_is_got_by_its_exposed_name
    a_raw_uri_is_accepted_when_one_server_can_own_it
    a_resource_is_read_by_its_exposed_uri
    a_resource_that_nobody_has_is_refused
    a_revision_that_begins_otherwise_gets_our_latest
    a_run_that_ourselves_started_refuses_initialize
    a_second_initialize_is_refused
    a_server_is_told_its_clients_revision_and_our_mark
    a_server_of_a_foreign_revision_is_not_used
    a_server_that_completes_nothing_is_not_asked_to
    a_server_that_dies_mid_call_leaves_its_outcome_unknown
    a_server_that_refuses_initialize_is_quoted
    a_servers_error_passes_byte_for_byte
    a_silent_call_times_out_and_is_cancelled_at_the_server
    an_answer_of_the_client_to_nothing_is_dropped
    an_id_comes_back_as_it_was_written
    an_id_that_is_none_is_refused_without_it
    an_initialize_cannot_be_cancelled
    an_initialize_is_answered_within_250_ms_with_every_server_hung
    an_initialize_with_our_own_mark_is_refused
    an_initialize_without_a_version_is_refused_and_may_be_said_again
    an_own_name_is_accepted_when_one_server_has_it
    each_revision_is_answered_in_kind
    instructions_may_be_our_own_or_none
    instructions_of_a_slow_server_are_not_waited_for
    instructions_of_all_servers_are_merged
    items_of_lists_pass_but_for_their_names
    nothing_but_a_ping_is_served_before_initialize
    pages_follow_one_another_and_end
    the_first_list_waits_for_a_hung_server_and_no_longer
    the_four_lists_are_merged_in_the_order_of_the_configuration
    the_only_server_may_go_without_a_prefix
    uris_in_results_are_the_clients
    what_braid_does_not_know_passes_both_ways
    what_is_asked_without_a_name_is_refused
    what_nobody_has_is_refused
}

#[test]
fn every_play_is_listed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/play");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let files = files.filter_map(|name| Some(name.to_str()?.strip_suffix(".play")?.to_owned()));
    let listed: BTreeSet<String> = PLAYS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(files.collect::<BTreeSet<_>>(), listed);
}
