//! A local Telegram data centre: real MTProto on loopback, answered from memory.
//!
//! A copy of the real libtdjson that trusts this sandbox's key ([`Sandbox::patch_library`])
//! connects through `addProxy` with [`Sandbox::address`] and [`Sandbox::secret`], and logs in.
//! Tests and the demo start a sandbox; neither it nor its clients ever reach Telegram.
//!
//! Reading order: [`start()`] accepts clients, `connection` serves one of them, `transport` and
//! `handshake` open its stream, `envelope` and `session` carry its messages, `dispatch` and
//! `access` run a call, `rpc` holds the methods, and `model` the accounts that they work on. The
//! model knows nothing about the protocol.

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
