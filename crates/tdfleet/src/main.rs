//! The one binary: it wires the parts together and gives operators their commands.
//!
//! - `daemon`: the worker itself. `daemon/deployment.rs` starts the parts, `daemon.rs` runs and
//!   stops them, `daemon/adapters.rs` connects the ports of one part to another.
//! - `operator`: commands that inspect and change a running fleet.
//! - `dev`: the demo, the sandbox, and the generated documents.
//!
//! Nothing here knows AMQP, Redis or TDLib beyond calling the parts that do.

mod answer;
mod cli;
mod daemon;
mod dev;
mod exit;
mod installation;
mod operator;
mod output;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use settings::{SettingFaults, SettingSources, Settings};

use cli::{Cli, Subcommand, WorkerArgs};
use daemon::{embedded, supervisor};
#[cfg(feature = "sandbox")]
use dev::{demo, sandbox};
use exit::EX_CONFIG;
use operator::{audit, check_config, dead_letters, doctor, events, send, shards, workers};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return report_failure(&anyhow::Error::new(error).context("cannot start the runtime"));
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(code) => code,
        Err(error) => report_failure(&error),
    }
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let settings = || load_settings(cli.config.clone());
    match cli.subcommand {
        Subcommand::Worker(WorkerArgs { processes: Some(processes), .. }) => {
            supervisor::run(&settings()?, cli.config.clone(), processes).await
        }
        Subcommand::Worker(args) if args.supervised => {
            supervisor::run_supervised(&settings()?).await
        }
        Subcommand::Worker(_) => daemon::run(&settings()?).await,
        Subcommand::Run(args) => embedded::run(&settings()?, args).await,
        Subcommand::Send(args) => send::run(settings()?, args).await,
        Subcommand::Events(args) => events::run(settings()?, args).await,
        Subcommand::Audit(args) => audit::run(settings()?, args).await,
        Subcommand::Shards(command) => shards::run(settings()?, command).await,
        Subcommand::Workers(command) => workers::run(settings()?, command).await,
        Subcommand::DeadLetters(command) => dead_letters::run(settings()?, command).await,
        Subcommand::Doctor(args) => doctor::run(settings()?, &args).await,
        Subcommand::CheckConfig => check_config::run(&settings()?),
        Subcommand::Documents(args) => dev::documents::run(&args),
        #[cfg(feature = "sandbox")]
        Subcommand::Sandbox(args) => sandbox::run(settings()?, args).await,
        #[cfg(feature = "sandbox")]
        Subcommand::Demo(args) => demo::run(settings()?, args).await,
    }
}

/// Reads the settings and sets up logging as they say.
fn load_settings(file: Option<PathBuf>) -> Result<Settings, SettingFaults> {
    let settings = settings::load(SettingSources { file, environment: None })?;
    settings.log.telemetry().install();
    Ok(settings)
}

/// Prints why the command failed, to standard error: logging may not be set up yet.
#[expect(clippy::print_stderr, reason = "the command's error message")]
fn report_failure(error: &anyhow::Error) -> ExitCode {
    if let Some(faults) = error.downcast_ref::<SettingFaults>() {
        eprintln!("tdfleet: invalid configuration:");
        for fault in faults.iter() {
            eprintln!("  {}: {}", fault.setting, fault.problem);
        }
        return ExitCode::from(EX_CONFIG);
    }
    eprintln!("tdfleet: {error:#}");
    ExitCode::FAILURE
}
