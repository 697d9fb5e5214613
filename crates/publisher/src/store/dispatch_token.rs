use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// Distinguishes one dispatch of a command from another, so that a repeated request counts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DispatchToken(u64);

impl DispatchToken {
    /// A new one, unique among all workers.
    pub(crate) fn random() -> Self {
        // A fresh RandomState hashes with random keys: the standard library's own randomness.
        Self(RandomState::new().hash_one(()))
    }
}

/// Hexadecimal digits.
impl fmt::Display for DispatchToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}
