//! What end-to-end tests and chaos runs set up alike: TDLib's library, an isolated network, free
//! shards, and the settings that connect a worker to its servers and to the sandbox.

use std::fs;
use std::path::{Path, PathBuf};

use contracts::ShardCount;
use deadpool_redis::redis;
use sandbox::{PatchedLibrary, Sandbox};

/// The part of a worker's settings that every test needs.
pub(crate) struct WorkerSettings<'a> {
    pub(crate) sandbox: &'a Sandbox,
    pub(crate) library: &'a PatchedLibrary,
    pub(crate) rabbit_uri: String,
    pub(crate) redis_uri: String,
    pub(crate) shards: u16,
    /// The accounts are numbered from 1.
    pub(crate) accounts: u32,
    pub(crate) data_dir: PathBuf,
    pub(crate) grace_s: u64,
}

impl WorkerSettings<'_> {
    /// The settings as environment variables, followed by `additional` ones.
    pub(crate) fn environment(&self, additional: &[(&str, &str)]) -> Vec<(String, String)> {
        let proxy = self.sandbox.address();
        let common = [
            ("SHARD_COUNT", self.shards.to_string()),
            ("BROKER__URI", self.rabbit_uri.clone()),
            ("PUBLISHER__URI", self.redis_uri.clone()),
            ("WORKER__ACCOUNTS", format!("1-{}", self.accounts)),
            ("WORKER__DATA_DIR", self.data_dir.display().to_string()),
            ("WORKER__GRACE_S", self.grace_s.to_string()),
            ("TDLIB__LIBRARY", self.library.path().display().to_string()),
            ("TDLIB__SHA256", self.library.sha256().to_owned()),
            ("TELEGRAM__API_ID", "1".to_owned()),
            ("TELEGRAM__API_HASH", "sandbox".to_owned()),
            ("TELEGRAM__MASTER_KEY", "0123456789abcdef".to_owned()),
            ("TELEGRAM__PROXY__SERVER", proxy.ip().to_string()),
            ("TELEGRAM__PROXY__PORT", proxy.port().to_string()),
            ("TELEGRAM__PROXY__SECRET", self.sandbox.secret().to_owned()),
        ];
        let additional = additional.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let all = common.into_iter().chain(additional);
        all.map(|(name, value)| (format!("TDFLEET__{name}"), value)).collect()
    }
}

/// Panics unless the process is in a network namespace with nothing but loopback, which TDLib
/// cannot leave.
pub(crate) fn require_isolated_network() {
    let routes = fs::read_to_string("/proc/net/route").unwrap();
    assert!(
        routes.lines().count() <= 1,
        "TDLib must not reach the network: run this with `make test` or `make chaos`"
    );
}

/// Finds libtdjson.
pub(crate) fn tdlib_library() -> PathBuf {
    let downloaded = "../../.tdlib/libtdjson.so.1.8.61";
    let path = std::env::var_os("TDFLEET_TDLIB_LIBRARY")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(downloaded), PathBuf::from);
    assert!(path.is_file(), "no libtdjson at {}: run `make tdlib`", path.display());
    path
}

/// Records every shard as released, as an earlier run of the installation leaves them. Without any
/// record the first worker waits for the lease time, in case another one still owns the shards.
pub(crate) async fn free_shards(redis_uri: &str, namespace: &str, shards: u16) {
    let client = redis::Client::open(redis_uri).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let record = r#"{"epoch":0,"owner":"","beat":0,"store":"","clean":true}"#;
    let mut set = redis::cmd("HSET");
    set.arg(format!("{namespace}:{{fleet}}:shards"));
    for shard in ShardCount::new(shards).unwrap().shards() {
        set.arg(shard.to_string()).arg(record);
    }
    set.exec_async(&mut connection).await.unwrap();
}
