//! What an account tells while the event log is away, or cannot keep up.

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
struct Case {
    world: World,
    client: i32,
}

impl Case {
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

    /// Has TDLib say something that is `size` bytes long at least.
    fn update(&self, kind: &str, size: usize) {
        let text = "x".repeat(size);
        self.world.tdlib.update(self.client, &json!({"@type": kind, "text": text}));
    }

    fn path(&self) -> PathBuf {
        self.world.data_dir.path().join("accounts/1/spool")
    }

    /// Waits until these are in the spool.
    async fn spooled(&self, expected: &[&str]) {
        let found = || {
            let text = fs::read_to_string(self.path()).unwrap_or_default();
            let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            lines.map(|line| line["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let come = async {
            while found() != expected {
                sleep(Duration::from_millis(2)).await;
            }
        };
        let come = timeout(PATIENCE, come).await;
        assert!(come.is_ok(), "{:?} are spooled and not {expected:?}", found());
    }

    /// Types of the account's events from the first of `from` on.
    fn told(&self, from: &str) -> Vec<String> {
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
async fn what_happens_while_the_log_is_away_is_told_before_anything_newer() {
    let case = Case::new().await;
    case.world.log.set_up(false);
    case.update("updateA", 0);
    case.spooled(&["updateA"]).await;
    case.world.clock.advance_ms(5_000);
    case.update("updateUserStatus", 0);
    case.update("updateB", 0);
    case.spooled(&["updateA", "updateB"]).await;
    assert_eq!(case.told("updateA"), Vec::<String>::new());
    case.world.clock.advance_ms(5_000);
    case.world.log.set_up(true);
    case.update("updateC", 0);
    case.next("updateC").await;
    assert_eq!(case.told("updateA"), ["updateA", "updateB", "updateC"]);
    let first = case.next("updateA").await;
    assert_eq!(first["_meta"]["occurred_at"], "2026-11-18T11:06:40.000Z");
    assert_eq!(first["result"], json!({"@type": "updateA", "text": ""}));
    case.spooled(&[]).await;
    assert!(!case.path().exists());
}

#[tokio::test]
async fn the_spool_is_kept_until_the_log_has_stored_it() {
    let case = Case::new().await;
    case.world.log.set_up(false);
    case.update("updateA", 0);
    case.spooled(&["updateA"]).await;
    case.world.log.hold();
    case.world.log.set_up(true);
    case.next("updateA").await;
    case.update("updateUserStatus", 0);
    case.update("updateB", 0);
    case.spooled(&["updateA", "updateB"]).await;
    assert_eq!(case.told("updateA"), ["updateA"]);
    case.world.log.release();
    case.next("updateB").await;
    case.world.log.release();
    case.spooled(&[]).await;
    assert_eq!(case.told("updateA"), ["updateA", "updateB"]);
}

#[tokio::test]
async fn an_account_that_is_closed_while_the_log_is_away_leaves_its_spool_to_the_next_owner() {
    let data_dir = Some(Arc::new(tempfile::tempdir().unwrap()));
    let options = Options { data_dir, ..Options::default() };
    let case = Case::with(&options).await;
    case.world.log.set_up(false);
    case.update("updateA", 0);
    case.spooled(&["updateA"]).await;
    case.world.close(PATIENCE).await;
    case.spooled(&["updateA", "account_state"]).await;
    let next = Case::with(&options).await;
    let kinds = ["updateA", "account_state", "account_state", "account_state"];
    assert_eq!(next.world.log.kinds(1), kinds);
    let state = |event: Value| event["result"]["state"].clone();
    let states: Vec<_> = next.world.log.events(1).into_iter().skip(1).map(state).collect();
    assert_eq!(states, ["cold", "starting", "ready"]);
}

#[tokio::test]
async fn what_a_dead_owner_has_spooled_follows_resync_and_half_a_line_is_cut_off() {
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
async fn what_the_spool_has_no_room_for_is_lost_and_resync_says_so() {
    let case = Case::with(&Options { spool: 1200, ..Options::default() }).await;
    case.world.log.set_up(false);
    for kind in ["updateA", "updateB", "updateC", "updateD"] {
        case.update(kind, 400);
    }
    case.update("updateE", 0);
    case.spooled(&["updateA", "updateB", "updateE"]).await;
    case.world.log.set_up(true);
    let resync = case.next("resync").await;
    assert_eq!(resync["result"], json!({"reason": "spool_overflow"}));
    case.update("updateF", 0);
    case.next("updateF").await;
    let told = ["updateA", "updateB", "updateE", "resync", "updateF"];
    assert_eq!(case.told("updateA"), told);
    case.spooled(&[]).await;
}

#[tokio::test]
async fn what_cannot_be_written_is_lost_and_resync_says_so() {
    let case = Case::new().await;
    case.world.tdlib.answer("getActiveSessions", Reply::object(sessions(&[session(0)])).held());
    let running = case.world.submit(&request("get_active_sessions", &json!({})));
    case.world.tdlib.seen("getActiveSessions").await;
    fs::create_dir(case.path()).unwrap();
    case.world.log.set_up(false);
    case.update("updateA", 0);
    // The account has taken the update when it has the answer that TDLib gives after it.
    case.world.tdlib.release("getActiveSessions");
    running.payload().await;
    case.world.log.set_up(true);
    case.update("updateB", 0);
    case.next("updateB").await;
    assert_eq!(case.told("get_active_sessions"), ["get_active_sessions", "resync", "updateB"]);
}

#[tokio::test]
async fn what_is_soon_stale_is_dropped_while_the_log_is_far_behind() {
    let case = Case::new().await;
    case.world.log.set_pressed(true);
    case.update("updateUserStatus", 0);
    case.update("updateA", 0);
    case.next("updateA").await;
    case.world.log.set_pressed(false);
    case.update("updateUserStatus", 0);
    case.next("updateUserStatus").await;
    assert_eq!(case.told("updateA"), ["updateA", "updateUserStatus"]);
}
