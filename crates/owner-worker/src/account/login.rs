use std::sync::Arc;

use log_port::HeadField;
use serde::Deserialize;
use serde_json::value::RawValue;
use tdlib::answers::ObjectType;
use tracing::{error, info, warn};

use super::events::{AuthorizedEvent, CodeRequiredEvent, StateChangedEvent};
use super::outbox::Outbox;
use super::storage::{OpeningGuard, RecordedState};
use crate::account_state::AccountState;
use crate::commands::AccountContext;

/// The account's state, which follows TDLib's authorization state. Each change is published, and
/// Redis remembers whether the account is logged in.
pub(super) struct Login {
    context: Arc<AccountContext>,
    state: AccountState,
    /// Why it is in that state, if known.
    reason: Option<String>,
    recorded: RecordedState,
    redis_lost_state: bool,
    /// Held while the state is `starting`.
    opening: Option<OpeningGuard>,
}

impl Login {
    /// `recorded` is what Redis remembered when this owner claimed the account.
    pub(super) fn new(context: Arc<AccountContext>, recorded: RecordedState) -> Self {
        let state = AccountState::Cold;
        Self { context, state, reason: None, recorded, redis_lost_state: false, opening: None }
    }

    pub(super) fn state(&self) -> AccountState {
        self.state
    }

    /// What Redis remembers of the account, or is about to.
    pub(super) fn recorded(&self) -> RecordedState {
        self.recorded
    }

    /// Whether Redis had lost its records of the account before this owner claimed it.
    pub(super) fn redis_lost_state(&self) -> bool {
        self.redis_lost_state
    }

    /// The account's directory is locked, and TDLib is about to open its databases.
    /// `redis_lost_state` says that the directory has had an owner of which Redis knows nothing.
    pub(super) fn on_directory_opened(&mut self, guard: OpeningGuard, redis_lost_state: bool) {
        self.opening = Some(guard);
        self.redis_lost_state |= redis_lost_state;
        self.recorded.opened = Some(self.context.log.token().epoch);
    }

    /// Why the account is in its state, if known.
    pub(super) fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Follows an `updateAuthorizationState`. `lost_session` is why Telegram has ended the session,
    /// if it has. Returns whether the state is one that the account can be in; otherwise it has
    /// failed, and its TDLib client is to be closed.
    pub(super) fn on_authorization(
        &mut self,
        json: &str,
        lost_session: Option<&str>,
        outbox: &mut Outbox,
    ) -> bool {
        #[derive(Deserialize)]
        struct UpdateAuthorizationState<'a> {
            #[serde(borrow)]
            authorization_state: &'a RawValue,
        }

        let raw = serde_json::from_str(json)
            .map(|UpdateAuthorizationState { authorization_state }| authorization_state);
        let raw = raw.unwrap_or(RawValue::NULL);
        let kind = serde_json::from_str::<ObjectType>(raw.get()).unwrap_or_default().name;
        let Some(state) = AccountState::of(&kind) else {
            let account = self.context.log.token().account;
            error!(account.id = %account, kind, "unknown authorization state");
            let reason = Some("TDLib is in a state that this version does not know");
            self.set_state(AccountState::Failed, reason, outbox);
            return false;
        };
        let previous = self.state;
        let is_fresh_login = state.is_logging_in() && previous == AccountState::Starting;
        if is_fresh_login && self.recorded.logged_in && lost_session.is_none() {
            self.fail_without_login(outbox);
            return false;
        }
        self.follow(state, lost_session, outbox);
        match self.state {
            AccountState::WaitCode => publish_code_required(raw, outbox),
            AccountState::Ready if previous.is_logging_in() => {
                outbox.publish_result("authorized", &AuthorizedEvent { state: self.state });
            }
            _ => {}
        }
        true
    }

    /// The account was logged in, but TDLib has opened its database and found no login, although
    /// Telegram has not ended the session: the database is damaged.
    fn fail_without_login(&mut self, outbox: &mut Outbox) {
        let account = self.context.log.token().account;
        error!(account.id = %account, "the account's login is missing from its database");
        let reason = format!(
            "the account was logged in, but its database in accounts/{account}/db has no login any \
             more, probably because it was damaged: restore its directory"
        );
        self.set_state(AccountState::Failed, Some(&reason), outbox);
    }

    fn follow(&mut self, state: AccountState, lost_session: Option<&str>, outbox: &mut Outbox) {
        match state {
            // A latched state lasts until someone acts on it. What TDLib had reported before a failure
            // may arrive after it.
            _ if self.state == AccountState::Failed => {}
            AccountState::Closing | AccountState::Cold if self.state.is_latched() => {}
            AccountState::Cold if !self.is_closing() => {
                let reason = Some("TDLib closed the account by itself");
                self.set_state(AccountState::Failed, reason, outbox);
            }
            AccountState::SessionLost => {
                let reason = lost_session.or(Some("the session has ended"));
                self.set_state(AccountState::of_lost_session(lost_session), reason, outbox);
            }
            state => self.set_state(state, None, outbox),
        }
    }

    /// The TDLib client is closed, and the directory about to be unlocked.
    pub(super) fn on_client_closed(&mut self, outbox: &mut Outbox) {
        self.opening = None;
        if !self.state.is_latched() && !self.is_closing() {
            let account = self.context.log.token().account;
            warn!(account.id = %account, "TDLib client closed unexpectedly");
            let reason = Some("TDLib client closed unexpectedly");
            self.set_state(AccountState::Failed, reason, outbox);
        }
    }

    fn is_closing(&self) -> bool {
        self.context.given_up.is_cancelled()
    }

    /// Changes the state and publishes the change; does nothing if the state is the same.
    pub(super) fn set_state(
        &mut self,
        state: AccountState,
        reason: Option<&str>,
        outbox: &mut Outbox,
    ) {
        let previous = std::mem::replace(&mut self.state, state);
        if state != AccountState::Starting {
            self.opening = None;
        }
        if previous == state {
            return;
        }
        self.reason = reason.map(str::to_owned);
        let account = self.context.log.token().account;
        info!(account.id = %account, state = state.as_str(), previous = previous.as_str(), "account state");
        outbox.publish_result("account_state", &StateChangedEvent { state, previous, reason });
        self.record_login();
    }

    /// Records on Redis whether the account is logged in, if the state shows it.
    fn record_login(&mut self) {
        let logged_in = match self.state {
            AccountState::Ready => true,
            AccountState::SessionLost | AccountState::Banned => false,
            state if state.is_logging_in() => false,
            _ => return,
        };
        if std::mem::replace(&mut self.recorded.logged_in, logged_in) != logged_in {
            self.context.log.set_head_field(HeadField::LoggedIn(logged_in));
        }
    }

    /// Records everything again: Redis may have lost it.
    pub(super) fn record_again(&self) {
        self.context.log.set_head_field(HeadField::Opened);
        self.context.log.set_head_field(HeadField::LoggedIn(self.recorded.logged_in));
    }
}

fn publish_code_required(raw: &RawValue, outbox: &mut Outbox) {
    #[derive(Deserialize)]
    struct WaitCode<'a> {
        #[serde(borrow)]
        code_info: Option<CodeRequiredEvent<'a>>,
    }

    let state: Option<WaitCode<'_>> = serde_json::from_str(raw.get()).ok();
    let code_info = state.and_then(|state| state.code_info).unwrap_or_default();
    outbox.publish_result("code_required", &code_info);
}
