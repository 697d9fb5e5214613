//! The commands: what a row of an area's table is, and how to find one.
//!
//! Each area file opens with its table. A command is one struct, its arguments, with its name, lane,
//! idempotence and deed beside it; the row in the table is its only registration.

mod args;
mod login;
mod sessions;

use std::borrow::Cow;
use std::future::Future;
use std::time::Duration;

use contracts::Field;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use tdlib::{CallError, Client, Method, Pending, TdError};

use crate::answer::Failure;
use args::{Arguments, Fields};

/// The tables of all areas, in the order of the reference.
const AREAS: &[&[Entry]] = &[login::COMMANDS, sessions::COMMANDS];

/// The row of the command called `name`.
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    all().find(|entry| entry.name == name)
}

/// Every row.
pub(crate) fn all() -> impl Iterator<Item = &'static Entry> {
    AREAS.iter().copied().flatten()
}

/// How commands of one account and flow share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
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
trait Command: Arguments + Send + 'static {
    const NAME: &'static str;
    const LANE: Lane;
    /// Whether running it once more has no other effect than running it once.
    const IDEMPOTENT: bool;
    const NEEDS: Needs = Needs::Ready;
    type Reply: Serialize;

    fn run(
        self,
        ctx: &mut Context,
    ) -> impl Future<Output = Result<Self::Reply, CommandError>> + Send;
}

/// One row of a table.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) lane: Lane,
    pub(crate) idempotent: bool,
    pub(crate) needs: Needs,
    /// The fields of its own, in the contract's order.
    pub(crate) fields: &'static [&'static str],
    prepare: fn(&Fields<'_, '_>) -> Result<Prepared, Failure>,
}

impl Entry {
    const fn of<C: Command>() -> Self {
        Self {
            name: C::NAME,
            lane: C::LANE,
            idempotent: C::IDEMPOTENT,
            needs: C::NEEDS,
            fields: C::FIELDS,
            prepare: |fields| C::read(fields).map(|command| Box::new(command) as Prepared),
        }
    }

    /// Checks the fields of a request: unknown ones first, then each in the contract's order.
    pub(crate) fn prepare(&self, fields: &[Field<'_>]) -> Result<Prepared, Failure> {
        if let Some(unknown) = fields.iter().find(|field| !self.fields.contains(&&*field.name)) {
            return Err(Failure::invalid(format!("unknown field: {}", unknown.name)));
        }
        (self.prepare)(&Fields(fields))
    }
}

/// A command with its arguments, ready to run.
pub(crate) type Prepared = Box<dyn Run>;

/// A [`Command`] without its type.
pub(crate) trait Run: Send {
    /// Runs it to its result's JSON.
    fn run(self: Box<Self>, ctx: &mut Context) -> BoxFuture<'_, Result<Box<str>, CommandError>>;
}

impl<C: Command> Run for C {
    fn run(self: Box<Self>, ctx: &mut Context) -> BoxFuture<'_, Result<Box<str>, CommandError>> {
        async move {
            let reply = Command::run(*self, ctx).await?;
            let json = serde_json::to_string(&reply).map_err(|_| CommandError::Internal)?;
            Ok(json.into_boxed_str())
        }
        .boxed()
    }
}

/// Why a command has no result.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// The contract refuses it.
    Refused(Failure),
    /// TDLib refuses it.
    Td(TdError),
    /// TDLib has not answered; it may still do it.
    Deadline,
    /// The account was closed meanwhile.
    Closed,
    /// A fault of ours.
    Internal,
}

impl CommandError {
    fn refused(error: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused(Failure::invalid(error))
    }
}

impl From<CallError> for CommandError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Td(error) => Self::Td(error),
            CallError::Deadline => Self::Deadline,
            CallError::Closed => Self::Closed,
            CallError::Encode { .. } | CallError::Decode { .. } => {
                tracing::error!(error = runtime::chain(&error), "a TDLib call failed");
                Self::Internal
            }
        }
    }
}

/// What a running command has: its account's TDLib, and how long one answer may take.
pub(crate) struct Context {
    client: Client,
    timeout: Duration,
    overdue: Vec<BoxFuture<'static, ()>>,
}

impl Context {
    pub(crate) fn new(client: Client, timeout: Duration) -> Self {
        Self { client, timeout, overdue: Vec::new() }
    }

    /// Asks TDLib one thing.
    async fn ask<M>(&mut self, method: M) -> Result<M::Answer, CommandError>
    where
        M: Method,
        M::Answer: Send + 'static,
    {
        let mut pending = self.client.start(method)?;
        match pending.wait(self.timeout).await {
            Err(CallError::Deadline) => {
                self.overdue.push(forget(pending).boxed());
                Err(CommandError::Deadline)
            }
            answer => Ok(answer?),
        }
    }

    /// Waits until TDLib has answered, or the account is closed, for each call whose time ran out:
    /// what comes next in the lane must not overtake an effect that is still on its way.
    pub(crate) async fn settle_overdue(&mut self) {
        for overdue in self.overdue.drain(..) {
            overdue.await;
        }
    }
}

async fn forget<A>(pending: Pending<A>) {
    drop(pending.late().await);
}
