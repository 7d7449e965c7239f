//! Plays of clients without a handshake. What the marks in them mean stands in `support::script`.

use crate::support::play;
use std::collections::BTreeSet;

macro_rules! plays {
    ($($name:ident)*) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $name() {
                play(stringify!($name), include_str!(concat!("play/", stringify!($name), ".play"))).await;
            }
        )*
        const PLAYS: &[&str] = &[$(stringify!($name)),*];
    };
}

plays! {
    what_is_kept_says_how_long_it_still_holds
    a_result_is_cut_and_says_what_it_is_all_the_same
    both_eras_on_one_pipe_have_one_rate
    who_comes_back_with_an_answer_is_counted_once
    a_task_of_a_hidden_tool_is_nobodys_by_that_door
    a_listener_that_takes_anothers_place_misses_nothing
    a_question_outlives_the_request_that_it_came_with
    a_completion_is_asked_nothing
    a_list_is_kept_no_longer_than_is_left_of_its_time
    calls_of_one_person_may_ask_at_once
    both_eras_on_one_pipe_are_each_asked_in_their_way
    a_call_goes_there_and_back
    a_call_that_nobody_comes_back_for_is_cancelled
    a_cancelled_call_puts_no_other_of_its_person_in_doubt
    a_handle_works_for_its_request_alone
    a_listeners_resources_are_let_go_with_it
    a_listener_hears_what_it_asked_for_and_nothing_else
    a_listener_waits_for_a_server_that_starts
    a_question_comes_in_the_answer_and_the_call_goes_on
    a_request_that_forgets_its_revision_hears_so
    a_server_of_this_revision_gets_its_state_back
    a_state_goes_to_the_server_that_gave_it
    a_task_is_asked_about_where_it_runs
    no_batch_holds_what_stands_by_itself
    nobody_is_sent_to_a_page_for_ever
    only_pages_are_shown_as_pages
    only_what_a_request_declares_may_be_asked
    what_a_server_logs_goes_to_who_asked_for_it
    who_only_discovers_starts_nothing
    what_a_request_says_of_itself_counts_when_it_comes_back
    whoever_comes_back_gets_what_has_happened
}

#[test]
fn every_play_is_listed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/modern/play");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let files = files.filter_map(|name| Some(name.to_str()?.strip_suffix(".play")?.to_owned()));
    let listed: BTreeSet<String> = PLAYS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(files.collect::<BTreeSet<_>>(), listed);
}
