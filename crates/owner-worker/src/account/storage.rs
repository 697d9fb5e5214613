//! What an account has on disk, and how it is opened.

mod crash_marker;
mod directory;
mod open_account;
mod opening;
mod spool;

pub(super) use directory::RecordedState;
pub(super) use open_account::{OPEN_TIMEOUT, OpenAccount};
pub(super) use opening::{OpenError, OpenTask, OpenedAccount, OpeningGuard};
pub(super) use spool::Spool;
