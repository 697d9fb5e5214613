//! Global privacy settings: one object of Telegram's, three of TDLib's.

use futures_util::future::try_join3;
use schemars::JsonSchema;
use serde::Serialize;
use tdlib::answers::TdVariant;
use tdlib::enums::OptionValue;
use tdlib::methods::{
    GetApplicationConfig, GetArchiveChatListSettings, GetNewChatPrivacySettings, GetOption,
    GetReadDatePrivacySettings, SetArchiveChatListSettings, SetNewChatPrivacySettings,
    SetReadDatePrivacySettings,
};
use tdlib::types::{
    ArchiveChatListSettings, NewChatPrivacySettings, OptionValueInteger, ReadDatePrivacySettings,
};

use super::args::{BoundedInteger, arguments, out_of_range};
use super::command::{Access, AccountCommand, CommandEntry};
use super::context::{Context, Resource};
use super::error::CommandError;
use crate::config::WorkerConfig;
use crate::failure::Failure;

pub(super) const COMMANDS: &[CommandEntry] =
    &[CommandEntry::of::<GetGlobalPrivacy>(), CommandEntry::of::<SetGlobalPrivacy>()];

pub(super) const NEEDS_NEW_CHATS: &str =
    "incoming_paid_message_star_count needs allow_new_chats_from_unknown_users";

/// Who may start a chat, as far as a request says so.
#[derive(Clone, Copy)]
pub(super) struct NewChats {
    pub(super) allow: Option<bool>,
    pub(super) price: Option<i64>,
}

impl NewChats {
    /// What can be refused without asking.
    pub(super) fn check(self) -> Result<(), Failure> {
        if self.allow == Some(false) && self.price.is_some_and(|price| price > 0) {
            return Err(Failure::invalid(NEEDS_NEW_CHATS));
        }
        Ok(())
    }

    /// The whole object to be set: what is left out stays as it is.
    ///
    /// # Errors
    ///
    /// Refused where TDLib's options say that the account cannot have it.
    pub(super) async fn settle(
        self,
        ctx: &Context,
    ) -> Result<NewChatPrivacySettings, CommandError> {
        let mut settings = match self {
            Self { allow: Some(_), price: Some(_) } | Self { allow: Some(false), .. } => {
                NewChatPrivacySettings::default()
            }
            _ => ctx.ask(GetNewChatPrivacySettings).await?,
        };
        settings.allow_new_chats_from_unknown_users =
            self.allow.unwrap_or(settings.allow_new_chats_from_unknown_users);
        settings.incoming_paid_message_star_count =
            self.price.unwrap_or(settings.incoming_paid_message_star_count);
        let price = settings.incoming_paid_message_star_count;
        Self { allow: Some(settings.allow_new_chats_from_unknown_users), price: Some(price) }
            .check()?;
        let mut allowed = self.check_options(ctx, price).await?;
        // Right after a login TDLib has not heard yet what the account may have. An answer it was
        // waiting for may be to what it asked before the login; the next one is not.
        for _ in 0..2 {
            if allowed.is_err() {
                ctx.ask(GetApplicationConfig).await?;
                allowed = self.check_options(ctx, price).await?;
            }
        }
        allowed?;
        Ok(settings)
    }

    /// Whether TDLib's options allow it.
    async fn check_options(
        self,
        ctx: &Context,
        price: i64,
    ) -> Result<Result<(), Failure>, CommandError> {
        let allowed = is_on(ctx, "can_set_new_chat_privacy_settings").await?
            && (price == 0 || is_on(ctx, "can_enable_paid_messages").await?);
        if !allowed {
            return Ok(Err(Failure::invalid("not available to this account")));
        }
        let Some(price) = self.price.filter(|price| *price > 0) else { return Ok(Ok(())) };
        let maximum = ctx.ask(GetOption { name: "paid_message_star_count_max" }).await?;
        Ok(match maximum {
            TdVariant::Known(OptionValue::Integer(OptionValueInteger { value }))
                if value < price =>
            {
                let range = out_of_range("incoming_paid_message_star_count", 0, value);
                Err(Failure::invalid(range))
            }
            _ => Ok(()),
        })
    }
}

async fn is_on(ctx: &Context, option: &str) -> Result<bool, CommandError> {
    let value = ctx.ask(GetOption { name: option }).await?;
    Ok(matches!(value, TdVariant::Known(OptionValue::Boolean(option)) if option.value))
}

/// The account's global privacy settings.
#[derive(Serialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "TDLib's own fields")]
struct GlobalPrivacy {
    /// Whether new chats of users that are not contacts are archived and muted.
    archive_and_mute_new_chats_from_unknown_users: bool,
    /// Whether unmuted chats stay archived when a message arrives.
    keep_unmuted_chats_archived: bool,
    /// Whether unmuted chats of folders stay archived when a message arrives.
    keep_chats_from_folders_archived: bool,
    /// Whether others see when the account has read their messages.
    show_read_date: bool,
    /// Whether users that are not contacts may write first.
    allow_new_chats_from_unknown_users: bool,
    /// Price in Telegram Stars of each of their messages; 0 for none.
    incoming_paid_message_star_count: i64,
}

async fn read(ctx: &Context) -> Result<GlobalPrivacy, CommandError> {
    let (archive, read_date, new_chats) = try_join3(
        ctx.ask(GetArchiveChatListSettings),
        ctx.ask(GetReadDatePrivacySettings),
        ctx.ask(GetNewChatPrivacySettings),
    )
    .await?;
    Ok(GlobalPrivacy {
        archive_and_mute_new_chats_from_unknown_users: archive
            .archive_and_mute_new_chats_from_unknown_users,
        keep_unmuted_chats_archived: archive.keep_unmuted_chats_archived,
        keep_chats_from_folders_archived: archive.keep_chats_from_folders_archived,
        show_read_date: read_date.show_read_date,
        allow_new_chats_from_unknown_users: new_chats.allow_new_chats_from_unknown_users,
        incoming_paid_message_star_count: new_chats.incoming_paid_message_star_count,
    })
}

arguments! {
    /// Reads the global privacy settings. Source: TDLib 1.8.61, `getArchiveChatListSettings`,
    /// `getReadDatePrivacySettings`, `getNewChatPrivacySettings`.
    struct GetGlobalPrivacy {}
}

impl AccountCommand for GetGlobalPrivacy {
    const NAME: &'static str = "get_global_privacy_settings";
    const ACCESS: Access = Access::Read;
    const IDEMPOTENT: bool = true;
    type Reply = GlobalPrivacy;

    async fn run(self, ctx: &Context) -> Result<GlobalPrivacy, CommandError> {
        read(ctx).await
    }
}

arguments! {
    /// Changes some of the global privacy settings, at least one, and reads all back.
    /// Source: TDLib 1.8.61, `setArchiveChatListSettings`, `setReadDatePrivacySettings`,
    /// `setNewChatPrivacySettings`.
    struct SetGlobalPrivacy {
        /// Whether new chats of users that are not contacts are archived and muted.
        archive_and_mute_new_chats_from_unknown_users: Option<bool>,
        /// Whether unmuted chats stay archived when a message arrives.
        keep_unmuted_chats_archived: Option<bool>,
        /// Whether unmuted chats of folders stay archived when a message arrives.
        keep_chats_from_folders_archived: Option<bool>,
        /// Whether others see when the account has read their messages.
        show_read_date: Option<bool>,
        /// Whether users that are not contacts may write first.
        allow_new_chats_from_unknown_users: Option<bool>,
        /// Price in Telegram Stars of each of their messages; 0 for none.
        incoming_paid_message_star_count: Option<BoundedInteger<0, { i64::MAX }>>,
    }
}

impl SetGlobalPrivacy {
    const NOTHING: &'static str = "at least one of archive_and_mute_new_chats_from_unknown_users, \
        keep_unmuted_chats_archived, keep_chats_from_folders_archived, show_read_date, \
        allow_new_chats_from_unknown_users or incoming_paid_message_star_count is required";

    fn new_chats(&self) -> NewChats {
        let price = self.incoming_paid_message_star_count.map(|BoundedInteger(price)| price);
        NewChats { allow: self.allow_new_chats_from_unknown_users, price }
    }

    /// The fields of each of TDLib's objects that are there.
    fn given(&self) -> [Vec<&'static str>; 3] {
        let given = |fields: &[(&'static str, bool)]| {
            fields.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect()
        };
        [
            given(&[
                (
                    "archive_and_mute_new_chats_from_unknown_users",
                    self.archive_and_mute_new_chats_from_unknown_users.is_some(),
                ),
                ("keep_unmuted_chats_archived", self.keep_unmuted_chats_archived.is_some()),
                (
                    "keep_chats_from_folders_archived",
                    self.keep_chats_from_folders_archived.is_some(),
                ),
            ]),
            given(&[("show_read_date", self.show_read_date.is_some())]),
            given(&[
                (
                    "allow_new_chats_from_unknown_users",
                    self.allow_new_chats_from_unknown_users.is_some(),
                ),
                (
                    "incoming_paid_message_star_count",
                    self.incoming_paid_message_star_count.is_some(),
                ),
            ]),
        ]
    }

    /// The archive settings as they are, with what is to be changed.
    async fn archive(&self, ctx: &Context) -> Result<ArchiveChatListSettings, CommandError> {
        let mut settings = ctx.ask(GetArchiveChatListSettings).await?;
        let fields = [
            (
                &mut settings.archive_and_mute_new_chats_from_unknown_users,
                self.archive_and_mute_new_chats_from_unknown_users,
            ),
            (&mut settings.keep_unmuted_chats_archived, self.keep_unmuted_chats_archived),
            (&mut settings.keep_chats_from_folders_archived, self.keep_chats_from_folders_archived),
        ];
        for (field, wanted) in fields {
            *field = wanted.unwrap_or(*field);
        }
        Ok(settings)
    }

    /// Sets one object after another; everything is read and checked before the first is set.
    async fn apply(&self, ctx: &Context) -> Result<Vec<&'static str>, CommandError> {
        let [archive_fields, read_date_fields, new_chats_fields] = self.given();
        let archive = if archive_fields.is_empty() { None } else { Some(self.archive(ctx).await?) };
        let new_chats = if new_chats_fields.is_empty() {
            None
        } else {
            Some(self.new_chats().settle(ctx).await?)
        };
        let mut done = Vec::new();
        if let Some(settings) = archive {
            let set = ctx.change(SetArchiveChatListSettings { settings }).await;
            set.map_err(|error| error.after(&done))?;
            done.extend(archive_fields);
        }
        if let Some(show_read_date) = self.show_read_date {
            let settings = ReadDatePrivacySettings { show_read_date };
            let set = ctx.change(SetReadDatePrivacySettings { settings }).await;
            set.map_err(|error| error.after(&done))?;
            done.extend(read_date_fields);
        }
        if let Some(settings) = new_chats {
            let set = ctx.change(SetNewChatPrivacySettings { settings }).await;
            set.map_err(|error| error.after(&done))?;
            done.extend(new_chats_fields);
        }
        Ok(done)
    }
}

impl AccountCommand for SetGlobalPrivacy {
    const NAME: &'static str = "set_global_privacy_settings";
    const ACCESS: Access = Access::Write;
    const IDEMPOTENT: bool = true;
    const ERRORS: &'static [&'static str] = &[
        Self::NOTHING,
        NEEDS_NEW_CHATS,
        "incoming_paid_message_star_count must be between 0 and <the account's maximum>",
        "not available to this account",
    ];
    const EXAMPLE: &'static str = r#"{"show_read_date": false}"#;
    type Reply = GlobalPrivacy;

    fn check(&self, _config: &WorkerConfig) -> Result<(), Failure> {
        if self.given().iter().all(Vec::is_empty) {
            return Err(Failure::invalid(Self::NOTHING));
        }
        self.new_chats().check()
    }

    async fn run(self, ctx: &Context) -> Result<GlobalPrivacy, CommandError> {
        ctx.lock_resource(Resource::GlobalPrivacy).await?;
        let done = self.apply(ctx).await?;
        read(ctx).await.map_err(|error| error.after(&done))
    }
}
