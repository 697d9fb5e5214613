//! The event log, on a private Redis and in memory.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod amnesia;
mod ledger;
mod outages;
mod redis;
mod suite;
mod support;
mod time;

/// Runs each scenario of a module on both kinds of log.
macro_rules! on_both {
    ($($module:ident { $($scenario:ident,)* })*) => {
        mod in_memory {
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread")]
                async fn $scenario() {
                    crate::$module::$scenario(crate::support::Place::in_memory()).await;
                })*
            })*
        }
        mod on_redis {
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread")]
                async fn $scenario() {
                    crate::$module::$scenario(crate::support::Place::on_redis()).await;
                })*
            })*
        }
    };
}

on_both! {
    suite {
        events_are_numbered_and_name_the_one_before,
        live_and_log_carry_the_same_bytes,
        an_older_epoch_is_fenced_and_its_neighbours_are_not,
        a_claim_tells_the_last_event,
        an_account_that_nobody_runs_is_numbered_too,
        a_follower_starts_where_it_is_told,
        a_follower_that_joins_under_load_gets_each_event_once,
        a_slow_follower_misses_nothing,
        a_trimmed_log_tells_of_the_gap,
        many_accounts_keep_their_own_order,
        a_stopped_log_stores_what_is_queued_and_closes,
    }
    ledger {
        a_command_that_may_be_done_once_is_handed_over_once,
        an_idempotent_command_is_poison_at_the_third_hand_over,
        a_refusal_leaves_nothing_in_the_ledger,
        an_id_with_another_content_is_a_conflict,
        what_is_done_is_done_whatever_was_before,
        the_answer_is_given_as_long_as_the_log_has_it,
        a_hand_over_is_taken_back_once,
        what_is_queued_for_an_account_keeps_its_order,
        a_thousand_commands_at_once_are_all_asked,
        a_claim_gives_the_pending_commands_as_they_were_parked,
        a_command_leaves_its_pending_list_with_its_answer,
        a_command_that_is_done_is_not_parked,
        a_command_is_taken_out_of_its_pending_list,
        a_claim_tells_what_was_noted,
        an_older_owner_changes_nothing_any_more,
        a_stopped_ledger_answers_that_it_is_closed,
    }
}
