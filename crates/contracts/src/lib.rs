//! The wire: envelopes of commands and events, ids, error codes, and the names of exchanges,
//! queues, channels and keys.
//!
//! Shapes, not behaviour: nothing here does I/O, and no component's private type lives here. A
//! backend team reads this crate to learn what goes over RabbitMQ and Redis. Every other crate takes
//! names and envelopes from here, so none is spelt twice.
//!
//! Read in this order: [`ids`], [`caller`], [`shard`], [`route`], [`names`], [`command`], [`event`],
//! [`error`], [`audit`].

pub mod audit;
pub mod caller;
pub mod command;
pub mod error;
pub mod event;
pub mod ids;
pub mod names;
pub mod route;
pub mod shard;

pub use audit::AuditEntry;
pub use caller::{CallerName, LedgerKey};
pub use command::{
    Command, CommandEnvelope, CommandMeta, DEFAULT_DEADLINE, Field, Properties, RESERVED_FIELDS,
    SECRET_DEADLINE, SECRET_FIELDS, UnreadableCommand, may_hold_secret, shortened,
};
pub use error::{ErrorCode, ErrorInfo, ErrorSource};
pub use event::{Body, Event, EventEnvelope, EventMeta, SCHEMA_VERSION, UnloggedError};
pub use ids::{AccountId, CommandId, Epoch, EventId, random_trace_id};
pub use names::Names;
pub use route::{Flow, RoutingKey};
pub use shard::{Shard, ShardCount};
