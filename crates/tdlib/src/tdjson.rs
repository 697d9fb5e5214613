use std::ffi::CStr;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::error::LoadError;
use crate::version::REQUIRED_VERSION;

/// Called for each line of TDLib's log: its level (0 fatal, 1 error, 2 warning, …) and text.
///
/// It must not call TDLib. TDLib ends the process as soon as the call for a line of level 0 returns.
pub type LogCallback = Arc<dyn Fn(i32, &str) + Send + Sync>;

/// The C functions of libtdjson. Source: TDLib 1.8.61, `td_json_client.h`.
///
/// [`crate::Library`] is the real one; tests use a scripted one.
pub trait Tdjson: Send + Sync {
    /// Creates a client and returns its id. TDLib sends nothing for it before its first request.
    fn create_client_id(&self) -> i32;

    /// Sends a request (a JSON object) to a client; [`Tdjson::receive`] returns the answer.
    fn send(&self, client_id: i32, request: &CStr);

    /// The next answer or update, a JSON object; `None` when none arrives within `timeout`.
    ///
    /// Call it from one thread only.
    fn receive(&self, timeout: Duration) -> Option<Vec<u8>>;

    /// Runs one of the few requests that TDLib answers synchronously, without a client.
    fn execute(&self, request: &CStr) -> Option<String>;

    /// Sets the callback for log lines up to `max_level`; it runs on the thread that logs.
    fn set_log_message_callback(&self, max_level: i32, callback: LogCallback);
}

/// Checks the version that `library` reports.
///
/// # Errors
///
/// [`LoadError::Version`] when it is not [`REQUIRED_VERSION`], or unknown.
pub fn check_version(library: &dyn Tdjson) -> Result<(), LoadError> {
    #[derive(Deserialize)]
    struct OptionValue {
        value: String,
    }

    let answer = library.execute(c"{\"@type\":\"getOption\",\"name\":\"version\"}");
    let found = answer
        .and_then(|answer| serde_json::from_str::<OptionValue>(&answer).ok())
        .map_or_else(|| "unknown".to_owned(), |option| option.value);
    if found == REQUIRED_VERSION { Ok(()) } else { Err(LoadError::Version { found }) }
}
