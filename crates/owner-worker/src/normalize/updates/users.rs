//! Updates of users: what the commands show of a user, beside TDLib's own object.

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tdlib::enums::BlockList;

use crate::normalize::contacts::{AvatarFields, UserProfile};
use crate::normalize::json::{read, to_json};
use crate::normalize::type_name;

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

/// What is read of TDLib's `user`.
#[derive(Deserialize)]
struct UserFields {
    id: i64,
    first_name: String,
    last_name: String,
    usernames: Option<ActiveUsernames>,
    profile_photo: Option<ProfilePhoto>,
    is_contact: bool,
    is_close_friend: bool,
}

#[derive(Deserialize)]
struct ActiveUsernames {
    active_usernames: Vec<String>,
}

#[derive(Deserialize)]
struct ProfilePhoto {
    small: PhotoFile,
}

#[derive(Deserialize)]
struct PhotoFile {
    id: i32,
    remote: RemoteFile,
}

#[derive(Deserialize)]
struct RemoteFile {
    id: String,
}

pub(super) fn user(json: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct RawUpdate<'a> {
        #[serde(borrow)]
        user: &'a RawValue,
    }

    let RawUpdate { user } = read(json)?;
    let fields: UserFields = read(user.get())?;
    let username = fields.usernames.and_then(|names| names.active_usernames.into_iter().next());
    let photo = fields.profile_photo.map(|photo| (photo.small.id, photo.small.remote.id));
    to_json(&UserUpdate {
        user_id: fields.id,
        profile: UserProfile::new(fields.first_name, fields.last_name, username),
        avatar: AvatarFields::new(photo),
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
    #[derive(Deserialize)]
    struct UserFields {
        block_list: Option<BlockList>,
    }

    let RawUpdate { user_id, user_full_info } = read(json)?;
    let UserFields { block_list } = read(user_full_info.get())?;
    let block_list = block_list.as_ref().map(type_name);
    to_json(&UserFullInfoUpdate { user_id, block_list, user_full_info })
}

pub(super) fn schemas() -> [(&'static str, Schema); 2] {
    [
        ("updateUser", schema_for!(UserUpdate<'_>)),
        ("updateUserFullInfo", schema_for!(UserFullInfoUpdate<'_>)),
    ]
}
