//! Any method of TDLib's, by name.

use contracts::{ErrorCode, ErrorSource};
use schemars::{JsonSchema, Schema, json_schema};
use serde::Serialize;
use serde_json::value::RawValue;

use super::args::{ArgumentType, JsonObject, arguments};
use super::command::{Access, AccountCommand, CommandEntry};
use super::context::Context;
use super::error::CommandError;
use crate::config::WorkerConfig;
use crate::failure::Failure;

pub(super) const COMMANDS: &[CommandEntry] = &[CommandEntry::of::<CallTdlib>()];

/// A method's own fields: an object without `@type` and `@extra`.
struct MethodParams(Box<RawValue>);

impl ArgumentType for MethodParams {
    const REQUIRED: bool = false;

    fn parse(name: &str, value: &RawValue) -> Result<Self, Failure> {
        let object = JsonObject::read(value)
            .ok_or_else(|| Failure::invalid(format!("{name} must be an object")))?;
        match object.0.iter().find(|(key, _)| key.starts_with('@')) {
            Some((key, _)) => Err(Failure::invalid(format!("unknown field: {key}"))),
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
        vec![format!("{name} must be an object"), "unknown field: @<name>".to_owned()]
    }
}

/// TDLib's object, as it is.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
struct TdObject(#[schemars(with = "serde_json::Map<String, serde_json::Value>")] Box<RawValue>);

arguments! {
    /// Calls a method of TDLib's by name and answers with TDLib's object.
    ///
    /// Only methods that the setting `worker.call_tdlib_methods` names. It counts as a write that is
    /// not idempotent, and is not serialised with other commands that change the same resource.
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
        if config.call_tdlib_methods.contains(&self.method) {
            return Ok(());
        }
        let method: String = self.method.chars().take(64).collect();
        let error = format!("{method} is not allowed");
        Err(Failure::new(error, ErrorCode::NotAllowed, ErrorSource::Validation, false))
    }

    async fn run(self, ctx: &Context) -> Result<TdObject, CommandError> {
        let object = ctx.change_raw(&self.method, &self.params.0).await?;
        Ok(TdObject(ctx.without_service_codes(object)))
    }
}
