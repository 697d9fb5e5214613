use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json;

/// An object's members in their order, values unread; one that names a member twice is none.
///
/// serde's own structs are not strict enough: they take a list for an object.
pub(crate) struct JsonObject<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> JsonObject<'a> {
    /// `None` unless it is an object.
    pub(crate) fn read(value: &'a RawValue) -> Option<Self> {
        json(value)
    }

    /// The member of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// `@type`, where that is a string.
    pub(crate) fn type_name(&self) -> Option<Cow<'a, str>> {
        self.get("@type").and_then(text)
    }
}

/// The type that is named by a string, or by an object with `@type` alone.
pub(crate) fn type_name(value: &RawValue) -> Option<Cow<'_, str>> {
    text(value)
        .or_else(|| JsonObject::read(value).filter(|object| object.0.len() == 1)?.type_name())
}

fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    json(value).map(|JsonText(text)| text)
}

#[derive(serde::Deserialize)]
struct JsonText<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for JsonObject<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = JsonObject<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(Cow<'_, str>, _)> = Vec::new();
                while let Some((JsonText(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                let mut names: Vec<_> = members.iter().map(|(name, _)| name).collect();
                names.sort_unstable();
                if names.windows(2).any(|pair| pair[0] == pair[1]) {
                    return Err(A::Error::custom("a member is named twice"));
                }
                Ok(JsonObject(members))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}
