use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use contracts::{AccountId, ShardCount};
use settings::{CallerSettings, TelegramCredentials, TelegramSettings};

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
    /// The application's id and hash, and the master key of the databases.
    pub credentials: TelegramCredentials,
    /// Time limit of one TDLib call; longer than the minute for which TDLib may stay silent.
    pub timeout: Duration,
    /// How many accounts may be opening at the same time; the same limit applies to closing.
    pub opening: usize,
    /// Size limit of an account's spool, in bytes.
    pub spool: u64,
    /// TDLib methods that `call_tdlib` may call.
    pub call_tdlib_methods: BTreeSet<String>,
    /// Whether login codes in messages of Telegram's own chat are shown.
    pub show_service_codes: bool,
    /// Who may send what; everyone everything if empty.
    pub callers: Vec<CallerSettings>,
}
