use serde::Serialize;

use super::{OkAnswer, int64, method};
use crate::answers::{ActiveSessions, WebsiteLogins};

/// All sessions of the account, including the current one.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetActiveSessions;
method!(GetActiveSessions, "getActiveSessions", ActiveSessions);

/// Ends another session of the account.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TerminateSession {
    /// The session.
    #[serde(serialize_with = "int64")]
    pub session_id: i64,
}
method!(TerminateSession, "terminateSession", OkAnswer);

/// Ends all sessions of the account except the current one.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TerminateAllOtherSessions;
method!(TerminateAllOtherSessions, "terminateAllOtherSessions", OkAnswer);

/// Confirms a session that is still unconfirmed.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ConfirmSession {
    /// The session.
    #[serde(serialize_with = "int64")]
    pub session_id: i64,
}
method!(ConfirmSession, "confirmSession", OkAnswer);

/// Sets whether a session accepts calls.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ToggleSessionCanAcceptCalls {
    /// The session; 0 is the current one.
    #[serde(serialize_with = "int64")]
    pub session_id: i64,
    /// Whether it accepts them.
    pub can_accept_calls: bool,
}
method!(ToggleSessionCanAcceptCalls, "toggleSessionCanAcceptCalls", OkAnswer);

/// Sets whether a session accepts secret chats.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ToggleSessionCanAcceptSecretChats {
    /// The session; 0 is the current one.
    #[serde(serialize_with = "int64")]
    pub session_id: i64,
    /// Whether it accepts them.
    pub can_accept_secret_chats: bool,
}
method!(ToggleSessionCanAcceptSecretChats, "toggleSessionCanAcceptSecretChats", OkAnswer);

/// Sets how long a session may be unused before Telegram ends it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SetInactiveSessionTtl {
    /// Days, 1 to 366.
    pub inactive_session_ttl_days: i32,
}
method!(SetInactiveSessionTtl, "setInactiveSessionTtl", OkAnswer);

/// The websites that the account has logged in to through Telegram.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetConnectedWebsites;
method!(GetConnectedWebsites, "getConnectedWebsites", WebsiteLogins);

/// Logs the account out of a website.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DisconnectWebsite {
    /// The website.
    #[serde(serialize_with = "int64")]
    pub website_id: i64,
}
method!(DisconnectWebsite, "disconnectWebsite", OkAnswer);

/// Logs the account out of all websites.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DisconnectAllWebsites;
method!(DisconnectAllWebsites, "disconnectAllWebsites", OkAnswer);
