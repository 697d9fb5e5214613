//! The account's pending lists: what a slow lane holds is kept on Redis, so that RabbitMQ can let go
//! of it and no account stalls its shard. The commands stay in their lane as well.

use std::sync::Arc;

use contracts::{Command, EventId, Flow};
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use log_port::{PendingCommand, PendingPosition};
use tokio::time::Instant;

use super::lane::Lane;
use super::{Account, Errand, Finished, Job, Refusal, SWEEP, lane_of};
use crate::answer::Failure;
use crate::copies::{Entered, Letter};
use crate::intake::Circumstances;

/// A lane with a command as old as this is slow.
const SLOW: SignedDuration = SignedDuration::from_secs(3);

impl Account {
    /// Takes over what earlier owners left in the pending lists, before anything else comes.
    pub(super) fn restore(&mut self, pending: Vec<PendingCommand>) {
        let (token, at) = (self.common.log.token(), self.shared.clock.now());
        for parked in pending {
            let PendingCommand { position: place, command, body, routing_key, properties } = parked;
            if place.id.epoch == token.epoch {
                self.last_place = self.last_place.max(place.id.n);
            }
            let letter = Letter { body, key: routing_key.parse().ok(), properties };
            let read = Command::read(&letter.body, &letter.properties, letter.key.as_ref());
            let id = Some(command.clone());
            let (redelivered, expired, flow) = (true, false, place.flow);
            let log = Arc::clone(&self.common.log);
            let known = Circumstances { log, at, flow, redelivered, expired, id };
            let order = self.shared.examine(read, &letter, known);
            let entered =
                self.copies.enter((self.id, command), order.fingerprint, (letter, at), None);
            let Entered::First(ticket) = entered else {
                self.common.log.remove_pending(place);
                continue;
            };
            ticket.stand(place, true);
            match order.errand(ticket) {
                Errand::Run(job) => {
                    let lane = &mut self.lanes[lane_of(place.flow)];
                    lane.push(job);
                    lane.parking = true;
                }
                Errand::Refuse(refusal) => self.refuse(refusal),
            }
        }
    }

    /// Puts a command last in its lane, and into the pending list where that is in use.
    pub(super) fn queue(&mut self, job: Job) {
        if self.lanes.iter().all(Lane::is_still) {
            self.next_sweep = Instant::now() + SWEEP;
        }
        let lane = &mut self.lanes[lane_of(job.flow)];
        if lane.is_full() {
            return self.refuse(Refusal { case: job.case, failure: Failure::busy() });
        }
        self.last_place += 1;
        let id = EventId { epoch: self.common.log.token().epoch, n: self.last_place };
        job.case.ticket.stand(PendingPosition { flow: job.flow, id }, false);
        lane.parking &= !lane.is_still();
        let parked = if lane.parking { job.case.ticket.park() } else { None };
        lane.push(job);
        if let Some(parked) = parked {
            self.park(vec![parked]);
        }
    }

    /// Puts what slow lanes hold into their pending lists.
    pub(super) fn park_slow(&mut self, now: Timestamp) {
        if self.closing.is_some() || !*self.log_up.borrow() {
            return;
        }
        for flow in Flow::ALL {
            if self.copies.is_slow(flow, now - SLOW) {
                self.lanes[lane_of(flow)].parking = true;
                self.park(self.copies.park(flow));
            }
        }
    }

    /// Redis may have lost what it was told before it went away.
    pub(super) fn park_again(&self) {
        self.park(self.copies.park_again());
    }

    /// While the log is away, and until it is known to be back, nothing is parked: all that is to be
    /// is parked then, in its order, which what comes later must not overtake.
    fn park(&self, parked: Vec<PendingCommand>) {
        let away = !*self.log_up.borrow() || self.log_up.has_changed().unwrap_or(true);
        if parked.is_empty() || away {
            return;
        }
        let places: Vec<_> =
            parked.iter().map(|parked| (parked.command.clone(), parked.position)).collect();
        let (copies, account) = (Arc::clone(&self.copies), self.id);
        let stored = move |stored: Result<(), _>| {
            if stored.is_ok() {
                copies.stored(account, places);
            }
        };
        self.common.log.push_pending(parked, Box::new(stored));
    }

    /// Answers a command unrun.
    pub(super) fn refuse(&self, refusal: Refusal) {
        refusal.case.ticket.step_out();
        let refused = refusal.carry_out(Arc::clone(&self.shared));
        self.tasks.push(refused.map(|()| Finished::Refused).boxed());
    }
}
