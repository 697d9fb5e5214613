//! What happens to events while the log is down or far behind.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use contracts::{AccountId, Epoch, ShardCount};
use serde_json::{Value, json};
use testkit::Reply;
use tokio::time::{sleep, timeout};

use crate::support::objects::{session, sessions};
use crate::support::{Options, PATIENCE, World, authorization, request};

/// Account 1, open and ready.
struct Fixture {
    world: World,
    client: i32,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(&Options::default()).await
    }

    async fn with(options: &Options) -> Self {
        let world = World::closed(options);
        let ready = authorization("authorizationStateReady");
        world.tdlib.answer("setTdlibParameters", Reply::ok().then_update(ready));
        open(&world, true).await;
        world.log.next(1, "account_state", |result| result["state"] == "ready").await;
        let client = world.tdlib.seen("setTdlibParameters").await.client_id;
        Self { world, client }
    }

    /// Sends an update of at least `size` bytes.
    fn update(&self, kind: &str, size: usize) {
        let text = "x".repeat(size);
        self.world.tdlib.update(self.client, &json!({"@type": kind, "text": text}));
    }

    fn path(&self) -> PathBuf {
        self.world.data_dir.path().join("accounts/1/spool")
    }

    /// Waits until the spool has exactly these events.
    async fn spooled(&self, expected: &[&str]) {
        let kinds = || {
            let text = fs::read_to_string(self.path()).unwrap_or_default();
            let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            lines.map(|line| line["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let found = async {
            while kinds() != expected {
                sleep(Duration::from_millis(2)).await;
            }
        };
        let found = timeout(PATIENCE, found).await;
        assert!(found.is_ok(), "{:?} are spooled, not {expected:?}", kinds());
    }

    /// The types of the account's events, starting with the first `from`.
    fn published_since(&self, from: &str) -> Vec<String> {
        self.world.log.kinds(1).into_iter().skip_while(|kind| kind != from).collect()
    }

    async fn next(&self, kind: &str) -> Value {
        self.world.log.next(1, kind, |_| true).await
    }
}

async fn open(world: &World, clean: bool) {
    let shard = ShardCount::new(64).unwrap().shard_of(AccountId::new(1).unwrap());
    let opened = world.worker.open_shard(shard, Epoch(42), clean);
    timeout(PATIENCE, opened).await.unwrap().unwrap();
}

#[tokio::test]
async fn events_that_occur_while_the_log_is_down_are_published_before_newer_ones() {
    let fixture = Fixture::new().await;
    fixture.world.log.set_up(false);
    fixture.update("updateA", 0);
    fixture.spooled(&["updateA"]).await;
    fixture.world.clock.advance_ms(5_000);
    fixture.update("updateUserStatus", 0);
    fixture.update("updateB", 0);
    fixture.spooled(&["updateA", "updateB"]).await;
    assert_eq!(fixture.published_since("updateA"), Vec::<String>::new());
    fixture.world.clock.advance_ms(5_000);
    fixture.world.log.set_up(true);
    fixture.update("updateC", 0);
    fixture.next("updateC").await;
    assert_eq!(fixture.published_since("updateA"), ["updateA", "updateB", "updateC"]);
    let first = fixture.next("updateA").await;
    assert_eq!(first["_meta"]["occurred_at"], "2026-11-18T11:06:40.000Z");
    assert_eq!(first["result"], json!({"@type": "updateA", "text": ""}));
    fixture.spooled(&[]).await;
    assert!(!fixture.path().exists());
}

#[tokio::test]
async fn the_spool_is_kept_until_the_log_has_stored_it() {
    let fixture = Fixture::new().await;
    fixture.world.log.set_up(false);
    fixture.update("updateA", 0);
    fixture.spooled(&["updateA"]).await;
    fixture.world.log.hold_callbacks();
    fixture.world.log.set_up(true);
    fixture.next("updateA").await;
    fixture.update("updateUserStatus", 0);
    fixture.update("updateB", 0);
    fixture.spooled(&["updateA", "updateB"]).await;
    assert_eq!(fixture.published_since("updateA"), ["updateA"]);
    fixture.world.log.release_callbacks();
    fixture.next("updateB").await;
    fixture.world.log.release_callbacks();
    fixture.spooled(&[]).await;
    assert_eq!(fixture.published_since("updateA"), ["updateA", "updateB"]);
}

#[tokio::test]
async fn an_account_that_closes_while_the_log_is_down_leaves_its_spool_to_the_next_owner() {
    let data_dir = Some(Arc::new(tempfile::tempdir().unwrap()));
    let options = Options { data_dir, ..Options::default() };
    let fixture = Fixture::with(&options).await;
    fixture.world.log.set_up(false);
    fixture.update("updateA", 0);
    fixture.spooled(&["updateA"]).await;
    fixture.world.close(PATIENCE).await;
    fixture.spooled(&["updateA", "account_state"]).await;
    let next = Fixture::with(&options).await;
    let kinds = ["updateA", "account_state", "account_state", "account_state"];
    assert_eq!(next.world.log.kinds(1), kinds);
    let state = |event: Value| event["result"]["state"].clone();
    let states: Vec<_> = next.world.log.events(1).into_iter().skip(1).map(state).collect();
    assert_eq!(states, ["cold", "starting", "ready"]);
}

#[tokio::test]
async fn the_spool_of_a_dead_owner_is_published_after_resync_without_its_incomplete_line() {
    let options = Options::default();
    let world = World::closed(&options);
    let directory = world.data_dir.path().join("accounts/1");
    fs::create_dir_all(&directory).unwrap();
    let line = json!({"kind": "updateA", "at": 1_795_000_000_000_i64, "result": {"n": 1}});
    fs::write(directory.join("spool"), format!("{line}\n{{\"kind\":\"upd")).unwrap();
    open(&world, false).await;
    world.log.next(1, "account_state", |_| true).await;
    assert_eq!(world.log.kinds(1)[..3], ["resync", "updateA", "account_state"]);
    assert_eq!(world.log.events(1)[1]["_meta"]["event_id"], "42-2");
}

#[tokio::test]
async fn events_that_do_not_fit_into_the_spool_are_lost_and_resync_says_so() {
    let fixture = Fixture::with(&Options { spool: 1200, ..Options::default() }).await;
    fixture.world.log.set_up(false);
    for kind in ["updateA", "updateB", "updateC", "updateD"] {
        fixture.update(kind, 400);
    }
    fixture.update("updateE", 0);
    fixture.spooled(&["updateA", "updateB", "updateE"]).await;
    fixture.world.log.set_up(true);
    let resync = fixture.next("resync").await;
    assert_eq!(resync["result"], json!({"reason": "spool_overflow"}));
    fixture.update("updateF", 0);
    fixture.next("updateF").await;
    let expected = ["updateA", "updateB", "updateE", "resync", "updateF"];
    assert_eq!(fixture.published_since("updateA"), expected);
    fixture.spooled(&[]).await;
}

#[tokio::test]
async fn events_that_cannot_be_written_are_lost_and_resync_says_so() {
    let fixture = Fixture::new().await;
    fixture.world.tdlib.answer("getActiveSessions", Reply::object(sessions(&[session(0)])).held());
    let running = fixture.world.submit(&request("get_active_sessions", &json!({})));
    fixture.world.tdlib.seen("getActiveSessions").await;
    fs::create_dir(fixture.path()).unwrap();
    fixture.world.log.set_up(false);
    fixture.update("updateA", 0);
    // TDLib's answer comes after the update: with the answer, the account has the update too.
    fixture.world.tdlib.release("getActiveSessions");
    running.payload().await;
    fixture.world.log.set_up(true);
    fixture.update("updateB", 0);
    fixture.next("updateB").await;
    assert_eq!(
        fixture.published_since("get_active_sessions"),
        ["get_active_sessions", "resync", "updateB"]
    );
}

#[tokio::test]
async fn transient_updates_are_dropped_while_the_log_is_far_behind() {
    let fixture = Fixture::new().await;
    fixture.world.log.set_behind(true);
    fixture.update("updateUserStatus", 0);
    fixture.update("updateA", 0);
    fixture.next("updateA").await;
    fixture.world.log.set_behind(false);
    fixture.update("updateUserStatus", 0);
    fixture.next("updateUserStatus").await;
    assert_eq!(fixture.published_since("updateA"), ["updateA", "updateUserStatus"]);
}
