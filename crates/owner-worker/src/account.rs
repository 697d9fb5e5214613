//! One account: its TDLib client, its state, and its commands.
//!
//! An [`Account`] is one task, which owns everything below. Commands run inside it, in parallel as
//! far as the lanes allow.

mod client_state;
mod closing;
mod events;
mod handle;
mod lane;
mod login;
mod outbox;
mod pending;
mod queue;
mod run_command;
mod schedule;
mod storage;
mod tasks;
mod updates;

use std::sync::Arc;
use std::time::Duration;

use contracts::{AccountId, Flow};
use log_port::{AccountLog, LogHead};
use tdlib::Update;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::error;

use crate::account_state::AccountState;
use crate::commands::Common as AccountContext;
use crate::failure::Failure;
use crate::in_flight::InFlightTable;
use crate::job::{QueuedCommand, Rejection, Work};
use crate::worker_context::WorkerContext;
use client_state::ClientState;
use closing::Closing;
use events::ResyncReason;
use handle::{AccountMailbox, AccountMessage};
use login::Login;
use outbox::Outbox;
use pending::PendingLists;
use queue::CommandQueue;
use run_command::run_command;
use schedule::{NextStep, next_step};
use storage::{OpenError, Opened, RecordedState};
use tasks::{AccountTasks, TaskResult};
use updates::handle_updates;

pub(crate) use events::schemas as event_schemas;
pub(crate) use handle::AccountHandle;

/// How many updates are handled at once.
const UPDATE_BATCH: usize = 256;

/// One account's task; see the module.
pub(crate) struct Account {
    shared: Arc<WorkerContext>,
    context: Arc<AccountContext>,
    log_up: watch::Receiver<bool>,
    queue: CommandQueue,
    login: Login,
    outbox: Outbox,
    client: ClientState,
    closing: Option<Closing>,
    tasks: AccountTasks,
    // Last: dropping it signals that everything above is dropped.
    mailbox: AccountMailbox,
}

/// Why the account's task woke up.
enum WakeReason {
    Message(Option<AccountMessage>),
    Task(TaskResult),
    /// So many updates have arrived; none if the client is closed.
    Updates(usize),
    LogUp,
    Timer,
}

impl Account {
    /// An account that was claimed, with its log's head. `clean` says whether the previous owner
    /// closed it cleanly.
    pub(crate) fn new(
        log: Arc<dyn AccountLog>,
        head: LogHead,
        clean: bool,
        shared: Arc<WorkerContext>,
    ) -> (Self, AccountHandle) {
        let context = Arc::new(AccountContext::new(Arc::clone(&log)));
        let in_flight = InFlightTable::new(Arc::clone(&shared.replies));
        let pending = PendingLists::new(Arc::clone(&log), Arc::clone(&in_flight));
        let outbox = Outbox::new(Arc::clone(&shared), Arc::clone(&log));
        if !clean {
            outbox.resync(ResyncReason::TakeOver);
        }
        let (handle, mailbox) = AccountHandle::new(log, in_flight);
        let mut account = Self {
            log_up: shared.log.up(),
            queue: CommandQueue::new(pending),
            login: Login::new(Arc::clone(&context), RecordedState::from(&head)),
            shared,
            context,
            outbox,
            client: ClientState::Closed,
            closing: None,
            tasks: AccountTasks::default(),
            mailbox,
        };
        for rejection in account.queue.restore(head.pending, &account.shared) {
            account.reject(rejection);
        }
        (account, handle)
    }

    /// Opens the account and serves it until it is closed.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let mut updates = Vec::with_capacity(UPDATE_BATCH);
        self.open();
        loop {
            // Updates that have arrived come before commands: an account that has just become ready
            // is ready for the next command.
            if self.client.has_updates()
                && self.client.receive_updates(&mut updates, UPDATE_BATCH).await > 0
            {
                self.on_updates(&mut updates);
            }
            self.start_commands();
            self.outbox.pump(&self.tasks);
            if self.advance_closing() {
                return Ok(());
            }
            match self.wait(&mut updates).await {
                WakeReason::Message(Some(message)) => self.on_message(message),
                WakeReason::Message(None) => self.close(Duration::ZERO),
                WakeReason::Task(result) => self.on_task_result(result),
                WakeReason::Updates(0) => self.on_client_closed(),
                WakeReason::Updates(_) => self.on_updates(&mut updates),
                WakeReason::LogUp => self.on_log_up(),
                WakeReason::Timer => self.on_timer(),
            }
        }
    }

    async fn wait(&mut self, updates: &mut Vec<Update>) -> WakeReason {
        let timer = self.next_timer();
        // Once the account is closing, a mailbox without senders has nothing more to say.
        let listens = self.closing.is_none() || !self.mailbox.is_closed();
        tokio::select! {
            message = self.mailbox.receive(), if listens => WakeReason::Message(message),
            Some(result) = self.tasks.next() => WakeReason::Task(result),
            number = self.client.receive_updates(updates, UPDATE_BATCH) => {
                WakeReason::Updates(number)
            }
            Ok(()) = self.log_up.changed() => WakeReason::LogUp,
            () = sleep_until(timer) => WakeReason::Timer,
        }
    }

    fn next_timer(&self) -> Instant {
        let finish_by = self.closing.as_ref().and_then(Closing::finish_by);
        let timers = [self.queue.next_sweep(), finish_by];
        let far = Instant::now() + Duration::from_hours(1);
        timers.into_iter().flatten().min().unwrap_or(far)
    }

    fn on_message(&mut self, message: AccountMessage) {
        match message {
            // Dropped, which means redelivery.
            AccountMessage::Work(_) if self.closing.is_some() => {}
            AccountMessage::Work(Work::Run(command)) => {
                if let Some(rejection) = self.queue.push(command, &self.log_up) {
                    self.reject(rejection);
                }
            }
            AccountMessage::Work(Work::Reject(rejection)) => self.reject(rejection),
            AccountMessage::Close { grace } => self.close(grace),
        }
    }

    /// Starts the commands that may run now, lane by lane.
    fn start_commands(&mut self) {
        for flow in Flow::ALL {
            while let Some(step) = self.queue.front(flow).map(|command| self.next_step(command)) {
                match step {
                    NextStep::Run => self.start_command(flow),
                    NextStep::Wait => break,
                    NextStep::Reject(failure) => {
                        if let Some(command) = self.queue.pop(flow) {
                            self.reject(command.reject(failure));
                        }
                    }
                    NextStep::Reopen => {
                        self.open();
                        break;
                    }
                }
            }
        }
    }

    fn next_step(&self, command: &QueuedCommand) -> NextStep {
        let transitional = self.login.state().is_transitional();
        if transitional || self.closing.is_some() || !*self.log_up.borrow() {
            return NextStep::Wait;
        }
        let is_open = self.client.open().is_some();
        next_step(command, &self.login, is_open, self.shared.clock.now())
    }

    fn start_command(&mut self, flow: Flow) {
        let Some(open) = self.client.open() else { return };
        let Some(command) = self.queue.start(flow) else { return };
        let access = command.entry.lane;
        let (context, shared) = (Arc::clone(&self.context), Arc::clone(&self.shared));
        let running = run_command(command, open.client.clone(), context, shared);
        self.tasks.add(running, move |()| TaskResult::CommandEnded(flow, access));
    }

    /// Answers a command without running it.
    fn reject(&self, rejection: Rejection) {
        rejection.answer.guard.leave_lane();
        let settled = rejection.settle(Arc::clone(&self.shared));
        self.tasks.add(settled, |()| TaskResult::CommandRejected);
    }

    fn on_task_result(&mut self, result: TaskResult) {
        match result {
            TaskResult::Opened(result) => self.on_opened(result),
            TaskResult::ParametersSet(Err(error)) => {
                error!(account.id = %self.id(), error = ?error, "TDLib cannot open the account");
                self.set_state(AccountState::Failed, Some(&error.to_string()));
                self.client.close(&self.tasks);
            }
            TaskResult::CommandEnded(flow, access) => self.queue.end(flow, access),
            TaskResult::ChunkStored(stored) => self.outbox.on_chunk_stored(stored),
            TaskResult::ClosePermit(permit) => {
                if let Some(closing) = &mut self.closing {
                    closing.close_client(permit, &self.client, &self.tasks);
                }
            }
            TaskResult::ParametersSet(Ok(()))
            | TaskResult::CommandRejected
            | TaskResult::CloseAnswered => {}
        }
    }

    fn open(&mut self) {
        self.outbox.hold();
        self.set_state(AccountState::Starting, None);
        let (shared, log) = (Arc::clone(&self.shared), Arc::clone(&self.context.log));
        self.client.start_opening(shared, log, self.login.recorded(), &self.tasks);
    }

    fn on_opened(&mut self, result: Result<Opened, OpenError>) {
        self.client = ClientState::Closed;
        match result {
            _ if self.closing.is_some() => self.outbox.close_spool(),
            Ok(Opened { guard, account, spool }) => {
                self.outbox.use_spool(spool);
                self.login.on_directory_opened(guard, account.redis_lost_state());
                self.context.first_reads.reset();
                self.tasks.add(account.set_parameters(&self.shared), TaskResult::ParametersSet);
                self.client = ClientState::Open(account);
            }
            Err(error) => {
                error!(account.id = %self.id(), error = runtime::chain(&error), "account not opened");
                self.outbox.close_spool();
                self.set_state(AccountState::Failed, Some(&error.to_string()));
            }
        }
    }

    fn on_updates(&mut self, updates: &mut Vec<Update>) {
        let at = self.shared.clock.now();
        handle_updates(updates, &mut self.login, &mut self.outbox, &self.context, at);
    }

    /// TDLib has closed the databases: the client has sent its last update.
    fn on_client_closed(&mut self) {
        self.login.on_client_closed(&mut self.outbox);
        self.outbox.close_spool();
        self.client = ClientState::Closed;
    }

    /// The log is up or down. If it is up, it may have lost what it had.
    fn on_log_up(&mut self) {
        if *self.log_up.borrow() {
            self.shared.dropped_updates.end();
            if self.client.open().is_some() {
                self.login.record_again();
            }
        }
        self.queue.push_again(&self.log_up);
    }

    fn on_timer(&mut self) {
        let now = self.shared.clock.now();
        for command in self.queue.take_expired(now) {
            self.reject(command.reject(Failure::expired()));
        }
        if self.closing.is_none() && *self.log_up.borrow() {
            self.queue.push_slow(now, &self.log_up);
        }
        if let Some(closing) = self.closing.as_mut().filter(|closing| closing.is_overdue()) {
            self.context.cut_short.cancel();
            closing.acquire_permit(&self.client, &self.tasks);
        }
    }

    /// Stops taking commands and closes the account. A `grace` of zero means that its lease is over.
    fn close(&mut self, grace: Duration) {
        if let Some(closing) = &mut self.closing {
            return closing.shorten(grace, &self.client, &self.tasks);
        }
        self.context.given_up.cancel();
        self.queue.clear();
        self.client.cancel_opening();
        self.closing = Some(Closing::new(Arc::clone(&self.shared.closing), grace));
    }

    /// Has TDLib close the account once no command runs; whether the account is closed.
    fn advance_closing(&mut self) -> bool {
        let Some(closing) = self.closing.as_mut().filter(|_| self.queue.is_idle()) else {
            return false;
        };
        closing.on_idle(&self.client, &self.tasks);
        self.client.is_closed()
    }

    fn set_state(&mut self, state: AccountState, reason: Option<&str>) {
        self.login.set_state(state, reason, &mut self.outbox);
    }

    fn id(&self) -> AccountId {
        self.context.log.token().account
    }
}
