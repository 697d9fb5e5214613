//! TDLib's methods as types: one small struct each, named as in TDLib 1.8.61's `td_api.tl`.
//!
//! A struct holds exactly the method's fields. Those that carry secrets (phone numbers, codes,
//! passwords, keys) have no `Debug`. Answers are of the types in [`answers`](crate::answers), or of
//! tdlib-rs's where those have no objects in them.

mod account;
mod contacts;
mod login;
mod privacy;
mod sessions;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

pub use account::{Close, GetApplicationConfig, GetOption, LogOut, SetOption, TestSquareInt};
pub use contacts::{
    CanSendMessageToUser, GetBlockedMessageSenders, GetChat, GetCloseFriends, GetContacts, GetMe,
    GetUser, SetCloseFriends, SetMessageSenderBlockList,
};
pub use login::{
    AddProxy, CheckAuthenticationCode, CheckAuthenticationPassword, GetAuthorizationState,
    ResendAuthenticationCode, SetAuthenticationPhoneNumber, SetTdlibParameters,
};
pub use privacy::{
    GetArchiveChatListSettings, GetNewChatPrivacySettings, GetReadDatePrivacySettings,
    GetUserPrivacySettingRules, SetArchiveChatListSettings, SetNewChatPrivacySettings,
    SetReadDatePrivacySettings, SetUserPrivacySettingRules,
};
pub use sessions::{
    ConfirmSession, DisconnectAllWebsites, DisconnectWebsite, GetActiveSessions,
    GetConnectedWebsites, SetInactiveSessionTtl, TerminateAllOtherSessions, TerminateSession,
    ToggleSessionCanAcceptCalls, ToggleSessionCanAcceptSecretChats,
};

/// A TDLib method: its request and the type of its answer.
///
/// It serialises to an object with the method's fields; a unit struct has none.
pub trait Method: Serialize {
    /// TDLib's name of the method.
    const NAME: &'static str;
    /// The answer on success.
    type Answer: DeserializeOwned;
}

/// TDLib's `ok`: success without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "@type")]
pub enum OkAnswer {
    /// The only value; anything else fails to decode.
    #[serde(rename = "ok")]
    Ok,
}

/// Implements [`Method`]: the TDLib name and the type of the answer.
macro_rules! method {
    ($method:ty, $name:literal, $answer:ty) => {
        impl $crate::methods::Method for $method {
            const NAME: &'static str = $name;
            type Answer = $answer;
        }
    };
}
use method;

/// TDLib's `int64`, which its JSON writes as a string.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn int64<S: Serializer>(value: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// TDLib's `bytes`, which its JSON writes in base64.
fn bytes<S: Serializer>(value: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Base64Display::new(value, &STANDARD))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<M: Method>(method: &M, json: &str) {
        assert_eq!(serde_json::to_string(method).unwrap(), json, "{}", M::NAME);
    }

    #[test]
    fn int64_ids_are_written_as_strings() {
        check(
            &TerminateSession { session_id: -9_007_199_254_740_993 },
            r#"{"session_id":"-9007199254740993"}"#,
        );
    }

    #[test]
    fn abstract_types_carry_their_type_and_absent_ones_are_null() {
        let sender_id =
            crate::enums::MessageSender::User(crate::types::MessageSenderUser { user_id: 5 });
        check(
            &SetMessageSenderBlockList { sender_id, block_list: None },
            r#"{"sender_id":{"@type":"messageSenderUser","user_id":5},"block_list":null}"#,
        );
        check(
            &GetBlockedMessageSenders {
                block_list: crate::enums::BlockList::Main,
                offset: 0,
                limit: 100,
            },
            r#"{"block_list":{"@type":"blockListMain"},"offset":0,"limit":100}"#,
        );
    }

    #[test]
    fn ok_answer_decodes_ok_and_nothing_else() {
        assert_eq!(serde_json::from_str::<OkAnswer>(r#"{"@type":"ok"}"#).unwrap(), OkAnswer::Ok);
        assert!(serde_json::from_str::<OkAnswer>(r#"{"@type":"user"}"#).is_err());
    }
}
