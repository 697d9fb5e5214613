//! Privacy: rules per key, and the global settings.

use grammers_tl_types::{enums, functions, types};

use super::privacy_rules::{chats_of, describe, find, understand, users_of};
use super::{CallContext, MethodEntry, MethodHandler, RpcError, notify};
use crate::model::{AccountChange, GlobalPrivacy};

pub(super) const METHODS: &[MethodEntry] = &[
    MethodEntry::of::<functions::account::GetGlobalPrivacySettings>(),
    MethodEntry::of::<functions::account::GetPrivacy>(),
    MethodEntry::of::<functions::account::SetGlobalPrivacySettings>(),
    MethodEntry::of::<functions::account::SetPrivacy>(),
];

/// Maximum number of users in the rules of one key.
const MAX_USERS: usize = 1000;
/// Maximum number of groups in the rules of one key.
const MAX_CHATS: usize = 20;
/// Maximum price of a message in Telegram Stars.
pub(super) const MAX_MESSAGE_PRICE: i64 = 10_000;

impl MethodHandler for functions::account::GetPrivacy {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let key = find(&self.key)?;
        let rules = ctx.account()?.privacy.rules(key);
        describe(ctx, &rules)
    }
}

impl MethodHandler for functions::account::SetPrivacy {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let key = find(&self.key)?;
        let mut rules = Vec::new();
        for rule in &self.rules {
            rules.extend(understand(ctx, rule)?);
        }
        let users: usize = rules.iter().map(|rule| users_of(rule).len()).sum();
        let chats: usize = rules.iter().map(|rule| chats_of(rule).len()).sum();
        if MAX_USERS < users || MAX_CHATS < chats {
            return Err(RpcError::bad_request("PRIVACY_TOO_LONG"));
        }
        let privacy = &mut ctx.account()?.privacy;
        privacy.set(key, rules);
        let rules = privacy.rules(key);
        notify::record_change(ctx, AccountChange::Privacy(key))?;
        describe(ctx, &rules)
    }
}

impl MethodHandler for functions::account::GetGlobalPrivacySettings {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        Ok(global(ctx.account()?.global_privacy))
    }
}

impl MethodHandler for functions::account::SetGlobalPrivacySettings {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let enums::GlobalPrivacySettings::Settings(wanted) = self.settings;
        let price = wanted.noncontact_peers_paid_stars.unwrap_or(0);
        if !(0..=MAX_MESSAGE_PRICE).contains(&price) {
            return Err(RpcError::bad_request("STARS_AMOUNT_INVALID"));
        }
        let account = ctx.account()?;
        let restricts = wanted.new_noncontact_peers_require_premium || 0 < price;
        if restricts && !account.may_restrict_new_chats {
            return Err(RpcError {
                code: 403,
                ..RpcError::bad_request("PREMIUM_ACCOUNT_REQUIRED")
            });
        }
        account.global_privacy = GlobalPrivacy {
            archive_and_mute_new: wanted.archive_and_mute_new_noncontact_peers,
            keep_archived_unmuted: wanted.keep_archived_unmuted,
            keep_archived_folders: wanted.keep_archived_folders,
            hide_read_marks: wanted.hide_read_marks,
            new_chats_require_premium: wanted.new_noncontact_peers_require_premium,
            message_price: price,
            show_gift_button: wanted.display_gifts_button,
        };
        Ok(global(account.global_privacy))
    }
}

fn global(settings: GlobalPrivacy) -> enums::GlobalPrivacySettings {
    let price = settings.message_price;
    enums::GlobalPrivacySettings::Settings(types::GlobalPrivacySettings {
        archive_and_mute_new_noncontact_peers: settings.archive_and_mute_new,
        keep_archived_unmuted: settings.keep_archived_unmuted,
        keep_archived_folders: settings.keep_archived_folders,
        hide_read_marks: settings.hide_read_marks,
        new_noncontact_peers_require_premium: settings.new_chats_require_premium,
        display_gifts_button: settings.show_gift_button,
        noncontact_peers_paid_stars: (0 < price).then_some(price),
        disallowed_gifts: None,
    })
}
