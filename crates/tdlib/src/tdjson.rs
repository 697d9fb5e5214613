use std::ffi::CStr;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::error::LoadError;

/// The version of TDLib whose types tdlib-rs carries; no other is accepted.
pub const REQUIRED_VERSION: &str = "1.8.61";

/// Is told each line of TDLib's log: its verbosity level (0 fatal, 1 error, 2 warning, …) and text.
///
/// It must not call TDLib; TDLib ends the process as soon as it returns from a line of level 0.
pub type LogCallback = Arc<dyn Fn(i32, &str) + Send + Sync>;

/// The C functions of libtdjson. Source: TDLib 1.8.61, `td_json_client.h`.
///
/// [`crate::Library`] is the real one; tests script their own.
pub trait Tdjson: Send + Sync {
    /// A new client's id. TDLib sends nothing for it before its first request.
    fn create_client_id(&self) -> i32;

    /// Hands a request (a JSON object) to a client; the answer comes out of [`Tdjson::receive`].
    fn send(&self, client_id: i32, request: &CStr);

    /// The next answer or update, a JSON object; `None` when there was none within `timeout`.
    ///
    /// To be called by one thread alone.
    fn receive(&self, timeout: Duration) -> Option<Vec<u8>>;

    /// Runs one of the few requests that TDLib answers at once, without a client.
    fn execute(&self, request: &CStr) -> Option<String>;

    /// Has `callback` told of every log line up to `max_level`, in whatever thread writes it.
    fn set_log_message_callback(&self, max_level: i32, callback: LogCallback);
}

/// Asks `library` for its version.
///
/// # Errors
///
/// [`LoadError::Version`] when it is not [`REQUIRED_VERSION`], or cannot be told.
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
