//! Privacy settings: who may see or do what.

mod change;
mod members;
mod rules;

use std::borrow::Cow;
use std::collections::BTreeMap;

use futures_util::future::join_all;
use schemars::{JsonSchema, Schema, json_schema};
use serde::Serialize;
use serde_json::value::RawValue;
use tdlib::methods::{GetNewChatPrivacySettings, GetUserPrivacySettingRules};

use super::args::{ArgumentType, ScalarValue, arguments, type_name};
use super::command::{Access, AccountCommand, CommandEntry};
use super::context::Context;
use super::error::CommandError;
use crate::failure::Failure;
use crate::normalize::privacy::{PrivacySetting, PrivacyValue};

pub(super) const COMMANDS: &[CommandEntry] = &[
    CommandEntry::of::<GetOne>(),
    CommandEntry::of::<GetMany>(),
    CommandEntry::of::<change::SetPrivacy>(),
];

const UNSUPPORTED: &str = "unsupported privacy setting";

impl ArgumentType for PrivacySetting {
    fn parse(_name: &str, value: &RawValue) -> Result<Self, Failure> {
        let setting = type_name(value).and_then(|name| Self::named(&name));
        setting.ok_or_else(|| Failure::invalid(UNSUPPORTED))
    }

    fn schema() -> Schema {
        let names: Vec<_> = Self::all().flat_map(Self::names).collect();
        json_schema!({
            "anyOf": [
                {"enum": names},
                {
                    "type": "object",
                    "properties": {"@type": {"enum": names}},
                    "required": ["@type"],
                    "additionalProperties": false,
                },
            ],
        })
    }

    fn faults(_name: &str) -> Vec<String> {
        vec![UNSUPPORTED.to_owned()]
    }
}

async fn read(ctx: &Context, setting: PrivacySetting) -> Result<PrivacyValue, CommandError> {
    let Some(user) = setting.user() else {
        return Ok(PrivacyValue::new_chats(setting, &ctx.ask(GetNewChatPrivacySettings).await?));
    };
    let rules = ctx.privacy_rules(setting, GetUserPrivacySettingRules { setting: user }).await?;
    Ok(PrivacyValue::rules(setting, rules))
}

arguments! {
    /// Reads one privacy setting.
    /// Source: TDLib 1.8.61, `getUserPrivacySettingRules`, `getNewChatPrivacySettings`.
    struct GetOne {
        /// The setting: TDLib's name, the short key, the Telegram API's, or an object of TDLib's
        /// `@type`.
        setting: PrivacySetting,
    }
}

impl AccountCommand for GetOne {
    const NAME: &'static str = "get_privacy_setting";
    const ACCESS: Access = Access::Read;
    const IDEMPOTENT: bool = true;
    const EXAMPLE: &'static str = r#"{"setting": "show_status"}"#;
    type Reply = PrivacyValue;

    async fn run(self, ctx: &Context) -> Result<PrivacyValue, CommandError> {
        read(ctx, self.setting).await
    }
}

arguments! {
    /// Reads some privacy settings, or all.
    /// Source: TDLib 1.8.61, `getUserPrivacySettingRules`, `getNewChatPrivacySettings`.
    struct GetMany {
        /// The settings, each as in `get_privacy_setting`; absent means all.
        settings: RequestedSettings,
    }
}

/// The settings that were asked for, as they were sent; each once.
struct RequestedSettings(Vec<(String, Option<PrivacySetting>)>);

impl RequestedSettings {
    const FAULT: &'static str = "must be a list or string";

    fn add(&mut self, value: &RawValue) {
        let name = type_name(value);
        let setting = name.as_deref().and_then(PrivacySetting::named);
        // What is not a name is kept as it was sent.
        let sent = name.unwrap_or_else(|| value.get().chars().take(64).collect::<String>().into());
        let again = |(name, known): &(String, Option<PrivacySetting>)| match setting {
            Some(_) => *known == setting,
            None => *name == sent,
        };
        if !self.0.iter().any(again) {
            self.0.push((sent.into_owned(), setting));
        }
    }
}

impl ArgumentType for RequestedSettings {
    const REQUIRED: bool = false;

    fn parse(name: &str, value: &RawValue) -> Result<Self, Failure> {
        let mut wanted = Self(Vec::new());
        if <String as ScalarValue>::parse(value).is_some() {
            wanted.add(value);
        } else {
            let list: Vec<&RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
            for item in list {
                wanted.add(item);
            }
        }
        if wanted.0.is_empty() {
            return Err(Failure::invalid(format!("{name} {}", Self::FAULT)));
        }
        Ok(wanted)
    }

    fn absent(_name: &str) -> Result<Self, Failure> {
        let all = PrivacySetting::all().map(|setting| (setting.tdlib().to_owned(), Some(setting)));
        Ok(Self(all.collect()))
    }

    fn schema() -> Schema {
        let item = <PrivacySetting as ArgumentType>::schema();
        json_schema!({
            "anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": item}],
        })
    }

    fn faults(name: &str) -> Vec<String> {
        vec![format!("{name} {}", Self::FAULT)]
    }
}

/// Result of `get_privacy_settings`.
#[derive(Serialize, JsonSchema)]
struct PrivacyValues {
    /// Those that could be read, in the request's order.
    settings: Vec<PrivacyValue>,
    /// How many were asked for, each counted once.
    requested: usize,
    /// How many of them could not be read.
    failed: usize,
    /// Why, by setting as sent.
    errors: BTreeMap<String, Cow<'static, str>>,
}

impl AccountCommand for GetMany {
    const NAME: &'static str = "get_privacy_settings";
    const ACCESS: Access = Access::Read;
    const IDEMPOTENT: bool = true;
    const ERRORS: &'static [&'static str] = &["failed to get privacy settings"];
    const EXAMPLE: &'static str = r#"{"settings": ["show_status", "allow_calls"]}"#;
    type Reply = PrivacyValues;

    fn calls(&self) -> u32 {
        u32::try_from(self.settings.0.len()).unwrap_or(u32::MAX)
    }

    async fn run(self, ctx: &Context) -> Result<PrivacyValues, CommandError> {
        let RequestedSettings(wanted) = self.settings;
        let requested = wanted.len();
        let read = join_all(wanted.iter().map(async |(_, setting)| match setting {
            Some(setting) => read(ctx, *setting).await,
            None => Err(CommandError::refused(UNSUPPORTED)),
        }));
        let (mut settings, mut failures) = (Vec::new(), Vec::new());
        let read = read.await;
        for ((sent, _), result) in wanted.into_iter().zip(read) {
            match result {
                Ok(privacy) => settings.push(privacy),
                Err(CommandError::Closed) => return Err(CommandError::Closed),
                Err(error) => failures.push((sent, error.into_failure(false))),
            }
        }
        if settings.is_empty() {
            return Err(all_failed(failures).into());
        }
        let failed = failures.len();
        Ok(PrivacyValues { settings, requested, failed, errors: texts(failures) })
    }
}

fn texts(failures: Vec<(String, Failure)>) -> BTreeMap<String, Cow<'static, str>> {
    failures.into_iter().map(|(sent, failure)| (sent, failure.error)).collect()
}

/// The failure of all, of the kind of the first that TDLib refused.
fn all_failed(failures: Vec<(String, Failure)>) -> Failure {
    let of_tdlib = failures.iter().find(|(_, failure)| failure.info.tdlib_code.is_some());
    let info = of_tdlib.or_else(|| failures.first()).map(|(_, failure)| failure.info.clone());
    let mut all = Failure::invalid("failed to get privacy settings");
    all.info = info.unwrap_or(all.info);
    let errors = texts(failures).into_iter().map(|(sent, text)| (sent, text.into()));
    all.with_detail("errors", serde_json::Value::Object(errors.collect()))
}
