//! What tdfleet reads of TDLib's objects.
//!
//! Nothing here is stricter than TDLib: any object may be null, and an object may be of a type that
//! this build does not know. tdlib-rs's own types are stricter: they take only those objects for
//! nullable whose description says so. They are used only for objects without objects in them.
//!
//! The types are narrow on purpose, too: all kinds of message content take minutes to compile.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use tdlib_rs::enums::{ChatType, MessageSender, UserPrivacySettingRule};
use tdlib_rs::types::ConnectedWebsite;

/// An object of one of several types.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum TdVariant<T> {
    /// One of the types that this build knows.
    Known(T),
    /// Any other object, unchanged.
    Unknown(Map<String, Value>),
}

impl<T> TdVariant<T> {
    /// The object, if its type is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(object) => Some(object),
            Self::Unknown(_) => None,
        }
    }
}

/// An object of which only the type is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ObjectType {
    /// TDLib's name of the type, such as `authorizationStateReady`.
    #[serde(rename = "@type")]
    pub name: String,
}

/// TDLib's `user`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct UserFields {
    /// The user.
    pub id: i64,
    /// First name.
    pub first_name: String,
    /// Last name; may be empty.
    pub last_name: String,
    usernames: Option<ActiveUsernames>,
    profile_photo: Option<PhotoFiles>,
    /// Whether the user is a contact.
    pub is_contact: bool,
    /// Whether the user is a close friend.
    pub is_close_friend: bool,
    /// Whether the user is more than an id: otherwise TDLib cannot use it in requests.
    pub have_access: bool,
}

impl UserFields {
    /// The first active username, without `@`.
    pub fn username(&self) -> Option<&str> {
        self.usernames.as_ref()?.active_usernames.first().map(String::as_str)
    }

    /// The small profile photo.
    pub fn photo(&self) -> Option<&PhotoFile> {
        self.profile_photo.as_ref()?.small.as_ref()
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct ActiveUsernames {
    active_usernames: Vec<String>,
}

/// TDLib's `profilePhoto` and `chatPhotoInfo`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct PhotoFiles {
    small: Option<PhotoFile>,
}

/// TDLib's `file`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct PhotoFile {
    /// The file's id, valid until the account is closed.
    pub id: i32,
    remote: Option<RemoteFile>,
}

impl PhotoFile {
    /// The file's lasting id for this account, if it has one.
    pub fn remote_id(&self) -> Option<&str> {
        self.remote.as_ref().map(|remote| remote.id.as_str()).filter(|id| !id.is_empty())
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct RemoteFile {
    id: String,
}

/// TDLib's `chat`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ChatFields {
    /// The chat.
    pub id: i64,
    /// Private chat, basic group, supergroup or secret chat, with its own id.
    pub r#type: Option<TdVariant<ChatType>>,
    /// Its title.
    pub title: String,
    photo: Option<PhotoFiles>,
}

impl ChatFields {
    /// Its small photo.
    pub fn photo(&self) -> Option<&PhotoFile> {
        self.photo.as_ref()?.small.as_ref()
    }
}

/// TDLib's `messageSenders`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct SenderPage {
    /// How many there are in all, about.
    pub total_count: i32,
    /// Users and chats of this page.
    #[serde(deserialize_with = "without_nulls")]
    pub senders: Vec<TdVariant<MessageSender>>,
}

/// TDLib's `sessions`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ActiveSessions {
    /// All of them.
    #[serde(deserialize_with = "without_nulls")]
    pub sessions: Vec<SessionFields>,
    /// Days without activity after which Telegram ends a session.
    pub inactive_session_ttl_days: i32,
}

/// TDLib's `session`; the fields are TDLib's own.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "TDLib's own fields")]
#[expect(clippy::struct_excessive_bools, reason = "TDLib's own fields")]
pub struct SessionFields {
    #[serde(deserialize_with = "int64")]
    pub id: i64,
    pub is_current: bool,
    pub is_password_pending: bool,
    pub is_unconfirmed: bool,
    pub can_accept_secret_chats: bool,
    pub can_accept_calls: bool,
    pub r#type: Option<ObjectType>,
    pub api_id: i32,
    pub application_name: String,
    pub application_version: String,
    pub is_official_application: bool,
    pub device_model: String,
    pub platform: String,
    pub system_version: String,
    pub log_in_date: i32,
    pub last_active_date: i32,
    pub ip_address: String,
    pub location: String,
}

/// TDLib's `connectedWebsites`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct WebsiteLogins {
    /// Websites that the account is logged in to.
    #[serde(deserialize_with = "without_nulls")]
    pub websites: Vec<ConnectedWebsite>,
}

/// TDLib's `userPrivacySettingRules`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct PrivacyRules {
    /// The rules, in order; the first that matches decides.
    #[serde(deserialize_with = "without_nulls")]
    pub rules: Vec<TdVariant<UserPrivacySettingRule>>,
}

impl PrivacyRules {
    /// Rules of known types.
    pub fn new(rules: Vec<UserPrivacySettingRule>) -> Self {
        Self { rules: rules.into_iter().map(TdVariant::Known).collect() }
    }
}

/// Reads a list without its nulls.
fn without_nulls<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    Vec::<Option<T>>::deserialize(deserializer).map(|list| list.into_iter().flatten().collect())
}

/// Reads TDLib's `int64`, which its JSON writes as a string.
fn int64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}
