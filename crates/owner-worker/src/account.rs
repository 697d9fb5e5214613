//! One account: its TDLib client, its state, and its commands.
//!
//! An [`Account`] is one task, which owns everything below. Commands run inside it, in parallel as
//! far as the lanes allow.

mod client;
mod closing;
mod events;
mod handle;
mod lane;
mod login;
mod outbox;
mod pacing;
mod pending;
mod queue;
mod run_command;
mod schedule;
mod storage;
mod supervisor;
mod tasks;
mod watched_log;

use std::sync::Arc;
use std::time::Duration;

use contracts::Flow;
use log_port::{AccountLog, LogHead};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::commands::{Access, AccountContext};
use crate::failure::Failure;
use crate::in_flight::InFlightTable;
use crate::job::{Rejection, Work};
use crate::worker_context::WorkerContext;
use client::AccountClient;
use closing::Closing;
use handle::{AccountMailbox, AccountMessage};
use pacing::Pacing;
use pending::PendingLists;
use queue::CommandQueue;
use run_command::run_command;
use schedule::{NextStep, next_step};
use tasks::{AccountTasks, TaskResult};

pub(crate) use events::schemas as event_schemas;
use handle::AccountHandle;
pub(crate) use supervisor::{AccountSlot, AccountSupervisor};

/// One account's task; see the module.
pub(crate) struct Account {
    shared: Arc<WorkerContext>,
    context: Arc<AccountContext>,
    log_up: watch::Receiver<bool>,
    queue: CommandQueue,
    pacing: Pacing,
    /// When the next command of a paced lane may leave.
    paced_until: Option<Instant>,
    client: AccountClient,
    closing: Option<Closing>,
    tasks: AccountTasks,
    // Last: dropping it signals that everything above is dropped.
    mailbox: AccountMailbox,
}

/// Why the account's task woke up.
enum WakeReason {
    Message(Option<AccountMessage>),
    Task(TaskResult),
    Updates,
    ClientClosed,
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
        let client = AccountClient::new(&head, clean, Arc::clone(&context), Arc::clone(&shared));
        let (handle, mailbox) = AccountHandle::new(log, in_flight);
        let mut account = Self {
            log_up: shared.log.up(),
            queue: CommandQueue::new(pending),
            pacing: Pacing::new(&shared.config.pacing),
            paced_until: None,
            client,
            shared,
            context,
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
        self.client.open(&self.tasks);
        loop {
            // Updates that have arrived come before commands: an account that has just become ready
            // is ready for the next command.
            if self.client.has_updates() && self.client.receive_updates().await {
                self.client.handle_updates(&self.tasks);
            }
            self.start_commands();
            self.client.pump_outbox(&self.tasks);
            if self.advance_closing() {
                return Ok(());
            }
            match self.wait().await {
                WakeReason::Message(Some(message)) => self.on_message(message),
                WakeReason::Message(None) => self.close(Duration::ZERO),
                WakeReason::Task(result) => self.on_task_result(result),
                WakeReason::Updates => self.client.handle_updates(&self.tasks),
                WakeReason::ClientClosed => self.client.on_closed(),
                WakeReason::LogUp => self.on_log_up(),
                WakeReason::Timer => self.on_timer(),
            }
        }
    }

    async fn wait(&mut self) -> WakeReason {
        let timer = self.next_timer();
        // Once the account is closing, a mailbox without senders has nothing more to say.
        let listens = self.closing.is_none() || !self.mailbox.is_closed();
        tokio::select! {
            message = self.mailbox.receive(), if listens => WakeReason::Message(message),
            Some(result) = self.tasks.next() => WakeReason::Task(result),
            open = self.client.receive_updates() => {
                if open { WakeReason::Updates } else { WakeReason::ClientClosed }
            }
            Ok(()) = self.log_up.changed() => WakeReason::LogUp,
            () = sleep_until(timer) => WakeReason::Timer,
        }
    }

    fn next_timer(&self) -> Instant {
        let finish_by = self.closing.as_ref().and_then(Closing::finish_by);
        let timers = [self.queue.next_sweep(), finish_by, self.paced_until];
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
        self.paced_until = None;
        for flow in Flow::ALL {
            while let Some(step) = self.next_step(flow) {
                match step {
                    NextStep::Run => self.start_command(flow),
                    NextStep::Wait => break,
                    NextStep::Reject(failure) => {
                        if let Some(command) = self.queue.pop(flow) {
                            self.reject(command.reject(failure));
                        }
                    }
                    NextStep::Reopen => {
                        self.queue.mark_reopened(flow);
                        self.client.open(&self.tasks);
                        break;
                    }
                }
            }
        }
    }

    /// What to do with the next command of a flow, if there is one that may run beside what is
    /// running.
    fn next_step(&mut self, flow: Flow) -> Option<NextStep> {
        let command = self.queue.front(flow)?;
        let login = self.client.login();
        if login.state().is_transitional() || self.closing.is_some() || !*self.log_up.borrow() {
            return Some(NextStep::Wait);
        }
        let is_open = self.client.tdlib().is_some();
        let step = next_step(command, login, is_open, self.shared.clock.now());
        let (NextStep::Run, Some(traffic)) = (&step, command.prepared.traffic()) else {
            return Some(step);
        };
        let is_read = command.entry.lane == Access::Read;
        if is_read && !self.pacing.has_room(self.queue.reads_in_flight()) {
            return Some(NextStep::Wait);
        }
        let now = Instant::now();
        Some(match (self.pacing.admit(traffic, now), flow) {
            (Ok(()), _) => step,
            (Err(until), Flow::Hi) => NextStep::Reject(Failure::paced(until.duration_since(now))),
            (Err(until), Flow::Lo) => {
                self.paced_until = Some(until);
                NextStep::Wait
            }
        })
    }

    fn start_command(&mut self, flow: Flow) {
        let Some(tdlib) = self.client.tdlib() else { return };
        let Some(command) = self.queue.start(flow) else { return };
        let access = command.entry.lane;
        let (context, shared) = (Arc::clone(&self.context), Arc::clone(&self.shared));
        let running = run_command(command, tdlib.clone(), context, shared);
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
            TaskResult::Opened(result) => self.client.on_opened(result, &self.tasks),
            TaskResult::ParametersSet(result) => {
                self.client.on_parameters_set(result, &self.tasks);
            }
            TaskResult::OpeningOverdue(client) => {
                self.client.on_opening_overdue(client, &self.tasks);
            }
            TaskResult::CommandEnded(flow, access) => self.queue.end(flow, access),
            TaskResult::ChunkStored(stored) => self.client.on_chunk_stored(stored),
            TaskResult::ClosePermit(permit) => {
                if let Some(closing) = &mut self.closing {
                    closing.close_client(permit, &self.client, &self.tasks);
                }
            }
            TaskResult::CommandRejected | TaskResult::CloseAnswered => {}
        }
    }

    /// The log is up or down. If it is up, it may have lost what it had.
    fn on_log_up(&mut self) {
        if *self.log_up.borrow() {
            self.client.on_log_up();
        }
        self.queue.push_again(&self.log_up);
    }

    fn on_timer(&mut self) {
        let now = self.shared.clock.now();
        for command in self.queue.take_expired(now) {
            self.reject(command.reject(Failure::expired()));
        }
        if self.closing.is_none() && *self.log_up.borrow() {
            for command in self.queue.push_slow(now, &self.log_up) {
                self.reject(command.reject(Failure::busy_with_secret()));
            }
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
}
