//! The shards that this process holds: opens each one, serves it, and hands it over or closes it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use broker::Bus;
use contracts::Shard;
use futures_util::future::{BoxFuture, join};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use owner_worker::Worker;
use ownership::{Guard, Lease};
use publisher::EventLog;
use runtime::CancellationToken;
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// Longest time, on top of the grace period, for answers to be stored and deliveries to be settled.
pub(super) const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Shards that are handed over at the same time when the process stops.
const CONCURRENT_HAND_OVERS: usize = 8;

/// The parts that take part in opening and closing a shard.
#[derive(Clone)]
pub(super) struct ShardParts {
    pub(super) bus: Bus,
    pub(super) worker: Arc<Worker>,
    pub(super) log: EventLog,
    pub(super) guard: Guard,
}

/// See the module.
pub(super) struct ShardManager {
    parts: ShardParts,
    shards: HashMap<Shard, HeldShard>,
    steps: FuturesUnordered<BoxFuture<'static, ShardStep>>,
}

struct HeldShard {
    state: ShardState,
    /// Cancelled when there is no time for a clean close.
    urgent: CancellationToken,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ShardState {
    Opening,
    Open,
    Closing,
}

/// How opening or closing a shard ended.
enum ShardStep {
    Opened(Shard),
    /// Closed; whether everything that had begun is finished and in the log.
    Closed(Shard, bool),
}

impl ShardManager {
    pub(super) fn new(parts: ShardParts) -> Self {
        Self { parts, shards: HashMap::new(), steps: FuturesUnordered::new() }
    }

    /// Starts opening a shard that this worker has gained.
    pub(super) fn open(&mut self, lease: Lease) {
        let urgent = CancellationToken::new();
        let held = HeldShard { state: ShardState::Opening, urgent: urgent.clone() };
        self.shards.insert(lease.shard, held);
        self.steps.push(self.parts.clone().open(lease, urgent).boxed());
    }

    /// Starts handing over a shard: what has begun gets `grace` to finish.
    pub(super) fn hand_over(&mut self, shard: Shard, grace: Duration) {
        let Some(held) = self.shards.get_mut(&shard) else { return };
        match held.state {
            // Nothing has begun there yet.
            ShardState::Opening => held.urgent.cancel(),
            ShardState::Open => {
                held.state = ShardState::Closing;
                let (parts, urgent) = (self.parts.clone(), held.urgent.clone());
                self.steps.push(parts.close(shard, grace, urgent).boxed());
            }
            ShardState::Closing => {}
        }
    }

    /// Closes a shard without any grace: its lease is about to expire.
    pub(super) fn close_now(&mut self, shard: Shard) {
        if let Some(held) = self.shards.get(&shard) {
            held.urgent.cancel();
        }
        self.hand_over(shard, Duration::ZERO);
    }

    /// Waits for a shard to be closed, and returns whether it was closed cleanly; the caller then
    /// releases the lease. Never returns while no shard is opening or closing.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn next_closed(&mut self) -> (Shard, bool) {
        loop {
            match self.steps.next().await {
                None => std::future::pending().await,
                Some(ShardStep::Opened(shard)) => self.on_opened(shard),
                Some(ShardStep::Closed(shard, clean)) => {
                    self.shards.remove(&shard);
                    debug!(%shard, clean, "shard closed");
                    return (shard, clean);
                }
            }
        }
    }

    fn on_opened(&mut self, shard: Shard) {
        debug!(%shard, "shard opened");
        let Some(held) = self.shards.get_mut(&shard) else { return };
        held.state = ShardState::Open;
        if held.urgent.is_cancelled() {
            self.hand_over(shard, Duration::ZERO);
        }
    }

    /// Starts handing over the next shards, a few at a time so that the others are still served.
    /// What still runs at `finish_by` is cut off. Call it again after each closed shard.
    pub(super) fn hand_over_next(&mut self, finish_by: Instant) {
        let grace = finish_by.saturating_duration_since(Instant::now());
        let is_closing = |held: &HeldShard| held.state == ShardState::Closing;
        let closing = self.shards.values().filter(|held| is_closing(held)).count();
        let remaining = self.shards.iter().filter(|(_, held)| !is_closing(held));
        let mut next: Vec<_> = remaining.map(|(shard, _)| *shard).collect();
        next.sort_unstable();
        for shard in next.into_iter().take(CONCURRENT_HAND_OVERS.saturating_sub(closing)) {
            self.hand_over(shard, grace);
        }
    }

    /// Number of shards that are open, opening or closing.
    pub(super) fn len(&self) -> usize {
        self.shards.len()
    }
}

impl ShardParts {
    async fn open(self, lease: Lease, urgent: CancellationToken) -> ShardStep {
        let Lease { shard, epoch, clean } = lease;
        if !self.guard.holds(shard) {
            return ShardStep::Closed(shard, clean);
        }
        let opened = self.worker.open_shard(shard, epoch, clean);
        match urgent.run_until_cancelled(opened).await {
            Some(Ok(())) => {
                self.bus.subscribe(shard);
                ShardStep::Opened(shard)
            }
            Some(Err(error)) => {
                warn!(%shard, %epoch, %error, "a shard was not opened");
                ShardStep::Closed(shard, clean)
            }
            None => ShardStep::Closed(shard, clean),
        }
    }

    async fn close(self, shard: Shard, grace: Duration, urgent: CancellationToken) -> ShardStep {
        let Self { bus, worker, log, .. } = &self;
        let cleanly = async {
            let unsubscribed = bus.unsubscribe(shard, grace + SETTLE_TIMEOUT);
            let (settled, ()) = join(unsubscribed, worker.close_shard(shard, grace)).await;
            if !settled {
                info!(%shard, "unfinished commands will be redelivered");
            }
            // The next owner's claim fences off anything that is not in the log by then.
            let flushed = *log.connected().borrow() && log.drain(SETTLE_TIMEOUT).await;
            ShardStep::Closed(shard, flushed)
        };
        if let Some(step) = urgent.run_until_cancelled(cleanly).await {
            return step;
        }
        let unsubscribed = bus.unsubscribe(shard, Duration::ZERO);
        join(unsubscribed, worker.close_shard(shard, Duration::ZERO)).await;
        ShardStep::Closed(shard, false)
    }
}
