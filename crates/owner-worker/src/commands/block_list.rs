//! Block lists: whom the account does not want to hear of.

use futures_util::future::join_all;
use schemars::{JsonSchema, Schema, json_schema};
use serde::Serialize;
use serde_json::value::RawValue;
use tdlib::answers::{SenderPage, TdVariant};
use tdlib::enums::{BlockList, MessageSender};
use tdlib::methods::{GetBlockedMessageSenders, GetChat, GetUser, SetMessageSenderBlockList};
use tdlib::types::MessageSenderUser;

use super::args::{ArgumentType, BoolOr, IntegerOr, UserId, arguments, type_name};
use super::command::{Access, AccountCommand, CommandEntry};
use super::context::{Context, Resource};
use super::error::CommandError;
use crate::config::WorkerConfig;
use crate::failure::Failure;
use crate::normalize::contacts::BlockedSender;

pub(super) const COMMANDS: &[CommandEntry] = &[
    CommandEntry::of::<BlockUser>(),
    CommandEntry::of::<UnblockUser>(),
    CommandEntry::of::<GetBlockedUsers>(),
];

/// Most senders that TDLib returns at once.
const PAGE: i32 = 100;

/// One of TDLib's block lists, by its type name; the main one by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "List")]
enum BlockListName {
    #[serde(rename = "blockListMain")]
    Main,
    #[serde(rename = "blockListStories")]
    Stories,
}

impl BlockListName {
    fn named(name: &str) -> Option<Self> {
        match name {
            "blockListMain" => Some(Self::Main),
            "blockListStories" => Some(Self::Stories),
            _ => None,
        }
    }

    fn tdlib(self) -> BlockList {
        match self {
            Self::Main => BlockList::Main,
            Self::Stories => BlockList::Stories,
        }
    }
}

impl ArgumentType for BlockListName {
    const REQUIRED: bool = false;

    fn parse(name: &str, value: &RawValue) -> Result<Self, Failure> {
        let list = type_name(value).and_then(|name| Self::named(&name));
        list.ok_or_else(|| Failure::invalid(format!("{name} must be a TDLib block list type")))
    }

    fn absent(_name: &str) -> Result<Self, Failure> {
        Ok(Self::Main)
    }

    fn schema() -> Schema {
        let names = json_schema!({"enum": ["blockListMain", "blockListStories"]});
        json_schema!({
            "default": "blockListMain",
            "anyOf": [
                names,
                {
                    "type": "object",
                    "properties": {"@type": names},
                    "required": ["@type"],
                    "additionalProperties": false,
                },
            ],
        })
    }

    fn faults(name: &str) -> Vec<String> {
        vec![format!("{name} must be a TDLib block list type")]
    }
}

/// What `block_user` and `unblock_user` have done.
#[derive(Serialize, JsonSchema)]
struct BlockedUser {
    /// The user.
    user_id: i64,
    /// Whether the user is blocked now.
    is_blocked: bool,
    /// The list the user is on now; null when unblocked.
    block_list: Option<BlockListName>,
    /// Whether the block list shows it; null if that is unknown: TDLib reports success before
    /// Telegram has done it, and only the first 100 entries of the list are read.
    confirmed: Option<bool>,
}

/// Puts a user on a list, or takes the user off the main one, and reads that back.
async fn block(
    ctx: &Context,
    user: UserId,
    list: Option<BlockListName>,
) -> Result<BlockedUser, CommandError> {
    let UserId(user_id) = user;
    let sender_id = MessageSender::User(MessageSenderUser { user_id });
    ctx.lock_resource(Resource::BlockList).await?;
    // Whom TDLib does not know even then, it refuses by itself.
    ctx.find_users(&[user_id]).await?;
    let block_list = list.map(BlockListName::tdlib);
    ctx.change(SetMessageSenderBlockList { sender_id: sender_id.clone(), block_list }).await?;
    let block_list = list.unwrap_or(BlockListName::Main).tdlib();
    let page = ctx.ask(GetBlockedMessageSenders { block_list, offset: 0, limit: PAGE }).await;
    let confirmed = page.ok().and_then(|page| confirmation(&page, &sender_id, list.is_some()));
    Ok(BlockedUser { user_id, is_blocked: list.is_some(), block_list: list, confirmed })
}

fn confirmation(page: &SenderPage, sender: &MessageSender, wanted: bool) -> Option<bool> {
    if page.senders.iter().any(|listed| listed.known() == Some(sender)) {
        return Some(wanted);
    }
    (page.total_count <= PAGE).then_some(!wanted)
}

arguments! {
    /// Blocks a user, or unblocks one.
    /// Source: TDLib 1.8.61, `setMessageSenderBlockList`, then `getBlockedMessageSenders`.
    struct BlockUser {
        /// The user.
        user_id: UserId,
        /// False unblocks.
        is_blocked: BoolOr<true>,
        /// The list, as TDLib's type name or an object of that `@type`.
        block_list: BlockListName,
    }
}

impl AccountCommand for BlockUser {
    const NAME: &'static str = "block_user";
    const ACCESS: Access = Access::Write;
    const IDEMPOTENT: bool = true;
    const ERRORS: &'static [&'static str] = &["blockListStories can't be unblocked by TDLib"];
    const EXAMPLE: &'static str = r#"{"user_id": 123456789, "block_list": "blockListMain"}"#;
    type Reply = BlockedUser;

    fn check(&self, _config: &WorkerConfig) -> Result<(), Failure> {
        if !self.is_blocked.0 && self.block_list == BlockListName::Stories {
            return Err(Failure::invalid("blockListStories can't be unblocked by TDLib"));
        }
        Ok(())
    }

    async fn run(self, ctx: &Context) -> Result<BlockedUser, CommandError> {
        block(ctx, self.user_id, self.is_blocked.0.then_some(self.block_list)).await
    }
}

arguments! {
    /// Takes a user off the main block list.
    /// Source: TDLib 1.8.61, `setMessageSenderBlockList`, then `getBlockedMessageSenders`.
    struct UnblockUser {
        /// The user.
        user_id: UserId,
    }
}

impl AccountCommand for UnblockUser {
    const NAME: &'static str = "unblock_user";
    const ACCESS: Access = Access::Write;
    const IDEMPOTENT: bool = true;
    const EXAMPLE: &'static str = r#"{"user_id": 123456789}"#;
    type Reply = BlockedUser;

    async fn run(self, ctx: &Context) -> Result<BlockedUser, CommandError> {
        block(ctx, self.user_id, None).await
    }
}

arguments! {
    /// Lists who is on a block list, page by page.
    /// Source: TDLib 1.8.61, `getBlockedMessageSenders`, then `getUser` and `getChat`.
    struct GetBlockedUsers {
        /// The list, as TDLib's type name or an object of that `@type`.
        block_list: BlockListName,
        /// How many to skip.
        offset: IntegerOr<0, 0, { i64::MAX }>,
        /// How many to return; more than 100 count as 100.
        limit: IntegerOr<50, 1, { i64::MAX }>,
    }
}

/// Result of `get_blocked_users`.
#[derive(Serialize, JsonSchema)]
struct BlockedPage {
    /// The list.
    block_list: BlockListName,
    /// How many were skipped.
    offset: i64,
    /// How many were asked for.
    limit: i64,
    /// Approximate total number.
    total_count: i32,
    /// This page.
    senders: Vec<BlockedSender>,
    /// Where the next page begins; null after the last one.
    next_offset: Option<i64>,
}

impl AccountCommand for GetBlockedUsers {
    const NAME: &'static str = "get_blocked_users";
    const ACCESS: Access = Access::Read;
    const IDEMPOTENT: bool = true;
    const EXAMPLE: &'static str = r#"{"block_list": "blockListMain", "offset": 0, "limit": 50}"#;
    type Reply = BlockedPage;

    async fn run(self, ctx: &Context) -> Result<BlockedPage, CommandError> {
        let IntegerOr(offset) = self.offset;
        let limit = i32::try_from(self.limit.0).map_or(PAGE, |limit| limit.min(PAGE));
        let page = GetBlockedMessageSenders {
            block_list: self.block_list.tdlib(),
            offset: i32::try_from(offset).unwrap_or(i32::MAX),
            limit,
        };
        let SenderPage { total_count, senders } = ctx.ask(page).await?;
        let known = senders.iter().filter_map(TdVariant::known);
        let senders = join_all(known.map(|sender| details(ctx, sender))).await;
        let next = offset.saturating_add(limit.into());
        Ok(BlockedPage {
            block_list: self.block_list,
            offset,
            limit: limit.into(),
            total_count,
            senders,
            next_offset: (next < total_count.into()).then_some(next),
        })
    }
}

async fn details(ctx: &Context, sender: &MessageSender) -> BlockedSender {
    let found = match sender {
        MessageSender::User(user) => {
            ctx.ask(GetUser { user_id: user.user_id }).await.map(|user| BlockedSender::user(&user))
        }
        MessageSender::Chat(chat) => {
            ctx.ask(GetChat { chat_id: chat.chat_id }).await.map(BlockedSender::chat)
        }
    };
    found.unwrap_or_else(|_| BlockedSender::unknown(sender))
}
