//! Methods that clients call once their user is online (TDLib's option `online`); the answers are
//! valid but empty.

use grammers_tl_types::{enums, functions, types};

use super::{CallContext, MethodEntry, MethodHandler, RpcError};

/// Implements methods with a constant answer, and their table.
macro_rules! constant {
    ($($method:ty => $answer:expr,)+) => {
        pub(super) const METHODS: &[MethodEntry] = &[
            MethodEntry::of::<functions::payments::GetStarsTransactions>(),
            $(MethodEntry::of::<$method>()),+
        ];
        $(impl MethodHandler for $method {
            fn handle(self, _: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
                Ok($answer)
            }
        })+
    };
}

constant! {
    functions::account::GetAutoSaveSettings => auto_save(),
    functions::account::GetChannelDefaultEmojiStatuses => emoji_statuses(),
    functions::account::GetChannelRestrictedStatusEmojis => emojis(),
    functions::account::GetCollectibleEmojiStatuses => emoji_statuses(),
    functions::account::GetDefaultBackgroundEmojis => emojis(),
    functions::account::GetDefaultEmojiStatuses => emoji_statuses(),
    functions::account::GetDefaultGroupPhotoEmojis => emojis(),
    functions::account::GetDefaultProfilePhotoEmojis => emojis(),
    functions::account::GetRecentEmojiStatuses => emoji_statuses(),
    functions::account::GetSavedRingtones => enums::account::SavedRingtones::Ringtones(
        types::account::SavedRingtones { hash: 0, ringtones: Vec::new() },
    ),
    functions::channels::GetAdminedPublicChannels => enums::messages::Chats::Chats(
        types::messages::Chats { chats: Vec::new() },
    ),
    functions::help::GetTimezonesList => enums::help::TimezonesList::List(
        types::help::TimezonesList { timezones: Vec::new(), hash: 0 },
    ),
    functions::messages::GetAllStickers => stickers(),
    functions::messages::GetDefaultTagReactions => reactions(),
    functions::messages::GetEmojiStickers => stickers(),
    functions::messages::GetFavedStickers => enums::messages::FavedStickers::Stickers(
        types::messages::FavedStickers { hash: 0, packs: Vec::new(), stickers: Vec::new() },
    ),
    functions::messages::GetFeaturedEmojiStickers => featured_stickers(),
    functions::messages::GetFeaturedStickers => featured_stickers(),
    functions::messages::GetMaskStickers => stickers(),
    functions::messages::GetPaidReactionPrivacy => nothing_new(),
    functions::messages::GetQuickReplies => quick_replies(),
    functions::messages::GetRecentReactions => reactions(),
    functions::messages::GetRecentStickers => recent_stickers(),
    functions::messages::GetSavedGifs => enums::messages::SavedGifs::Gifs(
        types::messages::SavedGifs { hash: 0, gifs: Vec::new() },
    ),
    functions::messages::GetTopReactions => reactions(),
    functions::stories::GetAllReadPeerStories => nothing_new(),
    functions::stories::GetAllStories => stories(),
}

fn emojis() -> enums::EmojiList {
    enums::EmojiList::List(types::EmojiList { hash: 0, document_id: Vec::new() })
}

fn emoji_statuses() -> enums::account::EmojiStatuses {
    let none = types::account::EmojiStatuses { hash: 0, statuses: Vec::new() };
    enums::account::EmojiStatuses::Statuses(none)
}

fn reactions() -> enums::messages::Reactions {
    let none = types::messages::Reactions { hash: 0, reactions: Vec::new() };
    enums::messages::Reactions::Reactions(none)
}

fn stickers() -> enums::messages::AllStickers {
    let none = types::messages::AllStickers { hash: 0, sets: Vec::new() };
    enums::messages::AllStickers::Stickers(none)
}

fn featured_stickers() -> enums::messages::FeaturedStickers {
    enums::messages::FeaturedStickers::Stickers(types::messages::FeaturedStickers {
        premium: false,
        hash: 0,
        count: 0,
        sets: Vec::new(),
        unread: Vec::new(),
    })
}

fn recent_stickers() -> enums::messages::RecentStickers {
    enums::messages::RecentStickers::Stickers(types::messages::RecentStickers {
        hash: 0,
        packs: Vec::new(),
        stickers: Vec::new(),
        dates: Vec::new(),
    })
}

fn quick_replies() -> enums::messages::QuickReplies {
    enums::messages::QuickReplies::Replies(types::messages::QuickReplies {
        quick_replies: Vec::new(),
        messages: Vec::new(),
        chats: Vec::new(),
        users: Vec::new(),
    })
}

fn nothing_new() -> enums::Updates {
    enums::Updates::Updates(types::Updates {
        updates: Vec::new(),
        users: Vec::new(),
        chats: Vec::new(),
        date: 0,
        seq: 0,
    })
}

fn auto_save() -> enums::account::AutoSaveSettings {
    let usual = || {
        enums::AutoSaveSettings::Settings(types::AutoSaveSettings {
            photos: false,
            videos: false,
            video_max_size: None,
        })
    };
    enums::account::AutoSaveSettings::Settings(types::account::AutoSaveSettings {
        users_settings: usual(),
        chats_settings: usual(),
        broadcasts_settings: usual(),
        exceptions: Vec::new(),
        chats: Vec::new(),
        users: Vec::new(),
    })
}

impl MethodHandler for functions::payments::GetStarsTransactions {
    fn handle(self, _: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let balance = if self.ton {
            enums::StarsAmount::StarsTonAmount(types::StarsTonAmount { amount: 0 })
        } else {
            enums::StarsAmount::Amount(types::StarsAmount { amount: 0, nanos: 0 })
        };
        Ok(enums::payments::StarsStatus::Status(types::payments::StarsStatus {
            balance,
            subscriptions: None,
            subscriptions_next_offset: None,
            subscriptions_missing_balance: None,
            history: None,
            next_offset: None,
            chats: Vec::new(),
            users: Vec::new(),
        }))
    }
}

fn stories() -> enums::stories::AllStories {
    let stealth = types::StoriesStealthMode { active_until_date: None, cooldown_until_date: None };
    enums::stories::AllStories::Stories(types::stories::AllStories {
        has_more: false,
        count: 0,
        // Clients treat an empty state as an error.
        state: "1".to_owned(),
        peer_stories: Vec::new(),
        chats: Vec::new(),
        users: Vec::new(),
        stealth_mode: enums::StoriesStealthMode::Mode(stealth),
    })
}
