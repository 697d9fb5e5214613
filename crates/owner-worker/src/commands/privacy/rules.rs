use schemars::{Schema, json_schema};
use serde_json::value::RawValue;
use tdlib::enums::UserPrivacySettingRule as Rule;
use tdlib::types::{
    UserPrivacySettingRuleAllowChatMembers as AllowChatMembers,
    UserPrivacySettingRuleAllowUsers as AllowUsers,
    UserPrivacySettingRuleRestrictChatMembers as RestrictChatMembers,
    UserPrivacySettingRuleRestrictUsers as RestrictUsers,
};

use super::super::args::{ArgumentType, IdList, JsonObject};
use crate::failure::Failure;

/// Rules as TDLib's objects: a `userPrivacySettingRules` object, or the list in it.
///
/// Read more strictly than TDLib does: it takes a missing or mistyped field for an empty one, and
/// a rule that names nobody restricts nobody.
#[derive(Clone)]
pub(super) struct RuleList(pub(super) Vec<Rule>);

const FAULT: &str = "must be a userPrivacySettingRules object or a list of rules";

type SomeIds = IdList<1, { usize::MAX }>;

impl ArgumentType for RuleList {
    fn parse(name: &str, value: &RawValue) -> Result<Self, Failure> {
        let fault = || Failure::invalid(format!("{name} {FAULT}"));
        let list = match JsonObject::read(value) {
            Some(object) => {
                let named =
                    object.type_name().is_some_and(|name| name == "userPrivacySettingRules");
                let list = object.get("rules").filter(|_| named && object.0.len() == 2);
                list.ok_or_else(fault)?
            }
            None => value,
        };
        let items: Vec<&RawValue> = serde_json::from_str(list.get()).map_err(|_| fault())?;
        let read = |item: &&RawValue| {
            let object = JsonObject::read(item).ok_or_else(fault)?;
            let kind = object.type_name().ok_or_else(fault)?;
            rule(&kind, &object)
        };
        items.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    fn schema() -> Schema {
        let bare: Vec<_> = PLAIN.iter().map(|(name, _)| *name).collect();
        let with_ids = |field: &str, names: [&str; 2]| {
            json_schema!({
                "type": "object",
                "properties": {"@type": {"enum": names}, field: SomeIds::schema()},
                "required": ["@type", field],
                "additionalProperties": false,
            })
        };
        let list = json_schema!({
            "type": "array",
            "items": {"anyOf": [
                {
                    "type": "object",
                    "properties": {"@type": {"enum": bare}},
                    "required": ["@type"],
                    "additionalProperties": false,
                },
                with_ids("user_ids", [ALLOW_USERS, RESTRICT_USERS]),
                with_ids("chat_ids", [ALLOW_CHATS, RESTRICT_CHATS]),
            ]},
        });
        json_schema!({
            "anyOf": [
                list,
                {
                    "type": "object",
                    "properties": {"@type": {"const": "userPrivacySettingRules"}, "rules": list},
                    "required": ["@type", "rules"],
                    "additionalProperties": false,
                },
            ],
        })
    }

    fn faults(name: &str) -> Vec<String> {
        let ids = ["user_ids", "chat_ids"].into_iter().flat_map(|field| {
            let missing = [format!("{field} is required"), format!("{field} must not be empty")];
            missing.into_iter().chain(IdList::<0, { usize::MAX }>::faults(field))
        });
        let own = [
            format!("{name} {FAULT}"),
            "unsupported privacy rule: <type>".to_owned(),
            "unknown field: <field of a rule>".to_owned(),
        ];
        own.into_iter().chain(ids).collect()
    }
}

const ALLOW_USERS: &str = "userPrivacySettingRuleAllowUsers";
const RESTRICT_USERS: &str = "userPrivacySettingRuleRestrictUsers";
const ALLOW_CHATS: &str = "userPrivacySettingRuleAllowChatMembers";
const RESTRICT_CHATS: &str = "userPrivacySettingRuleRestrictChatMembers";

/// The rules without fields.
const PLAIN: [(&str, Rule); 7] = [
    ("userPrivacySettingRuleAllowAll", Rule::AllowAll),
    ("userPrivacySettingRuleAllowContacts", Rule::AllowContacts),
    ("userPrivacySettingRuleAllowBots", Rule::AllowBots),
    ("userPrivacySettingRuleAllowPremiumUsers", Rule::AllowPremiumUsers),
    ("userPrivacySettingRuleRestrictAll", Rule::RestrictAll),
    ("userPrivacySettingRuleRestrictContacts", Rule::RestrictContacts),
    ("userPrivacySettingRuleRestrictBots", Rule::RestrictBots),
];

fn rule(kind: &str, object: &JsonObject<'_>) -> Result<Rule, Failure> {
    let users = || ids(object, "user_ids");
    let chats = || ids(object, "chat_ids");
    match kind {
        ALLOW_USERS => users().map(|user_ids| Rule::AllowUsers(AllowUsers { user_ids })),
        RESTRICT_USERS => users().map(|user_ids| Rule::RestrictUsers(RestrictUsers { user_ids })),
        ALLOW_CHATS => {
            chats().map(|chat_ids| Rule::AllowChatMembers(AllowChatMembers { chat_ids }))
        }
        RESTRICT_CHATS => {
            chats().map(|chat_ids| Rule::RestrictChatMembers(RestrictChatMembers { chat_ids }))
        }
        _ => {
            let plain = PLAIN.iter().find(|(name, _)| *name == kind);
            let (_, rule) = plain.ok_or_else(|| {
                let kind: String = kind.chars().take(64).collect();
                Failure::invalid(format!("unsupported privacy rule: {kind}"))
            })?;
            check_fields(object, "@type").map(|()| rule.clone())
        }
    }
}

fn ids(object: &JsonObject<'_>, field: &str) -> Result<Vec<i64>, Failure> {
    check_fields(object, field)?;
    let value = object.get(field).filter(|value| value.get() != "null");
    let value = value.ok_or_else(|| Failure::invalid(format!("{field} is required")))?;
    let IdList(ids) = IdList::<0, { usize::MAX }>::parse(field, value)?;
    if ids.is_empty() {
        return Err(Failure::invalid(format!("{field} must not be empty")));
    }
    Ok(ids)
}

fn check_fields(object: &JsonObject<'_>, field: &str) -> Result<(), Failure> {
    match object.0.iter().find(|(key, _)| key != "@type" && key != field) {
        Some((unknown, _)) => Err(Failure::invalid(format!("unknown field: {unknown}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::normalize::type_name;

    fn read(rules: &Value) -> Result<Vec<Rule>, String> {
        let value = RawValue::from_string(rules.to_string()).unwrap();
        let read = RuleList::parse("rules", &value);
        read.map(|RuleList(rules)| rules).map_err(|failure| failure.error.into_owned())
    }

    #[test]
    fn all_eleven_are_read_in_both_forms() {
        let mut rules: Vec<_> = PLAIN.iter().map(|(name, _)| json!({"@type": name})).collect();
        for name in [ALLOW_USERS, RESTRICT_USERS] {
            rules.push(json!({"@type": name, "user_ids": [5]}));
        }
        for name in [ALLOW_CHATS, RESTRICT_CHATS] {
            rules.push(json!({"chat_ids": [-5], "@type": name}));
        }
        let whole = json!({"@type": "userPrivacySettingRules", "rules": rules});
        let read_rules = read(&whole).unwrap();
        assert_eq!(read(&json!(rules)).unwrap(), read_rules);
        let names: Vec<_> = read_rules.iter().map(type_name).collect();
        let sent: Vec<_> = rules.iter().map(|rule| rule["@type"].as_str().unwrap()).collect();
        assert_eq!((names.len(), names), (11, sent.iter().map(|&name| name.into()).collect()));
        assert_eq!(read(&json!([])), Ok(Vec::new()), "nobody");
    }

    #[test]
    fn what_tdlib_would_take_for_nobody_is_refused() {
        let shape = "rules must be a userPrivacySettingRules object or a list of rules";
        let cases = [
            (json!("all"), shape),
            (json!({}), shape),
            (json!({"rules": []}), shape),
            (json!({"@type": "userPrivacySettingRules"}), shape),
            (json!({"@type": "userPrivacySettingRules", "rules": {}}), shape),
            (json!({"@type": "userPrivacySettingRules", "rules": [], "x": 1}), shape),
            (json!([[]]), shape),
            (json!(["userPrivacySettingRuleAllowAll"]), shape),
            (json!([["userPrivacySettingRuleAllowAll"]]), shape),
            (json!([{"@type": 1}]), shape),
            (
                json!([{"@type": "userPrivacySettingRuleAllowCloseFriends"}]),
                "unsupported privacy rule: userPrivacySettingRuleAllowCloseFriends",
            ),
            (json!([{"@type": ALLOW_USERS}]), "user_ids is required"),
            (json!([{"@type": ALLOW_USERS, "user_ids": null}]), "user_ids is required"),
            (json!([{"@type": ALLOW_USERS, "user_ids": []}]), "user_ids must not be empty"),
            (
                json!([{"@type": RESTRICT_USERS, "user_ids": ["5"]}]),
                "user_ids must be a list of integers",
            ),
            (json!([{"@type": ALLOW_CHATS, "user_ids": [5]}]), "unknown field: user_ids"),
            (
                json!([{"@type": "userPrivacySettingRuleAllowAll", "user_ids": [5]}]),
                "unknown field: user_ids",
            ),
        ];
        for (rules, error) in cases {
            assert_eq!(read(&rules), Err(error.to_owned()), "{rules}");
        }
        let twice = format!(r#"[{{"@type":"{ALLOW_USERS}","user_ids":[1],"user_ids":[2]}}]"#);
        let twice = RawValue::from_string(twice).unwrap();
        assert!(RuleList::parse("rules", &twice).is_err());
    }

    proptest! {
        #[test]
        fn no_rules_make_the_reader_panic(text in r#"[\[\]{}":,@a-zA-Z_0-9. -]{0,60}"#) {
            if let Ok(value) = RawValue::from_string(text) {
                let _read = RuleList::parse("rules", &value);
            }
        }
    }
}
