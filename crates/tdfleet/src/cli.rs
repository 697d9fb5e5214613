use std::path::PathBuf;

use clap::{Args, Parser};
use contracts::{AccountId, EventId};

/// Runs a fleet of Telegram accounts behind RabbitMQ and Redis.
#[derive(Parser)]
#[command(name = "tdfleet", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    /// Settings file (TOML); variables such as `TDFLEET__BROKER__URI` stand above it.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) subcommand: Subcommand,
}

#[derive(clap::Subcommand)]
pub(crate) enum Subcommand {
    /// Runs the accounts of this worker's shards.
    ///
    /// Commands come from RabbitMQ, events go to Redis. SIGTERM finishes what runs and closes every
    /// account; a second one ends the process at once.
    Worker,
    /// Runs everything in one process.
    Run(RunArgs),
    /// Sends one command and prints its answer.
    ///
    /// Exit code 0: it has a result; 1: it failed (the answer is printed all the same); 75: no
    /// answer came in time, it may still be run.
    Send(SendArgs),
    /// Prints events, one JSON object a line.
    Events(EventsArgs),
    /// Writes the contract's documents (JSON Schemas, AsyncAPI, command reference) into a directory.
    #[command(hide = true)]
    Documents(DocumentsArgs),
    /// Checks the settings; exit code 78 with every fault when something is wrong.
    CheckConfig,
    /// Runs a local Telegram data centre to test against.
    #[cfg(feature = "sandbox")]
    Sandbox(SandboxArgs),
    /// Shows the whole way in one process: data centre, login, command, event. Needs no server.
    #[cfg(feature = "sandbox")]
    Demo(DemoArgs),
}

#[derive(Args)]
pub(crate) struct RunArgs {
    /// Without RabbitMQ and Redis: commands as JSON lines on standard input, events as JSON lines
    /// on standard output; nothing but the accounts is kept.
    #[arg(long, required = true)]
    pub(crate) embedded: bool,
}

#[derive(Args)]
pub(crate) struct SendArgs {
    /// The account: its `userbot_id`.
    pub(crate) account: AccountId,
    /// The command, such as `get_active_sessions`.
    pub(crate) command: String,
    /// Fields: `name=text` or `name:=json`. A `name=-` is read from standard input, so that a
    /// secret stays out of the process list.
    pub(crate) fields: Vec<String>,
    /// Seconds to wait for the answer.
    #[arg(long, default_value_t = 120)]
    pub(crate) timeout_s: u64,
    /// Publish as bulk work (flow `cmd_lo`).
    #[arg(long)]
    pub(crate) bulk: bool,
    /// Print the command's id once RabbitMQ has confirmed it, and do not wait for the answer.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Args)]
pub(crate) struct EventsArgs {
    /// Accounts to follow; all of `worker.accounts` when none is given.
    pub(crate) accounts: Vec<AccountId>,
    /// Begin with the oldest event that is kept.
    #[arg(long, conflicts_with = "after")]
    pub(crate) all: bool,
    /// Begin after this event id, such as 1795292580-17; for one account.
    #[arg(long, value_name = "EVENT_ID")]
    pub(crate) after: Option<EventId>,
    /// End after that many events.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) limit: Option<u64>,
}

#[derive(Args)]
pub(crate) struct DocumentsArgs {
    /// The repository's root, or any directory.
    pub(crate) directory: PathBuf,
}

#[cfg(feature = "sandbox")]
#[derive(Args)]
pub(crate) struct SandboxArgs {
    /// Loopback address to listen on; port 0 is any free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: std::net::SocketAddr,
    /// Accounts of the fleet, numbered from 1.
    #[arg(long, default_value_t = 10)]
    pub(crate) accounts: u32,
    /// Loopback address of the control API (HTTP): faults, recorded calls (docs/sandbox.md).
    #[arg(long)]
    pub(crate) control: Option<std::net::SocketAddr>,
    /// People and accounts of your own (TOML; crates/sandbox/examples/seed.toml shows every field).
    #[arg(long, value_name = "FILE")]
    pub(crate) seed: Option<PathBuf>,
    /// Directory that keeps keys and logins, so that a restarted sandbox knows its clients again.
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) state: Option<PathBuf>,
    /// Where to write the settings that lead a worker here (TOML); printed when not given.
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
}

#[cfg(feature = "sandbox")]
#[derive(Args)]
pub(crate) struct DemoArgs {
    /// End after the event instead of staying up for more commands.
    #[arg(long)]
    pub(crate) once: bool,
}
