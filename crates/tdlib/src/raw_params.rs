//! What the parameters of a raw call may look like.
//!
//! TDLib answers a request that it cannot parse without the request's number, so nobody would ever
//! get that answer. What TDLib might not be able to parse is therefore not sent.

use std::cell::RefCell;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// How deep objects and lists may be nested, the parameters themselves counted; TDLib takes 100.
const MAX_DEPTH: usize = 32;

/// Parameters of a raw call that TDLib can read.
#[derive(Debug, PartialEq, Eq)]
pub struct RawParams {
    /// The first field, at any depth, that names a path on this machine.
    pub local_path: Option<String>,
}

/// Why the parameters of a raw call are not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamsFault {
    /// They are not an object.
    #[error("they are not an object")]
    NotAnObject,
    /// A name begins with `@`: a second `@type` would call another method, a second `@extra` would
    /// take another request's answer.
    #[error("a name begins with @")]
    ReservedName(String),
    /// They are nested deeper than 32 levels.
    #[error("they are nested too deeply")]
    TooDeep,
    /// An object's `@type` is no string. TDLib would take a number for a type's id.
    #[error("an @type is not a string")]
    TypeNotString,
    /// A string or a number that is none for TDLib, such as half of a surrogate pair.
    #[error("they hold a value that cannot be read")]
    Unreadable,
}

impl RawParams {
    /// Reads parameters once, without recursion deeper than the limit.
    ///
    /// # Errors
    ///
    /// The first fault in them.
    pub fn inspect(params: &RawValue) -> Result<Self, ParamsFault> {
        if !params.get().trim_ascii_start().starts_with('{') {
            return Err(ParamsFault::NotAnObject);
        }
        let findings = RefCell::default();
        let mut deserializer = serde_json::Deserializer::from_str(params.get());
        let walk = ValueWalk { findings: &findings, depth: 1 };
        let read = walk.deserialize(&mut deserializer);
        let Findings { local_path, fault } = findings.into_inner();
        match (fault, read) {
            (Some(fault), _) => Err(fault),
            (None, Err(_)) => Err(ParamsFault::Unreadable),
            (None, Ok(())) => Ok(Self { local_path }),
        }
    }
}

/// What a walk has found so far.
#[derive(Default)]
struct Findings {
    local_path: Option<String>,
    fault: Option<ParamsFault>,
}

/// Whether TDLib takes a field of this name for a path on this machine. Source: TDLib 1.8.61,
/// `td_api.tl`, with which a test below compares it.
fn is_path(field: &str) -> bool {
    let named = |suffix: &str| {
        field.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
    };
    named("path") || named("directory")
}

/// Types whose objects lead to a file on this machine whatever their fields are.
const FILE_TYPES: [&str; 3] = ["inputFileLocal", "inputFileGenerated", "logStreamFile"];

/// Walks one value.
#[derive(Clone, Copy)]
struct ValueWalk<'a> {
    findings: &'a RefCell<Findings>,
    /// Depth of this value if it is an object or a list.
    depth: usize,
}

impl ValueWalk<'_> {
    fn fail<E: serde::de::Error>(self, fault: ParamsFault) -> E {
        let error = E::custom(&fault);
        self.findings.borrow_mut().fault = Some(fault);
        error
    }

    fn found_path(self, field: &str) {
        self.findings.borrow_mut().local_path.get_or_insert_with(|| field.to_owned());
    }

    /// The walk of a value in this one.
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth > MAX_DEPTH {
            return Err(self.fail(ParamsFault::TooDeep));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for ValueWalk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueWalk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while list.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while let Some(name) = object.next_key::<String>()? {
            if name.starts_with('@') && self.depth == 1 {
                return Err(self.fail(ParamsFault::ReservedName(name)));
            }
            if is_path(&name) {
                self.found_path(&name);
            }
            if name == "@type" {
                object.next_value_seed(TypeWalk(self))?;
            } else {
                object.next_value_seed(inner)?;
            }
        }
        Ok(())
    }
}

/// Walks the value of an `@type`.
struct TypeWalk<'a>(ValueWalk<'a>);

impl<'de> DeserializeSeed<'de> for TypeWalk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Self(walk) = self;
        let Ok(name) = String::deserialize(deserializer) else {
            return Err(walk.fail(ParamsFault::TypeNotString));
        };
        if FILE_TYPES.contains(&name.as_str()) {
            walk.found_path(&name);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use testkit::TdApi;

    use super::*;

    fn inspect(params: &str) -> Result<Option<String>, ParamsFault> {
        let params = RawValue::from_string(params.to_owned()).unwrap();
        RawParams::inspect(&params).map(|params| params.local_path)
    }

    #[test]
    fn ordinary_parameters_pass() {
        for params in [
            "{}",
            " { } ",
            r#"{"chat_id": -5, "text": "a\ud83d\ude00", "x": [null, true, 1.5, {"@type": "y"}]}"#,
            r#"{"content": {"@type": "inputMessagePhoto", "photo": {"@type": "inputFileId", "id": 5}}}"#,
        ] {
            assert_eq!(inspect(params), Ok(None), "{params}");
        }
    }

    #[test]
    fn what_tdlib_might_not_read_is_a_fault() {
        let reserved = |name: &str| Err(ParamsFault::ReservedName(name.to_owned()));
        for (params, fault) in [
            ("[]", Err(ParamsFault::NotAnObject)),
            ("5", Err(ParamsFault::NotAnObject)),
            (r#"{"@type": "logOut"}"#, reserved("@type")),
            (r#"{"\u0040extra": 1}"#, reserved("@extra")),
            (r#"{"x": "\ud83d"}"#, Err(ParamsFault::Unreadable)),
            (r#"{"\udc00": 1}"#, Err(ParamsFault::Unreadable)),
            (r#"{"x": 1e999}"#, Err(ParamsFault::Unreadable)),
            (r#"{"x": {"@type": -1038907}}"#, Err(ParamsFault::TypeNotString)),
            (r#"{"x": [{"@type": null}]}"#, Err(ParamsFault::TypeNotString)),
        ] {
            assert_eq!(inspect(params), fault, "{params}");
        }
    }

    #[test]
    fn parameters_are_nested_32_levels_deep_at_most() {
        let nested =
            |depth: usize| format!("{{\"x\":{}1{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert_eq!(inspect(&nested(32)), Ok(None));
        for depth in [33, 200, 100_000] {
            assert_eq!(inspect(&nested(depth)), Err(ParamsFault::TooDeep), "{depth}");
        }
        let objects = format!("{}1{}", "{\"x\":".repeat(100_000), "}".repeat(100_000));
        assert_eq!(inspect(&objects), Err(ParamsFault::TooDeep));
    }

    #[test]
    fn a_path_is_found_anywhere() {
        for (params, field) in [
            (r#"{"path": ""}"#, "path"),
            (r#"{"files_directory": null}"#, "files_directory"),
            (r#"{"file": {"@type": "inputFileLocal", "path": "/etc/passwd"}}"#, "inputFileLocal"),
            (r#"{"file": {"p\u0061th": "/etc/passwd"}}"#, "path"),
            (r#"{"a": [[{"b": {"@type": "inputFileGenerated"}}]]}"#, "inputFileGenerated"),
            (r#"{"a": {"@type": "inputFileLocal", "@type": "inputFileId"}}"#, "inputFileLocal"),
            (r#"{"a": {"original_path": "x", "original_path": null}}"#, "original_path"),
        ] {
            assert_eq!(inspect(params), Ok(Some(field.to_owned())), "{params}");
        }
    }

    #[test]
    fn every_path_in_tdlibs_schema_is_known_as_one() {
        let api = TdApi::load();
        let mut paths = Vec::new();
        for (name, of) in api.types().iter().chain(api.methods()).flat_map(|one| &one.fields) {
            let may_be_one = of == "string" && (name.contains("path") || name.contains("director"));
            assert_eq!(is_path(name), may_be_one, "{name}:{of}");
            paths.extend(may_be_one.then_some(name));
        }
        assert!(paths.len() >= 8, "{paths:?}");
    }
}
