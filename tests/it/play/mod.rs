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
    a_task_that_answers_no_question_runs_out_of_time
    a_cancelled_task_is_cancelled_by_its_own_id
    a_task_asks_its_client
    a_tool_that_needs_a_task_is_called_as_one
    a_banner_before_the_handshake_is_skipped
    a_batch_is_answered_as_one_in_2025_03_26
    a_batch_is_refused_where_there_are_none
    a_batch_of_more_than_32_is_refused_whole
    a_batch_without_requests_has_no_answer
    a_broken_answer_fails_its_call_at_once
    a_call_by_yesterdays_name_waits_for_its_server
    a_call_cancelled_while_its_server_starts_is_never_sent
    a_call_ends_at_its_maximum_whatever_the_progress
    a_call_goes_there_and_back
    a_call_has_no_maximum_when_it_is_turned_off
    a_call_that_finds_no_place_at_its_server_is_told_that_it_is_busy
    a_call_to_a_server_in_its_pause_is_answered_at_once
    a_call_waits_for_a_place_no_longer_than_for_an_answer
    a_call_waits_no_longer_than_a_start_may_take
    a_call_while_its_server_starts_again_waits_for_it
    a_cancel_before_the_request_left_withdraws_it
    a_cancel_in_the_queue_before_a_server_withdraws_the_request
    a_cancel_never_overtakes_its_request
    a_cancel_of_nothing_open_is_ignored
    a_cancel_reaches_the_server_with_its_own_id
    a_cancelled_request_of_a_batch_is_missing_in_its_answer
    a_change_during_the_first_fetch_is_not_lost
    a_changed_list_is_fetched_once_and_told_once
    a_client_is_told_of_changes_four_times_a_second_at_most
    a_client_that_hangs_up_after_half_a_line_is_heard_to_its_end
    a_client_that_leaves_cancels_its_calls
    a_completion_goes_to_whom_it_is_about
    a_cursor_that_is_not_ours_is_refused
    a_duplicate_id_in_flight_is_refused_and_the_first_unharmed
    a_hung_initialize_ends_at_its_deadline_and_is_never_cancelled
    a_large_message_passes_both_ways
    a_late_answer_is_nobodys
    a_list_is_given_from_the_last_good_one_while_its_server_hangs
    a_list_method_that_a_server_does_not_know_is_an_empty_list
    a_list_over_its_size_is_cut
    a_list_that_fails_keeps_its_last_good_items
    a_list_that_hangs_is_given_up_and_cancelled
    a_list_that_nobody_asked_for_is_no_news
    a_list_that_only_says_it_changed_is_no_news
    a_list_that_waits_can_be_cancelled
    a_message_is_one_line_to_whom_it_goes
    a_message_of_too_many_values_is_refused
    a_message_too_deep_or_too_wide_is_refused
    a_method_that_braid_does_not_carry_is_refused
    a_name_is_looked_up_and_never_split
    a_name_of_a_server_that_never_came_up_says_why
    a_null_token_asks_for_no_progress
    a_ping_is_answered_before_and_after_initialize
    a_progress_token_comes_back_as_it_was_written
    a_prompt_is_got_by_its_exposed_name
    a_raw_uri_is_accepted_when_one_server_can_own_it
    a_read_a_prompt_and_a_completion_have_a_patience_of_their_own
    a_request_and_its_cancel_in_one_breath_leave_nothing
    a_request_that_never_left_is_said_to_be_not_sent
    a_request_that_times_out_unsent_is_not_said_to_be_cancelled
    a_resource_is_read_by_its_exposed_uri
    a_resource_that_nobody_has_is_refused
    a_revision_that_begins_otherwise_gets_our_latest
    a_run_that_ourselves_started_refuses_initialize
    a_second_answer_is_nobodys
    a_second_initialize_is_refused
    a_server_in_its_pause_is_not_started_by_our_leaving
    a_server_is_started_again_and_listed_again
    a_server_is_told_its_clients_revision_and_our_mark
    a_server_of_a_foreign_revision_is_not_used
    a_server_of_each_clients_own_is_started_for_each
    a_server_that_asks_and_does_not_read_fills_nothing
    a_server_that_closes_its_stdout_is_gone
    a_server_that_comes_back_the_same_is_no_news
    a_server_that_completes_nothing_is_not_asked_to
    a_server_that_crashes_at_once_is_started_at_most_70_times_in_an_hour
    a_server_that_dies_mid_call_leaves_its_outcome_unknown
    a_server_that_does_not_read_holds_up_only_its_own_calls
    a_server_that_is_down_does_not_disturb_the_others
    a_server_that_may_not_be_restarted_stays_down
    a_server_that_never_greets_is_started_again_at_its_deadlines
    a_server_that_never_reads_again_costs_its_client_no_turn
    a_server_that_prints_without_end_is_given_up
    a_server_that_refuses_initialize_is_quoted
    a_servers_batch_is_read_where_it_agreed_on_them
    a_servers_error_passes_byte_for_byte
    a_servers_notes_that_braid_does_not_carry_reach_nobody
    a_servers_ping_is_answered_and_its_other_requests_are_refused
    a_servers_result_may_be_as_deep_and_wide_as_it_is
    a_silent_call_times_out_and_is_cancelled_at_the_server
    a_stalled_client_leaves_no_call_behind_when_it_goes
    a_stalled_client_stalls_nobody_else
    a_storm_of_list_changed_costs_two_fetches
    a_thousand_first_calls_start_one_process
    a_thousand_notes_to_a_stalled_client_do_not_cost_it_its_answer
    a_tool_may_have_a_patience_of_its_own
    a_withdrawn_question_holds_no_call_of_a_client_that_does_not_read
    an_answer_just_in_time_is_the_answer
    an_answer_of_the_client_to_nothing_is_dropped
    an_answer_to_a_guessed_id_is_nobodys
    an_answer_with_another_servers_id_is_nobodys
    an_answer_without_a_newline_at_the_end_is_the_answer
    an_id_comes_back_as_it_was_written
    an_id_is_free_again_after_a_cancel
    an_id_or_token_over_its_limit_is_refused
    an_id_that_is_none_is_refused_without_it
    an_initialize_cannot_be_cancelled
    an_initialize_is_answered_within_250_ms_with_every_server_hung
    an_initialize_with_our_own_mark_is_refused
    an_initialize_without_a_version_is_refused_and_may_be_said_again
    an_older_client_hears_in_words_that_it_knows
    an_overlong_answer_of_a_server_fails_its_call_alone
    an_overlong_line_of_a_client_fails_alone
    an_own_name_is_accepted_when_one_server_has_it
    an_unknown_name_is_refused_when_the_first_list_would_wait_no_longer
    asks_that_wait_for_a_stalled_client_are_refused_when_it_goes
    blank_lines_marks_and_carriage_returns_are_no_matter
    braids_own_progress_token_is_its_own_affair
    each_revision_is_answered_in_kind
    equal_ids_and_tokens_of_two_clients_are_kept_apart
    equal_tokens_of_two_requests_are_kept_apart
    every_page_of_a_server_is_listed
    half_an_answer_is_none
    initialize_is_refused_within_a_batch
    instructions_may_be_our_own_or_none
    instructions_of_a_slow_server_are_not_waited_for
    instructions_of_all_servers_are_merged
    items_of_lists_pass_but_for_their_names
    items_without_a_name_or_too_large_are_left_out_alone
    lists_do_not_depend_on_who_arrives_first
    malformed_lines_of_a_client_fail_alone
    malformed_lines_of_a_server_are_skipped
    news_for_a_client_that_does_not_read_wait_and_are_few
    notes_come_before_their_answer_and_in_order
    nothing_but_a_ping_is_served_before_initialize
    only_so_many_servers_start_at_once
    our_id_comes_back_as_either_number_and_never_as_text
    pages_follow_one_another_and_end
    pages_of_a_server_that_go_in_circles_end
    pages_of_a_server_that_never_end_are_cut
    progress_of_nobody_is_dropped
    progress_renews_a_calls_patience
    progress_that_does_not_increase_is_dropped
    requests_of_a_client_wait_their_turn_and_are_then_refused
    requests_of_all_clients_have_a_bound
    requests_that_fill_the_memory_are_refused
    stopping_ends_every_server_and_closes_the_door
    the_first_list_waits_for_a_hung_server_and_no_longer
    the_four_lists_are_merged_in_the_order_of_the_configuration
    the_only_server_may_go_without_a_prefix
    the_patience_without_settings_is_two_minutes_of_silence_and_half_an_hour_in_all
    uris_in_results_are_the_clients
    what_braid_does_not_know_passes_both_ways
    what_is_asked_without_a_name_is_refused
    what_nobody_has_is_refused
    what_two_readers_could_read_differently_is_refused
    who_never_subscribed_cannot_end_anothers_subscription
}

#[test]
fn every_play_is_listed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/play");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let files = files.filter_map(|name| Some(name.to_str()?.strip_suffix(".play")?.to_owned()));
    let listed: BTreeSet<String> = PLAYS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(files.collect::<BTreeSet<_>>(), listed);
}
