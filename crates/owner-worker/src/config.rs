use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use contracts::{AccountId, ShardCount};
use settings::{CallerSettings, PacingSettings, TelegramCredentials, TelegramSettings};
use tdlib::GuardError;

/// Configuration of a [`Worker`](crate::Worker).
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Data directory with the accounts' directories.
    pub data_dir: PathBuf,
    /// All accounts of the installation.
    pub accounts: BTreeSet<AccountId>,
    /// Number of shards.
    pub shard_count: ShardCount,
    /// How the accounts present themselves to Telegram.
    pub telegram: TelegramSettings,
    /// Whether TDLib is kept to the proxy; if it is not, no account opens. `Ok` without a proxy.
    pub proxy_guard: Result<(), GuardError>,
    /// The application's id and hash, and the master key of the databases.
    pub credentials: TelegramCredentials,
    /// Time limit of one TDLib call; longer than the minute for which TDLib may stay silent.
    pub timeout: Duration,
    /// How long the next write of a lane waits for one that TDLib has not answered in time.
    pub late_timeout: Duration,
    /// How many accounts may be opening at the same time; the same limit applies to closing.
    pub opening: usize,
    /// Size limit of an account's spool, in bytes.
    pub spool: u64,
    /// How fast the commands of one account leave for Telegram.
    pub pacing: PacingSettings,
    /// How far ahead a deadline may lie.
    pub deadline: Duration,
    /// TDLib methods that `call_tdlib` may call.
    pub call_tdlib_methods: BTreeSet<String>,
    /// Whether login codes in messages of Telegram's own chat are shown.
    pub show_service_codes: bool,
    /// Who may send what; everyone everything if empty.
    pub callers: Vec<CallerSettings>,
}
