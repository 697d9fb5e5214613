//! The event log, on a private Redis and in memory.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod outages;
mod redis;
mod suite;
mod support;

/// Runs each scenario of the suite on both kinds of log.
macro_rules! on_both {
    ($($scenario:ident,)*) => {
        mod in_memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                crate::suite::$scenario(crate::support::Place::in_memory()).await;
            })*
        }
        mod on_redis {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                crate::suite::$scenario(crate::support::Place::on_redis()).await;
            })*
        }
    };
}

on_both! {
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
