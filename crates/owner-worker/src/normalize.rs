//! From TDLib's types to the wire's. No I/O; nothing that TDLib says makes one of these fail.

pub(crate) mod contacts;
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

/// TDLib's own name of a variant, from the tag that tdlib-rs writes.
pub(crate) fn type_name(variant: &impl Serialize) -> String {
    let json = serde_json::to_value(variant).unwrap_or_default();
    json.get("@type").and_then(|name| name.as_str()).unwrap_or_default().to_owned()
}
