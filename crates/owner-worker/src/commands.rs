//! The commands: what a row of an area's table is, and how to find one.
//!
//! Each area file opens with its table. A command is one struct, its arguments, with its name, lane,
//! idempotence and deed beside it; the row in the table is its only registration.

mod args;
mod block_list;
mod catalog;
mod contacts;
mod context;
mod error;
mod global_privacy;
mod login;
mod privacy;
mod raw;
mod sessions;
mod websites;

use std::future::Future;

use contracts::Field;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemars::{JsonSchema, Schema, schema_for};
use serde::Serialize;

use crate::answer::Failure;
use crate::worker::Config;
use args::{CommandArguments, RequestFields, ArgumentDescription};

pub use catalog::{CommandDescription, catalog};
pub(crate) use context::{AccountContext, Context};
pub(crate) use error::CommandError;

/// The tables of all areas, in the order of the reference.
const AREAS: &[&[CommandEntry]] = &[
    login::COMMANDS,
    sessions::COMMANDS,
    block_list::COMMANDS,
    privacy::COMMANDS,
    global_privacy::COMMANDS,
    contacts::COMMANDS,
    websites::COMMANDS,
    raw::COMMANDS,
];

/// The row of the command called `name`.
pub(crate) fn find(name: &str) -> Option<&'static CommandEntry> {
    all().find(|entry| entry.name == name)
}

/// Every row.
pub(crate) fn all() -> impl Iterator<Item = &'static CommandEntry> {
    AREAS.iter().copied().flatten()
}

/// How commands of one account and flow share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Changes nothing; runs beside other reads.
    Read,
    /// Runs alone, in its turn.
    Write,
}

/// In which states of the account a command can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Logged in.
    Ready,
    /// TDLib runs and a login can begin; an account whose session is gone is opened anew for it.
    LoginStart,
    /// TDLib waits for this: a code.
    Code,
}

/// A command: its arguments, and what to do with them.
trait Command: CommandArguments + Send + 'static {
    const NAME: &'static str;
    const ACCESS: Access;
    /// Whether running it once more has no other effect than running it once.
    const IDEMPOTENT: bool;
    const NEEDS: Needs = Needs::Ready;
    /// Error strings beside those of its fields, with `<…>` for what varies.
    const ERRORS: &'static [&'static str] = &[];
    /// A request's own fields.
    const EXAMPLE: &'static str = "{}";
    type Reply: Serialize + JsonSchema;

    /// The rules across fields, once each of them is right by itself.
    fn check(&self, _config: &Config) -> Result<(), Failure> {
        Ok(())
    }

    fn run(self, ctx: &Context) -> impl Future<Output = Result<Self::Reply, CommandError>> + Send;
}

/// One row of a table.
pub(crate) struct CommandEntry {
    pub(crate) name: &'static str,
    pub(crate) lane: Access,
    pub(crate) idempotent: bool,
    pub(crate) needs: Needs,
    /// The fields of its own, in the contract's order.
    pub(crate) fields: &'static [&'static str],
    about: &'static str,
    errors: &'static [&'static str],
    example: &'static str,
    properties: fn() -> Vec<ArgumentDescription>,
    reply: fn() -> Schema,
    prepare: fn(&RequestFields<'_, '_>, &Config) -> Result<PreparedCommand, Failure>,
}

impl CommandEntry {
    const fn of<C: Command>() -> Self {
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
        config: &Config,
    ) -> Result<PreparedCommand, Failure> {
        if let Some(unknown) = fields.iter().find(|field| !self.fields.contains(&&*field.name)) {
            return Err(Failure::invalid(format!("unknown field: {}", unknown.name)));
        }
        (self.prepare)(&RequestFields(fields), config)
    }
}

/// A command with its arguments, ready to run.
pub(crate) type PreparedCommand = Box<dyn RunnableCommand>;

/// A [`Command`] without its type.
pub(crate) trait RunnableCommand: Send {
    /// Runs it to its result's JSON.
    fn run(self: Box<Self>, ctx: &Context) -> BoxFuture<'_, Result<Box<str>, CommandError>>;
}

impl<C: Command> RunnableCommand for C {
    fn run(self: Box<Self>, ctx: &Context) -> BoxFuture<'_, Result<Box<str>, CommandError>> {
        async move {
            let reply = Command::run(*self, ctx).await?;
            let json = serde_json::to_string(&reply).map_err(|_| CommandError::Internal)?;
            Ok(json.into_boxed_str())
        }
        .boxed()
    }
}
