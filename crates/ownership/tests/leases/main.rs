//! Leases on a real Redis. Each worker is an [`ownership::Ownership`] on its own runtime, so that a
//! simulated crash drops it together with its locks.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod faults;
mod hand_overs;
mod renewal;
mod support;
