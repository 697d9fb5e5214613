use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer};

/// A set of names, written `getMe, getChats`; in TOML also a list of strings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameSet(BTreeSet<String>);

impl NameSet {
    /// The names, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<'de> Deserialize<'de> for NameSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "must be a list of words")]
        enum Form {
            Text(String),
            List(Vec<String>),
        }

        let texts = match Form::deserialize(deserializer)? {
            Form::Text(text) => vec![text],
            Form::List(list) => list,
        };
        let names = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
        Ok(Self(names.filter(|name| !name.is_empty()).map(str::to_owned).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_a_list_or_one_text() {
        for json in [r#"["b", "a"]"#, r#""a, b""#, r#""b,a,,a""#] {
            let names: NameSet = serde_json::from_str(json).unwrap();
            assert_eq!(names.iter().collect::<Vec<_>>(), ["a", "b"], "{json}");
        }
        assert_eq!(serde_json::from_str::<NameSet>(r#""""#).unwrap(), NameSet::default());
    }
}
