//! The one binary: it wires the parts together and gives operators their commands.
//!
//! - `daemon`: the worker itself. `daemon/deployment.rs` starts the parts, `daemon.rs` runs and
//!   stops them, `daemon/adapters.rs` connects the ports of one part to another.
//! - `operator`: commands that inspect and change a running fleet.
//! - `store`, `process`: what a worker requires of its data directory and of its process.
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
mod process;
mod store;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use settings::{SettingFaults, SettingSources, Settings};

use cli::{Cli, Subcommand, WorkerArgs};
use daemon::{embedded, supervisor};
#[cfg(feature = "sandbox")]
use dev::{demo, sandbox};
use exit::{EX_CONFIG, EX_IOERR};
use operator::{audit, check_config, dead_letters, doctor, events, keygen, send, shards, workers};
use output::{OutputError, print_progress};

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = process::forbid_core_dumps() {
        return report_failure(&anyhow::Error::new(error).context("cannot forbid core dumps"));
    }
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
    if !matches!(cli.subcommand, Subcommand::Documents(_)) {
        process::create_private_files();
    }
    let for_worker = matches!(
        cli.subcommand,
        Subcommand::Worker(_) | Subcommand::Run(_) | Subcommand::CheckConfig
    );
    let settings = || load_settings(cli.config.clone(), for_worker);
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
        Subcommand::CheckConfig => {
            settings()?;
            check_config::run()
        }
        Subcommand::Keygen => keygen::run(),
        Subcommand::Documents(args) => dev::documents::run(&args),
        #[cfg(feature = "sandbox")]
        Subcommand::Sandbox(args) => sandbox::run(settings()?, args).await,
        #[cfg(feature = "sandbox")]
        Subcommand::Demo(args) => demo::run(settings()?, args).await,
    }
}

/// Reads the settings and sets up logging as they say.
fn load_settings(file: Option<PathBuf>, for_worker: bool) -> Result<Settings, SettingFaults> {
    let settings = settings::load(SettingSources { file, environment: None, for_worker })?;
    settings.log.telemetry().install();
    Ok(settings)
}

/// Prints why the command failed, to standard error: logging may not be set up yet.
fn report_failure(error: &anyhow::Error) -> ExitCode {
    if let Some(faults) = error.downcast_ref::<SettingFaults>() {
        print_progress("tdfleet: invalid configuration:");
        for fault in faults.iter() {
            print_progress(&format!("  {}: {}", fault.setting, fault.problem));
        }
        return ExitCode::from(EX_CONFIG);
    }
    print_progress(&format!("tdfleet: {error:#}"));
    if error.is::<OutputError>() { ExitCode::from(EX_IOERR) } else { ExitCode::FAILURE }
}
