//! Connects the ports that the parts declare to their implementations.

use std::sync::{Arc, OnceLock};

use broker::{Bus, Delivery, DeliveryHandler, Settlement};
use bytes::Bytes;
use contracts::Properties;
use owner_worker::{CommandOutcome, Worker, WorkerRequest};
use ownership::Guard;

/// The broker's deliveries go to the worker.
pub(crate) struct DeliveryAdapter {
    pub(crate) worker: Arc<Worker>,
    pub(crate) guard: Guard,
}

impl DeliveryHandler for DeliveryAdapter {
    fn handle(&self, delivery: Delivery) {
        let Delivery { body, key, properties, refusal, redelivered, expired, ticket, .. } =
            delivery;
        if !self.guard.holds(key.shard) {
            return ticket.refuse();
        }
        let request = WorkerRequest { body, key, properties, refusal, redelivered, expired };
        let done = move |outcome| {
            ticket.settle(match outcome {
                CommandOutcome::Answered(event) => Settlement::Answered { event },
                CommandOutcome::AnsweredBefore | CommandOutcome::Pending => Settlement::Kept,
                CommandOutcome::DeadLetter { reason, event } => {
                    Settlement::DeadLetter { reason, event }
                }
            });
        };
        self.worker.submit(request, Box::new(done));
    }
}

/// Sends the replies of commands that are already acknowledged, through the bus; the bus is set later,
/// since it is created after the worker that handles its deliveries.
#[derive(Default)]
pub(crate) struct BusReplySender(OnceLock<Bus>);

impl BusReplySender {
    pub(crate) fn set_bus(&self, bus: Bus) {
        self.0.get_or_init(|| bus);
    }
}

impl owner_worker::ReplySender for BusReplySender {
    fn reply(&self, command: &Properties, event: Bytes) {
        if let Some(bus) = self.0.get() {
            bus.reply(command, event);
        }
    }
}
