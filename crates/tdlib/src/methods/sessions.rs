use serde::Serialize;

use super::{Done, int64, method};
use crate::types::{ConnectedWebsites, Sessions};

/// All sessions of the account, its own (id 0) included.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetActiveSessions;
method!(GetActiveSessions, "getActiveSessions", Sessions);

/// Ends another session of the account.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TerminateSession {
    /// The session.
    #[serde(serialize_with = "int64")]
    pub session_id: i64,
}
method!(TerminateSession, "terminateSession", Done);

/// Ends all sessions of the account but its own.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TerminateAllOtherSessions;
method!(TerminateAllOtherSessions, "terminateAllOtherSessions", Done);

/// Confirms a session that was opened without this one's knowledge.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ConfirmSession {
    /// The session.
    #[serde(serialize_with = "int64")]
    pub session_id: i64,
}
method!(ConfirmSession, "confirmSession", Done);

/// Lets a session take calls, or not.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ToggleSessionCanAcceptCalls {
    /// The session; 0 is the account's own.
    #[serde(serialize_with = "int64")]
    pub session_id: i64,
    /// Whether it may.
    pub can_accept_calls: bool,
}
method!(ToggleSessionCanAcceptCalls, "toggleSessionCanAcceptCalls", Done);

/// Lets a session take secret chats, or not.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ToggleSessionCanAcceptSecretChats {
    /// The session; 0 is the account's own.
    #[serde(serialize_with = "int64")]
    pub session_id: i64,
    /// Whether it may.
    pub can_accept_secret_chats: bool,
}
method!(ToggleSessionCanAcceptSecretChats, "toggleSessionCanAcceptSecretChats", Done);

/// Sets after how long without use Telegram ends a session.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SetInactiveSessionTtl {
    /// Days, 1 to 366.
    pub inactive_session_ttl_days: i32,
}
method!(SetInactiveSessionTtl, "setInactiveSessionTtl", Done);

/// The websites the account is logged in to with Telegram.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetConnectedWebsites;
method!(GetConnectedWebsites, "getConnectedWebsites", ConnectedWebsites);

/// Logs the account out of a website.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DisconnectWebsite {
    /// The website.
    #[serde(serialize_with = "int64")]
    pub website_id: i64,
}
method!(DisconnectWebsite, "disconnectWebsite", Done);

/// Logs the account out of all websites.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DisconnectAllWebsites;
method!(DisconnectAllWebsites, "disconnectAllWebsites", Done);
