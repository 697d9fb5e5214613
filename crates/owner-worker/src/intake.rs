//! From a message to a command on its account's lane, or to the answer that refuses it.

use std::borrow::Cow;

use contracts::{Command, ErrorCode, ErrorSource, Flow, Properties, RoutingKey, Unreadable};
use jiff::{SignedDuration, Timestamp};

use crate::account::Job;
use crate::answer::{Address, Failure, Ids};
use crate::commands;
use crate::ports::{OnOutcome, Outcome};
use crate::worker::{Owned, Worker};

/// How long a command without a deadline of its own may wait for its turn.
const DEFAULT_DEADLINE: SignedDuration = SignedDuration::from_hours(1);

/// One message from the command bus.
pub struct Request<'a> {
    /// The JSON.
    pub body: &'a [u8],
    /// The routing key it came by; `None` where that has another form.
    pub key: Option<&'a RoutingKey>,
    /// AMQP's properties.
    pub properties: &'a Properties,
    /// Whether it may have been delivered before, to this worker or another.
    pub redelivered: bool,
    /// Whether the bus has already given it up for being too old.
    pub expired: bool,
}

impl Worker {
    /// Takes a message on: it is checked, and waits for its turn. Never blocks.
    ///
    /// `done` is called with the outcome, or dropped when the message is to be delivered again: the
    /// shard is not this worker's, or will not be any longer.
    pub fn submit(&self, request: &Request<'_>, done: OnOutcome) {
        let at = self.shared.clock.now();
        match Command::read(request.body, request.properties, request.key) {
            Ok(command) => self.submit_command(command, request, at, done),
            Err(unreadable) => self.refuse_unreadable(unreadable, request, at, done),
        }
    }

    fn submit_command(
        &self,
        command: Command<'_>,
        request: &Request<'_>,
        at: Timestamp,
        done: OnOutcome,
    ) {
        let account = command.account;
        let shard = self.shared.config.shard_count.shard_of(account);
        let submitted =
            self.with_shard(shard, |owned| match self.check(owned, &command, request, at) {
                Ok((entry, prepared)) => {
                    let deadline = command.meta.deadline.unwrap_or(at + DEFAULT_DEADLINE);
                    let flow = request.key.map_or(Flow::Hi, |key| key.flow);
                    let address = address(owned, command, entry.name.into());
                    let job = Job { entry, prepared, address, flow, deadline, done };
                    if let Some(handle) = owned.accounts.get(&account) {
                        handle.submit(job);
                    }
                }
                Err(failure) => {
                    let name = event_name(&command.name);
                    let address = address(owned, command, name);
                    address.answer(&*self.shared.sink, at, Err(failure), done);
                }
            });
        if submitted.is_none() {
            tracing::debug!(%account, %shard, "a command for a shard that is not owned here");
        }
    }

    /// The contract's checks that need neither TDLib nor the account's state, in its order.
    fn check(
        &self,
        owned: &Owned,
        command: &Command<'_>,
        request: &Request<'_>,
        at: Timestamp,
    ) -> Result<(&'static commands::Entry, commands::Prepared), Failure> {
        let Some(entry) = commands::find(&command.name) else {
            let error = format!("Unsupported command: {}", shown(&command.name));
            let (code, source) = (ErrorCode::UnknownCommand, ErrorSource::Validation);
            return Err(Failure::new(error, code, source, false));
        };
        if !owned.accounts.contains_key(&command.account) {
            let error = format!("unknown account: {}", command.account);
            let (code, source) = (ErrorCode::UnknownAccount, ErrorSource::Validation);
            return Err(Failure::new(error, code, source, false));
        }
        let prepared = entry.prepare(&command.fields, &self.shared.config)?;
        if command.meta.expected_owner_epoch.is_some_and(|epoch| epoch != owned.epoch.0) {
            let error = format!("the account's owner has epoch {}", owned.epoch);
            return Err(Failure::new(error, ErrorCode::NotOwner, ErrorSource::Ownership, true));
        }
        if request.expired || command.meta.deadline.is_some_and(|deadline| deadline <= at) {
            return Err(Failure::expired());
        }
        if request.redelivered && !entry.idempotent {
            return Err(Failure::outcome_unknown("it was delivered before"));
        }
        Ok((entry, prepared))
    }

    fn refuse_unreadable(
        &self,
        unreadable: Unreadable,
        request: &Request<'_>,
        at: Timestamp,
        done: OnOutcome,
    ) {
        let failure = Failure::invalid(unreadable.error);
        let Some(account) = unreadable.account else {
            let reason = failure.error.into_owned();
            return done(Outcome::DeadLetter { reason, event: None });
        };
        let shard = self.shared.config.shard_count.shard_of(account);
        let name = event_name(unreadable.name.as_deref().unwrap_or("command"));
        let owner = self.with_shard(shard, |owned| owned.claimant(account));
        let Some(claimant) = owner else { return };
        let correlation_id = request.properties.correlation_id.as_deref().map(Into::into);
        let ids = Ids::filled(unreadable.id, correlation_id, None);
        let address = Address { claimant, name, ids };
        if unreadable.garbled {
            address.answer_dead_letter(&*self.shared.sink, at, failure, done);
        } else {
            address.answer(&*self.shared.sink, at, Err(failure), done);
        }
    }
}

fn address(owned: &Owned, command: Command<'_>, name: Cow<'static, str>) -> Address {
    Address {
        claimant: owned.claimant(command.account),
        name,
        ids: Ids::filled(command.id, command.meta.correlation_id, command.meta.trace_id),
    }
}

/// The name that an answer's type is made of: the command's own, or `command` where a publisher
/// sent something that is no name.
fn event_name(name: &str) -> Cow<'static, str> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if (1..=64).contains(&name.len()) && name.bytes().all(word) {
        name.to_owned().into()
    } else {
        "command".into()
    }
}

/// At most 64 characters of what a publisher called a command.
fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}
