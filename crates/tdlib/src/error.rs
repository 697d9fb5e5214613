use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::redact::redact;
use crate::version::REQUIRED_VERSION;

/// Why libtdjson could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no file at the path.
    #[error("no libtdjson at `{}`: run `make tdlib`, or set `tdlib.library` to your own copy", .0.display())]
    Missing(PathBuf),
    /// The file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Another user owns the file, or can write to it.
    #[error(
        "`{}` can be changed by others: it must belong to root or to this process's user, and be \
         writable by nobody else (chmod go-w)", .0.display()
    )]
    Changeable(PathBuf),
    /// The file has another content than expected.
    #[error(
        "`{}` has the SHA-256 {found}, which is not the expected one: run `make tdlib`, or set \
         `tdlib.sha256` if you trust this build", path.display()
    )]
    Checksum {
        /// The file.
        path: PathBuf,
        /// SHA-256 of its content.
        found: String,
    },
    /// The file is not a shared library, or not one for this machine.
    #[error("`{}` cannot be loaded as a shared library", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The dynamic linker's message.
        #[source]
        source: libloading::Error,
    },
    /// The file is a library without TDLib's functions.
    #[error("`{}` is not libtdjson: it has no `{symbol}`", path.display())]
    NotTdlib {
        /// The file.
        path: PathBuf,
        /// The first function that is missing.
        symbol: &'static str,
    },
    /// It is TDLib, but not the version whose types this build knows.
    #[error("libtdjson is version {found}, but {REQUIRED_VERSION} is needed: run `make tdlib`")]
    Version {
        /// The version that the library reports; `unknown` when it reports none.
        found: String,
    },
}

/// An error that TDLib answered a request with.
///
/// `Debug` shows the message redacted, since it may quote the request.
#[derive(Clone, PartialEq, Eq)]
pub struct TdError {
    /// TDLib's code: mostly 400 (bad request), 401, 404, 406 (not to be displayed), 420, 429, 500.
    pub code: i32,
    /// TDLib's message, unchanged, such as `PHONE_CODE_INVALID`; may quote the request.
    pub message: String,
    /// How long Telegram asks to wait: from a 429 `Too Many Requests: retry after N`, in seconds.
    pub retry_after: Option<Duration>,
}

impl TdError {
    /// Reads an object of type `error`; `None` when it is malformed.
    pub(crate) fn read(json: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Fields {
            code: i32,
            message: String,
        }

        let Fields { code, message } = serde_json::from_str(json).ok()?;
        let retry_after = (code == 429).then(|| retry_after(&message)).flatten();
        Some(Self { code, message, retry_after })
    }

    /// The message without what it may quote of the request: text in double quotes, and runs of five
    /// digits or more.
    pub fn redacted(&self) -> String {
        redact(&self.message)
    }

    /// Whether it only means that the client was closed before Telegram answered.
    /// Source: TDLib 1.8.61, `Global::request_aborted_error`.
    pub(crate) fn is_abort(&self) -> bool {
        self.code == 500 && self.message == "Request aborted"
    }
}

impl fmt::Debug for TdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TdError")
            .field("code", &self.code)
            .field("message", &self.redacted())
            .field("retry_after", &self.retry_after)
            .finish()
    }
}

/// Why a call has no result. No message contains any part of the request or the answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// TDLib answered with an error.
    #[error("tdlib refused the request with code {}", .0.code)]
    Td(TdError),
    /// TDLib has not answered in time. It may still answer, and the request may have taken effect.
    #[error("tdlib did not answer in time")]
    Deadline,
    /// The client is closed, or the reader has ended: there will be no answer. A write may have taken
    /// effect, or may take effect when the account is opened again.
    #[error("the tdlib client is closed")]
    Closed,
    /// The request could not be encoded; nothing was sent.
    #[error("the request cannot be encoded: {reason}")]
    Encode {
        /// The problem, without the content.
        reason: &'static str,
    },
    /// The answer does not have the method's type.
    #[error("the answer to {method} cannot be decoded at column {column}")]
    Decode {
        /// The method that was called.
        method: &'static str,
        /// Column of the answer at which decoding failed; 0 when unknown.
        column: usize,
    },
}

impl CallError {
    /// How long Telegram asks to wait before the next attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Td(error) => error.retry_after,
            _ => None,
        }
    }
}

fn retry_after(message: &str) -> Option<Duration> {
    let seconds = message.strip_prefix("Too Many Requests: retry after ")?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_wait_has_its_seconds() {
        let json = r#"{"@type":"error","code":429,"message":"Too Many Requests: retry after 31"}"#;
        let error = TdError::read(json).unwrap();
        assert_eq!(error.retry_after, Some(Duration::from_secs(31)));
        assert_eq!(CallError::Td(error).retry_after(), Some(Duration::from_secs(31)));
    }

    #[test]
    fn an_aborted_request_is_distinguished_from_a_refused_one() {
        let abort = |code, message: &str| {
            let json = format!(r#"{{"@type":"error","code":{code},"message":"{message}"}}"#);
            TdError::read(&json).unwrap().is_abort()
        };
        assert!(abort(500, "Request aborted"));
        assert!(!abort(500, "Internal Server Error") && !abort(400, "Request aborted"));
    }

    #[test]
    fn only_a_429_of_that_form_has_a_retry_delay() {
        for json in [
            r#"{"@type":"error","code":400,"message":"Too Many Requests: retry after 31"}"#,
            r#"{"@type":"error","code":429,"message":"Too Many Requests"}"#,
            r#"{"@type":"error","code":429,"message":"Too Many Requests: retry after soon"}"#,
        ] {
            assert_eq!(TdError::read(json).unwrap().retry_after, None, "{json}");
        }
    }

    #[test]
    fn neither_display_nor_debug_shows_what_an_error_quotes() {
        let json = r#"{"@type":"error","code":400,"message":"Phone 15551234567 in \"secret\""}"#;
        let error = CallError::Td(TdError::read(json).unwrap());
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("15551234567") && !shown.contains("secret"), "{shown}");
    }
}
