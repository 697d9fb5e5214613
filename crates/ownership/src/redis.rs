//! The leases in Redis: one connection and two scripts.

mod connection;
mod message;

pub(crate) use connection::LeaseConnection;
pub(crate) use message::{
    AcquireRequest, ForgottenWorker, HeartbeatRequest, HeartbeatResponse, RecordWrite,
};
