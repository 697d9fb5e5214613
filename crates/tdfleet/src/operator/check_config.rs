//! `tdfleet check-config`: checks the settings without using them.

use std::process::ExitCode;

use crate::output::print_line;

/// Loading has checked the settings already, those that only a worker needs included.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    print_line("configuration OK")?;
    Ok(ExitCode::SUCCESS)
}
