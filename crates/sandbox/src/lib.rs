//! A local Telegram data centre: real MTProto on loopback, answered from memory.
//!
//! The real libtdjson enters, in a copy that trusts this sandbox's key ([`Sandbox::patch_library`]),
//! through `addProxy` with [`Sandbox::address`] and [`Sandbox::secret`]; it leaves logged in.
//! Tests and the demo start it; nothing in it reaches Telegram, and no client of it can.
//!
//! Reading order: [`Sandbox`] accepts, `connection` serves one client, `transport` and `handshake`
//! open it, `envelope` and `session` carry its messages, `dispatch` finds the method in `rpc`, and
//! `model` holds the accounts that the methods work on. The model knows nothing of the wire.

mod access;
mod account;
mod call;
mod call_log;
mod clock;
mod connection;
mod connection_table;
mod core;
mod crypto;
mod dispatch;
mod duplicates;
mod envelope;
mod faults;
mod handshake;
mod http;
mod key_binding;
mod keys;
mod listener;
mod model;
mod options;
mod patch;
mod rpc;
mod sandbox;
mod saved_state;
mod service;
mod session;
mod start;
mod sync;
mod transport;

pub use account::{AccountHandle, SessionView};
pub use call_log::{HotLoop, RecordedCall};
pub use faults::{Fault, FaultEffect, FaultId};
pub use model::{
    BlockList, ChatId, ContactRequirement, GlobalPrivacy, Peer, PrivacyKey, PrivacyRule, SeedError,
    UserId,
};
pub use options::SandboxOptions;
pub use patch::{PatchError, PatchedLibrary};
pub use sandbox::Sandbox;
pub use saved_state::StateError;
pub use start::{StartError, start};
