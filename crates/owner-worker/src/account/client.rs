use std::future::pending;
use std::sync::Arc;

use log_port::LogHead;
use runtime::CancellationToken;
use tdlib::{CallError, Client, Update};
use tokio::time::sleep;
use tracing::error;

use super::events::ResyncReason;
use super::login::Login;
use super::outbox::Outbox;
use super::storage::{
    OPEN_TIMEOUT, OpenAccount, OpenError, OpenTask, OpenedAccount, RecordedState,
};
use super::tasks::{AccountTasks, TaskResult};
use crate::account_state::AccountState;
use crate::commands::AccountContext;
use crate::updates::{UpdateClass, changed_event, class_of, event_of};
use crate::worker_context::WorkerContext;

/// How many updates are handled at once.
const UPDATE_BATCH: usize = 256;

/// An account's TDLib client, and what its updates drive: the login and the account's own events.
pub(super) struct AccountClient {
    shared: Arc<WorkerContext>,
    context: Arc<AccountContext>,
    updates: Vec<Update>,
    login: Login,
    outbox: Outbox,
    // After the login, which removes the crash marker before the directory is unlocked.
    state: ClientState,
}

impl AccountClient {
    /// `clean` says whether the previous owner closed the account cleanly.
    pub(super) fn new(
        head: &LogHead,
        clean: bool,
        context: Arc<AccountContext>,
        shared: Arc<WorkerContext>,
    ) -> Self {
        let outbox = Outbox::new(Arc::clone(&shared), Arc::clone(&context.log));
        if !clean {
            outbox.resync(ResyncReason::TakeOver);
        }
        let login = Login::new(Arc::clone(&context), RecordedState::from(head));
        let updates = Vec::with_capacity(UPDATE_BATCH);
        Self { shared, context, updates, login, outbox, state: ClientState::Closed }
    }

    pub(super) fn login(&self) -> &Login {
        &self.login
    }

    /// The TDLib client, if the account is open.
    pub(super) fn tdlib(&self) -> Option<&Client> {
        self.state.open().map(|open| &open.client)
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, ClientState::Closed)
    }

    /// Starts to open an account that is closed.
    pub(super) fn open(&mut self, tasks: &AccountTasks) {
        self.outbox.hold();
        self.set_state(AccountState::Starting, None);
        let given_up = CancellationToken::new();
        let task = OpenTask {
            shared: Arc::clone(&self.shared),
            log: Arc::clone(&self.context.log),
            recorded: self.login.recorded(),
            given_up: given_up.clone(),
        };
        self.state = ClientState::Opening { given_up };
        tasks.add(task.run(), TaskResult::Opened);
    }

    /// Cancels an opening; it ends soon.
    pub(super) fn cancel_opening(&self) {
        if let ClientState::Opening { given_up } = &self.state {
            given_up.cancel();
        }
    }

    pub(super) fn on_opened(
        &mut self,
        result: Result<OpenedAccount, OpenError>,
        tasks: &AccountTasks,
    ) {
        self.state = ClientState::Closed;
        match result {
            _ if self.context.given_up.is_cancelled() => self.outbox.close_spool(),
            Ok(OpenedAccount { guard, account, spool }) => {
                self.outbox.use_spool(spool);
                self.login.on_directory_opened(guard, account.redis_lost_state());
                self.context.reset();
                tasks.add(account.set_parameters(&self.shared), TaskResult::ParametersSet);
                self.state = ClientState::Open(account);
            }
            Err(error) => {
                let account = self.context.log.token().account;
                error!(account.id = %account, error = runtime::error_chain(&error), "account not opened");
                self.outbox.close_spool();
                self.set_state(AccountState::Failed, Some(&error.to_string()));
            }
        }
    }

    /// TDLib has opened the databases, or refuses to.
    pub(super) fn on_parameters_set(
        &mut self,
        result: Result<(), CallError>,
        tasks: &AccountTasks,
    ) {
        match result {
            Ok(()) => {
                let Some(client) = self.tdlib().map(Client::id) else { return };
                tasks.add(sleep(OPEN_TIMEOUT), move |()| TaskResult::OpeningOverdue(client));
            }
            Err(CallError::Td(error)) => {
                self.fail(&format!("TDLib refuses it: {}", error.redacted()), tasks);
            }
            Err(error) => self.fail(&error.to_string(), tasks),
        }
    }

    /// It is too late for a TDLib client to report its first authorization state.
    pub(super) fn on_opening_overdue(&mut self, client: i32, tasks: &AccountTasks) {
        let is_opening = self.tdlib().is_some_and(|tdlib| tdlib.id() == client)
            && self.login.state() == AccountState::Starting;
        if is_opening {
            self.fail("TDLib does not report the account's state", tasks);
        }
    }

    /// TDLib has the account, but cannot open it.
    fn fail(&mut self, reason: &str, tasks: &AccountTasks) {
        let account = self.context.log.token().account;
        error!(account.id = %account, reason, "TDLib cannot open the account");
        self.set_state(AccountState::Failed, Some(reason));
        self.close(tasks);
    }

    /// Whether updates have arrived that are not received yet.
    pub(super) fn has_updates(&self) -> bool {
        self.state.open().is_some_and(|open| !open.updates.is_empty())
    }

    /// Receives a batch of updates for [`Self::handle_updates`]; `false` if TDLib has closed the
    /// client. Waits forever while there is no client. Cancel-safe.
    pub(super) async fn receive_updates(&mut self) -> bool {
        match &mut self.state {
            ClientState::Open(open) => {
                open.updates.recv_many(&mut self.updates, UPDATE_BATCH).await > 0
            }
            ClientState::Closed | ClientState::Opening { .. } => pending().await,
        }
    }

    /// Handles the received updates: authorization states go to the login, all others are published
    /// by their class.
    pub(super) fn handle_updates(&mut self, tasks: &AccountTasks) {
        let (account, at) = (self.context.log.token().account, self.shared.clock.now());
        let lost_session = self.state.open().and_then(|open| open.client.lost_authorization());
        let mut is_known = true;
        for update in self.updates.drain(..) {
            match class_of(update.kind()) {
                _ if update.kind() == "updateAuthorizationState" => {
                    let json = update.json();
                    is_known &= self.login.on_authorization(json, lost_session, &mut self.outbox);
                }
                UpdateClass::Internal => {}
                // Before the login there is nothing to publish.
                _ if self.login.state().is_logging_in() => {}
                UpdateClass::Transient => {
                    self.outbox.publish_transient(event_of(account, update, at));
                }
                UpdateClass::Durable => {
                    let event = changed_event(account, update, at, &self.context.initial_reads);
                    if let Some(event) = event {
                        self.outbox.publish(event);
                    }
                }
            }
        }
        if !is_known {
            self.close(tasks);
        }
    }

    /// The client has sent its last update: TDLib has closed the databases.
    pub(super) fn on_closed(&mut self) {
        self.login.on_client_closed(&mut self.outbox);
        self.outbox.close_spool();
        self.state = ClientState::Closed;
    }

    /// The log is up, and may have lost what it had.
    pub(super) fn on_log_up(&self) {
        self.shared.dropped_updates.end();
        if self.state.open().is_some() {
            self.login.record_again();
        }
    }

    /// Writes spooled events to disk, and sends what is there to the log.
    pub(super) fn pump_outbox(&mut self, tasks: &AccountTasks) {
        self.outbox.pump(tasks);
    }

    /// The log has stored a chunk of the spool, or refuses it.
    pub(super) fn on_chunk_stored(&mut self, stored: bool) {
        self.outbox.on_chunk_stored(stored);
    }

    /// Has TDLib close the account; does nothing if it is not open.
    pub(super) fn close(&self, tasks: &AccountTasks) {
        if let Some(answered) = self.state.open().and_then(OpenAccount::close) {
            tasks.add(answered, |()| TaskResult::CloseAnswered);
        }
    }

    fn set_state(&mut self, state: AccountState, reason: Option<&str>) {
        self.login.set_state(state, reason, &mut self.outbox);
    }
}

/// Whether the account has a TDLib client.
enum ClientState {
    Closed,
    Opening {
        /// Cancels the opening.
        given_up: CancellationToken,
    },
    Open(OpenAccount),
}

impl ClientState {
    fn open(&self) -> Option<&OpenAccount> {
        match self {
            Self::Open(open) => Some(open),
            Self::Closed | Self::Opening { .. } => None,
        }
    }
}
