//! Updates of users: what the commands show of a user, beside TDLib's own object.

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tdlib::answers::{ObjectType, UserFields};

use crate::normalize::contacts::{AvatarFields, UserProfile};
use crate::normalize::json::{read, to_json};

/// `updateUser`: something about a user has changed.
#[derive(Serialize, JsonSchema)]
struct UserUpdate<'a> {
    /// The user's id.
    user_id: i64,
    /// The user's name.
    profile: UserProfile,
    #[serde(flatten)]
    avatar: AvatarFields,
    /// Whether the user is a contact.
    is_contact: bool,
    /// Whether the user is a close friend.
    is_close_friend: bool,
    /// TDLib's `user`, as it is.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    user: &'a RawValue,
}

/// `updateUserFullInfo`: something about a user that is not shown everywhere has changed.
#[derive(Serialize, JsonSchema)]
struct UserFullInfoUpdate<'a> {
    /// The user's id.
    user_id: i64,
    /// The list the user is on: `blockListMain`, `blockListStories`, or null for none.
    block_list: Option<String>,
    /// TDLib's `userFullInfo`, as it is.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    user_full_info: &'a RawValue,
}

pub(super) fn user(json: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct RawUpdate<'a> {
        #[serde(borrow)]
        user: &'a RawValue,
    }

    let RawUpdate { user } = read(json)?;
    let fields: UserFields = read(user.get())?;
    to_json(&UserUpdate {
        user_id: fields.id,
        profile: UserProfile::from(&fields),
        avatar: AvatarFields::of(fields.photo()),
        is_contact: fields.is_contact,
        is_close_friend: fields.is_close_friend,
        user,
    })
}

pub(super) fn user_full_info(json: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct RawUpdate<'a> {
        user_id: i64,
        #[serde(borrow)]
        user_full_info: &'a RawValue,
    }
    #[derive(Default, Deserialize)]
    struct FullInfoFields {
        block_list: Option<ObjectType>,
    }

    let RawUpdate { user_id, user_full_info } = read(json)?;
    let info: Option<FullInfoFields> = read(user_full_info.get())?;
    let block_list = info.unwrap_or_default().block_list.map(|list| list.name);
    to_json(&UserFullInfoUpdate { user_id, block_list, user_full_info })
}

pub(super) fn schemas() -> [(&'static str, Schema); 2] {
    [
        ("updateUser", schema_for!(UserUpdate<'_>)),
        ("updateUserFullInfo", schema_for!(UserFullInfoUpdate<'_>)),
    ]
}
