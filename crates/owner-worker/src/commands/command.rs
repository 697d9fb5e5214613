//! What a command is: its trait, and the row that registers it in its area's table.

use std::future::Future;

use contracts::{Field, shortened};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemars::{JsonSchema, Schema, schema_for};
use serde::Serialize;

use super::args::{ArgumentDescription, CommandArguments, RequestFields};
use super::context::Context;
use super::error::CommandError;
use crate::config::WorkerConfig;
use crate::failure::Failure;

/// How commands of one account and flow share the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Changes nothing; runs beside other reads.
    Read,
    /// Runs alone, in order.
    Write,
}

/// A kind of commands that Telegram limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrafficClass {
    Reads,
    Writes,
    /// Messages to others.
    Sends,
    /// Steps of a login.
    Logins,
}

/// What a command sends to Telegram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) class: TrafficClass,
    /// About how many calls it makes.
    pub(crate) calls: u32,
}

/// In which states of the account a command can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Logged in.
    Ready,
    /// TDLib is running and a login can begin; an account without a session is reopened for it.
    LoginStart,
    /// TDLib is waiting for a code.
    Code,
}

/// A command: its arguments, and how it runs.
pub(super) trait AccountCommand: CommandArguments + Send + 'static {
    const NAME: &'static str;
    const ACCESS: Access;
    /// Whether running it twice has the same effect as running it once.
    const IDEMPOTENT: bool;
    const NEEDS: Needs = Needs::Ready;
    /// Error strings in addition to those of its fields, with `<…>` for the variable parts.
    const ERRORS: &'static [&'static str] = &[];
    /// The fields of an example request.
    const EXAMPLE: &'static str = "{}";
    /// The kind of what it sends to Telegram.
    const CLASS: TrafficClass = match (Self::NEEDS, Self::ACCESS) {
        (Needs::LoginStart | Needs::Code, _) => TrafficClass::Logins,
        (Needs::Ready, Access::Read) => TrafficClass::Reads,
        (Needs::Ready, Access::Write) => TrafficClass::Writes,
    };
    type Reply: Serialize + JsonSchema;

    /// The rules across fields, once each field is valid by itself.
    fn check(&self, _config: &WorkerConfig) -> Result<(), Failure> {
        Ok(())
    }

    /// What it sends to Telegram; `None` if nothing.
    fn traffic(&self) -> Option<Traffic> {
        Some(Traffic { class: Self::CLASS, calls: self.calls() })
    }

    /// About how many calls of Telegram's API it makes.
    fn calls(&self) -> u32 {
        1
    }

    fn run(self, ctx: &Context) -> impl Future<Output = Result<Self::Reply, CommandError>> + Send;
}

/// One row of an area's table.
pub(crate) struct CommandEntry {
    pub(crate) name: &'static str,
    pub(crate) lane: Access,
    pub(crate) idempotent: bool,
    pub(crate) needs: Needs,
    /// Its fields, in the contract's order.
    pub(crate) fields: &'static [&'static str],
    pub(super) about: &'static str,
    pub(super) errors: &'static [&'static str],
    pub(super) example: &'static str,
    pub(super) properties: fn() -> Vec<ArgumentDescription>,
    pub(super) reply: fn() -> Schema,
    prepare: fn(&RequestFields<'_, '_>, &WorkerConfig) -> Result<PreparedCommand, Failure>,
}

impl CommandEntry {
    pub(super) const fn of<C: AccountCommand>() -> Self {
        Self {
            name: C::NAME,
            lane: C::ACCESS,
            idempotent: C::IDEMPOTENT,
            needs: C::NEEDS,
            fields: C::FIELDS,
            about: C::ABOUT,
            errors: C::ERRORS,
            example: C::EXAMPLE,
            properties: C::properties,
            reply: || schema_for!(C::Reply),
            prepare: |fields, config| {
                let command = C::read(fields)?;
                command.check(config)?;
                Ok(Box::new(command) as PreparedCommand)
            },
        }
    }

    /// Checks the fields of a request: unknown ones first, then each in the contract's order, then
    /// the rules across them.
    pub(crate) fn prepare(
        &self,
        fields: &[Field<'_>],
        config: &WorkerConfig,
    ) -> Result<PreparedCommand, Failure> {
        let given = |field: &&Field<'_>| field.value.get() != "null";
        let unknown = |field: &&Field<'_>| !self.fields.contains(&&*field.name);
        if let Some(unknown) = fields.iter().filter(given).find(unknown) {
            return Err(Failure::invalid(format!("unknown field: {}", shortened(&unknown.name))));
        }
        (self.prepare)(&RequestFields(fields), config)
    }
}

/// A command with valid arguments, ready to run.
pub(crate) type PreparedCommand = Box<dyn RunnableCommand>;

/// An [`AccountCommand`], type-erased.
pub(crate) trait RunnableCommand: Send {
    /// What it sends to Telegram; `None` if nothing.
    fn traffic(&self) -> Option<Traffic>;

    /// Runs it to its result's JSON.
    fn run(self: Box<Self>, ctx: &Context) -> BoxFuture<'_, Result<Box<str>, CommandError>>;
}

impl<C: AccountCommand> RunnableCommand for C {
    fn traffic(&self) -> Option<Traffic> {
        AccountCommand::traffic(self)
    }

    fn run(self: Box<Self>, ctx: &Context) -> BoxFuture<'_, Result<Box<str>, CommandError>> {
        async move {
            let reply = AccountCommand::run(*self, ctx).await?;
            let json = serde_json::to_string(&reply).map_err(|_| CommandError::Internal)?;
            Ok(json.into_boxed_str())
        }
        .boxed()
    }
}
