//! TDLib's updates whose fields are shaped as in the commands' results.

mod users;

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tdlib::answers::{ObjectType, PrivacyRules};
use tdlib::types;

use super::Id64;
use super::json::{read, to_json};
use super::privacy::{PrivacySetting, PrivacyValue};

/// A privacy setting has changed; its event carries the same as `get_privacy_setting`.
pub(crate) const PRIVACY_RULES: &str = "updateUserPrivacySettingRules";

/// `updateUnconfirmedSession`: a session was opened that another one has to confirm.
#[derive(Serialize, JsonSchema)]
struct UnconfirmedSessionUpdate {
    /// Null if none is left.
    session: Option<UnconfirmedSession>,
}

/// The session to be confirmed, or ended.
#[derive(Serialize, JsonSchema)]
struct UnconfirmedSession {
    /// For `confirm_session` and `terminate_session`.
    id: Id64,
    /// Unix seconds.
    log_in_date: i32,
    /// Its device, as the application gave it.
    device_model: String,
    /// Place that belongs to the IP address, in words.
    location: String,
}

/// `updateChatBlockList`: a chat has moved to or from a block list.
#[derive(Serialize, JsonSchema)]
struct ChatBlockList {
    /// The chat.
    chat_id: i64,
    /// `blockListMain`, `blockListStories`, or null for none.
    block_list: Option<String>,
}

/// `updateConnectionState`: how the account is connected to Telegram.
#[derive(Serialize, JsonSchema)]
struct ConnectionState {
    /// TDLib's type name, such as `connectionStateReady`.
    state: String,
}

/// `updateFreezeState`: Telegram has frozen the account, or no longer does.
#[derive(Serialize, Deserialize, JsonSchema)]
struct FreezeState {
    /// Whether it is frozen.
    is_frozen: bool,
    /// Unix seconds; 0 unless it is frozen.
    freezing_date: i32,
    /// Unix seconds; 0 unless it is frozen.
    deletion_date: i32,
    /// Where to appeal.
    appeal_link: String,
}

/// `updateServiceNotification`: Telegram has a message for the account's owner.
#[derive(Serialize, Deserialize, JsonSchema)]
struct ServiceNotification<'a> {
    /// Telegram's type of the notification.
    r#type: String,
    /// TDLib's `MessageContent`.
    #[serde(borrow)]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    content: &'a RawValue,
}

/// The wire's form of an update; `None` for those that pass as they are, and for one that this
/// build cannot read.
pub(crate) fn reshape(kind: &str, json: &str) -> Option<String> {
    match kind {
        PRIVACY_RULES => {
            let (setting, rules) = privacy_rules(json)?;
            to_json(&PrivacyValue::rules(setting, rules))
        }
        "updateUnconfirmedSession" => {
            let update: types::UpdateUnconfirmedSession = read(json)?;
            let session = update.session.map(|session| UnconfirmedSession {
                id: Id64(session.id),
                log_in_date: session.log_in_date,
                device_model: session.device_model,
                location: session.location,
            });
            to_json(&UnconfirmedSessionUpdate { session })
        }
        "updateChatBlockList" => {
            #[derive(Deserialize)]
            struct RawUpdate {
                chat_id: i64,
                block_list: Option<ObjectType>,
            }

            let RawUpdate { chat_id, block_list } = read(json)?;
            to_json(&ChatBlockList { chat_id, block_list: block_list.map(|list| list.name) })
        }
        "updateConnectionState" => {
            #[derive(Deserialize)]
            struct RawUpdate {
                state: Option<ObjectType>,
            }

            let RawUpdate { state } = read(json)?;
            to_json(&ConnectionState { state: state.unwrap_or_default().name })
        }
        "updateUser" => users::user(json),
        "updateUserFullInfo" => users::user_full_info(json),
        "updateFreezeState" => to_json(&read::<FreezeState>(json)?),
        "updateServiceNotification" => to_json(&read::<ServiceNotification<'_>>(json)?),
        _ => None,
    }
}

/// Setting and rules of an [`PRIVACY_RULES`].
pub(crate) fn privacy_rules(json: &str) -> Option<(PrivacySetting, PrivacyRules)> {
    #[derive(Deserialize)]
    struct RawUpdate {
        setting: ObjectType,
        rules: Option<PrivacyRules>,
    }

    let RawUpdate { setting, rules } = read(json)?;
    Some((PrivacySetting::of_tdlib(&setting.name)?, rules.unwrap_or_default()))
}

/// JSON Schema of the `result` of each update that has a form of its own.
pub(crate) fn schemas() -> impl Iterator<Item = (&'static str, Schema)> {
    let own = [
        (PRIVACY_RULES, schema_for!(PrivacyValue)),
        ("updateUnconfirmedSession", schema_for!(UnconfirmedSessionUpdate)),
        ("updateChatBlockList", schema_for!(ChatBlockList)),
        ("updateConnectionState", schema_for!(ConnectionState)),
        ("updateFreezeState", schema_for!(FreezeState)),
        ("updateServiceNotification", schema_for!(ServiceNotification<'_>)),
    ];
    own.into_iter().chain(users::schemas())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(update: &Value, expected: Value) {
        let kind = update["@type"].as_str().unwrap();
        let wire =
            reshape(kind, &update.to_string()).map(|json| serde_json::from_str(&json).unwrap());
        assert_eq!(wire, Some(expected), "{kind}");
    }

    #[test]
    fn updates_of_this_group_are_shaped_like_results() {
        check(
            &json!({"@type": "updateUnconfirmedSession", "session": {
                "@type": "unconfirmedSession", "id": "9223372036854775807", "log_in_date": 5,
                "device_model": "box", "location": "here"}}),
            json!({"session": {"id": "9223372036854775807", "log_in_date": 5,
                "device_model": "box", "location": "here"}}),
        );
        check(
            &json!({"@type": "updateUnconfirmedSession", "session": null}),
            json!({"session": null}),
        );
        check(
            &json!({"@type": "updateChatBlockList", "chat_id": -5,
                "block_list": {"@type": "blockListStories"}}),
            json!({"chat_id": -5, "block_list": "blockListStories"}),
        );
        check(
            &json!({"@type": "updateConnectionState", "state": {"@type": "connectionStateReady"}}),
            json!({"state": "connectionStateReady"}),
        );
        check(
            &json!({"@type": "updateFreezeState", "is_frozen": true, "freezing_date": 1,
                "deletion_date": 2, "appeal_link": "https://t.me/x"}),
            json!({"is_frozen": true, "freezing_date": 1, "deletion_date": 2,
                "appeal_link": "https://t.me/x"}),
        );
        check(
            &json!({"@type": "updateServiceNotification", "type": "x",
                "content": {"@type": "messageText", "n": 1}}),
            json!({"type": "x", "content": {"@type": "messageText", "n": 1}}),
        );
    }

    #[test]
    fn users_are_shown_as_in_results_beside_their_own_object() {
        let recorded: Value =
            serde_json::from_str(include_str!("../../tests/data/objects.json")).unwrap();
        let user = &recorded["user"];
        check(
            &recorded["updateUser"],
            json!({"user_id": 1, "profile": {"first_name": "Ada", "last_name": "Lovelace",
                "full_name": "Ada Lovelace", "username": "ada"}, "avatar_file_id": 5,
                "avatar_remote_file_id": "remote-5", "is_contact": true,
                "is_close_friend": false, "user": user}),
        );
        let info = &recorded["updateUserFullInfo"];
        check(
            info,
            json!({"user_id": 5, "block_list": "blockListMain",
                "user_full_info": info["user_full_info"]}),
        );
    }

    #[test]
    fn what_cannot_be_read_passes_as_it_is() {
        assert_eq!(reshape("updateChatBlockList", r#"{"chat_id": "five"}"#), None);
        assert_eq!(reshape("updateNewMessage", "{}"), None);
    }
}
