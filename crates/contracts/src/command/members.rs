//! A JSON object's members in their order, each value unread.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One of a command's own fields: its name and its JSON.
#[derive(Clone)]
pub struct Field<'a> {
    /// The key.
    pub name: Cow<'a, str>,
    /// The value, exactly as it is in the body.
    pub value: &'a RawValue,
}

/// Values may be secrets (a login code): only the name shows.
impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// An object's members in their order; a repeated name is kept as often as it occurs.
pub(super) struct ObjectMembers<'a>(pub(super) Vec<Field<'a>>);

impl<'de> Deserialize<'de> for ObjectMembers<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = ObjectMembers<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                #[derive(serde::Deserialize)]
                struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

                let mut members = Vec::with_capacity(8);
                while let Some((Key(name), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    members.push(Field { name, value });
                }
                Ok(ObjectMembers(members))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}

/// The value as a string, borrowed unless it has escapes; `None` if it is none.
pub(super) fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(serde::Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str(value.get()).ok().map(|Text(text)| text)
}

/// The first 64 characters of a name that a caller sent, for an error string.
pub fn shortened(name: &str) -> &str {
    let end = name.char_indices().nth(64).map_or(name.len(), |(end, _)| end);
    &name[..end]
}
