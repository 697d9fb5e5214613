//! The only crate that calls libtdjson: requests go in, answers and updates come out.
//!
//! [`Library`] loads the real library; [`Tdjson`] is the trait that tests implement instead.
//! [`Tdlib`] owns the process's only reader thread; [`Tdlib::client`] returns one account's
//! [`Client`] (requests) and [`UpdateReceiver`] (updates, in TDLib's order).
//!
//! Invariants: `td_receive` runs on one thread only, which never blocks on a client; no object is
//! dropped because its type is unknown, and no input from TDLib causes a panic; every request has a
//! deadline; all `unsafe` code of the workspace is in `library.rs` and `guard`. No object is read more strictly
//! than TDLib writes it ([`answers`]). tdlib-rs provides types and nothing else: its `Update` enum
//! takes minutes to compile and must not be used.

mod client;
mod counters;
mod crash_record;
mod error;
mod guard;
mod library;
mod library_file;
mod log;
mod log_remark;
mod object;
mod pending_call;
mod pending_requests;
mod raw_params;
mod reader;
mod redact;
mod request;
mod route_table;
mod tdjson;
mod version;

pub mod answers;
pub mod methods;

pub use client::{Client, Tdlib, UpdateReceiver};
pub use counters::ReaderCounters;
pub use error::{CallError, LoadError, TdError};
pub use guard::{GuardError, ProxyGuard};
pub use library::Library;
pub use library_file::LibraryFile;
pub use log_remark::HiddenWaits;
pub use methods::Method;
pub use object::Update;
pub use pending_call::PendingCall;
pub use raw_params::{ParamsFault, RawParams};
pub use redact::redact;
pub use runtime::CancellationToken;
pub use tdjson::{LogCallback, Tdjson, check_version};
pub use tdlib_rs::{enums, types};
pub use version::REQUIRED_VERSION;
