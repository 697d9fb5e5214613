//! What is kept of commands on Redis, so that each takes effect once and is answered once.
//!
//! The **ledger** has an entry per `command_id` of an account: handed over to TDLib (how often), or
//! done (by which event). What is done expires soon, the rest with the account's other keys. A **pending list** per account and flow holds
//! commands that RabbitMQ has let go of and that are not done.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::command::Properties;
use crate::ids::{AccountId, CommandId, Epoch, EventId};
use crate::route::Flow;

/// Who writes to an account's keys, and by what right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// The account.
    pub account: AccountId,
    /// The owner's epoch; nothing is written once a newer one has been seen.
    pub epoch: Epoch,
    /// Whether some worker runs the account; the keys of one that none runs expire soon.
    pub known: bool,
}

/// Tells one command's content from another's under the same id: a keyed hash of name and fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(pub u64);

/// Sixteen hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What an owner is about to do with a command, said to the ledger before it does.
#[derive(Clone, Debug)]
pub struct Begin {
    /// The command.
    pub command: CommandId,
    /// Its content.
    pub digest: Digest,
    /// To run it, or to answer it unrun.
    pub purpose: Purpose,
}

/// See [`Begin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Hand it over to TDLib; that is written down.
    Run {
        /// Running it once more has no other effect than running it once.
        idempotent: bool,
    },
    /// Answer it without running it; nothing is written down.
    Refuse,
}

/// What the ledger says to a [`Begin`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Go on. A command to be run counts as handed over from now on.
    Go,
    /// It has its answer already: the event, unless the log has trimmed it.
    Done(Option<Bytes>),
    /// The id belongs to a command with another content.
    Conflict,
    /// It was handed over before, here or by an earlier owner, and what became of it is not known;
    /// it is not idempotent, or was not to be run now.
    HandedOver,
    /// It was handed over [`MOST_HAND_OVERS`] times without coming to an end.
    Poison,
}

/// So often an idempotent command is handed over before it is taken for what ends the process.
pub const MOST_HAND_OVERS: u32 = 2;

/// What an answer settles, in the same step as it is appended to the log.
#[derive(Clone, Debug)]
pub struct Settle {
    /// The command is done.
    pub command: CommandId,
    /// Its content.
    pub digest: Digest,
    /// How long the ledger remembers that from now on; at least a second.
    pub keep: Duration,
    /// The place in its account's pending list that it leaves.
    pub parked: Option<Place>,
}

/// A place in a pending list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Which of the account's two lists.
    pub flow: Flow,
    /// Id of the stream entry: the owner's epoch and a number that grows.
    pub id: EventId,
}

/// A command in a pending list: the message as it came, and the id it goes by.
#[derive(Clone, Debug)]
pub struct Parked {
    /// Where it stands.
    pub place: Place,
    /// The command's id: its own, or the one its first owner gave it.
    pub command: CommandId,
    /// The body, as it was published.
    pub body: Bytes,
    /// The routing key it was published with.
    pub routing_key: String,
    /// AMQP's own properties.
    pub properties: Properties,
}

/// What an account's head says to the owner that claims it.
#[derive(Clone, Debug, Default)]
pub struct Claimed {
    /// Its last event.
    pub last: Option<EventId>,
    /// Both pending lists, each in its order.
    pub pending: Vec<Parked>,
    /// Epoch of the last owner that opened its directory.
    pub opened: Option<Epoch>,
    /// Whether it was logged in when last heard of.
    pub logged_in: bool,
}

/// Something to be remembered of an account in its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// The owner has opened the account's directory.
    Opened,
    /// It is logged in, or is not any more.
    LoggedIn(bool),
}
