//! From TDLib's updates to events.

use contracts::{AccountId, Body, Event, EventMeta};
use jiff::Timestamp;
use tdlib::Update;

/// What becomes of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Goes into the log; never dropped.
    Durable,
    /// True for a moment only (typing, online status); dropped while the log is away.
    Passing,
    /// A client's own bookkeeping, or told by an event of ours; not published.
    Internal,
}

/// Updates that mean nothing to a backend: TDLib's options, and what an app needs to draw itself.
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
const PASSING: &[&str] =
    &["updateChatAction", "updateChatOnlineMemberCount", "updateFile", "updateUserStatus"];

/// The class of a TDLib update by its type; one that this build does not know is durable.
pub fn class_of(kind: &str) -> Class {
    if INTERNAL.contains(&kind) {
        Class::Internal
    } else if PASSING.contains(&kind) {
        Class::Passing
    } else {
        Class::Durable
    }
}

/// The event of an update: TDLib's object, as it came, is the result.
///
/// TDLib is trusted to have written JSON; nothing is parsed or copied here.
pub fn event_of(account: AccountId, update: Update, at: Timestamp) -> Event {
    Event {
        account,
        kind: update.kind().to_owned().into(),
        body: Body::Result(update.into_json().into_boxed_str()),
        meta: EventMeta::at(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_classed_is_kept() {
        assert_eq!(class_of("updateNewMessage"), Class::Durable);
        assert_eq!(class_of("updateFromTheFuture"), Class::Durable);
        assert_eq!(class_of("updateChatAction"), Class::Passing);
        assert_eq!(class_of("updateOption"), Class::Internal);
    }
}
