//! What TDLib says of the account: its authorization becomes the account's state, the rest events.

use contracts::{Body, Event, EventMeta};
use log_port::HeadField;
use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tdlib::Update;
use tdlib::enums::AuthorizationState;
use tracing::{error, info, warn};

use super::Account;
use super::outbox::Resync;
use super::state::AccountState;
use crate::updates::{UpdateClass, changed_event, class_of, event_of};

/// What `account_state` tells.
#[derive(Serialize, JsonSchema)]
struct StateChange<'a> {
    /// What the account is doing now.
    state: AccountState,
    /// What it was doing before.
    previous: AccountState,
    /// Why, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// What `code_required` tells; the phone number stays out of it.
#[derive(Deserialize, Serialize, JsonSchema)]
struct CodeRequired<'a> {
    /// How the code was sent: TDLib's `authenticationCodeType…` object.
    #[serde(borrow)]
    #[schemars(with = "Map<String, Value>")]
    r#type: &'a RawValue,
    /// How the next one will be, or null.
    #[serde(borrow)]
    #[schemars(with = "Option<Map<String, Value>>")]
    next_type: Option<&'a RawValue>,
    /// Seconds until another one can be asked for.
    timeout: i32,
}

/// What `authorized` tells.
#[derive(Serialize, JsonSchema)]
struct Authorized {
    /// Always `ready`.
    state: AccountState,
}

/// The account's own events: name, meaning, and JSON Schema of the `result`.
pub(crate) fn schemas() -> [(&'static str, &'static str, Schema); 4] {
    [
        ("account_state", "The account is doing something else now.", schema_for!(StateChange<'_>)),
        (
            "code_required",
            "Telegram has sent a login code: answer by send_code.",
            schema_for!(CodeRequired<'_>),
        ),
        ("authorized", "A login has succeeded.", schema_for!(Authorized)),
        (
            "resync",
            "Events before this one may be missing: read again what matters.",
            schema_for!(Resync),
        ),
    ]
}

impl Account {
    pub(super) fn on_updates(&mut self, updates: &mut Vec<Update>) {
        let at = self.shared.clock.now();
        for update in updates.drain(..) {
            match class_of(update.kind()) {
                _ if update.kind() == "updateAuthorizationState" => {
                    self.on_authorization(update.json());
                }
                UpdateClass::Internal => {}
                // Before the login there is nothing of an account's to tell.
                _ if self.state.logging_in() => {}
                UpdateClass::Transient => {
                    if !self.outbox.tell_passing(event_of(self.id, update, at)) {
                        self.shared.dropped.count();
                    }
                }
                UpdateClass::Durable => {
                    let news = changed_event(self.id, update, at, &self.common.initial_reads);
                    if let Some(event) = news {
                        self.outbox.tell(event);
                    }
                }
            }
        }
    }

    fn on_authorization(&mut self, json: &str) {
        #[derive(Deserialize)]
        struct UpdateAuthorizationState<'a> {
            #[serde(borrow)]
            authorization_state: &'a RawValue,
        }

        let raw = serde_json::from_str(json)
            .map(|UpdateAuthorizationState { authorization_state }| authorization_state);
        let Ok((raw, state)) = raw.and_then(|raw| {
            serde_json::from_str::<AuthorizationState>(raw.get()).map(|state| (raw, state))
        }) else {
            error!(account.id = %self.id, "an authorization state that this build does not know");
            return self.set_state(AccountState::Failed, Some("unknown authorization state"));
        };
        let previous = self.state;
        match (AccountState::of(&state), previous) {
            // A lost session and a failure stay until somebody acts on them.
            (
                AccountState::Closing | AccountState::Cold,
                AccountState::SessionLost | AccountState::Failed,
            ) => {}
            (AccountState::Cold, _) if self.closing.is_none() => {
                self.set_state(AccountState::Failed, Some("TDLib closed the account by itself"));
            }
            (state, _) => self.set_state(state, None),
        }
        match self.state {
            AccountState::WaitCode => self.tell_code_required(raw),
            AccountState::Ready if previous.logging_in() => {
                self.tell("authorized", &Authorized { state: self.state });
            }
            _ => {}
        }
    }

    fn tell_code_required(&mut self, raw: &RawValue) {
        #[derive(Deserialize)]
        struct WaitCode<'a> {
            #[serde(borrow)]
            code_info: CodeRequired<'a>,
        }

        let Ok(WaitCode { code_info }) = serde_json::from_str(raw.get()) else { return };
        self.tell("code_required", &code_info);
    }

    /// Goes into a state and tells it; the same state once more is not told.
    pub(super) fn set_state(&mut self, state: AccountState, reason: Option<&str>) {
        let previous = std::mem::replace(&mut self.state, state);
        if state != AccountState::Starting
            && let Some(session) = &mut self.session
        {
            session.starting = None;
        }
        if previous == state {
            return;
        }
        info!(account.id = %self.id, state = state.as_str(), previous = previous.as_str(), "account state");
        let change = StateChange { state, previous, reason };
        self.tell("account_state", &change);
        self.note_login();
    }

    fn tell(&mut self, kind: &'static str, result: &impl Serialize) {
        let Ok(result) = serde_json::to_string(result) else { return };
        let event = Event {
            account: self.id,
            kind: kind.into(),
            body: Body::Result(result.into_boxed_str()),
            meta: EventMeta::at(self.shared.clock.now()),
        };
        self.outbox.tell(event);
    }

    /// Has Redis remember whether the account is logged in, where this state says so.
    fn note_login(&mut self) {
        let logged_in = match self.state {
            AccountState::Ready => true,
            AccountState::SessionLost => false,
            state if state.logging_in() => false,
            _ => return,
        };
        if std::mem::replace(&mut self.history.logged_in, logged_in) != logged_in {
            self.common.log.set_head_field(HeadField::LoggedIn(logged_in));
        }
    }

    /// The log is back, and may have lost what it remembered of the account.
    pub(super) fn on_log_up(&mut self) {
        if !*self.log_up.borrow() {
            return;
        }
        self.shared.dropped.end();
        if self.session.is_some() {
            self.common.log.set_head_field(HeadField::Opened);
            self.common.log.set_head_field(HeadField::LoggedIn(self.history.logged_in));
        }
    }

    /// The client's last update has been taken: TDLib has closed the databases.
    pub(super) fn on_client_gone(&mut self) {
        if self.closing.is_none()
            && !matches!(self.state, AccountState::SessionLost | AccountState::Failed)
        {
            warn!(account.id = %self.id, "TDLib's client is gone");
            self.set_state(AccountState::Failed, Some("TDLib's client is gone"));
        }
        self.outbox.close();
        self.session = None;
    }
}
