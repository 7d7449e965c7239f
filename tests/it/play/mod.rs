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
    a_result_that_is_kept_is_given_again_until_something_may_be_another
    nothing_is_kept_unless_that_is_asked_for
    what_is_kept_for_one_client_is_nobody_elses
    a_result_over_its_cap_is_cut_and_all_else_is_as_it_was
    a_client_over_its_rate_is_refused_at_once_and_nobody_else_is
    each_rate_holds_back_what_it_is_for
    lists_of_the_last_run_are_shown_until_a_server_is_heard
    what_differs_from_the_last_run_is_told_once
    a_call_by_a_list_of_the_last_run_is_judged_by_this_ones
    what_a_tool_said_of_itself_in_the_last_run_allows_nothing
    a_server_that_cannot_be_started_keeps_its_lists_of_the_last_run
    a_server_of_which_nothing_was_kept_is_waited_for
    lists_of_one_client_among_several_are_kept_for_nobody
    lists_that_all_clients_share_are_kept_for_all
    nothing_is_kept_unless_the_configuration_says_so
    instructions_of_the_last_run_are_told_where_a_server_is_slow
    a_filter_changes_no_name_and_no_news_come_of_what_it_hides
    a_rule_changes_no_name_and_no_news_come_of_what_it_does_not_give
    an_update_of_what_no_rule_gives_is_told_to_nobody
    a_tool_looks_as_the_configuration_says_and_all_else_is_as_it_was
    an_update_of_a_hidden_resource_is_told_to_nobody
    an_update_that_only_a_hidden_template_leads_to_is_told_to_nobody
    clients_of_a_shared_server_see_it_each_as_their_door_shows_it
    a_server_that_dies_between_two_rounds_is_gone
    a_server_without_a_handshake_is_answered_nothing
    a_crash_where_no_handshake_is_wanted_is_no_reason_for_one
    a_refused_initialize_does_not_overtake_what_a_server_says_of_itself
    a_server_known_to_do_without_a_handshake_is_not_greeted_for_one_crash
    a_server_that_cannot_bear_the_question_is_greeted_and_remembered
    a_server_that_crashes_when_it_is_asked_is_started_at_most_70_times_in_an_hour
    a_server_that_may_not_be_restarted_is_greeted_when_it_cannot_bear_the_question
    a_server_that_refuses_initialize_is_asked_again_what_it_is
    a_silent_server_is_not_greeted_where_no_handshake_is_wanted
    what_a_server_ended_before_is_said
    a_server_that_ends_what_it_tells_is_asked_again_ever_later
    a_list_is_looked_at_again_whose_changes_a_server_does_not_tell
    a_list_is_looked_at_again_of_a_server_that_knows_nothing_of_listening
    what_changes_before_a_server_tells_is_not_missed
    what_a_server_does_not_tell_of_is_not_subscribed_to
    what_a_server_tells_goes_on_while_it_refuses_to_tell_more
    what_a_server_is_listened_to_for_is_said_again_after_a_restart
    a_list_that_may_be_kept_is_looked_at_again_after_that
    a_log_that_may_be_of_several_requests_is_nobodys
    a_level_goes_with_each_request_where_there_is_no_handshake
    a_refused_question_ends_the_call_that_needs_it
    a_result_of_an_unknown_type_is_no_result
    a_server_that_ignores_what_it_does_not_know_is_greeted
    a_server_that_knows_no_discovery_is_greeted
    a_server_without_a_handshake_is_told_all_with_each_request
    a_slow_server_without_a_handshake_is_found_all_the_same
    a_subscription_becomes_what_a_server_is_listened_to_for
    what_a_server_without_a_handshake_wants_to_know_is_asked
    notes_that_nobody_reads_are_bounded_in_memory
    answers_that_nobody_reads_are_bounded_in_memory
    a_server_alone_at_its_door_says_why_it_has_no_names
    a_modest_client_does_not_wait_behind_a_greedy_one
    instructions_are_those_of_the_servers_at_the_door
    a_door_starts_and_awaits_its_own_servers_and_no_other
    clients_at_different_doors_share_a_server_each_in_its_terms
    what_a_door_does_not_list_is_refused_by_every_method
    names_by_a_group_are_those_of_the_door_to_all
    each_door_lists_its_servers_under_their_names
    calls_that_may_become_tasks_are_remembered_up_to_a_bound
    a_client_may_subscribe_to_a_thousand_resources_of_a_server
    what_is_said_before_the_greeting_holds_up_no_answer
    what_came_with_a_call_is_its_clients_when_it_cancels_it
    an_ask_of_a_task_belongs_to_it_and_to_nobody_when_it_is_gone
    an_ask_after_a_cancel_is_not_put_to_whoever_calls_next
    what_is_logged_after_an_answer_overtakes_nothing
    an_ask_of_several_calls_ends_with_the_last_of_them
    an_answer_to_an_ask_that_is_too_long_refuses_it
    nobody_joins_a_subscription_that_a_server_refused_after_its_restart
    levels_for_a_server_that_does_not_read_are_bounded
    an_answer_to_an_ask_that_cannot_be_read_refuses_it
    nothing_is_said_to_a_client_before_it_is_greeted
    a_question_to_a_client_that_does_not_read_ends_in_its_time
    a_page_that_a_shared_servers_error_requires_is_completed
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
    a_call_that_begins_during_a_question_has_all_its_time_after_it
    a_call_that_finds_no_place_at_its_server_is_told_that_it_is_busy
    a_call_that_waited_for_a_server_comes_after_its_level
    a_call_that_finds_a_server_back_waits_for_its_lists
    a_call_to_a_server_in_its_pause_is_answered_at_once
    a_call_waits_for_a_place_no_longer_than_for_an_answer
    a_call_waits_no_longer_than_a_start_may_take
    a_call_while_its_server_starts_again_waits_for_it
    a_calls_clock_stands_still_while_a_person_answers
    a_calls_maximum_stands_still_while_a_person_answers
    a_cancel_before_the_request_left_withdraws_it
    a_cancel_in_the_queue_before_a_server_withdraws_the_request
    a_cancel_never_overtakes_its_request
    a_cancel_of_nothing_open_is_ignored
    a_cancel_reaches_the_server_with_its_own_id
    a_cancelled_request_of_a_batch_is_missing_in_its_answer
    a_change_during_the_first_fetch_is_not_lost
    a_changed_list_is_fetched_once_and_told_once
    a_client_hears_nothing_of_a_shared_server_before_it_greets
    a_client_is_told_of_changes_four_times_a_second_at_most
    a_client_may_have_1024_subscriptions_at_a_server
    a_client_that_hangs_up_after_half_a_line_is_heard_to_its_end
    a_client_that_leaves_cancels_its_calls
    a_client_that_leaves_ends_its_own_server_and_no_other
    a_client_that_leaves_ends_its_own_server_with_the_ask
    a_client_that_leaves_owes_a_shared_server_no_answer
    a_client_that_leaves_unsubscribes_from_what_it_alone_listened_to
    a_client_with_two_calls_open_is_asked_by_a_shared_server
    a_clients_own_server_tells_of_whatever_it_likes
    a_clients_progress_for_a_server_that_does_not_read_is_bounded
    a_clients_progress_with_an_ask_has_the_servers_token
    a_clients_rejection_reaches_the_server_as_it_is
    a_completion_goes_to_whom_it_is_about
    a_cursor_that_is_not_ours_is_refused
    a_duplicate_id_in_flight_is_refused_and_the_first_unharmed
    a_form_is_refused_to_a_server_whose_client_only_opens_pages
    a_hung_initialize_ends_at_its_deadline_and_is_never_cancelled
    a_large_message_passes_both_ways
    a_late_answer_is_nobodys
    a_level_is_told_again_to_a_server_that_starts_again
    a_level_is_told_to_every_server_that_logs_and_to_no_other
    a_level_leaves_out_what_is_milder_and_nothing_else
    a_level_that_is_none_is_refused
    a_list_is_given_from_the_last_good_one_while_its_server_hangs
    a_list_method_that_a_server_does_not_know_is_an_empty_list
    a_list_over_its_size_is_cut
    a_list_that_fails_keeps_its_last_good_items
    a_list_that_hangs_is_given_up_and_cancelled
    a_list_that_nobody_asked_for_is_no_news
    a_list_that_only_says_it_changed_is_no_news
    a_list_that_waits_can_be_cancelled
    a_log_message_passes_as_it_is
    a_message_is_one_line_to_whom_it_goes
    a_message_of_too_many_values_is_refused
    a_message_too_deep_or_too_wide_is_refused
    a_method_that_braid_does_not_carry_is_refused
    a_model_that_answers_stops_the_clock_as_a_person_does
    a_name_is_looked_up_and_never_split
    a_name_of_a_server_that_never_came_up_says_why
    a_null_token_asks_for_no_progress
    a_null_token_of_an_ask_stays_null
    a_page_that_an_error_requires_is_named_and_completed
    a_ping_is_answered_before_and_after_initialize
    a_progress_token_comes_back_as_it_was_written
    a_prompt_is_got_by_its_exposed_name
    a_question_of_one_server_holds_no_call_at_another
    a_question_says_which_server_asks
    a_question_that_nobody_answers_holds_a_call_no_longer_than_its_own_time
    a_question_to_one_client_holds_no_call_of_another
    a_raw_uri_is_accepted_when_one_server_can_own_it
    a_read_a_prompt_and_a_completion_have_a_patience_of_their_own
    a_refused_subscription_leaves_no_trace
    a_request_and_its_cancel_in_one_breath_leave_nothing
    a_request_that_never_left_is_said_to_be_not_sent
    a_request_that_times_out_unsent_is_not_said_to_be_cancelled
    a_resource_is_read_by_its_exposed_uri
    a_resource_that_nobody_has_is_refused
    a_revision_that_begins_otherwise_gets_our_latest
    a_run_that_ourselves_started_refuses_initialize
    a_sampling_server_gets_no_context_of_others
    a_second_answer_is_nobodys
    a_second_answer_to_an_ask_is_dropped
    a_second_initialize_is_refused
    a_server_in_its_pause_is_not_started_by_our_leaving
    a_server_is_started_again_and_listed_again
    a_server_is_told_its_clients_revision_and_our_mark
    a_server_knows_the_level_before_the_call_after_it
    a_server_may_have_64_asks_open
    a_server_of_a_foreign_revision_is_not_used
    a_server_of_each_clients_own_is_started_for_each
    a_server_that_asks_and_does_not_read_fills_nothing
    a_server_that_closes_its_stdout_is_gone
    a_server_that_comes_back_the_same_is_no_news
    a_server_that_completes_nothing_is_not_asked_to
    a_server_that_crashes_at_once_is_started_at_most_70_times_in_an_hour
    a_server_that_dies_mid_call_leaves_its_outcome_unknown
    a_server_that_dies_with_an_ask_open_withdraws_it
    a_server_that_does_not_read_holds_up_only_its_own_calls
    a_server_that_is_down_does_not_disturb_the_others
    a_server_that_may_not_be_restarted_stays_down
    a_server_that_never_greets_is_started_again_at_its_deadlines
    a_server_that_never_reads_again_costs_its_client_no_turn
    a_server_that_prints_without_end_is_given_up
    a_server_that_refuses_initialize_is_quoted
    a_server_that_starts_again_is_subscribed_to_again
    a_server_that_withdraws_its_ask_hears_no_answer
    a_server_that_withdraws_what_it_never_asked_is_ignored
    a_servers_batch_is_read_where_it_agreed_on_them
    a_servers_error_passes_byte_for_byte
    a_servers_id_comes_back_as_it_was_written
    a_servers_notes_that_braid_does_not_carry_reach_nobody
    a_servers_ping_is_answered_and_its_other_requests_are_refused
    a_servers_result_may_be_as_deep_and_wide_as_it_is
    a_shared_server_is_greeted_before_any_client_and_told_all_that_braid_carries
    a_shared_server_is_told_the_lowest_level_and_each_client_hears_its_own
    a_shared_server_learns_nothing_of_a_client_that_has_not_greeted
    a_shared_servers_ask_ends_when_its_call_times_out
    a_shared_servers_ask_ends_with_its_call
    a_shared_servers_ask_goes_to_whose_call_is_open
    a_shared_servers_ask_is_refused_when_it_could_be_anyones
    a_shared_servers_ask_to_who_cannot_be_asked_is_refused
    a_shared_servers_page_is_completed_for_whom_it_sent_there
    a_silent_call_times_out_and_is_cancelled_at_the_server
    a_stalled_client_leaves_no_call_behind_when_it_goes
    a_stalled_client_stalls_nobody_else
    a_storm_of_list_changed_costs_two_fetches
    a_subscription_goes_to_whose_resource_it_is
    a_subscription_that_is_cancelled_or_times_out_leaves_no_trace
    a_thousand_first_calls_start_one_process
    a_thousand_log_messages_to_a_stalled_client_do_not_cost_it_its_answer
    a_thousand_notes_to_a_stalled_client_do_not_cost_it_its_answer
    a_tool_may_have_a_patience_of_its_own
    a_withdrawn_question_holds_no_call_of_a_client_that_does_not_read
    an_answer_just_in_time_is_the_answer
    an_answer_just_in_time_is_the_answer_to_an_ask
    an_answer_of_the_client_to_nothing_is_dropped
    an_answer_to_a_guessed_id_is_nobodys
    an_answer_to_an_ask_of_another_client_is_dropped
    an_answer_with_another_servers_id_is_nobodys
    an_answer_without_a_newline_at_the_end_is_the_answer
    an_ask_and_a_call_may_have_one_id
    an_ask_before_any_call_reaches_the_only_client
    an_ask_for_what_the_client_did_not_declare_is_refused
    an_ask_in_a_mode_that_the_client_did_not_declare_has_wrong_params
    an_ask_may_take_half_an_hour_without_settings
    an_ask_of_a_clients_own_server_is_that_clients
    an_ask_that_its_client_never_answers_is_refused_in_time
    an_ask_withdrawn_before_its_client_heard_of_it_is_never_put
    an_elicitation_is_completed_by_the_id_it_was_made_with
    an_id_comes_back_as_it_was_written
    an_id_is_free_again_after_a_cancel
    an_id_or_token_over_its_limit_is_refused
    an_id_that_is_none_is_refused_without_it
    an_initialize_cannot_be_cancelled
    an_initialize_is_answered_within_250_ms_with_every_server_hung
    an_initialize_with_our_own_mark_is_refused
    an_initialize_without_a_version_is_refused_and_may_be_said_again
    an_older_client_hears_in_words_that_it_knows
    an_older_client_is_asked_in_words_that_it_knows
    an_overlong_answer_of_a_server_fails_its_call_alone
    an_overlong_ask_fails_alone
    an_overlong_line_of_a_client_fails_alone
    an_own_name_is_accepted_when_one_server_has_it
    an_own_servers_ask_outlives_the_call_in_which_it_came
    an_unknown_name_is_refused_when_the_first_list_would_wait_no_longer
    an_unsubscription_of_what_was_never_subscribed_is_the_servers_to_judge
    an_update_of_a_part_is_for_who_listens_to_the_whole
    asking_for_roots_does_not_stop_a_calls_clock
    asks_may_be_answered_in_a_batch_where_there_are_batches
    asks_of_one_server_with_one_id_are_answered_each
    asks_that_are_withdrawn_at_once_are_bounded
    asks_that_wait_for_a_stalled_client_are_refused_when_it_goes
    asks_with_equal_ids_of_two_servers_get_their_own_answers
    blank_lines_marks_and_carriage_returns_are_no_matter
    braids_own_progress_token_is_its_own_affair
    changed_roots_are_told_to_the_clients_own_servers_alone
    changed_roots_for_a_server_that_does_not_read_are_bounded
    changed_roots_of_who_declared_none_are_told_to_nobody
    each_clients_own_server_is_told_what_that_client_declared
    each_revision_is_answered_in_kind
    equal_ids_and_tokens_of_two_clients_are_kept_apart
    equal_tokens_of_two_requests_are_kept_apart
    every_page_of_a_server_is_listed
    every_subscription_of_a_client_is_its_own_servers_affair
    half_an_answer_is_none
    initialize_is_refused_within_a_batch
    instructions_may_be_our_own_or_none
    instructions_of_a_slow_server_are_not_waited_for
    instructions_of_all_servers_are_merged
    items_of_lists_pass_but_for_their_names
    items_without_a_name_or_too_large_are_left_out_alone
    lists_do_not_depend_on_who_arrives_first
    log_messages_beside_calls_wait_for_a_stalled_client_up_to_a_bound
    malformed_asks_of_a_server_fail_alone
    malformed_lines_of_a_client_fail_alone
    malformed_lines_of_a_server_are_skipped
    news_for_a_client_that_does_not_read_wait_and_are_few
    nobody_is_told_yes_before_a_shared_server_has_agreed
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
    roots_that_change_during_a_call_are_asked_for_anew
    stopping_ends_every_server_and_closes_the_door
    stopping_with_an_ask_open_leaves_nothing
    ten_thousand_list_changed_at_once_cost_two_fetches_and_no_note
    ten_thousand_list_changed_over_a_second_cost_a_fetch_and_a_note_per_window
    the_clock_runs_again_after_the_last_of_two_questions
    the_first_list_waits_for_a_hung_server_and_no_longer
    the_context_of_a_trace_passes_as_it_is
    the_four_lists_are_merged_in_the_order_of_the_configuration
    the_only_server_asks_without_a_name_in_front
    the_only_server_may_go_without_a_prefix
    the_patience_without_settings_is_two_minutes_of_silence_and_half_an_hour_in_all
    two_clients_cost_a_shared_server_one_subscription
    updates_of_one_resource_are_one_to_a_client_that_does_not_read
    uris_in_messages_for_a_model_are_the_clients
    uris_in_results_are_the_clients
    what_a_clients_own_server_offers_is_nobody_elses
    what_a_server_says_during_a_call_comes_in_its_order
    what_braid_does_not_know_of_an_ask_passes_both_ways
    what_braid_does_not_know_passes_both_ways
    what_is_asked_without_a_name_is_refused
    what_nobody_has_is_refused
    what_two_readers_could_read_differently_is_refused
    what_was_logged_before_an_answer_comes_before_it
    who_never_asked_for_a_level_is_not_flooded_by_anothers_debug
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

/// A play whose lines are too long to be written down.
#[tokio::test(start_paused = true)]
async fn what_a_server_is_asked_to_tell_takes_its_room_in_the_queue() {
    let uri = "a".repeat(8000);
    let subscribe = |n: usize| {
        format!(
            r#"client> {{"jsonrpc":"2.0","id":{n},"method":"resources/subscribe","params":{{"uri":"files+{uri}:{n}"}}}}"#
        )
    };
    let subscribes: Vec<String> = (1..=8).map(subscribe).collect();
    let text = format!(
        r#"config limits.client_message = "64KiB"
config limits.link_buffer = "64KiB"
config servers.files.timeouts.call = "10s"
server files: 2026-07-28, agrees, pipe 64, tools read, resources a:1
client: 2025-11-25
client> {{"jsonrpc":"2.0","id":20,"method":"tools/list"}}
client< {{"jsonrpc":"2.0","id":20,*}}
files stalls
{}
client> {{"jsonrpc":"2.0","id":21,"method":"tools/call","params":{{"name":"files__read"}}}}
wait 10s
client< {{"jsonrpc":"2.0","id":21,"error":{{"code":1003,"message":"files: no place for another request within 10 s (limits.link_buffer)",*}}}}
files reads
files<* {{"jsonrpc":"2.0","method":"notifications/cancelled",*}}
times 8: client<~ {{"jsonrpc":"2.0","id":$n,"result":{{}}}}
"#,
        subscribes.join("\n")
    );
    play("what_a_server_is_asked_to_tell_takes_its_room_in_the_queue", &text).await;
}
