use contracts::{ErrorCode, ErrorSource};
use jiff::Timestamp;

use super::login::Login;
use crate::account_state::AccountState;
use crate::commands::Needs;
use crate::failure::Failure;
use crate::job::QueuedCommand;

/// What to do with the next command of a lane.
pub(super) enum NextStep {
    Run,
    Wait,
    Reject(Failure),
    /// Reopen the account first.
    Reopen,
}

/// Decides on the next command of a lane. `is_open` says whether the account has a TDLib client.
pub(super) fn next_step(
    command: &QueuedCommand,
    login: &Login,
    is_open: bool,
    now: Timestamp,
) -> NextStep {
    let state = login.state();
    if command.answer.deadline <= now {
        return NextStep::Reject(Failure::expired());
    }
    if login.redis_lost_state() && command.redelivered && !command.entry.idempotent {
        let why = "it was delivered before, and Redis has lost what became of it";
        return NextStep::Reject(Failure::outcome_unknown(why));
    }
    let fits = match command.entry.needs {
        Needs::Ready => state == AccountState::Ready,
        Needs::Code => state == AccountState::WaitCode,
        // As long as there is a client, TDLib is still closing or wiping the database.
        Needs::LoginStart if state.is_latched() && is_open => return NextStep::Wait,
        Needs::LoginStart if state.is_latched() && !command.reopened => return NextStep::Reopen,
        Needs::LoginStart => state.is_logging_in() || state == AccountState::Ready,
    };
    if fits && is_open { NextStep::Run } else { NextStep::Reject(not_ready(login)) }
}

/// The same command can succeed later only if a login is under way.
fn not_ready(login: &Login) -> Failure {
    let state = login.state();
    let error = format!("account is not ready: {}", state.as_str());
    let retriable = state.is_logging_in();
    let failure = Failure::new(error, ErrorCode::NotReady, ErrorSource::Ownership, retriable);
    match login.reason() {
        Some(reason) => failure.with_detail("reason", reason.into()),
        None => failure,
    }
}
