//! One account: its TDLib client, its state, and the lanes of its commands.
//!
//! An [`Account`] is one task. It alone touches the client's updates, the state and the lanes;
//! commands run inside it side by side as the lanes allow.

mod authorization;
mod closing;
mod directory;
mod errand;
mod handle;
mod lane;
mod mark;
mod opening;
mod outbox;
mod parking;
mod spool;
pub(crate) mod state;
mod turns;

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use contracts::{AccountId, Flow};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use log_port::{AccountLog, LogHead};
use runtime::CancellationToken;
use tdlib::{CallError, Update};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tracing::error;

use crate::answer::Failure;
use crate::commands::{Access as Kind, AccountContext};
use crate::copies::Copies;
use crate::worker::Shared;
pub(crate) use authorization::schemas as event_schemas;
use closing::Closing;
use directory::History;
pub(crate) use errand::{Errand, Job, Refusal};
pub(crate) use handle::Handle;
use handle::Message;
use lane::Lane;
use opening::{OpenError, Opening, Session};
use outbox::{Gap, Outbox};
use spool::Spool;
use state::AccountState;

/// Updates that are taken at once.
const BATCH: usize = 256;

/// How often waiting commands are looked at for deadlines that have passed.
const SWEEP: Duration = Duration::from_millis(500);

/// What an account is taken over with.
pub(crate) struct Takeover {
    /// The right to write its log.
    pub(crate) log: Arc<dyn AccountLog>,
    /// What its head said.
    pub(crate) claimed: LogHead,
    /// Whether the owner before gave it up in good order.
    pub(crate) clean: bool,
}

/// What one of the account's own futures came to.
enum Finished {
    Opened(Result<(Session, Spool), OpenError>),
    Parameters(Result<(), CallError>),
    /// It is the account's turn to be closed.
    Place(Option<OwnedSemaphorePermit>),
    /// TDLib has been told to close.
    Told,
    /// The log has stored what it was given of the spool, or refuses it.
    Sent(bool),
    Command(Flow, Kind),
    Refused,
}

/// Why the account's task woke up.
enum Wake {
    Message(Option<Message>),
    Finished(Finished),
    Updates(usize),
    LogUp,
    Timer,
}

/// One account's task; see the module.
pub(crate) struct Account {
    id: AccountId,
    shared: Arc<Shared>,
    common: Arc<AccountContext>,
    mailbox: mpsc::UnboundedReceiver<Message>,
    log_up: watch::Receiver<bool>,
    copies: Arc<Copies>,
    /// Number of the last place in a pending list that was given out.
    last_place: u64,
    state: AccountState,
    session: Option<Session>,
    /// The way of the account's own events to the log.
    outbox: Outbox,
    history: History,
    /// Redis has lost what it knew of the account before this owner took it over.
    forgotten: bool,
    /// Gives up an opening that is under way.
    opening: Option<CancellationToken>,
    lanes: [Lane; 2],
    tasks: FuturesUnordered<BoxFuture<'static, Finished>>,
    closing: Option<Closing>,
    /// When waiting commands are looked at next.
    next_sweep: Instant,
    /// Dropped with the task, however that ends: that is what tells whoever waits.
    _ended: oneshot::Sender<Infallible>,
}

impl Account {
    pub(crate) fn new(takeover: Takeover, shared: Arc<Shared>) -> (Self, Handle) {
        let Takeover { log, claimed, clean } = takeover;
        let id = log.token().account;
        let (sender, mailbox) = mpsc::unbounded_channel();
        let (ending, ended) = oneshot::channel();
        let copies = Copies::new(Arc::clone(&shared.replies));
        let outbox = Outbox::new(Arc::clone(&shared), Arc::clone(&log));
        if !clean {
            outbox.resync(Gap::TakeOver);
        }
        let mut account = Self {
            id,
            common: Arc::new(AccountContext::new(Arc::clone(&log))),
            mailbox,
            log_up: shared.log.up(),
            copies: Arc::clone(&copies),
            last_place: 0,
            shared,
            state: AccountState::Cold,
            session: None,
            outbox,
            history: History::from(&claimed),
            forgotten: false,
            opening: None,
            lanes: Default::default(),
            tasks: FuturesUnordered::new(),
            closing: None,
            next_sweep: Instant::now(),
            _ended: ending,
        };
        account.restore(claimed.pending);
        (account, Handle { mailbox: sender, log, copies, ended: ended.shared() })
    }

    /// Opens the account and serves it until it is closed.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let mut updates = Vec::with_capacity(BATCH);
        self.open();
        loop {
            self.take_updates(&mut updates).await;
            self.run_lanes();
            self.tend_outbox();
            if self.has_closed() {
                return Ok(());
            }
            match self.wake(&mut updates).await {
                Wake::Message(Some(message)) => self.on_message(message),
                Wake::Message(None) => self.close(Duration::ZERO),
                Wake::Finished(finished) => self.on_finished(finished),
                Wake::Updates(0) => self.on_client_gone(),
                Wake::Updates(_) => self.on_updates(&mut updates),
                Wake::LogUp => {
                    self.on_log_up();
                    self.park_again();
                }
                Wake::Timer => self.on_timer(),
            }
        }
    }

    /// What TDLib has said so far comes before the commands that follow: an account that has just
    /// become ready is ready for the next command.
    async fn take_updates(&mut self, updates: &mut Vec<Update>) {
        if let Some(session) = self.session.as_mut().filter(|session| !session.updates.is_empty())
            && session.updates.recv_many(updates, BATCH).await > 0
        {
            self.on_updates(updates);
        }
    }

    async fn wake(&mut self, updates: &mut Vec<Update>) -> Wake {
        let timer = self.next_timer();
        // Once closing, a mailbox that nobody can write to has nothing more to say.
        let listens = self.closing.is_none() || !self.mailbox.is_closed();
        let next_updates = async {
            match &mut self.session {
                Some(session) => session.updates.recv_many(updates, BATCH).await,
                None => pending().await,
            }
        };
        tokio::select! {
            message = self.mailbox.recv(), if listens => Wake::Message(message),
            Some(finished) = self.tasks.next() => Wake::Finished(finished),
            number = next_updates => Wake::Updates(number),
            Ok(()) = self.log_up.changed() => Wake::LogUp,
            () = sleep_until(timer) => Wake::Timer,
        }
    }

    fn next_timer(&self) -> Instant {
        let far = Instant::now() + Duration::from_hours(1);
        let sweep = self.lanes.iter().any(|lane| !lane.is_still()).then_some(self.next_sweep);
        let finish = self.closing.as_ref().and_then(Closing::finish_by);
        [sweep, finish].into_iter().flatten().min().unwrap_or(far)
    }

    fn open(&mut self) {
        self.outbox.reopen();
        self.set_state(AccountState::Starting, None);
        let given_up = CancellationToken::new();
        self.opening = Some(given_up.clone());
        let opening = Opening {
            shared: Arc::clone(&self.shared),
            log: Arc::clone(&self.common.log),
            history: self.history,
            given_up,
        };
        self.tasks.push(opening.run().map(Finished::Opened).boxed());
    }

    /// Writes what is to be spooled, and sends what was.
    fn tend_outbox(&mut self) {
        self.outbox.flush();
        if let Some(sent) = self.outbox.send() {
            let stored = sent.map(|stored| Finished::Sent(matches!(stored, Ok(Ok(())))));
            self.tasks.push(stored.boxed());
        }
    }

    fn on_message(&mut self, message: Message) {
        match message {
            Message::Errand(_) if self.closing.is_some() => {}
            Message::Errand(Errand::Run(job)) => self.queue(job),
            Message::Errand(Errand::Refuse(refusal)) => self.refuse(refusal),
            Message::Close { grace } => self.close(grace),
        }
    }

    fn on_finished(&mut self, finished: Finished) {
        match finished {
            Finished::Opened(_) if self.closing.is_some() => {
                self.opening = None;
                self.outbox.close();
            }
            Finished::Opened(Ok((session, spool))) => {
                self.opening = None;
                self.outbox.open(spool);
                self.forgotten |= session.is_forgotten();
                self.history.opened = Some(self.common.log.token().epoch);
                self.common.initial_reads.reset();
                let parameters = session.set_parameters(&self.shared, self.id);
                self.tasks.push(parameters.map(Finished::Parameters).boxed());
                self.session = Some(session);
            }
            Finished::Opened(Err(error)) => {
                self.opening = None;
                error!(account.id = %self.id, error = runtime::chain(&error), "account not opened");
                self.outbox.close();
                self.set_state(AccountState::Failed, Some(&error.to_string()));
            }
            Finished::Parameters(Ok(())) | Finished::Told | Finished::Refused => {}
            Finished::Place(place) => self.on_place(place),
            Finished::Sent(stored) => self.outbox.on_sent(stored),
            Finished::Parameters(Err(error)) => {
                error!(account.id = %self.id, error = ?error, "TDLib cannot open the account");
                self.set_state(AccountState::Failed, Some(&error.to_string()));
                self.tell_tdlib_to_close();
            }
            Finished::Command(flow, kind) => self.lanes[lane_of(flow)].ended(kind),
        }
    }

    fn on_timer(&mut self) {
        self.next_sweep = Instant::now() + SWEEP;
        let now = self.shared.clock.now();
        let expired: Vec<_> = self.lanes.iter_mut().flat_map(|lane| lane.expire(now)).collect();
        for Job { case, .. } in expired {
            self.refuse(Refusal { case, failure: Failure::expired() });
        }
        self.park_slow(now);
        self.close_if_overdue();
    }
}

fn lane_of(flow: Flow) -> usize {
    match flow {
        Flow::Hi => 0,
        Flow::Lo => 1,
    }
}
