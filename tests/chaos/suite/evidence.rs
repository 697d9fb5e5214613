//! The evidence that a run leaves behind, for the checker.

use std::collections::BTreeMap;
use std::fmt;

use contracts::Flow;
use serde_json::Value;

/// Unix time in milliseconds.
pub(crate) type Ms = u64;

/// The time now.
pub(crate) fn now() -> Ms {
    let now = runtime::Clock::system().now();
    u64::try_from(now.as_millisecond()).unwrap_or(0)
}

/// An event's id, `<epoch>-<n>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) epoch: u64,
    pub(crate) n: u64,
}

impl Id {
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (epoch, n) = text.split_once('-')?;
        Some(Self { epoch: epoch.parse().ok()?, n: n.parse().ok()? })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.n)
    }
}

/// One event, with the fields that the checker uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: Id,
    pub(crate) prev: Option<Id>,
    /// The payload's type.
    pub(crate) kind: String,
    /// The command it answers.
    pub(crate) command: Option<String>,
    /// `error_info.code` of a failure.
    pub(crate) code: Option<String>,
    /// The message's text, of an `updateNewMessage`.
    pub(crate) text: Option<String>,
    /// The state, of an `account_state`.
    pub(crate) state: Option<String>,
    /// The envelope's bytes.
    pub(crate) json: Vec<u8>,
}

impl Event {
    /// Reads an envelope; `None` if it is malformed.
    pub(crate) fn read(json: &[u8]) -> Option<Self> {
        let event: Value = serde_json::from_slice(json).ok()?;
        let payload = &event["payload"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let (meta, result) = (&payload["_meta"], &payload["result"]);
        let kind = text(&payload["type"])?;
        Some(Self {
            state: text(&result["state"]).filter(|_| kind == "account_state"),
            id: meta["event_id"].as_str().and_then(Id::read)?,
            prev: meta["prev"].as_str().and_then(Id::read),
            kind,
            command: text(&meta["command_id"]),
            code: text(&payload["error_info"]["code"]),
            text: text(&result["message"]["content"]["text"]["text"]),
            json: json.to_vec(),
        })
    }
}

/// When and how the follower received an event.
#[derive(Clone, Debug)]
pub(crate) struct SeenEvent {
    pub(crate) event: Event,
    pub(crate) at: Ms,
    /// From the live channel, as opposed to the log.
    pub(crate) live: bool,
}

/// What a command does at Telegram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandKind {
    /// Sets a number at Telegram by `call_tdlib`, which the worker must assume is not idempotent.
    NotIdempotent,
    /// Sets a number at Telegram by an idempotent command.
    Idempotent,
    /// Changes nothing.
    Read,
    /// Crashes the worker's process.
    Poison,
}

/// A command that was published.
#[derive(Clone, Debug)]
pub(crate) struct PublishedCommand {
    pub(crate) id: String,
    pub(crate) kind: CommandKind,
    /// The number that it sets; commands of an account count from 1.
    pub(crate) number: u32,
    pub(crate) flow: Flow,
    /// The times of all attempts to publish it, copies included.
    pub(crate) attempts: Vec<Ms>,
    /// When RabbitMQ confirmed the first one.
    pub(crate) confirmed: Option<Ms>,
}

/// A change at Telegram, made for an account.
#[derive(Clone, Debug)]
pub(crate) struct Effect {
    pub(crate) at: Ms,
    pub(crate) kind: CommandKind,
    pub(crate) number: u32,
}

/// The evidence about one account.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccountEvidence {
    pub(crate) published: Vec<PublishedCommand>,
    /// Its log at the end of the run.
    pub(crate) log: Vec<Event>,
    /// All events that the follower has received.
    pub(crate) seen: BTreeMap<Id, SeenEvent>,
    /// In the order in which Telegram did them.
    pub(crate) effects: Vec<Effect>,
    /// The ledger's entries by command.
    pub(crate) ledger: BTreeMap<String, String>,
    /// Entries of its pending lists.
    pub(crate) pending: u64,
    /// The texts of the messages it received, with their times.
    pub(crate) messages: Vec<(String, Ms)>,
    /// Its database was destroyed: commands may fail, but still have to be answered.
    pub(crate) destroyed: bool,
    /// A hostile producer could publish for it: it may have answers and effects of others.
    pub(crate) attacked: bool,
}

/// Everything that the checker looks at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) accounts: BTreeMap<u32, AccountEvidence>,
    /// RabbitMQ's queues that are not empty, with the number of their messages.
    pub(crate) queues: Vec<(String, u64)>,
    /// Accounts whose key two clients had at once, as Telegram saw it.
    pub(crate) duplicates: Vec<Option<u32>>,
    /// When Redis lost its data: when it went down and when it was back.
    pub(crate) wipes: Vec<(Ms, Ms)>,
    /// Processes that ended although nothing but messages harmed them.
    pub(crate) ended: Vec<String>,
    /// Files of the host that were sent to Telegram.
    pub(crate) uploads: usize,
}
