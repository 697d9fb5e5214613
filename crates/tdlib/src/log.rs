use tracing::{debug, error, warn};

use crate::crash_record;
use crate::redact::redact;

/// The most verbose level that is passed on: from 3 on TDLib logs whole requests, secrets included.
pub(crate) const MAX_LEVEL: u8 = 2;

/// Logs one line of TDLib's log; a fatal one is first written to disk.
pub(crate) fn log_line(level: i32, message: &str) {
    let text = redact(message.trim_end());
    match level {
        ..=0 => {
            let record = crash_record::write(&text);
            error!(target: "tdlib", record, text, "tdlib ends the process");
        }
        1 => warn!(target: "tdlib", "{text}"),
        _ => debug!(target: "tdlib", "{text}"),
    }
}
