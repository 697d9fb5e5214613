//! Updates of users: what the commands show of a user, beside TDLib's own object.

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tdlib::enums::BlockList;

use super::{read, to_json};
use crate::normalize::contacts::{Avatar, Profile};
use crate::normalize::type_name;

/// `updateUser`: something about a user has changed.
#[derive(Serialize, JsonSchema)]
struct Updated<'a> {
    /// The user's id.
    user_id: i64,
    /// The user's name.
    profile: Profile,
    #[serde(flatten)]
    avatar: Avatar,
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
struct UpdatedFullInfo<'a> {
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
struct Fields {
    id: i64,
    first_name: String,
    last_name: String,
    usernames: Option<Usernames>,
    profile_photo: Option<Photo>,
    is_contact: bool,
    is_close_friend: bool,
}

#[derive(Deserialize)]
struct Usernames {
    active_usernames: Vec<String>,
}

#[derive(Deserialize)]
struct Photo {
    small: File,
}

#[derive(Deserialize)]
struct File {
    id: i32,
    remote: Remote,
}

#[derive(Deserialize)]
struct Remote {
    id: String,
}

pub(super) fn user(json: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Update<'a> {
        #[serde(borrow)]
        user: &'a RawValue,
    }

    let Update { user } = read(json)?;
    let fields: Fields = read(user.get())?;
    let username = fields.usernames.and_then(|names| names.active_usernames.into_iter().next());
    let photo = fields.profile_photo.map(|photo| (photo.small.id, photo.small.remote.id));
    to_json(&Updated {
        user_id: fields.id,
        profile: Profile::new(fields.first_name, fields.last_name, username),
        avatar: Avatar::new(photo),
        is_contact: fields.is_contact,
        is_close_friend: fields.is_close_friend,
        user,
    })
}

pub(super) fn user_full_info(json: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Update<'a> {
        user_id: i64,
        #[serde(borrow)]
        user_full_info: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct Fields {
        block_list: Option<BlockList>,
    }

    let Update { user_id, user_full_info } = read(json)?;
    let Fields { block_list } = read(user_full_info.get())?;
    let block_list = block_list.as_ref().map(type_name);
    to_json(&UpdatedFullInfo { user_id, block_list, user_full_info })
}

pub(super) fn schemas() -> [(&'static str, Schema); 2] {
    [
        ("updateUser", schema_for!(Updated<'_>)),
        ("updateUserFullInfo", schema_for!(UpdatedFullInfo<'_>)),
    ]
}
