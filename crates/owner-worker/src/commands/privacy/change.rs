use schemars::{Schema, json_schema};
use serde_json::value::RawValue;
use tdlib::answers::PrivacyRules;
use tdlib::enums::{UserPrivacySetting, UserPrivacySettingRule as Rule};
use tdlib::methods::{
    GetNewChatPrivacySettings, GetUserPrivacySettingRules, SetNewChatPrivacySettings,
    SetUserPrivacySettingRules,
};

use super::super::args::{ArgumentType, BoundedInteger, IdList, ScalarValue, arguments};
use super::super::command::{Access, AccountCommand};
use super::super::context::{Context, Resource};
use super::super::error::CommandError;
use super::super::global_privacy::{NEEDS_NEW_CHATS, NewChats};
use super::members::{check_known, check_number};
use super::rules::RuleList;
use crate::config::WorkerConfig;
use crate::failure::Failure;
use crate::normalize::privacy::{
    PrivacyMode, PrivacySetting, PrivacyValue, RuleConflict, RulesSummary,
};

const MODES: &str = "mode must be one of: all, contacts, nobody";

impl ArgumentType for PrivacyMode {
    fn parse(_name: &str, value: &RawValue) -> Result<Self, Failure> {
        let mode = <String as ScalarValue>::parse(value).and_then(|name| Self::named(&name));
        mode.ok_or_else(|| Failure::invalid(MODES))
    }

    fn schema() -> Schema {
        json_schema!({"enum": ["all", "contacts", "nobody"]})
    }

    fn faults(_name: &str) -> Vec<String> {
        vec![MODES.to_owned()]
    }
}

type AnyIds = IdList<0, { usize::MAX }>;

arguments! {
    /// Changes a privacy setting, and reads it back.
    ///
    /// In one of three forms: `mode` with its exceptions, `rules`, or, for `newChatPrivacySettings`,
    /// who may write first.
    /// Source: TDLib 1.8.61, `setUserPrivacySettingRules`, `setNewChatPrivacySettings`.
    pub(super) struct SetPrivacy {
        /// The setting, as in `get_privacy_setting`.
        setting: PrivacySetting,
        /// Who is allowed but for the exceptions: `all`, `contacts` or `nobody`.
        mode: Option<PrivacyMode>,
        /// Users that are always allowed.
        allow_user_ids: Option<AnyIds>,
        /// Users that are never allowed.
        restrict_user_ids: Option<AnyIds>,
        /// Groups whose members are allowed.
        allow_chat_ids: Option<AnyIds>,
        /// Groups whose members are not allowed.
        restrict_chat_ids: Option<AnyIds>,
        /// Whether users with Telegram Premium are allowed. Default: false.
        allow_premium_users: Option<bool>,
        /// Whether bots are allowed. Default: false.
        allow_bots: Option<bool>,
        /// Whether bots are not allowed. Default: false.
        restrict_bots: Option<bool>,
        /// Whether contacts are not allowed. Default: false.
        restrict_contacts: Option<bool>,
        /// TDLib's rules, in order; `[]` allows nobody.
        rules: Option<RuleList>,
        /// Whether users that are not contacts may write first.
        allow_new_chats_from_unknown_users: Option<bool>,
        /// Price in Telegram Stars of each of their messages; unchanged if absent.
        incoming_paid_message_star_count: Option<BoundedInteger<0, { i64::MAX }>>,
    }
}

/// The forms of the request, by the name they have in an error string.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RequestForm {
    Mode,
    Rules,
    NewChats,
}

impl RequestForm {
    fn as_str(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::Rules => "rules",
            Self::NewChats => "newChatPrivacySettings",
        }
    }
}

/// What is to be set.
enum PrivacyChange {
    Rules(UserPrivacySetting, Vec<Rule>),
    NewChats(NewChats),
}

impl SetPrivacy {
    /// The rules across fields: one form, and what it comes to.
    fn change(&self) -> Result<PrivacyChange, Failure> {
        let form = match (self.setting.user(), &self.mode, &self.rules) {
            (None, ..) => RequestForm::NewChats,
            (Some(_), Some(_), _) => RequestForm::Mode,
            (Some(_), None, Some(_)) => RequestForm::Rules,
            (Some(_), None, None) => return Err(Failure::invalid(MODES)),
        };
        if let Some((field, _)) = self.given().find(|(_, of)| *of != form) {
            let form = form.as_str();
            return Err(Failure::invalid(format!("{field} can't be combined with {form}")));
        }
        let Some(user) = self.setting.user() else {
            return self.new_chats().map(PrivacyChange::NewChats);
        };
        let rules = match &self.rules {
            Some(RuleList(rules)) => rules.clone(),
            None => self.summary().rules().map_err(conflict)?,
        };
        check_number(&rules)?;
        Ok(PrivacyChange::Rules(user, rules))
    }

    /// The fields beside `setting` that are there, in the contract's order, and whose form they are.
    fn given(&self) -> impl Iterator<Item = (&'static str, RequestForm)> {
        let fields = [
            ("mode", RequestForm::Mode, self.mode.is_some()),
            ("allow_user_ids", RequestForm::Mode, self.allow_user_ids.is_some()),
            ("restrict_user_ids", RequestForm::Mode, self.restrict_user_ids.is_some()),
            ("allow_chat_ids", RequestForm::Mode, self.allow_chat_ids.is_some()),
            ("restrict_chat_ids", RequestForm::Mode, self.restrict_chat_ids.is_some()),
            ("allow_premium_users", RequestForm::Mode, self.allow_premium_users.is_some()),
            ("allow_bots", RequestForm::Mode, self.allow_bots.is_some()),
            ("restrict_bots", RequestForm::Mode, self.restrict_bots.is_some()),
            ("restrict_contacts", RequestForm::Mode, self.restrict_contacts.is_some()),
            ("rules", RequestForm::Rules, self.rules.is_some()),
            (
                "allow_new_chats_from_unknown_users",
                RequestForm::NewChats,
                self.allow_new_chats_from_unknown_users.is_some(),
            ),
            (
                "incoming_paid_message_star_count",
                RequestForm::NewChats,
                self.incoming_paid_message_star_count.is_some(),
            ),
        ];
        fields.into_iter().filter(|(.., given)| *given).map(|(field, form, _)| (field, form))
    }

    fn summary(&self) -> RulesSummary {
        let ids = |ids: &Option<AnyIds>| ids.as_ref().map(|IdList(ids)| ids.clone());
        RulesSummary {
            mode: self.mode.unwrap_or_default(),
            allow_user_ids: ids(&self.allow_user_ids).unwrap_or_default(),
            restrict_user_ids: ids(&self.restrict_user_ids).unwrap_or_default(),
            allow_chat_ids: ids(&self.allow_chat_ids).unwrap_or_default(),
            restrict_chat_ids: ids(&self.restrict_chat_ids).unwrap_or_default(),
            allow_premium_users: self.allow_premium_users.unwrap_or_default(),
            allow_bots: self.allow_bots.unwrap_or_default(),
            restrict_bots: self.restrict_bots.unwrap_or_default(),
            restrict_contacts: self.restrict_contacts.unwrap_or_default(),
            canonical: true,
        }
    }

    fn new_chats(&self) -> Result<NewChats, Failure> {
        let allow = self.allow_new_chats_from_unknown_users;
        let missing = || Failure::invalid("allow_new_chats_from_unknown_users is required");
        let price = self.incoming_paid_message_star_count.map(|BoundedInteger(price)| price);
        let new_chats = NewChats { allow: Some(allow.ok_or_else(missing)?), price };
        new_chats.check()?;
        Ok(new_chats)
    }
}

fn conflict(conflict: RuleConflict) -> Failure {
    Failure::invalid(match conflict {
        RuleConflict::User(id) => format!("user {id} is both allowed and restricted"),
        RuleConflict::Chat(id) => format!("chat {id} is both allowed and restricted"),
    })
}

async fn set_rules(
    ctx: &Context,
    setting: PrivacySetting,
    user: UserPrivacySetting,
    rules: Vec<Rule>,
) -> Result<PrivacyValue, CommandError> {
    ctx.lock_resource(Resource::Privacy(setting)).await?;
    check_known(ctx, &rules).await?;
    let rules = PrivacyRules::new(rules);
    let read = GetUserPrivacySettingRules { setting: user.clone() };
    ctx.set_privacy_rules(setting, SetUserPrivacySettingRules { setting: user, rules }).await?;
    let set = ctx.privacy_rules(setting, read).await;
    let set = set.map_err(|error| error.after(&["rules"]))?;
    ctx.publish_privacy_rules(setting, &set);
    Ok(PrivacyValue::rules(setting, set))
}

impl AccountCommand for SetPrivacy {
    const NAME: &'static str = "set_privacy_setting";
    const ACCESS: Access = Access::Write;
    const IDEMPOTENT: bool = true;
    const ERRORS: &'static [&'static str] = &[
        "<field> can't be combined with <mode|rules|newChatPrivacySettings>",
        "user <id> is both allowed and restricted",
        "chat <id> is both allowed and restricted",
        "too many users in rules",
        "too many chats in rules",
        "user <id> is unknown",
        "chat <id> is not a known group",
        "allow_new_chats_from_unknown_users is required",
        NEEDS_NEW_CHATS,
        "incoming_paid_message_star_count must be between 0 and <the account's maximum>",
        "not available to this account",
    ];
    const EXAMPLE: &'static str =
        r#"{"setting": "show_status", "mode": "contacts", "restrict_user_ids": [123456789]}"#;
    type Reply = PrivacyValue;

    fn check(&self, _config: &WorkerConfig) -> Result<(), Failure> {
        self.change().map(drop)
    }

    async fn run(self, ctx: &Context) -> Result<PrivacyValue, CommandError> {
        match self.change()? {
            PrivacyChange::Rules(user, rules) => set_rules(ctx, self.setting, user, rules).await,
            PrivacyChange::NewChats(wanted) => {
                let fields: Vec<_> = self.given().map(|(field, _)| field).collect();
                ctx.lock_resource(Resource::GlobalPrivacy).await?;
                let settings = wanted.settle(ctx).await?;
                ctx.change(SetNewChatPrivacySettings { settings }).await?;
                let set = ctx.ask(GetNewChatPrivacySettings).await;
                let set = set.map_err(|error| error.after(&fields))?;
                Ok(PrivacyValue::new_chats(self.setting, &set))
            }
        }
    }
}
