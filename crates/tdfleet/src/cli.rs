use std::path::PathBuf;

use clap::{Args, Parser};
use contracts::{AccountId, EventId, Shard};

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
    Worker(WorkerArgs),
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
    /// Shows which worker owns which shard, and moves shards.
    #[command(subcommand)]
    Shards(ShardsCommand),
    /// Shows the workers of the fleet.
    #[command(subcommand)]
    Workers(WorkersCommand),
    /// Looks at messages that nobody could carry out, sends them again, throws them away.
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Looks at everything a worker needs, and says what to do about what is wrong.
    ///
    /// It changes nothing, and may run beside workers. Exit code 0: nothing is wrong (there may be
    /// warnings); 1: something is; 78: the settings are wrong.
    Doctor(DoctorArgs),
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
pub(crate) struct WorkerArgs {
    /// Run so many workers in processes of their own, and start each again that dies: what ends
    /// TDLib in one leaves the others alone. Their names get -1, -2, … Ends with 0 once all have
    /// ended with 0; 78 if one finds the settings wrong.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) processes: Option<u8>,
    /// This is one of those processes.
    #[arg(long, hide = true, conflicts_with = "processes")]
    pub(crate) supervised: bool,
}

#[derive(clap::Subcommand)]
pub(crate) enum ShardsCommand {
    /// Lists every shard.
    ///
    /// States: `owned` by a worker that lives; `dead`, its worker does not live and another is to
    /// take it over; `free`, or `free, unclean` after an end that was not in good order; `new`, nobody
    /// has had it yet. A shard is only opened by workers on its store. Takes up to three seconds.
    List(ListArgs),
    /// Pins a shard to a worker and waits until it is there.
    ///
    /// The worker must live and have the shard's store. The pin stays, also when the worker ends: the
    /// shard comes back to it. Exit code 0: it is there; 1: it cannot have it, standard error says
    /// why; 75: not in time, it may still move.
    Move(MoveArgs),
    /// Takes a shard's pin off; it stays where it is until the fleet is balanced anew.
    Unpin(UnpinArgs),
}

#[derive(clap::Subcommand)]
pub(crate) enum WorkersCommand {
    /// Lists the workers that the fleet knows. Takes up to three seconds.
    List(ListArgs),
}

#[derive(Args)]
pub(crate) struct ListArgs {
    /// Print a JSON array.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct MoveArgs {
    /// The shard, such as s007.
    pub(crate) shard: Shard,
    /// The worker's name, as in `tdfleet workers list`.
    #[arg(long, value_name = "WORKER")]
    pub(crate) to: String,
    /// Return as soon as the shard is pinned.
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Seconds to wait for the move.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub(crate) timeout_s: u64,
}

#[derive(Args)]
pub(crate) struct UnpinArgs {
    /// The shard, such as s007.
    pub(crate) shard: Shard,
}

#[derive(clap::Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// Lists dead letters, oldest first, without their bodies.
    List(ListLettersArgs),
    /// Shows the letters of an id. Exit code 1: there is none.
    Show(ShowLetterArgs),
    /// Publishes letters once more, under the routing key they had. Exit code 1: there is none of
    /// that id, or RabbitMQ did not confirm.
    ///
    /// Ids and deadlines stay: what was run before is not run again, and what is too old is answered
    /// `expired`. What still cannot be carried out becomes a dead letter again, with another id.
    Redrive(ChosenLetters),
    /// Throws letters away for good. Exit code 1: there is none of that id.
    Purge(ChosenLetters),
}

#[derive(Args)]
pub(crate) struct ListLettersArgs {
    /// Longest list.
    #[arg(long, default_value_t = 100, value_name = "NUMBER")]
    pub(crate) limit: u64,
    /// Print a JSON array.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct ShowLetterArgs {
    /// A letter's id, or a command's.
    pub(crate) id: String,
    /// Show the body as well. It may hold secrets, such as a login code.
    #[arg(long)]
    pub(crate) body: bool,
    /// Print a JSON array.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ChosenLetters {
    /// A letter's id, or a command's.
    pub(crate) id: Option<String>,
    /// All that are there now.
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Args)]
pub(crate) struct DoctorArgs {
    /// Print a JSON array.
    #[arg(long)]
    pub(crate) json: bool,
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
