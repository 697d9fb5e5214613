//! The command line; `tdfleet --help` prints these comments.

use std::path::PathBuf;

use clap::{Args, Parser};
use contracts::{AccountId, EventId, Shard};
use jiff::Timestamp;

/// Runs a fleet of Telegram accounts behind RabbitMQ and Redis.
#[derive(Parser)]
#[command(name = "tdfleet", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    /// Settings file (TOML). Environment variables such as `TDFLEET__BROKER__URI` override it.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) subcommand: Subcommand,
}

#[derive(clap::Subcommand)]
pub(crate) enum Subcommand {
    /// Runs a worker: one member of the fleet, with its share of the accounts.
    ///
    /// It takes commands from RabbitMQ and writes events to Redis. On SIGTERM or SIGINT it finishes
    /// running commands and closes its accounts; a second signal ends the process immediately.
    Worker(WorkerArgs),
    /// Runs everything in one process, without RabbitMQ and Redis.
    Run(RunArgs),
    /// Sends one command and prints its answer.
    ///
    /// Exit codes: 0 - the command succeeded; 1 - it failed (the answer is printed as well); 75 - no
    /// answer arrived in time, and the command may still run; 74 - the answer could not be printed.
    Send(SendArgs),
    /// Prints events as they arrive, one JSON object per line, until nobody reads them.
    Events(EventsArgs),
    /// Prints who had which command run, oldest first, one JSON object per line.
    ///
    /// Each answered command has one line: when, caller (the AMQP user), account, command, its id, the
    /// outcome, and a keyed digest of its fields.
    Audit(AuditArgs),
    /// Generates the contract's documents: JSON Schemas, AsyncAPI and the command reference.
    #[command(hide = true)]
    Documents(DocumentsArgs),
    /// Lists shards and their owners, and moves shards between workers.
    #[command(subcommand)]
    Shards(ShardsCommand),
    /// Lists the workers of the fleet.
    #[command(subcommand)]
    Workers(WorkersCommand),
    /// Lists, shows, redrives and purges dead letters: messages that could not be processed.
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Checks everything that a worker needs, and suggests a remedy for each problem.
    ///
    /// It changes nothing and can run while workers do. Exit codes: 0 - no errors (there may be
    /// warnings); 1 - something is wrong; 78 - the settings are invalid.
    Doctor(DoctorArgs),
    /// Validates the settings.
    ///
    /// Exit codes: 0 - the configuration is OK; 78 - it is invalid, and every problem is listed.
    CheckConfig,
    /// Prints a new master key: 32 random bytes, in base64.
    ///
    /// Put it into `telegram.master_key` and keep a copy elsewhere: databases cannot be opened with
    /// another one.
    Keygen,
    /// Runs a local Telegram data centre for tests and development.
    #[cfg(feature = "sandbox")]
    Sandbox(SandboxArgs),
    /// Demonstrates a login, a command and its event, in one process and without any server.
    #[cfg(feature = "sandbox")]
    Demo(DemoArgs),
}

#[derive(Args)]
pub(crate) struct WorkerArgs {
    /// Run this many workers, each in a separate process that is restarted when it dies: a crash of
    /// TDLib takes down only one of them. Their names end in -1, -2 and so on. The exit code is 0 if
    /// all of them ended with 0, and 78 if the settings are invalid.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) processes: Option<u8>,
    /// Run as one of those processes.
    #[arg(long, hide = true, conflicts_with = "processes")]
    pub(crate) supervised: bool,
}

#[derive(clap::Subcommand)]
pub(crate) enum ShardsCommand {
    /// Lists every shard.
    ///
    /// States: `owned` - its worker is alive; `dead` - its worker is gone, and another one will take
    /// over; `free` - its last owner released it; `free, unclean` - its last owner did not shut down
    /// cleanly; `new` - no worker has owned it yet. Only workers on a shard's store can own it. Takes
    /// up to three seconds.
    List(ListArgs),
    /// Pins a shard to a worker and waits until it has moved.
    ///
    /// The worker must be alive and on the shard's store. The pin outlives the worker: when the worker
    /// is restarted, the shard moves back to it. Exit codes: 0 - the shard has moved; 1 - the worker
    /// cannot own it (standard error says why); 75 - not in time, and it may still move.
    Move(MoveArgs),
    /// Removes a shard's pin. The shard stays where it is until the fleet is rebalanced.
    Unpin(UnpinArgs),
}

#[derive(clap::Subcommand)]
pub(crate) enum WorkersCommand {
    /// Lists all known workers. Takes up to three seconds.
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
    /// The worker's name, as shown by `tdfleet workers list`.
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
    List(ListDeadLettersArgs),
    /// Shows the dead letters with an id. Exit code 1 if there are none.
    Show(ShowDeadLetterArgs),
    /// Publishes dead letters again, with their original routing key.
    ///
    /// Ids and deadlines are kept: a command that has already run does not run again, and one past
    /// its deadline is answered `expired`. A message that still cannot be processed becomes a dead
    /// letter again, with a new id. With `--all`, only letters that a worker has written are
    /// published; others only by their id. A letter without its body cannot be. Exit code 1 if there
    /// are none with that id, or RabbitMQ did not confirm.
    Redrive(DeadLetterSelection),
    /// Permanently deletes dead letters. Exit code 1 if there are none with that id.
    Purge(DeadLetterSelection),
}

#[derive(Args)]
pub(crate) struct ListDeadLettersArgs {
    /// Maximum number of letters to list.
    #[arg(long, default_value_t = 100, value_name = "NUMBER")]
    pub(crate) limit: u64,
    /// Print a JSON array.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct ShowDeadLetterArgs {
    /// The id of a dead letter, or of its command.
    pub(crate) id: String,
    /// Show the body as well. It may contain secrets, such as a login code.
    #[arg(long)]
    pub(crate) body: bool,
    /// Print a JSON array.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct DeadLetterSelection {
    /// The id of a dead letter, or of its command.
    pub(crate) id: Option<String>,
    /// All dead letters that are there now.
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
    /// Read commands from standard input and print events on standard output, as JSON lines. Only the
    /// accounts' data is kept after the process ends.
    #[arg(long, required = true)]
    pub(crate) embedded: bool,
}

#[derive(Args)]
pub(crate) struct SendArgs {
    /// The account: its `userbot_id`.
    pub(crate) account: AccountId,
    /// The command's name, such as `get_active_sessions`.
    pub(crate) command: String,
    /// The command's fields: `name=text` or `name:=json`. Use `name=-` to read a secret from standard
    /// input, so that it never shows in the process list.
    pub(crate) fields: Vec<String>,
    /// Seconds to wait for the answer.
    #[arg(long, default_value_t = 120)]
    pub(crate) timeout_s: u64,
    /// Publish with low priority, for bulk work (flow `cmd_lo`).
    #[arg(long)]
    pub(crate) bulk: bool,
    /// Do not wait for the answer; print the command's id once RabbitMQ has confirmed it.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Args)]
pub(crate) struct EventsArgs {
    /// The accounts to follow; by default, all of `worker.accounts`.
    pub(crate) accounts: Vec<AccountId>,
    /// Start with the oldest event in the log.
    #[arg(long, conflicts_with = "after")]
    pub(crate) all: bool,
    /// Start after this event id, such as 1795292580-17. For one account only.
    #[arg(long, value_name = "EVENT_ID")]
    pub(crate) after: Option<EventId>,
    /// Exit after this many events.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) limit: Option<u64>,
}

#[derive(Args)]
pub(crate) struct AuditArgs {
    /// Start with the commands that were answered at this time or later, such as
    /// 2026-11-21T20:23:00Z.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Timestamp>,
    /// Only this account: its `userbot_id`.
    #[arg(long)]
    pub(crate) account: Option<AccountId>,
    /// Only this caller.
    #[arg(long, value_name = "USER")]
    pub(crate) caller: Option<String>,
}

#[derive(Args)]
pub(crate) struct DocumentsArgs {
    /// The repository's root, or any directory.
    pub(crate) directory: PathBuf,
}

#[cfg(feature = "sandbox")]
#[derive(Args)]
pub(crate) struct SandboxArgs {
    /// Loopback address to listen on; port 0 picks a free port.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: std::net::SocketAddr,
    /// Number of accounts of the fleet; their ids start at 1.
    #[arg(long, default_value_t = 10)]
    pub(crate) accounts: u32,
    /// Loopback address of the HTTP control API, for faults and recorded calls (docs/sandbox.md).
    #[arg(long)]
    pub(crate) control: Option<std::net::SocketAddr>,
    /// Additional people and accounts (TOML). See crates/sandbox/examples/seed.toml for all fields.
    #[arg(long, value_name = "FILE")]
    pub(crate) seed: Option<PathBuf>,
    /// Directory for keys and logins, so that clients stay logged in when the sandbox is restarted.
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) state: Option<PathBuf>,
    /// File for the settings that connect a worker to this sandbox (TOML); by default, they are
    /// printed.
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
}

#[cfg(feature = "sandbox")]
#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Exit after the event instead of waiting for more commands.
    #[arg(long)]
    pub(crate) once: bool,
}
