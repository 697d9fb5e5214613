//! Users and chats that rules name.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use tdlib::answers::{ChatFields, TdVariant};
use tdlib::enums::{ChatType, UserPrivacySettingRule as Rule};
use tdlib::methods::GetChat;

use super::super::context::Context;
use super::super::error::CommandError;
use crate::failure::Failure;

/// Users in the rules of one setting, at most. Source: TDLib 1.8.61, `td_api.tl`.
const MAX_USERS: usize = 1_000;
/// Chats in the rules of one setting, at most. Source: TDLib 1.8.61, `td_api.tl`.
const MAX_CHATS: usize = 20;

/// Refuses more users or chats than Telegram takes.
pub(super) fn check_number(rules: &[Rule]) -> Result<(), Failure> {
    if users_of(rules).count() > MAX_USERS {
        return Err(Failure::invalid("too many users in rules"));
    }
    if chats_of(rules).count() > MAX_CHATS {
        return Err(Failure::invalid("too many chats in rules"));
    }
    Ok(())
}

fn users_of(rules: &[Rule]) -> impl Iterator<Item = i64> {
    let ids = rules.iter().map(|rule| match rule {
        Rule::AllowUsers(rule) => rule.user_ids.as_slice(),
        Rule::RestrictUsers(rule) => rule.user_ids.as_slice(),
        _ => &[],
    });
    ids.flatten().copied()
}

fn chats_of(rules: &[Rule]) -> impl Iterator<Item = i64> {
    let ids = rules.iter().map(|rule| match rule {
        Rule::AllowChatMembers(rule) => rule.chat_ids.as_slice(),
        Rule::RestrictChatMembers(rule) => rule.chat_ids.as_slice(),
        _ => &[],
    });
    ids.flatten().copied()
}

/// Refuses ids that TDLib would drop in silence: a restriction that is not there leaks.
pub(super) async fn check_known(ctx: &Context, rules: &[Rule]) -> Result<(), CommandError> {
    let mut seen = BTreeSet::new();
    let users: Vec<_> = users_of(rules).filter(|id| seen.insert(*id)).collect();
    for (id, user) in users.iter().zip(ctx.find_users(&users).await?) {
        if user.is_none() {
            return Err(CommandError::refused(format!("user {id} is unknown")));
        }
    }
    let mut seen = BTreeSet::new();
    let chats: Vec<_> = chats_of(rules).filter(|id| seen.insert(*id)).collect();
    let asked = join_all(chats.iter().map(|&chat_id| ctx.known(GetChat { chat_id })));
    for (id, chat) in chats.iter().zip(asked.await) {
        if !chat?.is_some_and(|chat| is_group(&chat)) {
            return Err(CommandError::refused(format!("chat {id} is not a known group")));
        }
    }
    Ok(())
}

/// TDLib drops channels from rules too.
fn is_group(chat: &ChatFields) -> bool {
    match chat.r#type.as_ref().and_then(TdVariant::known) {
        Some(ChatType::BasicGroup(_)) => true,
        Some(ChatType::Supergroup(group)) => !group.is_channel,
        Some(ChatType::Private(_) | ChatType::Secret(_)) | None => false,
    }
}
