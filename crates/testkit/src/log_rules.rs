//! Rules that hold for every event log, wherever it is kept: scenarios that need only
//! [`log_port::LogPort`] and [`log_port::AccountLog`].
//!
//! A test crate runs all of them on its log by one line, each as a test of the rule's name:
//!
//! ```ignore
//! mod in_memory {
//!     testkit::log_rules!(crate::support::open_log);
//! }
//! ```
//!
//! `open_log` is a function that returns `(Arc<dyn LogPort>, T)`: an empty log, and whatever must
//! live as long as the test does. Events are observed only through `on_stored`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a rule that does not hold panics"
)]

mod events;
mod head;
mod ledger;
mod pending;
pub mod steps;

use log_port::LogPort;

pub use head::older_owner_changes_nothing;

/// Defines [`check`] over the rules of this module's parts.
macro_rules! define_check {
    ($($module:ident::$rule:ident,)*) => {
        /// Panics unless `log`, which is empty, keeps the rule of this name.
        pub async fn check(rule: &str, log: &dyn LogPort) {
            match rule {
                $(stringify!($rule) => $module::$rule(log).await,)*
                _ => panic!("there is no rule {rule}"),
            }
        }
    };
}

define_check! {
    events::events_are_numbered_and_name_the_one_before,
    events::many_accounts_keep_their_own_order,
    events::an_account_without_a_worker_is_numbered_too,
    head::a_claim_returns_the_last_event,
    head::a_claim_returns_the_epoch_that_opened_the_account,
    head::a_claim_returns_whether_the_account_is_logged_in,
    head::an_older_epoch_is_fenced_and_its_neighbours_are_not,
    head::an_older_owner_changes_nothing_any_more,
    ledger::a_command_that_is_not_idempotent_is_dispatched_once,
    ledger::an_idempotent_command_is_poison_at_the_third_dispatch,
    ledger::a_refusal_leaves_nothing_in_the_ledger,
    ledger::an_id_with_another_content_is_a_conflict,
    ledger::what_is_done_is_done_whatever_was_before,
    ledger::a_dispatch_is_undone_once,
    ledger::requests_about_an_account_keep_their_order,
    ledger::a_thousand_commands_at_once_are_all_admitted,
    pending::a_claim_returns_the_pending_commands_as_they_were_pushed,
    pending::a_command_leaves_its_pending_list_with_its_answer,
    pending::a_command_that_is_done_does_not_become_pending,
    pending::a_command_is_removed_from_its_pending_list,
}

/// Runs every rule as a test of one log. The argument opens an empty log.
#[macro_export]
macro_rules! log_rules {
    ($open:path) => {
        $crate::log_rules! { $open:
            events_are_numbered_and_name_the_one_before,
            many_accounts_keep_their_own_order,
            an_account_without_a_worker_is_numbered_too,
            a_claim_returns_the_last_event,
            a_claim_returns_the_epoch_that_opened_the_account,
            a_claim_returns_whether_the_account_is_logged_in,
            an_older_epoch_is_fenced_and_its_neighbours_are_not,
            an_older_owner_changes_nothing_any_more,
            a_command_that_is_not_idempotent_is_dispatched_once,
            an_idempotent_command_is_poison_at_the_third_dispatch,
            a_refusal_leaves_nothing_in_the_ledger,
            an_id_with_another_content_is_a_conflict,
            what_is_done_is_done_whatever_was_before,
            a_dispatch_is_undone_once,
            requests_about_an_account_keep_their_order,
            a_thousand_commands_at_once_are_all_admitted,
            a_claim_returns_the_pending_commands_as_they_were_pushed,
            a_command_leaves_its_pending_list_with_its_answer,
            a_command_that_is_done_does_not_become_pending,
            a_command_is_removed_from_its_pending_list,
        }
    };
    ($open:path: $($rule:ident,)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $rule() {
            let (log, _keep) = $open();
            $crate::log_rules::check(stringify!($rule), &*log).await;
        })*
    };
}
