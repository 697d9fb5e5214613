//! Methods that clients call right after a login; the answers are valid but empty.

use grammers_tl_types::{enums, functions, types};

use super::{CallContext, MethodEntry, MethodHandler, RpcError, defaults};
use crate::model::access_hash;

pub(super) const METHODS: &[MethodEntry] = &[
    MethodEntry::of::<functions::account::GetChatThemes>(),
    MethodEntry::of::<functions::account::GetContentSettings>(),
    MethodEntry::of::<functions::account::GetNotifySettings>(),
    MethodEntry::of::<functions::account::GetReactionsNotifySettings>(),
    MethodEntry::of::<functions::account::GetSavedMusicIds>(),
    MethodEntry::of::<functions::account::UpdateStatus>(),
    MethodEntry::of::<functions::help::GetPeerColors>(),
    MethodEntry::of::<functions::help::GetPeerProfileColors>(),
    MethodEntry::of::<functions::help::GetPromoData>(),
    MethodEntry::of::<functions::help::GetTermsOfServiceUpdate>(),
    MethodEntry::of::<functions::messages::GetAttachMenuBots>(),
    MethodEntry::of::<functions::messages::GetAvailableEffects>(),
    MethodEntry::of::<functions::messages::GetAvailableReactions>(),
    MethodEntry::of::<functions::messages::GetDialogFilters>(),
    MethodEntry::of::<functions::messages::GetStickerSet>(),
];

/// Seconds until a client asks again after an empty answer.
const NOTHING_LIFE: i32 = 86_400;

impl MethodHandler for functions::account::GetNotifySettings {
    fn handle(self, _: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        Ok(defaults::notify_settings())
    }
}

impl MethodHandler for functions::account::GetReactionsNotifySettings {
    fn handle(self, _: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        Ok(enums::ReactionsNotifySettings::Settings(types::ReactionsNotifySettings {
            messages_notify_from: None,
            stories_notify_from: None,
            sound: enums::NotificationSound::Default,
            show_previews: true,
        }))
    }
}

impl MethodHandler for functions::account::GetChatThemes {
    fn handle(self, _: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let none = types::account::Themes { hash: 0, themes: Vec::new() };
        Ok(enums::account::Themes::Themes(none))
    }
}

impl MethodHandler for functions::account::GetContentSettings {
    fn handle(self, _: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        Ok(enums::account::ContentSettings::Settings(types::account::ContentSettings {
            sensitive_enabled: false,
            sensitive_can_change: false,
        }))
    }
}

impl MethodHandler for functions::account::GetSavedMusicIds {
    fn handle(self, _: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let none = types::account::SavedMusicIds { ids: Vec::new() };
        Ok(enums::account::SavedMusicIds::Ids(none))
    }
}

impl MethodHandler for functions::account::UpdateStatus {
    fn handle(self, _: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        Ok(true)
    }
}

impl MethodHandler for functions::help::GetPeerColors {
    fn handle(self, _: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        Ok(no_colors())
    }
}

impl MethodHandler for functions::help::GetPeerProfileColors {
    fn handle(self, _: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        Ok(no_colors())
    }
}

fn no_colors() -> enums::help::PeerColors {
    enums::help::PeerColors::Colors(types::help::PeerColors { hash: 0, colors: Vec::new() })
}

impl MethodHandler for functions::help::GetPromoData {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let expires = ctx.now.saturating_add(NOTHING_LIFE);
        Ok(enums::help::PromoData::Empty(types::help::PromoDataEmpty { expires }))
    }
}

impl MethodHandler for functions::help::GetTermsOfServiceUpdate {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let expires = ctx.now.saturating_add(NOTHING_LIFE);
        let none = types::help::TermsOfServiceUpdateEmpty { expires };
        Ok(enums::help::TermsOfServiceUpdate::Empty(none))
    }
}

impl MethodHandler for functions::messages::GetAttachMenuBots {
    fn handle(self, _: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let none = types::AttachMenuBots { hash: 0, bots: Vec::new(), users: Vec::new() };
        Ok(enums::AttachMenuBots::Bots(none))
    }
}

impl MethodHandler for functions::messages::GetAvailableEffects {
    fn handle(self, _: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        Ok(enums::messages::AvailableEffects::Effects(types::messages::AvailableEffects {
            hash: 0,
            effects: Vec::new(),
            documents: Vec::new(),
        }))
    }
}

impl MethodHandler for functions::messages::GetAvailableReactions {
    fn handle(self, _: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let none = types::messages::AvailableReactions { hash: 0, reactions: Vec::new() };
        Ok(enums::messages::AvailableReactions::Reactions(none))
    }
}

impl MethodHandler for functions::messages::GetDialogFilters {
    fn handle(self, _: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        // Clients treat a list without the main chat list as an error.
        let filters = vec![enums::DialogFilter::Default];
        let filters = types::messages::DialogFilters { tags_enabled: false, filters };
        Ok(enums::messages::DialogFilters::Filters(filters))
    }
}

impl MethodHandler for functions::messages::GetStickerSet {
    /// The sets that clients use internally exist and are empty; there are no others.
    fn handle(self, _: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        use enums::InputStickerSet as Input;
        let (id, name, emojis) = match self.stickerset {
            Input::AnimatedEmoji => (1, "AnimatedEmojies".to_owned(), false),
            Input::AnimatedEmojiAnimations => (2, "EmojiAnimations".to_owned(), false),
            Input::EmojiGenericAnimations => (3, "EmojiGenericAnimations".to_owned(), false),
            Input::PremiumGifts => (4, "GiftsPremium".to_owned(), false),
            Input::TonGifts => (5, "GiftsTon".to_owned(), false),
            Input::EmojiDefaultStatuses => (6, "StatusEmoji".to_owned(), true),
            Input::EmojiChannelDefaultStatuses => (7, "ChannelStatusEmoji".to_owned(), true),
            Input::EmojiDefaultTopicIcons => (8, "Topics".to_owned(), true),
            Input::Dice(dice) => {
                let sum: i64 = dice.emoticon.chars().map(|c| i64::from(u32::from(c))).sum();
                (1_000 + sum, format!("Dice{sum}"), false)
            }
            Input::Empty | Input::Id(_) | Input::ShortName(_) => {
                return Err(RpcError::bad_request("STICKERSET_INVALID"));
            }
        };
        Ok(enums::messages::StickerSet::Set(types::messages::StickerSet {
            set: enums::StickerSet::Set(sticker_set(id, name, emojis)),
            packs: Vec::new(),
            keywords: Vec::new(),
            documents: Vec::new(),
        }))
    }
}

fn sticker_set(id: i64, short_name: String, emojis: bool) -> types::StickerSet {
    types::StickerSet {
        archived: false,
        official: true,
        masks: false,
        emojis,
        text_color: false,
        channel_emoji_status: false,
        creator: false,
        installed_date: None,
        id,
        access_hash: access_hash(id),
        title: short_name.clone(),
        short_name,
        thumbs: None,
        thumb_dc_id: None,
        thumb_version: None,
        thumb_document_id: None,
        count: 0,
        hash: 0,
    }
}
