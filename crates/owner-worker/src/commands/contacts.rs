//! Close friends, and whom the account may write to.

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Serialize;
use tdlib::methods::{CanSendMessageToUser, GetCloseFriends, GetUser, SetCloseFriends};

use super::args::{IdList, arguments};
use super::command::{Access, AccountCommand, CommandEntry};
use super::context::{Context, Resource};
use super::error::CommandError;
use crate::normalize::contacts::{CanSend, CloseFriend, UserProfile};

pub(super) const COMMANDS: &[CommandEntry] = &[
    CommandEntry::of::<ListCloseFriends>(),
    CommandEntry::of::<ReplaceCloseFriends>(),
    CommandEntry::of::<CanSendMessages>(),
];

/// The account's close friends.
#[derive(Serialize, JsonSchema)]
struct CloseFriends {
    /// The users' ids.
    user_ids: Vec<i64>,
    /// The same with names.
    users: Vec<CloseFriend>,
}

async fn close_friends(ctx: &Context) -> Result<CloseFriends, CommandError> {
    let user_ids = ctx.ask(GetCloseFriends).await?.user_ids;
    let users = join_all(user_ids.iter().map(async |&user_id| {
        let user = ctx.ask(GetUser { user_id }).await.ok();
        CloseFriend { user_id, profile: user.as_ref().map(UserProfile::from) }
    }));
    Ok(CloseFriends { users: users.await, user_ids })
}

arguments! {
    /// Lists the account's close friends. Source: TDLib 1.8.61, `getCloseFriends`.
    struct ListCloseFriends {}
}

impl AccountCommand for ListCloseFriends {
    const NAME: &'static str = "get_close_friends";
    const ACCESS: Access = Access::Read;
    const IDEMPOTENT: bool = true;
    type Reply = CloseFriends;

    async fn run(self, ctx: &Context) -> Result<CloseFriends, CommandError> {
        close_friends(ctx).await
    }
}

arguments! {
    /// Replaces the account's close friends, and reads them back.
    /// Source: TDLib 1.8.61, `setCloseFriends`, then `getCloseFriends`.
    struct ReplaceCloseFriends {
        /// The whole list, contacts only; `[]` clears it.
        user_ids: IdList<0, { usize::MAX }>,
    }
}

impl AccountCommand for ReplaceCloseFriends {
    const NAME: &'static str = "set_close_friends";
    const ACCESS: Access = Access::Write;
    const IDEMPOTENT: bool = true;
    const ERRORS: &'static [&'static str] = &["user <id> is not a contact"];
    const EXAMPLE: &'static str = r#"{"user_ids": [123456789]}"#;
    type Reply = CloseFriends;

    async fn run(self, ctx: &Context) -> Result<CloseFriends, CommandError> {
        let IdList(user_ids) = self.user_ids;
        ctx.lock_resource(Resource::CloseFriends).await?;
        for (user_id, user) in user_ids.iter().zip(ctx.find_users(&user_ids).await?) {
            if !user.is_some_and(|user| user.is_contact) {
                return Err(CommandError::refused(format!("user {user_id} is not a contact")));
            }
        }
        ctx.change(SetCloseFriends { user_ids: &user_ids }).await?;
        close_friends(ctx).await.map_err(|error| error.after(&["user_ids"]))
    }
}

arguments! {
    /// Checks which of the given users the account may write to.
    /// Source: TDLib 1.8.61, `canSendMessageToUser`.
    struct CanSendMessages {
        /// The users, 1 to 100.
        user_ids: IdList<1, 100>,
    }
}

/// Result of `can_send_messages_to_users`.
#[derive(Serialize, JsonSchema)]
struct CanSendResults {
    /// One for each user, in the request's order.
    results: Vec<CanSend>,
}

impl AccountCommand for CanSendMessages {
    const NAME: &'static str = "can_send_messages_to_users";
    const ACCESS: Access = Access::Read;
    const IDEMPOTENT: bool = true;
    const EXAMPLE: &'static str = r#"{"user_ids": [123456789]}"#;
    type Reply = CanSendResults;

    fn calls(&self) -> u32 {
        u32::try_from(self.user_ids.0.len()).unwrap_or(u32::MAX)
    }

    async fn run(self, ctx: &Context) -> Result<CanSendResults, CommandError> {
        // Of a contact that it has not seen, TDLib would say that there is no such user.
        ctx.find_users(&self.user_ids.0).await?;
        // All at once: TDLib keeps three requests in flight and merges those that wait.
        let results = join_all(self.user_ids.0.into_iter().map(async |user_id| {
            match ctx.ask(CanSendMessageToUser { user_id, only_local: false }).await {
                Ok(result) => Ok(CanSend::known(user_id, &result)),
                Err(CommandError::Closed) => Err(CommandError::Closed),
                Err(error) => {
                    let error = error.into_failure(false).error.into_owned();
                    Ok(CanSend::unknown(user_id, error))
                }
            }
        }));
        let results = results.await.into_iter().collect::<Result<_, _>>()?;
        Ok(CanSendResults { results })
    }
}
