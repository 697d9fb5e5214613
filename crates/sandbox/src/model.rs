//! The accounts of the sandbox: what Telegram knows, independent of its API.

mod account;
mod blocks;
mod change_log;
mod chat;
mod default_accounts;
mod delivery;
mod ids;
mod login;
mod mailbox;
mod password;
mod privacy;
mod seed;
mod session;
mod user_profile;
mod world;

pub(crate) use account::{Account, Contact};
pub use blocks::BlockList;
pub(crate) use blocks::BlockLists;
pub(crate) use change_log::{AccountChange, ChangeLog};
pub(crate) use chat::{ChannelHistory, Chat, ChatKind};
pub(crate) use default_accounts::{
    default_code, default_number, default_phone, default_user, default_world,
};
pub(crate) use delivery::{DeliveredMessage, MessageDraft, deliver};
pub use ids::{ChatId, Peer, UserId};
pub(crate) use login::{CodeDelivery, LoginTokens, SentCode};
pub(crate) use mailbox::{Dialog, Mailbox, MailboxChange, StoredMessage, count};
pub(crate) use password::{PasswordError, SrpPassword};
pub(crate) use privacy::PrivacyRules;
pub use privacy::{GlobalPrivacy, PrivacyKey, PrivacyRule};
pub use seed::SeedError;
pub(crate) use seed::{apply_seed, read_seed};
pub(crate) use session::{DeviceInfo, LoginSession, Website};
pub use user_profile::ContactRequirement;
pub(crate) use user_profile::{SERVICE_USER, UserProfile, access_hash};
pub(crate) use world::{KeyStatus, PushTarget, World, digits};
