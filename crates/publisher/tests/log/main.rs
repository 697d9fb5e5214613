//! The event log, on a private Redis and in memory.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod audit;
mod foreign_keys;
mod forged;
mod ledger;
mod memory_loss;
mod outages;
mod permissions;
mod reading;
mod redis;
mod support;
mod time;

/// Runs each scenario of a module on both kinds of log.
macro_rules! on_both {
    ($($module:ident { $($scenario:ident,)* })*) => {
        mod in_memory {
            testkit::log_rules!(crate::support::LogFixture::in_memory_port);
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread")]
                async fn $scenario() {
                    crate::$module::$scenario(crate::support::LogFixture::in_memory()).await;
                })*
            })*
        }
        mod on_redis {
            testkit::log_rules!(crate::support::LogFixture::on_redis_port);
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread")]
                async fn $scenario() {
                    crate::$module::$scenario(crate::support::LogFixture::on_redis()).await;
                })*
            })*
        }
    };
}

on_both! {
    reading {
        the_log_keeps_every_event_in_order,
        live_and_log_carry_the_same_bytes,
        a_follower_starts_at_its_start_position,
        a_follower_that_joins_under_load_gets_each_event_once,
        a_slow_follower_misses_nothing,
        a_follower_of_a_trimmed_log_gets_the_gap,
        the_logs_of_many_accounts_keep_their_own_order,
        a_stopped_log_stores_what_is_queued_and_closes,
    }
    ledger {
        a_done_command_returns_its_answer_as_long_as_the_log_has_it,
        a_stopped_ledger_answers_that_it_is_closed,
    }
}
