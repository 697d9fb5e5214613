use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer};

/// A set of words, written `getMe, getChats`, in TOML also as a list of strings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(BTreeSet<String>);

impl Words {
    /// Every word, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<'de> Deserialize<'de> for Words {
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
        let words = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
        Ok(Self(words.filter(|word| !word.is_empty()).map(str::to_owned).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_a_list_or_one_text() {
        for json in [r#"["b", "a"]"#, r#""a, b""#, r#""b,a,,a""#] {
            let words: Words = serde_json::from_str(json).unwrap();
            assert_eq!(words.iter().collect::<Vec<_>>(), ["a", "b"], "{json}");
        }
        assert_eq!(serde_json::from_str::<Words>(r#""""#).unwrap(), Words::default());
    }
}
