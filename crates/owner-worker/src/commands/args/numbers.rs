use contracts::ids::MAX_SAFE_INTEGER;
use schemars::{Schema, json_schema};
use serde_json::value::RawValue;

use super::{ArgumentType, json};
use crate::failure::Failure;

/// An integer from `MIN` to `MAX`; `i64::MAX` means no upper bound; larger
/// numbers are read as `i64::MAX`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BoundedInteger<const MIN: i64, const MAX: i64>(pub(crate) i64);

impl<const MIN: i64, const MAX: i64> ArgumentType for BoundedInteger<MIN, MAX> {
    fn parse(name: &str, value: &RawValue) -> Result<Self, Failure> {
        in_range(name, integer(value.get()), MIN, MAX).map(Self)
    }

    fn schema() -> Schema {
        if MAX == i64::MAX {
            json_schema!({"type": "integer", "minimum": MIN})
        } else {
            json_schema!({"type": "integer", "minimum": MIN, "maximum": MAX})
        }
    }

    fn faults(name: &str) -> Vec<String> {
        vec![not_an_integer(name), out_of_range(name, MIN, MAX)]
    }
}

/// The same with a default.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IntegerOr<const DEFAULT: i64, const MIN: i64, const MAX: i64>(pub(crate) i64);

impl<const DEFAULT: i64, const MIN: i64, const MAX: i64> ArgumentType
    for IntegerOr<DEFAULT, MIN, MAX>
{
    const REQUIRED: bool = false;

    fn parse(name: &str, value: &RawValue) -> Result<Self, Failure> {
        BoundedInteger::<MIN, MAX>::parse(name, value).map(|BoundedInteger(number)| Self(number))
    }

    fn absent(_name: &str) -> Result<Self, Failure> {
        Ok(Self(DEFAULT))
    }

    fn schema() -> Schema {
        let mut schema = BoundedInteger::<MIN, MAX>::schema();
        schema.insert("default".to_owned(), DEFAULT.into());
        schema
    }

    fn faults(name: &str) -> Vec<String> {
        BoundedInteger::<MIN, MAX>::faults(name)
    }
}

/// A user: at least 1, at most 53 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UserId(pub(crate) i64);

impl ArgumentType for UserId {
    fn parse(name: &str, value: &RawValue) -> Result<Self, Failure> {
        let BoundedInteger(id) = BoundedInteger::<1, { i64::MAX }>::parse(name, value)?;
        in_range(name, Some(id.into()), 1, MAX_SAFE_INTEGER).map(Self)
    }

    fn schema() -> Schema {
        BoundedInteger::<1, MAX_SAFE_INTEGER>::schema()
    }

    fn faults(name: &str) -> Vec<String> {
        let [least, most] = [i64::MAX, MAX_SAFE_INTEGER].map(|max| out_of_range(name, 1, max));
        vec![not_an_integer(name), least, most]
    }
}

/// TDLib's `int64`: an integer, or a decimal string for readers that keep 53 bits only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Int64(pub(crate) i64);

impl ArgumentType for Int64 {
    fn parse(name: &str, value: &RawValue) -> Result<Self, Failure> {
        let number = match json::<&str>(value) {
            Some(text) => integer(text),
            None => integer(value.get()),
        };
        in_range(name, number, i64::MIN, i64::MAX).map(Self)
    }

    fn schema() -> Schema {
        json_schema!({
            "anyOf": [
                {"type": "integer", "minimum": i64::MIN, "maximum": i64::MAX},
                {"type": "string", "pattern": "^-?[0-9]{1,19}$"},
            ],
        })
    }

    fn faults(name: &str) -> Vec<String> {
        vec![not_an_integer(name), out_of_range(name, i64::MIN, i64::MAX)]
    }
}

/// A list of `MIN` to `MAX` ids of at most 53 bits, in the request's order; `usize::MAX` means no
/// upper bound.
#[derive(Clone, Debug)]
pub(crate) struct IdList<const MIN: usize, const MAX: usize>(pub(crate) Vec<i64>);

impl<const MIN: usize, const MAX: usize> IdList<MIN, MAX> {
    fn wrong_length(name: &str) -> String {
        match MAX {
            usize::MAX => format!("{name} must be at least {MIN}"),
            _ => format!("{name} must be between {MIN} and {MAX}"),
        }
    }
}

impl<const MIN: usize, const MAX: usize> ArgumentType for IdList<MIN, MAX> {
    fn parse(name: &str, value: &RawValue) -> Result<Self, Failure> {
        let not_ids = || Failure::invalid(format!("{name} must be a list of integers"));
        let items: Vec<&RawValue> = json(value).ok_or_else(not_ids)?;
        if !(MIN..=MAX).contains(&items.len()) {
            return Err(Failure::invalid(Self::wrong_length(name)));
        }
        let read = |item: &&RawValue| {
            let id = integer(item.get()).ok_or_else(not_ids)?;
            in_range(name, Some(id), -MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
        };
        items.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    fn schema() -> Schema {
        let item = BoundedInteger::<{ -MAX_SAFE_INTEGER }, MAX_SAFE_INTEGER>::schema();
        let mut schema = json_schema!({"type": "array", "items": item});
        if MIN > 0 {
            schema.insert("minItems".to_owned(), MIN.into());
        }
        if MAX < usize::MAX {
            schema.insert("maxItems".to_owned(), MAX.into());
        }
        schema
    }

    fn faults(name: &str) -> Vec<String> {
        let mut faults = vec![format!("{name} must be a list of integers")];
        if MIN > 0 || MAX < usize::MAX {
            faults.push(Self::wrong_length(name));
        }
        faults.push(out_of_range(name, -MAX_SAFE_INTEGER, MAX_SAFE_INTEGER));
        faults
    }
}

/// An integer of JSON's form, however large.
fn integer(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let farthest = if digits.len() < text.len() { i128::MIN } else { i128::MAX };
    Some(text.parse().unwrap_or(farthest))
}

fn in_range(name: &str, number: Option<i128>, min: i64, max: i64) -> Result<i64, Failure> {
    let number = number.ok_or_else(|| Failure::invalid(not_an_integer(name)))?;
    let unbounded = max == i64::MAX && min != i64::MIN;
    match i64::try_from(number) {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        Err(_) if unbounded && number > 0 => Ok(max),
        _ => Err(Failure::invalid(out_of_range(name, min, max))),
    }
}

fn not_an_integer(name: &str) -> String {
    format!("{name} must be an integer")
}

pub(crate) fn out_of_range(name: &str, min: i64, max: i64) -> String {
    match max {
        i64::MAX if min != i64::MIN => format!("{name} must be at least {min}"),
        _ => format!("{name} must be between {min} and {max}"),
    }
}
