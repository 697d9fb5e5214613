//! Reading a command's arguments, with the contract's words for each fault.

use contracts::Field;
use serde::Deserialize;
use serde_json::value::RawValue;
use settings::SecretString;

use crate::answer::Failure;

/// Arguments of a command, as [`arguments!`] declares them.
pub(crate) trait Arguments: Sized {
    /// Names of the fields, in the contract's order.
    const FIELDS: &'static [&'static str];

    /// Reads each field in that order; the first fault is the answer.
    fn read(fields: &Fields<'_, '_>) -> Result<Self, Failure>;
}

/// Declares a command's arguments: a struct whose fields are read by name, in their order.
macro_rules! arguments {
    ($(#[$meta:meta])* struct $name:ident { $($(#[$about:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$meta])*
        struct $name { $($(#[$about])* $field: $type),* }

        impl $crate::commands::args::Arguments for $name {
            const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];

            fn read(
                _fields: &$crate::commands::args::Fields<'_, '_>,
            ) -> Result<Self, $crate::answer::Failure> {
                Ok(Self { $($field: _fields.read(stringify!($field))?),* })
            }
        }
    };
}
pub(crate) use arguments;

/// A request's own fields.
pub(crate) struct Fields<'f, 'a>(pub(crate) &'f [Field<'a>]);

impl Fields<'_, '_> {
    pub(crate) fn read<T: Argument>(&self, name: &'static str) -> Result<T, Failure> {
        let given = self.0.iter().find(|field| field.name == name).map(|field| field.value);
        T::read(name, given.filter(|value| value.get() != "null"))
    }
}

/// A type of field. `None` stands for an absent field and for `null` alike.
pub(crate) trait Argument: Sized {
    fn read(name: &'static str, value: Option<&RawValue>) -> Result<Self, Failure>;
}

/// A required value that is right or wrong by its JSON type alone.
pub(crate) trait Scalar: Sized {
    /// With its article, for `<field> must be …`.
    const EXPECTED: &'static str;

    fn parse(value: &RawValue) -> Option<Self>;
}

impl<T: Scalar> Argument for T {
    fn read(name: &'static str, value: Option<&RawValue>) -> Result<Self, Failure> {
        let value = value.ok_or_else(|| Failure::invalid(format!("{name} is required")))?;
        T::parse(value).ok_or_else(|| Failure::invalid(format!("{name} must be {}", T::EXPECTED)))
    }
}

impl<T: Argument> Argument for Option<T> {
    fn read(name: &'static str, value: Option<&RawValue>) -> Result<Self, Failure> {
        value.map(|value| T::read(name, Some(value))).transpose()
    }
}

/// A string that must not be shown.
impl Scalar for SecretString {
    const EXPECTED: &'static str = "a string";

    fn parse(value: &RawValue) -> Option<Self> {
        json(value)
    }
}

fn json<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}
