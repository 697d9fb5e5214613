//! The log of these tests keeps the rules of every event log.

use std::sync::Arc;

use log_port::LogPort;

use crate::support::MemoryLog;

fn open() -> (Arc<dyn LogPort>, ()) {
    (MemoryLog::new(), ())
}

testkit::log_rules!(open);
