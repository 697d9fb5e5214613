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
        Needs::LoginStart if state == AccountState::SessionLost => {
            // As long as there is a client, TDLib is still wiping the database.
            return if is_open { NextStep::Wait } else { NextStep::Reopen };
        }
        Needs::LoginStart => state.is_logging_in() || state == AccountState::Ready,
    };
    if fits && is_open {
        return NextStep::Run;
    }
    let error = format!("account is not ready: {}", state.as_str());
    NextStep::Reject(Failure::new(error, ErrorCode::NotReady, ErrorSource::Ownership, true))
}
