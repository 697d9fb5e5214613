//! Any method of TDLib's, by name.

mod methods;

use std::borrow::Cow;

use contracts::{ErrorCode, ErrorSource};
use schemars::{JsonSchema, Schema, json_schema};
use serde::Serialize;
use serde_json::value::RawValue;
use tdlib::{ParamsFault, RawParams};

use super::args::{ArgumentType, arguments};
use super::command::{Access, AccountCommand, CommandEntry, Traffic};
use super::context::Context;
use super::error::CommandError;
use crate::config::WorkerConfig;
use crate::failure::Failure;

pub(super) const COMMANDS: &[CommandEntry] = &[CommandEntry::of::<CallTdlib>()];

const TOO_DEEP: &str = "is nested deeper than 32 levels";
const TYPE_NOT_STRING: &str = "has an @type that is not a string";
const UNREADABLE: &str = "has a string or number that TDLib can't read";
const PATH: &str = "path is not allowed";

fn not_allowed(error: impl Into<Cow<'static, str>>) -> Failure {
    Failure::new(error, ErrorCode::NotAllowed, ErrorSource::Validation, false)
}

/// A method's own fields: an object without `@type` and `@extra`, and without local paths.
struct MethodParams(Box<RawValue>);

impl ArgumentType for MethodParams {
    const REQUIRED: bool = false;

    fn parse(name: &str, value: &RawValue) -> Result<Self, Failure> {
        let read = RawParams::inspect(value).map_err(|fault| match fault {
            ParamsFault::NotAnObject => Failure::invalid(format!("{name} must be an object")),
            ParamsFault::ReservedName(field) => {
                let field: String = field.chars().take(64).collect();
                Failure::invalid(format!("unknown field: {field}"))
            }
            ParamsFault::TooDeep => Failure::invalid(format!("{name} {TOO_DEEP}")),
            ParamsFault::TypeNotString => Failure::invalid(format!("{name} {TYPE_NOT_STRING}")),
            ParamsFault::Unreadable => Failure::invalid(format!("{name} {UNREADABLE}")),
        })?;
        match read.local_path {
            Some(field) => Err(not_allowed(PATH).with_detail("field", field.into())),
            None => Ok(Self(value.to_owned())),
        }
    }

    fn absent(_name: &str) -> Result<Self, Failure> {
        Ok(Self(RawValue::from_string("{}".to_owned()).map_err(|_| Failure::internal())?))
    }

    fn schema() -> Schema {
        json_schema!({"type": "object", "propertyNames": {"pattern": "^[^@]"}, "default": {}})
    }

    fn faults(name: &str) -> Vec<String> {
        vec![
            format!("{name} must be an object"),
            "unknown field: @<name>".to_owned(),
            format!("{name} {TOO_DEEP}"),
            format!("{name} {TYPE_NOT_STRING}"),
            format!("{name} {UNREADABLE}"),
            PATH.to_owned(),
        ]
    }
}

/// TDLib's object, as it is.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
struct TdObject(#[schemars(with = "serde_json::Map<String, serde_json::Value>")] Box<RawValue>);

arguments! {
    /// Calls a method of TDLib's by name and answers with TDLib's object.
    ///
    /// Only methods that the setting `worker.call_tdlib_methods` names, and never those that open,
    /// close or reconnect the account. Parameters that name a path on the worker's machine are
    /// refused. It counts as a write that is not idempotent, and is not serialised with other
    /// commands that change the same resource.
    struct CallTdlib {
        /// TDLib's name of the method, such as `getMe`.
        method: String,
        /// The method's fields.
        params: MethodParams,
    }
}

impl AccountCommand for CallTdlib {
    const NAME: &'static str = "call_tdlib";
    const ACCESS: Access = Access::Write;
    const IDEMPOTENT: bool = false;
    const ERRORS: &'static [&'static str] = &["<method> is not allowed"];
    const EXAMPLE: &'static str = r#"{"method": "getUserFullInfo", "params": {"user_id": 1}}"#;
    type Reply = TdObject;

    fn check(&self, config: &WorkerConfig) -> Result<(), Failure> {
        let is_listed = config.call_tdlib_methods.contains(&self.method);
        if is_listed && !methods::is_owners(&self.method) {
            return Ok(());
        }
        let method: String = self.method.chars().take(64).collect();
        Err(not_allowed(format!("{method} is not allowed")))
    }

    fn traffic(&self) -> Option<Traffic> {
        methods::traffic_of(&self.method)
    }

    async fn run(self, ctx: &Context) -> Result<TdObject, CommandError> {
        ctx.change_raw(&self.method, &self.params.0).await.map(TdObject)
    }
}
