//! The events that an account publishes about itself.

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::account_state::AccountState;

/// The result of `account_state`.
#[derive(Serialize, JsonSchema)]
pub(super) struct StateChangedEvent<'a> {
    /// What the account is doing now.
    pub(super) state: AccountState,
    /// What it was doing before.
    pub(super) previous: AccountState,
    /// Why, if known: Telegram's error, such as `SESSION_REVOKED`, or a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'a str>,
}

/// The result of `code_required`; the phone number is left out.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
pub(super) struct CodeRequiredEvent<'a> {
    /// How the code was sent: TDLib's `authenticationCodeType…` object, or null if TDLib does not say.
    #[serde(borrow)]
    #[schemars(with = "Option<Map<String, Value>>")]
    r#type: Option<&'a RawValue>,
    /// How the next code would be sent, or null.
    #[serde(borrow)]
    #[schemars(with = "Option<Map<String, Value>>")]
    next_type: Option<&'a RawValue>,
    /// Seconds until another code can be requested.
    timeout: i32,
}

/// The result of `authorized`.
#[derive(Serialize, JsonSchema)]
pub(super) struct AuthorizedEvent {
    /// Always `ready`.
    pub(super) state: AccountState,
}

/// The result of `resync`.
#[derive(Serialize, JsonSchema)]
pub(super) struct ResyncEvent {
    /// Why events may be missing.
    pub(super) reason: ResyncReason,
}

/// Why events may be missing.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Gap")]
pub(super) enum ResyncReason {
    /// The previous owner did not close the account cleanly: TDLib's last updates may never have
    /// been published.
    TakeOver,
    /// While the event log was down, more events occurred than could be kept.
    SpoolOverflow,
}

/// Name, meaning, and JSON Schema of the `result` of each of these events.
pub(crate) fn schemas() -> [(&'static str, &'static str, Schema); 4] {
    [
        ("account_state", "The account's state has changed.", schema_for!(StateChangedEvent<'_>)),
        (
            "code_required",
            "Telegram has sent a login code: send it with send_code.",
            schema_for!(CodeRequiredEvent<'_>),
        ),
        ("authorized", "A login has succeeded.", schema_for!(AuthorizedEvent)),
        (
            "resync",
            "Events before this one may be missing: read again what you mirror.",
            schema_for!(ResyncEvent),
        ),
    ]
}
