//! Leases on a real Redis: each worker is an [`Ownership`] on a runtime of its own, which a crash
//! takes away with its locks.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod changes;
mod faults;
mod script;
mod support;
