use schemars::{Schema, json_schema};
use serde_json::value::RawValue;
use settings::SecretString;

use super::{Argument, json};
use crate::failure::Failure;

/// A required value that is right or wrong by its JSON alone.
pub(crate) trait Scalar: Sized {
    /// With its article, for `<field> must be …`.
    const EXPECTED: &'static str;

    fn parse(value: &RawValue) -> Option<Self>;

    fn schema() -> Schema;
}

impl<T: Scalar> Argument for T {
    fn parse(name: &str, value: &RawValue) -> Result<Self, Failure> {
        <T as Scalar>::parse(value)
            .ok_or_else(|| Failure::invalid(format!("{name} must be {}", T::EXPECTED)))
    }

    fn schema() -> Schema {
        <T as Scalar>::schema()
    }

    fn faults(name: &str) -> Vec<String> {
        vec![format!("{name} must be {}", T::EXPECTED)]
    }
}

impl Scalar for bool {
    const EXPECTED: &'static str = "a boolean";

    fn parse(value: &RawValue) -> Option<Self> {
        json(value)
    }

    fn schema() -> Schema {
        json_schema!({"type": "boolean"})
    }
}

impl Scalar for String {
    const EXPECTED: &'static str = "a string";

    fn parse(value: &RawValue) -> Option<Self> {
        json(value)
    }

    fn schema() -> Schema {
        json_schema!({"type": "string"})
    }
}

/// A string that must not be shown.
impl Scalar for SecretString {
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
pub(crate) struct Flag<const DEFAULT: bool>(pub(crate) bool);

impl<const DEFAULT: bool> Argument for Flag<DEFAULT> {
    const REQUIRED: bool = false;

    fn parse(name: &str, value: &RawValue) -> Result<Self, Failure> {
        <bool as Argument>::parse(name, value).map(Self)
    }

    fn absent(_name: &str) -> Result<Self, Failure> {
        Ok(Self(DEFAULT))
    }

    fn schema() -> Schema {
        json_schema!({"type": "boolean", "default": DEFAULT})
    }

    fn faults(name: &str) -> Vec<String> {
        <bool as Argument>::faults(name)
    }
}
