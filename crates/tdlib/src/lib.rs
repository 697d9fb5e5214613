//! The one place that talks to libtdjson: requests go in, answers and updates come out.
//!
//! [`Library`] loads the real thing, [`Tdjson`] is the seam where tests put a scripted one.
//! [`Tdlib`] owns the process's only reader thread; [`Tdlib::client`] gives one account's
//! [`Client`] (requests) and [`Updates`] (what TDLib says by itself, in its order).
//!
//! Invariants: `td_receive` runs on one thread alone, which never waits for anybody; nothing TDLib
//! says is dropped for being unknown, and nothing it says panics; every request has a deadline;
//! all `unsafe` of the workspace is in `library.rs`. tdlib-rs gives the types of answers and
//! nothing else: its `Update` enum takes minutes to compile and must not be instantiated.

mod client;
mod error;
mod library;
mod log;
mod object;
mod reader;
mod request;
mod routes;
mod tdjson;

pub mod methods;

pub use client::{Client, Pending, Tdlib, Updates};
pub use error::{CallError, LoadError, TdError};
pub use library::Library;
pub use log::redact;
pub use methods::Method;
pub use object::Update;
pub use routes::{Counters, HiddenWaits};
pub use runtime::CancellationToken;
pub use tdjson::{LogCallback, REQUIRED_VERSION, Tdjson, check_version};
pub use tdlib_rs::{enums, types};
