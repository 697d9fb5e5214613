use contracts::{Epoch, EventId};

use crate::pending::PendingCommand;

/// What the log holds of an account when an owner claims it.
#[derive(Clone, Debug, Default)]
pub struct LogHead {
    /// Its last event.
    pub last: Option<EventId>,
    /// Both pending lists, each in order.
    pub pending: Vec<PendingCommand>,
    /// Epoch of the last owner that opened the account's directory.
    pub opened: Option<Epoch>,
    /// Whether it was logged in when last seen.
    pub logged_in: bool,
    /// Number of entries in the pending lists that no owner had written: they were set aside.
    pub foreign: usize,
}

/// A field of an account's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadField {
    /// The owner has opened the account's directory.
    Opened,
    /// Whether the account is logged in.
    LoggedIn(bool),
}
