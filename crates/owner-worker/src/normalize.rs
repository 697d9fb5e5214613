//! TDLib's types in the shapes of the wire. No I/O; no object of TDLib's makes one of these fail.

pub(crate) mod contacts;
mod json;
pub(crate) mod privacy;
pub(crate) mod sessions;
pub(crate) mod updates;
pub(crate) mod websites;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

/// A 64-bit id: a decimal string on the wire, since many JSON readers keep 53 bits only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^-?[0-9]{1,19}$"))]
pub(crate) struct Id64(pub(crate) i64);

impl Serialize for Id64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// TDLib's name of a variant, from the tag that tdlib-rs writes.
pub(crate) fn type_name(variant: &impl Serialize) -> String {
    let json = serde_json::to_value(variant).unwrap_or_default();
    json.get("@type").and_then(|name| name.as_str()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde::de::DeserializeOwned;
    use serde_json::{Map, Value, json};
    use tdlib::answers::{ActiveSessions, ChatFields, TdVariant, UserFields, WebsiteLogins};
    use tdlib::enums::CanSendMessageToUserResult;
    use testkit::TdApi;

    use super::contacts::{BlockedSender, CanSend, UserProfile};
    use super::privacy::{PrivacySetting, PrivacyValue};
    use super::sessions::SessionList;
    use super::websites::WebsiteList;
    use super::*;

    fn recorded() -> Map<String, Value> {
        serde_json::from_str(include_str!("../tests/data/objects.json")).unwrap()
    }

    /// The shape of an object on the wire; `None` when it does not follow TDLib's schema.
    fn wire(name: &str, object: &Value) -> Option<Value> {
        fn read<T: DeserializeOwned>(object: &Value) -> Option<T> {
            serde_json::from_value(object.clone()).ok()
        }
        fn json(wire: impl Serialize) -> Value {
            serde_json::to_value(wire).unwrap()
        }

        let setting = PrivacySetting::named("show_bio")?;
        let wire = match name {
            "session" => {
                let sessions = vec![read(object)?];
                json(SessionList::from(ActiveSessions { sessions, inactive_session_ttl_days: 1 }))
            }
            "user" => {
                let user: UserFields = read(object)?;
                json((BlockedSender::user(&user), UserProfile::from(&user)))
            }
            "chat" => json(BlockedSender::chat(read::<ChatFields>(object)?)),
            "connectedWebsite" => {
                json(WebsiteList::from(WebsiteLogins { websites: vec![read(object)?] }))
            }
            "userPrivacySettingRules" => json(PrivacyValue::rules(setting, read(object)?)),
            "newChatPrivacySettings" => json(PrivacyValue::new_chats(setting, &read(object)?)),
            "canSendMessageToUserResult" => {
                json(CanSend::known(1, &read::<TdVariant<CanSendMessageToUserResult>>(object)?))
            }
            update => {
                let wire = updates::reshape(update, &object.to_string())?;
                serde_json::from_str(&wire).unwrap()
            }
        };
        Some(wire)
    }

    /// Every position in a value, as JSON pointers.
    fn places(value: &Value, here: &str, places: &mut Vec<String>) {
        places.push(here.to_owned());
        match value {
            Value::Object(members) => {
                for (name, inner) in members {
                    self::places(inner, &format!("{here}/{name}"), places);
                }
            }
            Value::Array(items) => {
                for (at, inner) in items.iter().enumerate() {
                    self::places(inner, &format!("{here}/{at}"), places);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn every_recorded_object_has_a_shape_on_the_wire() {
        for (name, object) in recorded() {
            let wire = wire(&name, &object);
            assert!(wire.is_some_and(|wire| wire.is_object() || wire.is_array()), "{name}");
        }
    }

    #[test]
    fn objects_with_nulls_and_unknown_types_have_a_shape_on_the_wire() {
        let api = TdApi::load();
        for name in recorded().keys() {
            let class = name.replace("canSend", "CanSend");
            for object in api.objects(&class) {
                let is_about_nothing = match name.as_str() {
                    "updateUser" => object["user"].is_null(),
                    "updateUserPrivacySettingRules" => {
                        let setting = object["setting"]["@type"].as_str().unwrap_or_default();
                        PrivacySetting::of_tdlib(setting).is_none()
                    }
                    _ => false,
                };
                // An update about nothing that is known passes as it is.
                assert_eq!(wire(name, &object).is_none(), is_about_nothing, "{name}: {object}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_object_makes_a_normalizer_fail(
            which in any::<prop::sample::Index>(),
            changes in vec((any::<prop::sample::Index>(), replacement()), 1..5),
        ) {
            let recorded = recorded();
            let (name, object) = recorded.iter().nth(which.index(recorded.len())).unwrap();
            let mut object = object.clone();
            for (place, with) in changes {
                let mut all = Vec::new();
                places(&object, "", &mut all);
                if let Some(value) = object.pointer_mut(&all[place.index(all.len())]) {
                    *value = with;
                }
            }
            let _either = wire(name, &object);
        }
    }

    fn replacement() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<i64>().prop_map(|id| json!(id.to_string())),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
            vec(any::<i64>(), 0..4).prop_map(Value::from),
            Just(json!({})),
            Just(json!({"@type": "fromTheFuture"})),
        ]
    }
}
