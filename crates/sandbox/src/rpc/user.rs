//! How a user looks on the wire.

use grammers_tl_types::{enums, types};

use crate::model::Account;

/// The user of `account`; `own` when it is told to its own session.
pub(super) fn describe(account: &Account, own: bool) -> enums::User {
    enums::User::User(types::User {
        is_self: own,
        id: account.user.0,
        access_hash: Some(account.user.0 ^ 0x5a5a_5a5a),
        first_name: Some(account.first_name.clone()),
        last_name: Some(account.last_name.clone()),
        phone: own.then(|| account.phone.clone()),
        ..blank()
    })
}

/// A user of whom nothing is told: the schema has no default.
fn blank() -> types::User {
    types::User {
        is_self: false,
        contact: false,
        mutual_contact: false,
        deleted: false,
        bot: false,
        bot_chat_history: false,
        bot_nochats: false,
        verified: false,
        restricted: false,
        min: false,
        bot_inline_geo: false,
        support: false,
        scam: false,
        apply_min_photo: false,
        fake: false,
        bot_attach_menu: false,
        premium: false,
        attach_menu_enabled: false,
        bot_can_edit: false,
        close_friend: false,
        stories_hidden: false,
        stories_unavailable: false,
        contact_require_premium: false,
        bot_business: false,
        bot_has_main_app: false,
        bot_forum_view: false,
        bot_forum_can_manage_topics: false,
        id: 0,
        access_hash: None,
        first_name: None,
        last_name: None,
        username: None,
        phone: None,
        photo: None,
        status: None,
        bot_info_version: None,
        restriction_reason: None,
        bot_inline_placeholder: None,
        lang_code: None,
        emoji_status: None,
        usernames: None,
        stories_max_id: None,
        color: None,
        profile_color: None,
        bot_active_users: None,
        bot_verification_icon: None,
        send_paid_messages_stars: None,
    }
}
