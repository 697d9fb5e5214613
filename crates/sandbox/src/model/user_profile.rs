use serde::Deserialize;

use super::UserId;

/// What a user requires of strangers who want to write to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContactRequirement {
    /// Nothing.
    #[default]
    Anyone,
    /// A Premium subscription.
    Premium,
    /// This many Telegram Stars per message.
    Paid(i64),
}

/// A user, with or without an account.
#[derive(Clone, Debug)]
pub(crate) struct UserProfile {
    pub(crate) id: UserId,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) username: Option<String>,
    /// Digits only; empty if there is none.
    pub(crate) phone: String,
    pub(crate) about: String,
    pub(crate) bot: bool,
    pub(crate) deleted: bool,
    pub(crate) premium: bool,
    /// For users without an account; accounts have it in their global privacy settings.
    pub(crate) reach: ContactRequirement,
}

impl UserProfile {
    pub(crate) fn new(id: UserId, first_name: &str, last_name: &str) -> Self {
        Self {
            id,
            first_name: first_name.to_owned(),
            last_name: last_name.to_owned(),
            username: None,
            phone: String::new(),
            about: String::new(),
            bot: false,
            deleted: false,
            premium: false,
            reach: ContactRequirement::Anyone,
        }
    }

    /// Whether it is Telegram's service user.
    pub(crate) fn is_service(&self) -> bool {
        self.id == SERVICE_USER
    }

    /// The user's access hash, derived from the id.
    pub(crate) fn access_hash(&self) -> i64 {
        access_hash(self.id.0)
    }
}

/// The user who sends Telegram's service messages.
pub(crate) const SERVICE_USER: UserId = UserId(777_000);

pub(crate) fn access_hash(id: i64) -> i64 {
    id.wrapping_mul(0x5851_f42d_4c95_7f2d) | 1
}
