//! Reads a command's arguments, with the contract's error string for each fault.

mod numbers;
mod object;
mod scalars;

use contracts::Field;
use schemars::Schema;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::failure::Failure;

pub(crate) use numbers::{BoundedInteger, IdList, Int64, IntegerOr, UserId, out_of_range};
pub(crate) use object::{JsonObject, type_name};
pub(crate) use scalars::{BoolOr, ScalarValue};

/// A command's arguments, declared by [`arguments!`].
pub(crate) trait CommandArguments: Sized {
    /// What the command does: its documentation.
    const ABOUT: &'static str;
    /// Names of the fields, in the contract's order.
    const FIELDS: &'static [&'static str];

    /// Reads each field in that order; the first fault is the answer.
    fn read(fields: &RequestFields<'_, '_>) -> Result<Self, Failure>;

    /// The same fields, described for the generated documents.
    fn properties() -> Vec<ArgumentDescription>;
}

/// Declares a command's arguments: a struct whose fields are read by name, in order.
///
/// It writes the `impl` of [`CommandArguments`]: its `read` calls [`RequestFields::read`] for each
/// field, which calls [`ArgumentType::parse`] or [`ArgumentType::absent`] of the field's type.
/// `CommandEntry::of` (`command.rs`) puts that `read` into the command's row.
macro_rules! arguments {
    (
        $(#[doc = $doc:literal])*
        $vis:vis struct $name:ident { $($(#[doc = $about:literal])* $field:ident: $type:ty),* $(,)? }
    ) => {
        $(#[doc = $doc])*
        $vis struct $name { $($(#[doc = $about])* $field: $type),* }

        impl $crate::commands::args::CommandArguments for $name {
            const ABOUT: &'static str = concat!($($doc, "\n"),*);
            const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];

            fn read(
                _fields: &$crate::commands::args::RequestFields<'_, '_>,
            ) -> Result<Self, $crate::failure::Failure> {
                Ok(Self { $($field: _fields.read(stringify!($field))?),* })
            }

            fn properties() -> Vec<$crate::commands::args::ArgumentDescription> {
                vec![$($crate::commands::args::ArgumentDescription::of::<$type>(
                    stringify!($field),
                    concat!($($about, "\n"),*),
                )),*]
            }
        }
    };
}
pub(crate) use arguments;

/// A request's own fields.
pub(crate) struct RequestFields<'f, 'a>(pub(crate) &'f [Field<'a>]);

impl RequestFields<'_, '_> {
    pub(crate) fn read<T: ArgumentType>(&self, name: &'static str) -> Result<T, Failure> {
        let given = self.0.iter().find(|field| field.name == name).map(|field| field.value);
        match given.filter(|value| value.get() != "null") {
            Some(value) => T::parse(name, value),
            None => T::absent(name),
        }
    }
}

/// A type that a field can have.
pub(crate) trait ArgumentType: Sized {
    /// Whether the field is required.
    const REQUIRED: bool = true;

    /// Reads a field that is present and not `null`.
    fn parse(name: &str, value: &RawValue) -> Result<Self, Failure>;

    /// The value of a field that is absent or `null`.
    fn absent(name: &str) -> Result<Self, Failure> {
        Err(Failure::invalid(format!("{name} is required")))
    }

    /// JSON Schema of what [`ArgumentType::parse`] accepts.
    fn schema() -> Schema;

    /// Its error strings.
    fn faults(name: &str) -> Vec<String>;
}

impl<T: ArgumentType> ArgumentType for Option<T> {
    const REQUIRED: bool = false;

    fn parse(name: &str, value: &RawValue) -> Result<Self, Failure> {
        T::parse(name, value).map(Some)
    }

    fn absent(_name: &str) -> Result<Self, Failure> {
        Ok(None)
    }

    fn schema() -> Schema {
        T::schema()
    }

    fn faults(name: &str) -> Vec<String> {
        T::faults(name)
    }
}

/// A field, described for the generated documents.
pub(crate) struct ArgumentDescription {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) required: bool,
    pub(crate) schema: Schema,
    pub(crate) faults: Vec<String>,
}

impl ArgumentDescription {
    pub(crate) fn of<T: ArgumentType>(name: &'static str, about: &'static str) -> Self {
        let missing = T::REQUIRED.then(|| format!("{name} is required"));
        let faults = missing.into_iter().chain(T::faults(name)).collect();
        Self { name, about, required: T::REQUIRED, schema: T::schema(), faults }
    }
}

fn json<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read<T: ArgumentType>(json: &str) -> Result<T, String> {
        let value = RawValue::from_string(json.to_owned()).unwrap();
        let fields = [Field { name: "x".into(), value: &value }];
        RequestFields(&fields).read("x").map_err(|failure| failure.error.into_owned())
    }

    #[test]
    fn each_type_has_its_error_strings() {
        type Ttl = BoundedInteger<1, 366>;
        type Count = BoundedInteger<0, { i64::MAX }>;
        let ttl = |json| read::<Ttl>(json).map(|BoundedInteger(number)| number);
        assert_eq!(ttl("366"), Ok(366));
        for (json, error) in [
            ("null", "x is required"),
            ("\"5\"", "x must be an integer"),
            ("5.0", "x must be an integer"),
            ("5e0", "x must be an integer"),
            ("0", "x must be between 1 and 366"),
            ("-99999999999999999999999999999999999999999999", "x must be between 1 and 366"),
        ] {
            assert_eq!(ttl(json), Err(error.to_owned()), "{json}");
        }
        assert_eq!(read::<Count>("-1").err().unwrap(), "x must be at least 0");
        assert_eq!(read::<Count>("99999999999999999999").unwrap().0, i64::MAX);
        assert_eq!(read::<UserId>("0").err().unwrap(), "x must be at least 1");
        assert_eq!(
            read::<UserId>("9007199254740992").err().unwrap(),
            "x must be between 1 and 9007199254740991"
        );
        assert_eq!(read::<bool>("1").err().unwrap(), "x must be a boolean");
        assert_eq!(read::<String>("1").err().unwrap(), "x must be a string");
        assert!(read::<BoolOr<true>>("null").unwrap().0);
        assert!(!read::<BoolOr<true>>("false").unwrap().0);
    }

    #[test]
    fn sixty_four_bits_come_as_integer_or_decimal_string() {
        let id = |json: &str| read::<Int64>(json).map(|Int64(id)| id);
        assert_eq!(id("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(id("\"9223372036854775807\""), Ok(i64::MAX));
        assert_eq!(id("0"), Ok(0));
        for json in ["\"\"", "\"+5\"", "\" 5\"", "\"0x5\"", "5.0", "true", "[5]", "\"-\""] {
            assert_eq!(id(json), Err("x must be an integer".to_owned()), "{json}");
        }
        let range = "x must be between -9223372036854775808 and 9223372036854775807";
        assert_eq!(id("\"9223372036854775808\""), Err(range.to_owned()));
        assert_eq!(id("9223372036854775808"), Err(range.to_owned()));
    }

    #[test]
    fn a_list_of_ids_is_checked_item_by_item() {
        let ids = |json| read::<IdList<1, 2>>(json).map(|IdList(ids)| ids);
        assert_eq!(ids("[5, -7]"), Ok(vec![5, -7]));
        for json in ["5", "{}", "\"5\"", "[\"5\"]", "[5.5]", "[[5]]", "[null]"] {
            assert_eq!(ids(json), Err("x must be a list of integers".to_owned()), "{json}");
        }
        for json in ["[]", "[1,2,3]"] {
            assert_eq!(ids(json), Err("x must be between 1 and 2".to_owned()), "{json}");
        }
        let range = "x must be between -9007199254740991 and 9007199254740991";
        assert_eq!(ids("[9007199254740992]"), Err(range.to_owned()));
    }

    #[test]
    fn a_type_is_named_by_a_string_or_by_an_object_of_nothing_else() {
        let name = |json: &str| {
            let value = RawValue::from_string(json.to_owned()).unwrap();
            type_name(&value).map(std::borrow::Cow::into_owned)
        };
        assert_eq!(name("\"a\"").as_deref(), Some("a"));
        assert_eq!(name(r#"{ "@type": "\u0061" }"#).as_deref(), Some("a"));
        for json in [
            r#"["a"]"#,
            r#"{"@type": "a", "b": 1}"#,
            r#"{"@type": "a", "@type": "a"}"#,
            r#"{"@type": 1}"#,
            "{}",
            "1",
        ] {
            assert_eq!(name(json), None, "{json}");
        }
    }

    proptest! {
        #[test]
        fn ids_survive_53_and_64_bits(
            small in -9_007_199_254_740_991_i64..=9_007_199_254_740_991,
            large: i64,
        ) {
            prop_assert_eq!(read::<IdList<0, 9>>(&json!([small]).to_string()).unwrap().0, [small]);
            prop_assert_eq!(read::<Int64>(&large.to_string()).unwrap().0, large);
            prop_assert_eq!(read::<Int64>(&format!("\"{large}\"")).unwrap().0, large);
        }
    }
}
