use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// Numbers and ranges of numbers in ascending order without overlap, written `1-200, 305`.
///
/// In TOML also a list: `[1, "5-9"]`. At most 1,000,000 numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberRanges(Vec<RangeInclusive<u64>>);

/// Why a text is not a list of ranges.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberRangesError {
    /// A part is neither a number nor a range.
    #[error("`{0}` is neither a number nor a range such as 1-200")]
    Part(String),
    /// A part is descending or overlaps the one before.
    #[error("`{0}` is not in ascending order")]
    Order(String),
    /// The ranges hold too many numbers.
    #[error("more than 1000000 numbers")]
    TooMany,
}

impl NumberRanges {
    /// The numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().cloned().flatten()
    }

    /// Whether the number is in one of the ranges.
    pub fn contains(&self, number: u64) -> bool {
        self.0.iter().any(|range| range.contains(&number))
    }

    /// Whether there is no number.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for NumberRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            match (range.start(), range.end()) {
                (first, last) if first == last => first.fmt(f)?,
                (first, last) => write!(f, "{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for NumberRanges {
    type Err = NumberRangesError;

    fn from_str(text: &str) -> Result<Self, NumberRangesError> {
        let mut ranges: Vec<RangeInclusive<u64>> = Vec::new();
        let mut total: u64 = 0;
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |digits: &str| {
                digits.trim().parse::<u64>().map_err(|_| NumberRangesError::Part(part.to_owned()))
            };
            let (first, last) = (number(first)?, number(last)?);
            if last < first || ranges.last().is_some_and(|before| first <= *before.end()) {
                return Err(NumberRangesError::Order(part.to_owned()));
            }
            total = total.saturating_add(last - first).saturating_add(1);
            if total > 1_000_000 {
                return Err(NumberRangesError::TooMany);
            }
            ranges.push(first..=last);
        }
        Ok(Self(ranges))
    }
}

impl<'de> Deserialize<'de> for NumberRanges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "must be numbers and ranges such as `1-200, 305`")]
        enum Form {
            Number(u64),
            Text(String),
            List(Vec<Form>),
        }

        fn text(form: Form) -> String {
            match form {
                Form::Number(number) => number.to_string(),
                Form::Text(text) => text,
                Form::List(list) => list.into_iter().map(text).collect::<Vec<_>>().join(","),
            }
        }

        text(Form::deserialize(deserializer)?).parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_numbers_are_parsed_and_printed() {
        let ranges: NumberRanges = " 1-3,7 , 9-9".parse().unwrap();
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [1, 2, 3, 7, 9]);
        assert_eq!(ranges.to_string(), "1-3, 7, 9");
        let listed: NumberRanges = serde_json::from_str(r#"[1, "5-6"]"#).unwrap();
        assert_eq!(listed.to_string(), "1, 5-6");
        assert!("".parse::<NumberRanges>().unwrap().is_empty());
    }

    #[test]
    fn the_part_that_is_not_a_range_is_named() {
        assert_eq!("1,x-2".parse::<NumberRanges>(), Err(NumberRangesError::Part("x-2".to_owned())));
        assert_eq!("5-4".parse::<NumberRanges>(), Err(NumberRangesError::Order("5-4".to_owned())));
        assert_eq!("1-3,3".parse::<NumberRanges>(), Err(NumberRangesError::Order("3".to_owned())));
        assert_eq!(
            "1-18446744073709551615".parse::<NumberRanges>(),
            Err(NumberRangesError::TooMany)
        );
    }
}
