//! From a message to a command on its account's lane, or to the answer that refuses it.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use contracts::{
    Command, CommandId, ErrorCode, ErrorSource, Flow, Properties, RoutingKey, Unreadable,
};
use jiff::{SignedDuration, Timestamp};
use log_port::{AccountLog, CommandFingerprint};
use runtime::OnFailure;

use crate::account::{Errand, Job, Refusal};
use crate::answer::{Address, Case, Failure, Ids};
use crate::commands::{self, CommandEntry, PreparedCommand};
use crate::copies::{Copies, Entered, Letter, Ticket};
use crate::ports::{OnOutcome, Outcome};
use crate::worker::{Owned, Shared, Worker};

/// How long a command without a deadline of its own may wait for its turn.
const DEFAULT_DEADLINE: SignedDuration = SignedDuration::from_hours(1);

/// One message from the command bus.
pub struct Request {
    /// The JSON.
    pub body: Bytes,
    /// The routing key it came by; `None` where that has another form.
    pub key: Option<RoutingKey>,
    /// AMQP's properties.
    pub properties: Properties,
    /// Whether it may have been delivered before, to this worker or another.
    pub redelivered: bool,
    /// Whether the bus has already given it up for being too old.
    pub expired: bool,
}

/// What is known of a message beside itself.
pub(crate) struct Circumstances {
    pub(crate) log: Arc<dyn AccountLog>,
    pub(crate) at: Timestamp,
    /// Whose lane it is for.
    pub(crate) flow: Flow,
    pub(crate) redelivered: bool,
    pub(crate) expired: bool,
    /// The id that an earlier owner gave it.
    pub(crate) id: Option<CommandId>,
}

/// A message that has been read and checked.
pub(crate) struct Order {
    pub(crate) address: Address,
    pub(crate) fingerprint: CommandFingerprint,
    deadline: Timestamp,
    redelivered: bool,
    flow: Flow,
    plan: Plan,
}

/// What is to be done with it.
enum Plan {
    Run(&'static CommandEntry, PreparedCommand),
    Refuse(Failure),
}

impl Worker {
    /// Takes a message on: it is checked, and waits for its turn. Never blocks.
    ///
    /// `done` is called with the outcome, or dropped when the message is to be delivered again: the
    /// shard is not this worker's, or will not be any longer.
    pub fn submit(&self, request: Request, done: OnOutcome) {
        let at = self.shared.clock.now();
        let Request { body, key, properties, redelivered, expired } = request;
        let flow = key.as_ref().map_or(Flow::Hi, |key| key.flow);
        let letter = Letter { body, key, properties };
        let read = Command::read(&letter.body, &letter.properties, letter.key.as_ref());
        let account = match &read {
            Ok(command) => Some(command.account),
            Err(unreadable) => unreadable.account,
        };
        let Some(account) = account else {
            let reason = read.err().map(|unreadable| unreadable.error.into_owned());
            let reason = reason.unwrap_or_default();
            return done(Outcome::DeadLetter { reason, event: None });
        };
        let shard = self.shared.config.shard_count.shard_of(account);
        let log = self.with_shard(shard, |owned| owned.log(account, &self.shared));
        let Some(log) = log else {
            return tracing::debug!(%account, %shard, "a command for a shard that is not owned here");
        };
        let known = Circumstances { log, at, flow, redelivered, expired, id: None };
        let order = self.shared.examine(read, &letter, known);
        self.with_shard(shard, |owned| {
            let handle = owned.accounts.get(&account);
            let copies = handle.map_or(&owned.strangers, |handle| &handle.copies);
            let errand = self.take(order, copies, (letter, at), done);
            match (handle, errand) {
                (Some(handle), Some(errand)) => handle.submit(errand),
                (None, Some(Errand::Refuse(refusal))) => self.refuse_stranger(owned, refusal),
                // A copy; a stranger's command is never found fit to run.
                (_, None) | (None, Some(Errand::Run(_))) => {}
            }
        });
    }

    /// Makes a new command an errand. A copy joins the one that is under way, and one with another's
    /// id is answered.
    fn take(
        &self,
        order: Order,
        copies: &Arc<Copies>,
        letter: (Letter, Timestamp),
        done: OnOutcome,
    ) -> Option<Errand> {
        let account = order.address.account();
        let key = (account, order.address.ids.command.clone());
        match copies.enter(key, order.fingerprint, letter, Some(done)) {
            Entered::First(ticket) => Some(order.errand(ticket)),
            Entered::Joined => None,
            Entered::Conflict(done) => {
                order.address.conflict(&self.shared, done);
                None
            }
        }
    }

    /// Refuses a command of an account that no task here serves.
    fn refuse_stranger(&self, owned: &Owned, refusal: Refusal) {
        let (shared, given_up) = (Arc::clone(&self.shared), owned.given_up.clone());
        self.stage.spawn("refusal", OnFailure::Log, async move {
            given_up.run_until_cancelled(refusal.carry_out(shared)).await;
            Ok(())
        });
    }
}

impl Order {
    /// What the account is to do, once the command is under way.
    pub(crate) fn errand(self, ticket: Ticket) -> Errand {
        let Self { address, deadline, redelivered, flow, plan, .. } = self;
        let case = Case { address, deadline, ticket };
        match plan {
            Plan::Run(entry, prepared) => {
                Errand::Run(Job { entry, prepared, case, flow, redelivered })
            }
            Plan::Refuse(failure) => Errand::Refuse(Refusal { case, failure }),
        }
    }
}

impl Shared {
    /// Reads a message to the end: the contract's checks that need neither TDLib nor the account's
    /// state, and what its answer is addressed by.
    pub(crate) fn examine(
        &self,
        read: Result<Command<'_>, Unreadable>,
        letter: &Letter,
        known: Circumstances,
    ) -> Order {
        let Circumstances { at, flow, redelivered, .. } = known;
        let log = Arc::clone(&known.log);
        let (address, fingerprint, deadline, plan) = match read {
            Ok(command) => {
                let (name, plan) = match self.check(&command, &known) {
                    Ok((entry, prepared)) => (entry.name.into(), Plan::Run(entry, prepared)),
                    Err(failure) => (event_name(&command.name), Plan::Refuse(failure)),
                };
                let fingerprint = self.fingerprinter.of_command(&command.name, &command.fields);
                let Command { id, meta, .. } = command;
                let ids = Ids::filled(id.or(known.id), meta.correlation_id, meta.trace_id);
                let address = Address { log, name, ids, garbled: None };
                (address, fingerprint, meta.deadline, plan)
            }
            Err(unreadable) => {
                let name = event_name(unreadable.name.as_deref().unwrap_or("command"));
                let correlation_id = letter.properties.correlation_id.as_deref().map(Into::into);
                let ids = Ids::filled(unreadable.id.or(known.id), correlation_id, None);
                let garbled = unreadable.garbled.then(|| unreadable.error.clone().into_owned());
                let address = Address { log, name, ids, garbled };
                let plan = Plan::Refuse(Failure::invalid(unreadable.error));
                (address, self.fingerprinter.of_bytes(&letter.body), None, plan)
            }
        };
        let deadline = deadline.unwrap_or(at + DEFAULT_DEADLINE);
        Order { address, fingerprint, deadline, redelivered, flow, plan }
    }

    /// The checks, in the contract's order.
    fn check(
        &self,
        command: &Command<'_>,
        known: &Circumstances,
    ) -> Result<(&'static CommandEntry, PreparedCommand), Failure> {
        let Some(entry) = commands::find(&command.name) else {
            let error = format!("Unsupported command: {}", shown(&command.name));
            let (code, source) = (ErrorCode::UnknownCommand, ErrorSource::Validation);
            return Err(Failure::new(error, code, source, false));
        };
        let token = known.log.token();
        if !token.served {
            let error = format!("unknown account: {}", command.account);
            let (code, source) = (ErrorCode::UnknownAccount, ErrorSource::Validation);
            return Err(Failure::new(error, code, source, false));
        }
        let prepared = entry.prepare(&command.fields, &self.config)?;
        let epoch = token.epoch;
        if command.meta.expected_owner_epoch.is_some_and(|expected| expected != epoch.0) {
            let error = format!("the account's owner has epoch {epoch}");
            return Err(Failure::new(error, ErrorCode::NotOwner, ErrorSource::Ownership, true));
        }
        if known.expired || command.meta.deadline.is_some_and(|deadline| deadline <= known.at) {
            return Err(Failure::expired());
        }
        // The ledger cannot know it again.
        let nameless = command.id.is_none() && known.id.is_none();
        if nameless && known.redelivered && !entry.idempotent {
            return Err(Failure::outcome_unknown("it was delivered before"));
        }
        Ok((entry, prepared))
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
