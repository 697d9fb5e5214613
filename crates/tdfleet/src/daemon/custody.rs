//! The shards in this process's hands: each is opened, served, and handed over or dropped.

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

use super::SETTLING;

/// Shards that are handed over at the same time when the process ends.
const AT_ONCE: usize = 8;

/// What it takes to open a shard and to close it again.
#[derive(Clone)]
pub(super) struct Hands {
    pub(super) bus: Bus,
    pub(super) worker: Arc<Worker>,
    pub(super) log: EventLog,
    pub(super) guard: Guard,
}

/// See the module.
pub(super) struct Custody {
    hands: Hands,
    held: HashMap<Shard, Held>,
    steps: FuturesUnordered<BoxFuture<'static, Step>>,
}

/// One shard.
struct Held {
    state: State,
    /// Cancelled when there is no time left for good order.
    urgent: CancellationToken,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Opening,
    Open,
    Closing,
}

/// What a shard's future came to.
enum Step {
    Opened(Shard),
    /// Closed; whether everything it had begun is finished and in the log.
    Closed(Shard, bool),
}

impl Custody {
    pub(super) fn new(hands: Hands) -> Self {
        Self { hands, held: HashMap::new(), steps: FuturesUnordered::new() }
    }

    /// Begins to open a shard that has become this worker's.
    pub(super) fn gain(&mut self, lease: Lease) {
        let Lease { shard, epoch, clean } = lease;
        let urgent = CancellationToken::new();
        let (hands, given_up) = (self.hands.clone(), urgent.clone());
        self.held.insert(shard, Held { state: State::Opening, urgent });
        let opening = async move {
            if !hands.guard.holds(shard) {
                return Step::Closed(shard, clean);
            }
            let opened = hands.worker.open_shard(shard, epoch, clean);
            match given_up.run_until_cancelled(opened).await {
                Some(Ok(())) => {
                    hands.bus.subscribe(shard);
                    Step::Opened(shard)
                }
                Some(Err(error)) => {
                    warn!(%shard, %epoch, %error, "a shard was not opened");
                    Step::Closed(shard, clean)
                }
                None => Step::Closed(shard, clean),
            }
        };
        self.steps.push(opening.boxed());
    }

    /// Hands a shard over in good order: what has begun may take `grace` to finish.
    pub(super) fn hand_over(&mut self, shard: Shard, grace: Duration) {
        let Some(held) = self.held.get_mut(&shard) else { return };
        match held.state {
            // Nothing is under way there yet.
            State::Opening => held.urgent.cancel(),
            State::Open => {
                held.state = State::Closing;
                let (hands, urgent) = (self.hands.clone(), held.urgent.clone());
                self.steps.push(hands.close(shard, grace, urgent).boxed());
            }
            State::Closing => {}
        }
    }

    /// Closes a shard at once: its time is nearly over.
    pub(super) fn drop_now(&mut self, shard: Shard) {
        if let Some(held) = self.held.get(&shard) {
            held.urgent.cancel();
        }
        self.hand_over(shard, Duration::ZERO);
    }

    /// Waits until a shard is closed: it is to be released, clean or not. Never ends while nothing is
    /// under way. Safe to drop.
    pub(super) async fn next(&mut self) -> (Shard, bool) {
        loop {
            match self.steps.next().await {
                None => std::future::pending().await,
                Some(Step::Opened(shard)) => self.on_opened(shard),
                Some(Step::Closed(shard, clean)) => {
                    self.held.remove(&shard);
                    debug!(%shard, clean, "shard given up");
                    return (shard, clean);
                }
            }
        }
    }

    fn on_opened(&mut self, shard: Shard) {
        debug!(%shard, "shard opened");
        let Some(held) = self.held.get_mut(&shard) else { return };
        held.state = State::Open;
        if held.urgent.is_cancelled() {
            self.hand_over(shard, Duration::ZERO);
        }
    }

    /// Hands over the next of all shards, a few at a time, so that the others are served meanwhile;
    /// what still runs at `finish_by` is cut off. To be called again as they are closed.
    pub(super) fn hand_all_over(&mut self, finish_by: Instant) {
        let grace = finish_by.saturating_duration_since(Instant::now());
        let closing = |held: &Held| held.state == State::Closing;
        let free = AT_ONCE.saturating_sub(self.held.values().filter(|held| closing(held)).count());
        let mut next: Vec<_> =
            self.held.iter().filter(|(_, held)| !closing(held)).map(|(shard, _)| *shard).collect();
        next.sort_unstable();
        for shard in next.into_iter().take(free) {
            self.hand_over(shard, grace);
        }
    }

    /// Shards in hand.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }
}

impl Hands {
    async fn close(self, shard: Shard, grace: Duration, urgent: CancellationToken) -> Step {
        let Self { bus, worker, log, .. } = &self;
        let in_order = async {
            let unsubscribed = bus.unsubscribe(shard, grace + SETTLING);
            let (settled, ()) = join(unsubscribed, worker.close_shard(shard, grace)).await;
            if !settled {
                info!(%shard, "unfinished commands are left to redelivery");
            }
            // The next owner's claim would shut out what is still on its way into the log.
            let flushed = *log.connected().borrow() && log.drain(SETTLING).await;
            Step::Closed(shard, flushed)
        };
        if let Some(step) = urgent.run_until_cancelled(in_order).await {
            return step;
        }
        let at_once =
            join(bus.unsubscribe(shard, Duration::ZERO), worker.close_shard(shard, Duration::ZERO));
        at_once.await;
        Step::Closed(shard, false)
    }
}
