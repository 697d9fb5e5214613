use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use contracts::{ErrorCode, ErrorSource};
use futures_util::FutureExt;
use log_port::Intent;
use tokio::time::Instant;
use tracing::debug;

use super::state::AccountState;
use super::{Account, Finished, Job, Refusal, lane_of};
use crate::answer::Failure;
use crate::commands::{Context, Needs};
use crate::worker::Shared;

/// What is to be done with the command at the front of a lane.
enum Turn {
    Run,
    Wait,
    Refuse(Failure),
    /// The account is opened anew first.
    Reopen,
}

impl Account {
    /// Begins what may begin, lane by lane.
    pub(super) fn run_lanes(&mut self) {
        for index in 0..self.lanes.len() {
            while let Some(turn) = self.lanes[index].front().map(|job| self.turn_of(job)) {
                if matches!(turn, Turn::Wait) {
                    break;
                }
                if matches!(turn, Turn::Reopen) {
                    self.open();
                    break;
                }
                let Some(job) = self.lanes[index].pop() else { break };
                match turn {
                    Turn::Refuse(failure) => self.refuse(Refusal { case: job.case, failure }),
                    _ => self.begin(job),
                }
            }
        }
    }

    fn turn_of(&self, job: &Job) -> Turn {
        if self.state.passes() || self.closing.is_some() || !*self.log_up.borrow() {
            return Turn::Wait;
        }
        if job.case.deadline <= self.shared.clock.now() {
            return Turn::Refuse(Failure::expired());
        }
        if self.forgotten && job.redelivered && !job.entry.idempotent {
            let why = "it was delivered before, and Redis has lost what became of it";
            return Turn::Refuse(Failure::outcome_unknown(why));
        }
        let fits = match job.entry.needs {
            Needs::Ready => self.state == AccountState::Ready,
            Needs::Code => self.state == AccountState::WaitCode,
            Needs::LoginStart if self.state == AccountState::SessionLost => {
                // TDLib is still wiping the database when a session is still there.
                return if self.session.is_some() { Turn::Wait } else { Turn::Reopen };
            }
            Needs::LoginStart => self.state.logging_in() || self.state == AccountState::Ready,
        };
        if fits && self.session.is_some() {
            return Turn::Run;
        }
        let error = format!("account is not ready: {}", self.state.as_str());
        Turn::Refuse(Failure::new(error, ErrorCode::NotReady, ErrorSource::Ownership, true))
    }

    fn begin(&mut self, job: Job) {
        let Some(session) = &self.session else { return };
        let (flow, kind) = (job.flow, job.entry.lane);
        self.lanes[lane_of(flow)].begun(kind);
        let (shared, common) = (Arc::clone(&self.shared), Arc::clone(&self.common));
        let ctx = Context::new(session.client.clone(), shared, common, job.case.deadline);
        let running = carry_out(job, ctx, Arc::clone(&self.shared));
        self.tasks.push(running.map(move |()| Finished::Command(flow, kind)).boxed());
    }
}

/// Runs a command to its answer, if the ledger lets it; then to the end of what TDLib has not
/// answered in time.
async fn carry_out(job: Job, ctx: Context, shared: Arc<Shared>) {
    let Job { entry, prepared, case, .. } = job;
    let intent = Intent::Run { idempotent: entry.idempotent };
    let admitted = ctx.unless_cut_short(case.admit(&shared, intent)).await;
    let Some(case) = admitted.flatten() else { return };
    if ctx.is_given_up() {
        return case.leave();
    }
    if case.deadline <= shared.clock.now() {
        return case.expire(&shared);
    }
    let (begun, account) = (Instant::now(), case.address.account());
    let run = AssertUnwindSafe(prepared.run(&ctx)).catch_unwind().await;
    let closed = matches!(&run, Ok(Err(error)) if error.is_closed());
    if closed && ctx.is_given_up() && (entry.idempotent || !ctx.dispatched()) {
        debug!(account.id = %account, command.name = entry.name, "command left to redelivery");
        return case.leave();
    }
    let result = match run {
        Ok(result) => result.map_err(|error| error.into_failure(ctx.dispatched())),
        Err(_) => Err(Failure::internal()),
    };
    debug!(
        account.id = %account,
        command.name = entry.name,
        command.id = %case.ticket.command(),
        duration_ms = begun.elapsed().as_millis(),
        code = result.as_ref().err().map(|failure| tracing::field::debug(failure.info.code)),
        "command run"
    );
    case.answer(&shared, result);
    ctx.settle_overdue().await;
}
