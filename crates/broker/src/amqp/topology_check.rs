use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info};

use crate::error::Error;

/// When to declare the topology again on a connection that is up, and how that ended.
///
/// Nothing that is missing or different on RabbitMQ ends the connection: what still works goes on.
pub(crate) struct TopologyCheck {
    every: Option<Duration>,
    last: Instant,
    /// The last fault that was logged.
    fault: Option<String>,
}

impl TopologyCheck {
    /// The topology was declared just now; the next time is `every` later, if at all.
    pub(crate) fn new(every: Option<Duration>) -> Self {
        Self { every, last: Instant::now(), fault: None }
    }

    pub(crate) fn is_due(&self) -> bool {
        self.every.is_some_and(|every| every <= self.last.elapsed())
    }

    /// Logs a fault once, and when it is over.
    pub(crate) fn report(&mut self, declared: Result<(), Error>) {
        self.last = Instant::now();
        let fault = declared.err().map(|error| runtime::error_chain(&error));
        if fault != self.fault {
            if let Some(error) = &fault {
                error!(error, "queues and bindings cannot be declared; retrying");
            } else {
                info!("queues and bindings are declared again");
            }
            self.fault = fault;
        }
    }
}
