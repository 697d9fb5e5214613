//! TDLib's updates: their class, and the event of each.

mod dropped_updates;
mod initial_reads;

use contracts::{AccountId, Body, Event, EventMeta};
use jiff::Timestamp;
use schemars::Schema;
use tdlib::Update;
use tdlib::answers::PrivacyRules;

use crate::normalize::privacy::{PrivacySetting, PrivacyValue};
use crate::normalize::updates::{PRIVACY_RULES, privacy_rules, reshape, schemas};

pub(crate) use dropped_updates::DroppedUpdates;
pub(crate) use initial_reads::InitialReads;

/// What happens to an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpdateClass {
    /// Goes into the log; never dropped.
    Durable,
    /// Soon stale (typing, online status); dropped while the log is down or far behind.
    Transient,
    /// A client's own bookkeeping, or covered by an event of tdfleet; not published.
    Internal,
}

/// Updates that mean nothing to a backend: TDLib's options, and what an app needs to draw its UI.
const INTERNAL: &[&str] = &[
    "updateAccentColors",
    "updateActiveEmojiReactions",
    "updateAnimatedEmojiMessageClicked",
    "updateAnimationSearchParameters",
    "updateApplicationRecaptchaVerificationRequired",
    "updateApplicationVerificationRequired",
    "updateAttachmentMenuBots",
    "updateAuthorizationState",
    "updateAvailableMessageEffects",
    "updateChatThemes",
    "updateDefaultBackground",
    "updateDefaultPaidReactionType",
    "updateDefaultReactionType",
    "updateDiceEmojis",
    "updateEmojiChatThemes",
    "updateFavoriteStickers",
    "updateFileAddedToDownloads",
    "updateFileDownload",
    "updateFileDownloads",
    "updateFileRemovedFromDownloads",
    "updateHavePendingNotifications",
    "updateInstalledStickerSets",
    "updateLanguagePackStrings",
    "updateNotification",
    "updateNotificationGroup",
    "updateActiveNotifications",
    "updateOption",
    "updateProfileAccentColors",
    "updateReactionNotificationSettings",
    "updateRecentStickers",
    "updateSavedAnimations",
    "updateSavedNotificationSounds",
    "updateSpeechRecognitionTrial",
    "updateStickerSet",
    "updateSuggestedActions",
    "updateTermsOfService",
    "updateTrendingStickerSets",
];

/// Updates that are stale within seconds.
const TRANSIENT: &[&str] =
    &["updateChatAction", "updateChatOnlineMemberCount", "updateFile", "updateUserStatus"];

/// The class of a TDLib update by its type; an unknown type is durable.
pub(crate) fn class_of(kind: &str) -> UpdateClass {
    if INTERNAL.contains(&kind) {
        UpdateClass::Internal
    } else if TRANSIENT.contains(&kind) {
        UpdateClass::Transient
    } else {
        UpdateClass::Durable
    }
}

/// The event of an update: TDLib's object unchanged, or shaped like the results of the commands it
/// belongs to.
///
/// TDLib is trusted to have written JSON; an unchanged object is neither parsed nor copied.
pub fn event_of(account: AccountId, update: Update, at: Timestamp) -> Event {
    let kind = update.kind().to_owned().into();
    let result = reshape(update.kind(), update.json()).unwrap_or_else(|| update.into_json());
    Event { account, kind, body: Body::Result(result.into_boxed_str()), meta: EventMeta::at(at) }
}

/// The event of privacy rules for which TDLib sends no update.
pub(crate) fn privacy_event(
    account: AccountId,
    setting: PrivacySetting,
    rules: PrivacyRules,
    at: Timestamp,
) -> Event {
    let result = serde_json::to_string(&PrivacyValue::rules(setting, rules)).unwrap_or_default();
    let body = Body::Result(result.into_boxed_str());
    Event { account, kind: PRIVACY_RULES.into(), body, meta: EventMeta::at(at) }
}

/// [`event_of`], unless the update only reports what has been read for the first time.
pub(crate) fn changed_event(
    account: AccountId,
    update: Update,
    at: Timestamp,
    initial_reads: &InitialReads,
) -> Option<Event> {
    let rules = Some(update.json()).filter(|_| update.kind() == PRIVACY_RULES);
    let rules = rules.and_then(privacy_rules);
    let event = event_of(account, update, at);
    match rules {
        Some((setting, rules)) => initial_reads.filter(setting, rules, event),
        None => Some(event),
    }
}

/// JSON Schema of the `result` of each update that is reshaped, by TDLib's name.
pub(crate) fn update_schemas() -> impl Iterator<Item = (&'static str, Schema)> {
    schemas()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unclassified_updates_are_durable() {
        assert_eq!(class_of("updateNewMessage"), UpdateClass::Durable);
        assert_eq!(class_of("updateFromTheFuture"), UpdateClass::Durable);
        assert_eq!(class_of("updateChatAction"), UpdateClass::Transient);
        assert_eq!(class_of("updateOption"), UpdateClass::Internal);
    }
}
