use contracts::{AccountId, Epoch};

/// An owner's fencing token for one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerToken {
    /// The account.
    pub account: AccountId,
    /// The owner's epoch; nothing is written under it once the account is claimed for a newer one.
    pub epoch: Epoch,
    /// Whether a worker runs the account; the keys of an account without a worker expire soon.
    pub served: bool,
}

/// Why something will never be in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotStored {
    /// A newer owner has claimed the account; nothing of this epoch will be stored any more.
    #[error("a newer owner has claimed the account's log (epoch {current})")]
    Fenced {
        /// The newer owner's epoch.
        current: Epoch,
    },
    /// The log was shut down first.
    #[error("the event log is shut down")]
    Closed,
}
