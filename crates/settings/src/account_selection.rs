use serde::{Deserialize, Deserializer};

use crate::number_ranges::NumberRanges;

/// Accounts, written as numbers and ranges (`1-200, 305`), or `*` for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountSelection {
    /// Every account.
    All,
    /// These accounts.
    Ranges(NumberRanges),
}

impl AccountSelection {
    /// Whether the account is one of them.
    pub fn contains(&self, account: u64) -> bool {
        match self {
            Self::All => true,
            Self::Ranges(ranges) => ranges.contains(account),
        }
    }
}

impl<'de> Deserialize<'de> for AccountSelection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "must be `*`, or numbers and ranges such as `1-200, 305`")]
        enum Form {
            Text(String),
            Ranges(NumberRanges),
        }

        match Form::deserialize(deserializer)? {
            Form::Text(text) if text == "*" => Ok(Self::All),
            Form::Text(text) => text.parse().map(Self::Ranges).map_err(serde::de::Error::custom),
            Form::Ranges(ranges) => Ok(Self::Ranges(ranges)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_ranges_or_all() {
        let read = |json: &str| serde_json::from_str::<AccountSelection>(json);
        assert_eq!(read(r#""*""#).unwrap(), AccountSelection::All);
        for json in [r#""2-4, 9""#, r#"["2-4", 9]"#] {
            let accounts = read(json).unwrap();
            let some: Vec<_> = (0..12).filter(|account| accounts.contains(*account)).collect();
            assert_eq!(some, [2, 3, 4, 9], "{json}");
        }
        assert!(read("7").unwrap().contains(7));
        assert!(read(r#""**""#).is_err() && read(r#""4-2""#).is_err());
    }
}
