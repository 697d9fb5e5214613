use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use log_port::Intent;
use tdlib::Client;
use tokio::time::Instant;
use tracing::debug;

use crate::commands::{AccountContext, Context};
use crate::failure::Failure;
use crate::job::QueuedCommand;
use crate::worker_context::WorkerContext;

/// Runs a command, if the ledger admits it, and answers it. Then waits for what TDLib has not
/// answered in time.
pub(super) async fn run_command(
    command: QueuedCommand,
    client: Client,
    context: Arc<AccountContext>,
    shared: Arc<WorkerContext>,
) {
    let QueuedCommand { entry, prepared, answer, .. } = command;
    let ctx = Context::new(client, Arc::clone(&shared), context, answer.deadline);
    let intent = Intent::Run { idempotent: entry.idempotent };
    let (log, id) = (Arc::clone(&answer.target.log), answer.guard.command().clone());
    let Some(admitted) = ctx.unless_cut_short(answer.admit(&shared, intent)).await else {
        // The admission is withdrawn, whatever its verdict: the command is not sent.
        return log.undo_dispatch(id);
    };
    let Some(answer) = admitted else { return };
    if ctx.is_given_up() {
        return answer.undo_dispatch();
    }
    if answer.deadline <= shared.clock.now() {
        return answer.expire_dispatched(&shared);
    }
    let (started, account) = (Instant::now(), answer.target.account());
    let run = AssertUnwindSafe(prepared.run(&ctx)).catch_unwind().await;
    let closed = matches!(&run, Ok(Err(error)) if error.is_closed());
    if closed && ctx.is_given_up() && (entry.idempotent || !ctx.dispatched()) {
        debug!(account.id = %account, command.name = entry.name, "command left to redelivery");
        return answer.undo_dispatch();
    }
    let result = match run {
        Ok(result) => result.map_err(|error| error.into_failure(ctx.dispatched())),
        Err(_) => Err(Failure::internal()),
    };
    debug!(
        account.id = %account,
        command.name = entry.name,
        command.id = %answer.guard.command(),
        duration_ms = started.elapsed().as_millis(),
        code = result.as_ref().err().map(|failure| tracing::field::debug(failure.info.code)),
        "command run"
    );
    answer.complete(&shared, result);
    ctx.settle_overdue().await;
}
