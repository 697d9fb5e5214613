//! Opening an account: its directory, the crash marker, the first events; and closing in turn.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use contracts::{AccountId, Epoch, Shard, ShardCount};
use log_port::{HeadField, LogHead};
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use testkit::Reply;
use tokio::time::timeout;

use crate::support::{Options, PATIENCE, World, authorization, request};

/// How long to wait for something that must not happen.
const NEVER: Duration = Duration::from_millis(200);

fn shard(account: i64) -> Shard {
    ShardCount::new(64).unwrap().shard_of(AccountId::new(account).unwrap())
}

/// A world whose accounts, once opened, are ready.
fn world(options: &Options) -> World {
    let world = World::closed(options);
    let ready = authorization("authorizationStateReady");
    world.tdlib.answer("setTdlibParameters", Reply::ok().then_update(ready));
    world
}

async fn open(world: &World, account: i64, epoch: u64, clean: bool) {
    let opened = world.worker.open_shard(shard(account), Epoch(epoch), clean);
    timeout(PATIENCE, opened).await.unwrap().unwrap();
}

async fn close(world: &World, account: i64, grace: Duration) {
    timeout(PATIENCE, world.worker.close_shard(shard(account), grace)).await.unwrap();
}

async fn state(world: &World, account: i64, state: &str) -> Value {
    let event = world.log.next(account, "account_state", |result| result["state"] == state).await;
    event["result"].clone()
}

/// Why account 1 has failed without having been given to TDLib.
async fn failure(world: &World) -> String {
    let failed = state(world, 1, "failed").await;
    assert_eq!(world.sent("setTdlibParameters").len(), 0);
    failed["reason"].as_str().unwrap().to_owned()
}

/// The directory of account 1, created as an owner creates it.
fn directory(world: &World) -> PathBuf {
    let path = world.data_dir.path().join("accounts/1");
    fs::create_dir_all(&path).unwrap();
    path
}

/// The crash marker of account 1, left by a process that died while it opened the account alone.
fn leave_marker(world: &World) -> PathBuf {
    let path = directory(world).join("opening");
    let marker = json!({"pid": 77, "since": 100, "alone": true, "deaths": 0});
    fs::write(&path, marker.to_string()).unwrap();
    path
}

#[tokio::test]
async fn taking_over_from_an_owner_that_did_not_close_cleanly_starts_with_resync() {
    let world = world(&Options::default());
    open(&world, 1, 42, false).await;
    let refused = world.submit(&request("no_such_command", &json!({})));
    state(&world, 1, "ready").await;
    refused.outcome().await;
    let first = &world.log.events(1)[0];
    assert_eq!(first["type"], "resync", "{first}");
    assert_eq!(first["result"], json!({"reason": "take_over"}));
    assert_eq!(first["_meta"]["event_id"], "42-1");
    open(&world, 2, 42, true).await;
    state(&world, 2, "ready").await;
    assert_eq!(world.log.kinds(2)[0], "account_state", "that one was closed cleanly");
}

#[tokio::test]
async fn waiting_for_a_directory_that_another_process_has_locked_does_not_take_a_permit() {
    let world = world(&Options { opening: 1, ..Options::default() });
    let other = File::create(directory(&world).join("owner")).unwrap();
    flock(&other, FlockOperation::LockExclusive).unwrap();
    open(&world, 1, 42, true).await;
    open(&world, 2, 42, true).await;
    state(&world, 2, "ready").await;
    assert_eq!(world.log.kinds(1), Vec::<String>::new(), "the other process still has it");
    drop(other);
    state(&world, 1, "ready").await;
    let kinds = world.log.events(1).into_iter().map(|event| event["result"]["state"].clone());
    assert_eq!(kinds.collect::<Vec<_>>(), ["starting", "ready"]);
}

#[tokio::test]
async fn an_account_that_waits_for_its_directory_can_be_closed() {
    let world = world(&Options::default());
    let other = File::create(directory(&world).join("owner")).unwrap();
    flock(&other, FlockOperation::LockExclusive).unwrap();
    open(&world, 1, 42, true).await;
    close(&world, 1, PATIENCE).await;
    assert_eq!(world.sent("setTdlibParameters").len(), 0);
}

#[tokio::test]
async fn an_account_is_not_opened_while_the_disk_is_full() {
    let world = world(&Options { opening: 1, ..Options::default() });
    let full = directory(&world).join("opening.new");
    symlink("/dev/full", &full).unwrap();
    open(&world, 1, 42, true).await;
    open(&world, 2, 42, true).await;
    state(&world, 2, "ready").await;
    assert_eq!(world.sent("setTdlibParameters").len(), 1, "that of account 2");
    fs::remove_file(full).unwrap();
    state(&world, 1, "ready").await;
}

#[tokio::test]
async fn an_account_that_was_logged_in_is_not_opened_without_its_database() {
    let world = world(&Options::default());
    let opened = Some(Epoch(41));
    world.log.set_head(1, LogHead { logged_in: true, opened, ..LogHead::default() });
    open(&world, 1, 42, true).await;
    let why = failure(&world).await;
    assert!(why.contains("its database is not in accounts/1/db"), "{why}");
    assert!(!world.data_dir.path().join("accounts").exists());
    assert_eq!(world.log.head_fields(1), []);
}

#[tokio::test]
async fn an_old_copy_of_a_directory_is_not_opened() {
    let world = world(&Options::default());
    fs::write(directory(&world).join("owner"), "40\n").unwrap();
    world.log.set_head(1, LogHead { opened: Some(Epoch(41)), ..LogHead::default() });
    open(&world, 1, 42, true).await;
    let why = failure(&world).await;
    assert!(why.contains("an old copy, last owned under epoch 40 and not 41"), "{why}");
}

#[tokio::test]
async fn redis_records_the_account_and_again_when_it_is_back() {
    let world = world(&Options::default());
    open(&world, 1, 42, true).await;
    state(&world, 1, "ready").await;
    let ready = [HeadField::Opened, HeadField::LoggedIn(true)];
    assert_eq!(world.log.head_fields(1), ready);
    world.log.set_up(false);
    world.log.set_up(true);
    timeout(PATIENCE, async {
        while world.log.head_fields(1).len() < 4 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(world.log.head_fields(1)[2..], ready);
    let client = world.tdlib.seen("setTdlibParameters").await.client_id;
    world.tdlib.update(client, &authorization("authorizationStateLoggingOut"));
    state(&world, 1, "session_lost").await;
    assert_eq!(world.log.head_fields(1)[4..], [HeadField::LoggedIn(false)]);
}

#[tokio::test]
async fn the_crash_marker_exists_until_tdlib_reports_the_authorization_state() {
    let world = World::closed(&Options::default());
    let ready = authorization("authorizationStateReady");
    world.tdlib.answer("setTdlibParameters", Reply::ok().then_update(ready).held());
    open(&world, 1, 42, true).await;
    world.tdlib.seen("setTdlibParameters").await;
    let path = directory(&world).join("opening");
    let marker: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!((&marker["pid"], &marker["alone"]), (&json!(std::process::id()), &json!(false)));
    world.tdlib.release("setTdlibParameters");
    state(&world, 1, "ready").await;
    assert!(!path.exists());
}

#[tokio::test]
async fn closing_an_account_that_is_opening_removes_its_crash_marker() {
    let world = World::closed(&Options::default());
    world.tdlib.answer("setTdlibParameters", Reply::silent());
    open(&world, 1, 42, true).await;
    world.tdlib.seen("setTdlibParameters").await;
    assert!(directory(&world).join("opening").exists());
    close(&world, 1, PATIENCE).await;
    assert!(!directory(&world).join("opening").exists());
}

#[tokio::test]
async fn an_account_with_a_crash_marker_is_opened_alone() {
    let world = World::closed(&Options { opening: 4, ..Options::default() });
    let ready = authorization("authorizationStateReady");
    world.tdlib.answer("setTdlibParameters", Reply::ok().then_update(ready).held());
    let marker = leave_marker(&world);
    open(&world, 1, 42, true).await;
    world.tdlib.seen("setTdlibParameters").await;
    let text: Value = serde_json::from_slice(&fs::read(&marker).unwrap()).unwrap();
    assert_eq!((&text["alone"], &text["deaths"]), (&json!(true), &json!(1)));
    open(&world, 2, 42, true).await;
    let second = timeout(NEVER, world.tdlib.seen("setTdlibParameters")).await;
    assert!(second.is_err(), "account 2 opens at the same time");
    world.tdlib.release("setTdlibParameters");
    state(&world, 1, "ready").await;
    assert!(!marker.exists());
    world.tdlib.seen("setTdlibParameters").await;
}

#[tokio::test]
async fn an_account_that_crashed_its_process_stays_failed_until_the_marker_is_deleted() {
    let world = world(&Options::default());
    let marker = leave_marker(&world);
    let crashes = world.data_dir.path().join("crashes");
    fs::create_dir(&crashes).unwrap();
    fs::write(crashes.join("crash-101-77.json"), "{}").unwrap();
    open(&world, 1, 42, true).await;
    let why = failure(&world).await;
    let expected = "TDLib ended the process while it opened this account alone; it is not opened \
                    again until accounts/1/opening is deleted";
    assert_eq!(why, expected);
    open(&world, 1, 43, true).await;
    close(&world, 1, PATIENCE).await;
    assert_eq!(world.sent("setTdlibParameters").len(), 0, "it is quarantined");
    fs::remove_file(marker).unwrap();
    open(&world, 1, 44, true).await;
    state(&world, 1, "ready").await;
}

#[tokio::test]
async fn accounts_close_in_turn_but_stop_taking_commands_at_once() {
    let world = world(&Options { opening: 1, ..Options::default() });
    for account in [1, 2] {
        open(&world, account, 42, true).await;
        state(&world, account, "ready").await;
    }
    let closed = authorization("authorizationStateClosed");
    world.tdlib.answer("close", Reply::ok().then_update(closed).held());
    let turns = async {
        world.tdlib.seen("close").await;
        let second = timeout(NEVER, world.tdlib.seen("close")).await;
        assert!(second.is_err(), "both close at the same time");
        for account in [1, 2] {
            let body = json!({"command": "get_active_sessions", "userbot_id": account});
            assert_eq!(world.submit(&body).outcome().await, None, "{account} takes no commands");
        }
        world.tdlib.release("close");
        world.tdlib.seen("close").await;
        world.tdlib.release("close");
    };
    tokio::join!(close(&world, 1, PATIENCE), close(&world, 2, PATIENCE), turns);
}

#[tokio::test]
async fn accounts_whose_lease_is_over_close_all_at_once() {
    let world = world(&Options { opening: 1, ..Options::default() });
    for account in [1, 2] {
        open(&world, account, 42, true).await;
        state(&world, account, "ready").await;
    }
    let closed = authorization("authorizationStateClosed");
    world.tdlib.answer("close", Reply::ok().then_update(closed).held());
    let at_once = async {
        world.tdlib.seen("close").await;
        // The second waits for its turn, until its lease is over as well.
        let second = async {
            world.tdlib.seen("close").await;
            world.tdlib.release("close");
        };
        tokio::join!(close(&world, 2, Duration::ZERO), second);
    };
    tokio::join!(close(&world, 1, PATIENCE), close(&world, 2, PATIENCE), at_once);
}

#[tokio::test]
async fn a_shard_that_is_opened_twice_has_one_owner() {
    let world = world(&Options::default());
    open(&world, 1, 42, true).await;
    state(&world, 1, "ready").await;
    open(&world, 1, 43, false).await;
    assert_eq!(world.sent("close").len(), 1);
    world.log.next(1, "resync", |_| true).await;
    let ready = |event: &Value| event["result"]["state"] == "ready";
    timeout(PATIENCE, async {
        while world.log.events(1).into_iter().filter(ready).count() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}
