//! The exit codes of all commands; docs/operations.md explains them.

use std::process::ExitCode;

/// The settings are wrong (`EX_CONFIG` of sysexits.h).
pub(crate) const EX_CONFIG: u8 = 78;

/// Not done in time, but may still happen (`EX_TEMPFAIL` of sysexits.h).
pub(crate) const EX_TEMPFAIL: u8 = 75;

/// Standard output cannot be written (`EX_IOERR` of sysexits.h).
pub(crate) const EX_IOERR: u8 = 74;

/// 0 on success, else 1.
pub(crate) fn success_if(success: bool) -> ExitCode {
    if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
