//! The one binary: it wires the parts together and gives operators their commands.
//!
//! `daemon.rs` starts the parts inside-out and drains them outside-in; `wire.rs` joins the ports that
//! the parts declare to the parts that fill them. Each subcommand has a file of its own. Nothing here
//! knows AMQP, Redis or TDLib beyond those files.

mod cli;
mod daemon;
mod dead_letters;
#[cfg(feature = "sandbox")]
mod demo;
mod doctor;
mod documents;
mod embedded;
mod events;
#[cfg(feature = "sandbox")]
mod sandbox;
mod send;
mod shards;
mod supervisor;
mod table;
mod wire;
mod workers;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use settings::{SettingFaults, SettingSources, Settings};

use cli::{Cli, Subcommand, WorkerArgs};

/// Exit code for settings that are wrong (`EX_CONFIG`).
pub(crate) const EX_CONFIG: u8 = 78;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("cannot start the runtime")),
    };
    match runtime.block_on(run(cli)) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let settings = || settings(cli.config.clone());
    match cli.subcommand {
        Subcommand::Worker(WorkerArgs { processes: Some(processes), .. }) => {
            supervisor::run(&settings()?, cli.config.clone(), processes).await
        }
        Subcommand::Worker(args) if args.supervised => supervisor::supervised(settings()?).await,
        Subcommand::Worker(_) => daemon::worker(settings()?).await,
        Subcommand::Run(args) => embedded::run(settings()?, args).await,
        Subcommand::Send(args) => send::run(settings()?, args).await,
        Subcommand::Events(args) => events::run(settings()?, args).await,
        Subcommand::Shards(command) => shards::run(settings()?, command).await,
        Subcommand::Workers(command) => workers::run(settings()?, command).await,
        Subcommand::DeadLetters(command) => dead_letters::run(settings()?, command).await,
        Subcommand::Doctor(args) => doctor::run(settings()?, &args).await,
        Subcommand::CheckConfig => check_config(&settings()?),
        Subcommand::Documents(args) => documents::run(&args),
        #[cfg(feature = "sandbox")]
        Subcommand::Sandbox(args) => sandbox::run(settings()?, args).await,
        #[cfg(feature = "sandbox")]
        Subcommand::Demo(args) => demo::run(settings()?, args).await,
    }
}

/// Reads the settings, and sets the log up as they say.
fn settings(file: Option<PathBuf>) -> Result<Settings, SettingFaults> {
    let settings = settings::load(SettingSources { file, environment: None })?;
    settings.log.telemetry().install();
    Ok(settings)
}

fn check_config(settings: &Settings) -> anyhow::Result<ExitCode> {
    settings.telegram.credentials()?;
    #[expect(clippy::print_stdout, reason = "the command's output")]
    {
        println!("the settings are sound");
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells on standard error what ended the command: it may be read before any log is set up.
#[expect(clippy::print_stderr, reason = "the last words of a command")]
fn fail(error: &anyhow::Error) -> ExitCode {
    if let Some(faults) = error.downcast_ref::<SettingFaults>() {
        eprintln!("tdfleet: the settings are wrong:");
        for fault in faults.iter() {
            eprintln!("  {}: {}", fault.setting, fault.problem);
        }
        return ExitCode::from(EX_CONFIG);
    }
    eprintln!("tdfleet: {error:#}");
    ExitCode::FAILURE
}
