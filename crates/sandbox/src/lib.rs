//! A local Telegram data centre: real MTProto on loopback, answered from memory.
//!
//! The real libtdjson enters, in a copy that trusts this sandbox's key ([`Sandbox::patch_library`]),
//! through `addProxy` with [`Sandbox::address`] and [`Sandbox::secret`]; it leaves logged in.
//! Tests and the demo start it; nothing in it reaches Telegram, and no client of it can.
//!
//! Reading order: [`Sandbox`] accepts, `connection` serves one client, `transport` and `handshake`
//! open it, `envelope` and `session` carry its messages, `dispatch` finds the method in `rpc`, and
//! `model` holds the accounts that the methods work on. The model knows nothing of the wire.

mod account;
mod authority;
mod clock;
mod connection;
mod connections;
mod control;
mod core;
mod crypto;
mod dispatch;
mod envelope;
mod faults;
mod handshake;
mod http;
mod keys;
mod listener;
mod model;
mod options;
mod patch;
mod record;
mod rpc;
mod sandbox;
mod service;
mod session;
mod state;
mod sync;
mod transport;

pub use account::{AccountHandle, SessionView};
pub use faults::{Effect, Fault, FaultId};
pub use model::{
    BlockList, ChatId, GlobalPrivacy, Peer, PrivacyKey, PrivacyRule, Reach, SeedError, UserId,
};
pub use options::Options;
pub use patch::{PatchError, PatchedLibrary};
pub use record::{Call, HotLoop};
pub use sandbox::{Error, Sandbox};
pub use state::StateError;
