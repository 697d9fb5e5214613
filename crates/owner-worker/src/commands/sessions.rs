//! Sessions: the devices an account is logged in on.

use schemars::JsonSchema;
use serde::Serialize;
use tdlib::answers::{ActiveSessions, SessionFields};
use tdlib::methods::{
    ConfirmSession, GetActiveSessions, SetInactiveSessionTtl, TerminateAllOtherSessions,
    TerminateSession, ToggleSessionCanAcceptCalls, ToggleSessionCanAcceptSecretChats,
};

use super::args::{BoundedInteger, Int64, arguments};
use super::command::{Access, AccountCommand, CommandEntry};
use super::context::{Context, Resource};
use super::error::CommandError;
use crate::config::WorkerConfig;
use crate::failure::Failure;
use crate::normalize::Id64;
use crate::normalize::sessions::SessionList;

pub(super) const COMMANDS: &[CommandEntry] = &[
    CommandEntry::of::<ListActive>(),
    CommandEntry::of::<TerminateOther>(),
    CommandEntry::of::<SetSettings>(),
    CommandEntry::of::<TerminateAllOthers>(),
    CommandEntry::of::<ConfirmUnknown>(),
    CommandEntry::of::<SetInactiveTtl>(),
];

const IS_CURRENT: &str = "current session can't be terminated via terminate_session";

arguments! {
    /// Lists the account's sessions. Source: TDLib 1.8.61, `getActiveSessions`.
    struct ListActive {}
}

impl AccountCommand for ListActive {
    const NAME: &'static str = "get_active_sessions";
    const ACCESS: Access = Access::Read;
    const IDEMPOTENT: bool = true;
    type Reply = SessionList;

    async fn run(self, ctx: &Context) -> Result<SessionList, CommandError> {
        Ok(ctx.ask(GetActiveSessions).await?.into())
    }
}

arguments! {
    /// Ends another session of the account: that device is logged out.
    /// Source: TDLib 1.8.61, `terminateSession`, then `getActiveSessions`.
    struct TerminateOther {
        /// The session, as `get_active_sessions` lists it; not the current one, `0`.
        session_id: Int64,
    }
}

/// What `terminate_session` has done.
#[derive(Serialize, JsonSchema)]
struct TerminatedSession {
    /// The session.
    session_id: Id64,
    /// Always true.
    terminated: bool,
    /// Whether the list of sessions shows it; null when the list could not be read.
    confirmed: Option<bool>,
}

impl AccountCommand for TerminateOther {
    const NAME: &'static str = "terminate_session";
    const ACCESS: Access = Access::Write;
    const IDEMPOTENT: bool = true;
    const ERRORS: &'static [&'static str] = &[IS_CURRENT, "session was not terminated"];
    const EXAMPLE: &'static str = r#"{"session_id": "987654321"}"#;
    type Reply = TerminatedSession;

    fn check(&self, _config: &WorkerConfig) -> Result<(), Failure> {
        if self.session_id.0 == 0 { Err(Failure::invalid(IS_CURRENT)) } else { Ok(()) }
    }

    async fn run(self, ctx: &Context) -> Result<TerminatedSession, CommandError> {
        let Int64(session_id) = self.session_id;
        ctx.lock_resource(Resource::Sessions).await?;
        let before = ctx.ask(GetActiveSessions).await?;
        if before.sessions.iter().any(|session| session.id == session_id && session.is_current) {
            return Err(CommandError::refused(IS_CURRENT));
        }
        ctx.change(TerminateSession { session_id }).await?;
        let after = ctx.ask(GetActiveSessions).await.ok();
        let gone = |list: &ActiveSessions| list.sessions.iter().all(|one| one.id != session_id);
        let confirmed = after.as_ref().map(gone);
        if confirmed == Some(false) {
            return Err(CommandError::without_effect("session was not terminated"));
        }
        Ok(TerminatedSession { session_id: Id64(session_id), terminated: true, confirmed })
    }
}

arguments! {
    /// Sets whether a session accepts calls and secret chats.
    /// Source: TDLib 1.8.61, `toggleSessionCanAcceptCalls`, `toggleSessionCanAcceptSecretChats`.
    struct SetSettings {
        /// The session; `0` is the current one.
        session_id: Int64,
        /// Whether it accepts calls. At least one of the two is required.
        can_accept_calls: Option<bool>,
        /// Whether it accepts secret chats.
        can_accept_secret_chats: Option<bool>,
    }
}

/// What `set_session_settings` has done.
#[derive(Serialize, JsonSchema)]
struct SessionSettings {
    /// The session.
    session_id: Id64,
    /// Names of the flags that were set.
    updated_fields: Vec<&'static str>,
    /// Its new value, if it was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    can_accept_calls: Option<bool>,
    /// Its new value, if it was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    can_accept_secret_chats: Option<bool>,
    /// Whether the list of sessions shows it; null if that is unknown.
    confirmed: Option<bool>,
}

impl SetSettings {
    const NOTHING: &'static str =
        "at least one of can_accept_calls or can_accept_secret_chats is required";

    async fn apply(&self, ctx: &Context) -> Result<Vec<&'static str>, CommandError> {
        let Int64(session_id) = self.session_id;
        let mut updated = Vec::new();
        if let Some(can_accept_calls) = self.can_accept_calls {
            let toggle = ToggleSessionCanAcceptCalls { session_id, can_accept_calls };
            ctx.change(toggle).await.map_err(|error| error.after(&updated))?;
            updated.push("can_accept_calls");
        }
        if let Some(can_accept_secret_chats) = self.can_accept_secret_chats {
            let toggle = ToggleSessionCanAcceptSecretChats { session_id, can_accept_secret_chats };
            ctx.change(toggle).await.map_err(|error| error.after(&updated))?;
            updated.push("can_accept_secret_chats");
        }
        Ok(updated)
    }

    fn stands_in(&self, session: &SessionFields) -> bool {
        let stands = |wanted: Option<bool>, found| wanted.is_none_or(|wanted| wanted == found);
        stands(self.can_accept_calls, session.can_accept_calls)
            && stands(self.can_accept_secret_chats, session.can_accept_secret_chats)
    }
}

impl AccountCommand for SetSettings {
    const NAME: &'static str = "set_session_settings";
    const ACCESS: Access = Access::Write;
    const IDEMPOTENT: bool = true;
    const ERRORS: &'static [&'static str] = &[Self::NOTHING];
    const EXAMPLE: &'static str = r#"{"session_id": "987654321", "can_accept_calls": true}"#;
    type Reply = SessionSettings;

    fn check(&self, _config: &WorkerConfig) -> Result<(), Failure> {
        if self.can_accept_calls.is_none() && self.can_accept_secret_chats.is_none() {
            return Err(Failure::invalid(Self::NOTHING));
        }
        Ok(())
    }

    async fn run(self, ctx: &Context) -> Result<SessionSettings, CommandError> {
        ctx.lock_resource(Resource::Sessions).await?;
        let updated_fields = self.apply(ctx).await?;
        let after = ctx.ask(GetActiveSessions).await.ok();
        let sessions = after.into_iter().flat_map(|list| list.sessions);
        let session = { sessions }.find(|session| session.id == self.session_id.0);
        Ok(SessionSettings {
            session_id: Id64(self.session_id.0),
            updated_fields,
            can_accept_calls: self.can_accept_calls,
            can_accept_secret_chats: self.can_accept_secret_chats,
            confirmed: session.map(|session| self.stands_in(&session)),
        })
    }
}

arguments! {
    /// Ends every session of the account but the current one.
    /// Source: TDLib 1.8.61, `terminateAllOtherSessions`, then `getActiveSessions`.
    struct TerminateAllOthers {}
}

/// What `terminate_all_other_sessions` has done.
#[derive(Serialize, JsonSchema)]
struct AllTerminated {
    /// Always true.
    terminated: bool,
    /// Whether the list of sessions shows it; null when the list could not be read.
    confirmed: Option<bool>,
}

impl AccountCommand for TerminateAllOthers {
    const NAME: &'static str = "terminate_all_other_sessions";
    const ACCESS: Access = Access::Write;
    // A session that was opened in between would be ended too.
    const IDEMPOTENT: bool = false;
    const ERRORS: &'static [&'static str] = &["sessions were not terminated"];
    type Reply = AllTerminated;

    async fn run(self, ctx: &Context) -> Result<AllTerminated, CommandError> {
        ctx.lock_resource(Resource::Sessions).await?;
        ctx.change(TerminateAllOtherSessions).await?;
        let after = ctx.ask(GetActiveSessions).await.ok();
        let confirmed = after.map(|list| list.sessions.iter().all(|session| session.is_current));
        if confirmed == Some(false) {
            return Err(CommandError::without_effect("sessions were not terminated"));
        }
        Ok(AllTerminated { terminated: true, confirmed })
    }
}

arguments! {
    /// Confirms a session that `updateUnconfirmedSession` has reported.
    /// Source: TDLib 1.8.61, `confirmSession`.
    struct ConfirmUnknown {
        /// The session.
        session_id: Int64,
    }
}

/// What `confirm_session` has done.
#[derive(Serialize, JsonSchema)]
struct ConfirmedSession {
    /// The session.
    session_id: Id64,
}

impl AccountCommand for ConfirmUnknown {
    const NAME: &'static str = "confirm_session";
    const ACCESS: Access = Access::Write;
    const IDEMPOTENT: bool = true;
    const EXAMPLE: &'static str = r#"{"session_id": "987654321"}"#;
    type Reply = ConfirmedSession;

    async fn run(self, ctx: &Context) -> Result<ConfirmedSession, CommandError> {
        let Int64(session_id) = self.session_id;
        ctx.lock_resource(Resource::Sessions).await?;
        ctx.change(ConfirmSession { session_id }).await?;
        Ok(ConfirmedSession { session_id: Id64(session_id) })
    }
}

arguments! {
    /// Sets after how many days of inactivity Telegram ends a session.
    /// Source: TDLib 1.8.61, `setInactiveSessionTtl`.
    struct SetInactiveTtl {
        /// Days, 1 to 366.
        inactive_session_ttl_days: BoundedInteger<1, 366>,
    }
}

/// What `set_inactive_session_ttl` has set.
#[derive(Serialize, JsonSchema)]
struct InactiveTtl {
    /// Days.
    inactive_session_ttl_days: i64,
}

impl AccountCommand for SetInactiveTtl {
    const NAME: &'static str = "set_inactive_session_ttl";
    const ACCESS: Access = Access::Write;
    const IDEMPOTENT: bool = true;
    const EXAMPLE: &'static str = r#"{"inactive_session_ttl_days": 180}"#;
    type Reply = InactiveTtl;

    async fn run(self, ctx: &Context) -> Result<InactiveTtl, CommandError> {
        let BoundedInteger(days) = self.inactive_session_ttl_days;
        ctx.lock_resource(Resource::Sessions).await?;
        let inactive_session_ttl_days = i32::try_from(days).unwrap_or(i32::MAX);
        ctx.change(SetInactiveSessionTtl { inactive_session_ttl_days }).await?;
        Ok(InactiveTtl { inactive_session_ttl_days: days })
    }
}
