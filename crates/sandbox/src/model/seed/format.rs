//! The format of a seed file.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::{ContactRequirement, PrivacyKey, PrivacyRule};

/// The content of a seed file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SeedFile {
    pub(super) person: Vec<UserSeed>,
    pub(super) account: Vec<AccountSeed>,
    pub(super) group: Vec<GroupSeed>,
    pub(super) message: Vec<MessageSeed>,
}

/// A user without an account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserSeed {
    pub(super) username: String,
    pub(super) first_name: String,
    #[serde(default)]
    pub(super) last_name: String,
    #[serde(default)]
    pub(super) about: String,
    #[serde(default)]
    pub(super) bot: bool,
    #[serde(default)]
    pub(super) premium: bool,
    #[serde(default)]
    pub(super) deleted: bool,
    #[serde(default)]
    pub(super) strangers_need: ContactRequirement,
}

/// Settings of a default account, or an additional account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountSeed {
    pub(super) number: u32,
    pub(super) username: Option<String>,
    pub(super) first_name: Option<String>,
    pub(super) last_name: Option<String>,
    pub(super) about: Option<String>,
    pub(super) premium: Option<bool>,
    pub(super) code: Option<String>,
    pub(super) password: Option<String>,
    #[serde(default)]
    pub(super) password_hint: String,
    pub(super) contacts: Option<Vec<String>>,
    #[serde(default)]
    pub(super) close_friends: Vec<String>,
    #[serde(default)]
    pub(super) blocked: Vec<String>,
    #[serde(default)]
    pub(super) blocked_from_stories: Vec<String>,
    #[serde(default)]
    pub(super) strangers_need: ContactRequirement,
    #[serde(default)]
    pub(super) privacy: BTreeMap<PrivacyKey, Vec<PrivacyRule<String, String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupSeed {
    pub(super) title: String,
    pub(super) creator: String,
    #[serde(default)]
    pub(super) members: Vec<String>,
    #[serde(default)]
    pub(super) supergroup: bool,
    pub(super) username: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageSeed {
    pub(super) from: String,
    pub(super) to: TargetSeed,
    pub(super) text: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TargetSeed {
    User(String),
    Group(String),
}
