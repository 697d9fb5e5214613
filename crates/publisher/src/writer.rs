//! The one task that writes: takes jobs in batches, keeps their order, outlives outages.

mod account;
mod books;
mod encode;
mod flight;
mod land;
mod recent;
mod said;
mod tally;

use std::time::Duration;

use runtime::CancellationToken;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{info, warn};

use crate::store::{Outage, Store, retry_backoff};
use flight::Flight;

pub(crate) use books::Books;
pub(crate) use flight::{Append, Beginning, Job, Parking, Task};
pub(crate) use tally::Tally;

/// Jobs taken from the queue at once, and calls in one pipeline.
const BATCH: usize = 512;
/// How often a store without traffic is asked whether it is there, and calls that it refused are
/// tried again.
const TICK: Duration = Duration::from_secs(1);

pub(crate) struct Writer<S> {
    store: S,
    jobs: mpsc::UnboundedReceiver<Job>,
    books: Books,
    /// What was under way when the store was lost: tried again, unchanged, so that the store can
    /// recognise what it did carry out.
    held: Vec<Flight>,
    connected: watch::Sender<bool>,
    /// The outage has been told of.
    reported: bool,
    stop: CancellationToken,
}

impl<S: Store> Writer<S> {
    pub(crate) fn new(
        store: S,
        jobs: mpsc::UnboundedReceiver<Job>,
        connected: watch::Sender<bool>,
        books: Books,
        stop: CancellationToken,
    ) -> Self {
        Self { store, jobs, books, held: Vec::new(), connected, reported: false, stop }
    }

    /// Writes until the stage stops or nobody holds the log any more; then stores what is queued,
    /// if the store takes it, and closes the rest.
    pub(crate) async fn run(mut self) {
        if self.reconnect().await {
            self.write().await;
        }
        self.jobs.close();
        while let Ok(job) = self.jobs.try_recv() {
            self.books.take(job);
        }
        if *self.connected.borrow()
            && let Err(outage) = self.settle().await
        {
            warn!(
                redis = self.store.place(),
                error = runtime::error_chain(&outage),
                "events are lost"
            );
        }
        self.connected.send_replace(false);
        self.held.drain(..).for_each(|flight| self.books.close(flight));
        self.books.close_all();
    }

    async fn write(&mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = self.stop.clone();
        loop {
            let done = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = tick.tick() => self.tick().await,
                taken = self.jobs.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        return;
                    }
                    batch.drain(..).for_each(|job| self.books.take(job));
                    self.settle().await
                }
            };
            if let Err(outage) = done {
                self.report(&outage);
                if !self.reconnect().await {
                    return;
                }
            }
        }
    }

    async fn tick(&mut self) -> Result<(), Outage> {
        self.store.ping().await?;
        self.books.retry_refused();
        self.settle().await
    }

    /// Carries out everything that waits.
    async fn settle(&mut self) -> Result<(), Outage> {
        loop {
            let mut flights = self.books.restores();
            if flights.is_empty() {
                flights = self.books.take_off();
            }
            if flights.is_empty() {
                break;
            }
            self.fly(flights).await?;
        }
        self.books.answer_flushes();
        Ok(())
    }

    /// One round trip for all of `flights`; those that got no verdict are held.
    async fn fly(&mut self, flights: Vec<Flight>) -> Result<(), Outage> {
        let (calls, tasks): (Vec<_>, Vec<_>) = flights.into_iter().map(Flight::split).unzip();
        let outcome = self.store.run(&calls).await;
        let flights = calls.into_iter().zip(tasks).map(Flight::join);
        match outcome {
            Ok(verdicts) => {
                for (flight, verdict) in flights.zip(verdicts) {
                    self.books.land(flight, verdict);
                }
                if std::mem::take(&mut self.books.lost) { Err(Outage::Lost) } else { Ok(()) }
            }
            Err(outage) => {
                for flight in flights {
                    self.held.extend(self.books.hold(flight));
                }
                Err(outage)
            }
        }
    }

    /// Tries until the store takes events again; `false` when the stage stops first.
    async fn reconnect(&mut self) -> bool {
        self.connected.send_replace(false);
        let mut backoff = retry_backoff();
        while let Err(outage) = self.attach().await {
            self.report(&outage);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return false,
                () = sleep(backoff.next_delay()) => {}
            }
        }
        if std::mem::take(&mut self.reported) {
            info!(redis = self.store.place(), "redis takes events again");
        }
        self.connected.send_replace(true);
        true
    }

    /// Connects, compares every account's head with what was stored, brings back what the store has
    /// lost, and only then carries out what was under way: a ledger that has forgotten what is done
    /// must not be asked, and who hears of an event may rely on all that was told before it.
    async fn attach(&mut self) -> Result<(), Outage> {
        self.store.connect().await?;
        let claims = self.books.claims();
        self.fly_all(claims).await?;
        let restores = self.books.restores();
        self.fly_all(restores).await?;
        for round in self.books.repeats() {
            self.fly_all(round).await?;
        }
        let held = std::mem::take(&mut self.held);
        self.fly(held).await?;
        self.settle().await
    }

    /// Carries out calls of the writer's own, one batch at a time.
    async fn fly_all(&mut self, mut flights: Vec<Flight>) -> Result<(), Outage> {
        while !flights.is_empty() {
            let rest = flights.split_off(flights.len().min(BATCH));
            self.fly(flights).await?;
            flights = rest;
        }
        Ok(())
    }

    fn report(&mut self, outage: &Outage) {
        if !std::mem::replace(&mut self.reported, true) {
            warn!(
                redis = self.store.place(),
                error = runtime::error_chain(outage),
                "redis takes no events; trying again until it does"
            );
        }
    }
}
