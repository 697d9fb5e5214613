//! `tdfleet check-config`: checks the settings without using them.

use std::process::ExitCode;

use settings::Settings;

use crate::output::print_line;

/// Loading has checked the settings already, except for what only a worker needs.
pub(crate) fn run(settings: &Settings) -> anyhow::Result<ExitCode> {
    settings.telegram.credentials()?;
    print_line("configuration OK");
    Ok(ExitCode::SUCCESS)
}
