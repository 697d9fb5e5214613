//! What the world is like.

use std::time::Duration;

use crate::rules::Times;

/// Steps of a second. A lease of three is to be closed after two, and may be taken after four.
pub(super) const TIMES: Times = Times { lease: Duration::from_secs(3) };
/// Nothing depends on how much longer ago than that something was.
pub(super) const LONG_AGO: u8 = 4;
/// So many steps an answer is waited for at most.
pub(super) const PATIENCE: u8 = 2;
/// So many requests nobody waits for are on their way at most; the others are lost.
pub(super) const LATE: usize = 2;
/// Of a request that is carried out whenever it comes.
pub(super) const NEVER: u8 = u8::MAX;
pub(super) const PROCESSES: usize = 2;

/// What the world is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    /// The processes see each other's file locks.
    pub(super) shared_lock: bool,
    pub(super) broken: Option<Broken>,
    /// How many faults may happen: crashes, a Redis that forgets all or its last write, a clock that
    /// misses a step.
    pub(super) faults: u8,
    /// How often the shard is opened at most.
    pub(super) openings: u8,
}

/// A rule that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    TakerDoesNotWait,
    OwnerCountsFromTheAnswer,
    NoWatchdog,
    LockOfANetworkDiskIsProof,
    WaitGoesOnAfterAReconnect,
    FreeIsFreeAfterARestart,
    LateRenewalCounts,
    TakeComparesNothing,
    NoFileLock,
    EpochOfTheRecordAlone,
}

impl Setting {
    /// Identity of the shard's lock; 0 when it has none.
    pub(super) fn lock(self) -> u8 {
        let proof = self.broken == Some(Broken::LockOfANetworkDiskIsProof);
        u8::from(self.shared_lock || proof)
    }
}
