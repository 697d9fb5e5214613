//! The parameters of the model.

use std::time::Duration;

use crate::rules::LeaseTimes;

/// In steps of a second. A lease of three is closed after two, and may be taken over after four.
pub(super) const TIMES: LeaseTimes = LeaseTimes { lease: Duration::from_secs(3) };
/// Ages are capped here: nothing depends on how much older something is.
pub(super) const MAX_AGE: u8 = 4;
/// Steps after which a process stops waiting for an answer.
pub(super) const ANSWER_TIMEOUT: u8 = 2;
/// Most requests on their way without a process waiting for the answer; older ones are lost.
pub(super) const MAX_ABANDONED: usize = 2;
/// Expiry of a request that is applied whenever it arrives.
pub(super) const NEVER: u8 = u8::MAX;
pub(super) const PROCESSES: usize = 2;

#[derive(Clone, Copy, Debug)]
pub(super) struct ModelConfig {
    /// The processes see each other's file locks.
    pub(super) shared_lock: bool,
    pub(super) broken: Option<BrokenRule>,
    /// How many faults may happen: a process crashes, Redis loses everything or its last write, a
    /// clock misses a step.
    pub(super) faults: u8,
    /// How often the shard is opened at most.
    pub(super) openings: u8,
}

/// A rule that is deliberately not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BrokenRule {
    CandidateDoesNotWait,
    OwnerCountsFromAnswer,
    NoWatchdog,
    NetworkDiskLockIsProof,
    WaitSurvivesReconnect,
    FreeAfterRestartIsFree,
    LateRenewalCounts,
    AcquireDoesNotCompare,
    NoFileLock,
    EpochFromRecordAlone,
}

impl ModelConfig {
    pub(super) fn breaks(self, rule: BrokenRule) -> bool {
        self.broken == Some(rule)
    }

    /// Identity of the shard's file lock; 0 if it has none.
    pub(super) fn lock(self) -> u8 {
        u8::from(self.shared_lock || self.breaks(BrokenRule::NetworkDiskLockIsProof))
    }
}
