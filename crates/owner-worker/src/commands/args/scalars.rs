use schemars::{Schema, json_schema};
use serde_json::value::RawValue;
use settings::SecretString;

use super::{ArgumentType, json};
use crate::failure::Failure;

/// A required value that is right or wrong by its JSON alone.
pub(crate) trait ScalarValue: Sized {
    /// With its article, for `<field> must be …`.
    const EXPECTED: &'static str;

    fn parse(value: &RawValue) -> Option<Self>;

    fn schema() -> Schema;
}

impl<T: ScalarValue> ArgumentType for T {
    fn parse(name: &str, value: &RawValue) -> Result<Self, Failure> {
        <T as ScalarValue>::parse(value)
            .ok_or_else(|| Failure::invalid(format!("{name} must be {}", T::EXPECTED)))
    }

    fn schema() -> Schema {
        <T as ScalarValue>::schema()
    }

    fn faults(name: &str) -> Vec<String> {
        vec![format!("{name} must be {}", T::EXPECTED)]
    }
}

impl ScalarValue for bool {
    const EXPECTED: &'static str = "a boolean";

    fn parse(value: &RawValue) -> Option<Self> {
        json(value)
    }

    fn schema() -> Schema {
        json_schema!({"type": "boolean"})
    }
}

impl ScalarValue for String {
    const EXPECTED: &'static str = "a string";

    fn parse(value: &RawValue) -> Option<Self> {
        json(value)
    }

    fn schema() -> Schema {
        json_schema!({"type": "string"})
    }
}

/// A string that must not be shown.
impl ScalarValue for SecretString {
    const EXPECTED: &'static str = "a string";

    fn parse(value: &RawValue) -> Option<Self> {
        json(value)
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "writeOnly": true})
    }
}

/// A boolean with a default.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BoolOr<const DEFAULT: bool>(pub(crate) bool);

impl<const DEFAULT: bool> ArgumentType for BoolOr<DEFAULT> {
    const REQUIRED: bool = false;

    fn parse(name: &str, value: &RawValue) -> Result<Self, Failure> {
        <bool as ArgumentType>::parse(name, value).map(Self)
    }

    fn absent(_name: &str) -> Result<Self, Failure> {
        Ok(Self(DEFAULT))
    }

    fn schema() -> Schema {
        json_schema!({"type": "boolean", "default": DEFAULT})
    }

    fn faults(name: &str) -> Vec<String> {
        <bool as ArgumentType>::faults(name)
    }
}
