//! Accounts that TDLib cannot open: each fails with a reason, however that shows.

use std::fs;
use std::time::Duration;

use contracts::Epoch;
use log_port::{HeadField, LogHead};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use serde_json::{Value, json};
use tdlib::GuardError;
use testkit::Reply;
use tokio::time::{advance, pause, resume};

use crate::support::{Options, World, authorization, request};

/// The reason with which account 1 has failed.
async fn failure(world: &World) -> String {
    let failed = world.log.next(1, "account_state", |result| result["state"] == "failed").await;
    failed["result"]["reason"].as_str().unwrap().to_owned()
}

/// The same, as fast as the time limits allow.
async fn failure_in_the_end(world: &World) -> String {
    let failed = |event: &Value| event["result"]["state"] == "failed";
    while !world.log.events(1).iter().any(failed) {
        pause();
        advance(Duration::from_mins(1)).await;
        resume();
        tokio::task::yield_now().await;
    }
    failure(world).await
}

/// A world with a proxy. As TDLib does, it answers `addProxy` after the parameters, if at all.
fn world(parameters: Reply, proxy: Reply) -> World {
    let world = World::closed(&Options { proxy: true, ..Options::default() });
    world.tdlib.answer("setTdlibParameters", parameters);
    world.tdlib.answer("addProxy", proxy);
    world
}

fn refused(message: &str) -> Reply {
    Reply::error(400, message)
}

#[tokio::test]
async fn parameters_that_are_refused_fail_the_account_with_or_without_a_proxy() {
    for proxy in [false, true] {
        let world = World::closed(&Options { proxy, ..Options::default() });
        world.tdlib.answer("setTdlibParameters", refused("Wrong database encryption key"));
        world.tdlib.answer("addProxy", Reply::silent());
        world.open_account(1).await;
        assert_eq!(failure(&world).await, "TDLib refuses it: Wrong database encryption key");
        world.tdlib.seen("close").await;
    }
}

#[tokio::test]
async fn a_failure_is_not_undone_by_what_tdlib_had_reported_before() {
    for late in ["WaitTdlibParameters", "Ready"] {
        let world = World::closed(&Options::default());
        let late = authorization(&format!("authorizationState{late}"));
        let refused = refused("Wrong database encryption key").then_update(late);
        world.tdlib.answer("setTdlibParameters", refused);
        world.open_account(1).await;
        world.tdlib.seen("close").await;
        let read = world.submit(&request("get_active_sessions", &json!({})));
        assert_eq!(read.payload().await["error_info"]["code"], "not_ready");
        world.close(Duration::ZERO).await;
        let events =
            world.log.events(1).into_iter().filter(|event| event["type"] == "account_state");
        let states: Vec<_> = events.map(|event| event["result"]["state"].clone()).collect();
        assert_eq!(states, ["starting", "failed"]);
    }
}

#[tokio::test]
async fn a_proxy_that_is_refused_fails_the_account() {
    let ready = authorization("authorizationStateReady");
    let world = world(Reply::ok().then_update(ready), refused("Wrong proxy secret"));
    world.open_account(1).await;
    assert_eq!(failure(&world).await, "TDLib refuses it: Wrong proxy secret");
    world.tdlib.seen("close").await;
}

#[tokio::test]
async fn an_opening_that_tdlib_does_not_finish_fails() {
    let ready = || Reply::ok().then_update(authorization("authorizationStateReady"));
    let added = json!({
        "@type": "addedProxy", "id": 1, "last_used_date": 0, "is_enabled": true, "comment": "",
        "proxy": {
            "@type": "proxy", "server": "192.0.2.1", "port": 443,
            "type": {"@type": "proxyTypeMtproto", "secret": "dd"},
        },
    });
    let late = "tdlib did not answer in time";
    // Each with an event that shows that TDLib has answered as far as it does.
    let opened = Reply::ok().then_update(json!({"@type": "updateFreezeState", "is_frozen": false}));
    let cases = [
        (world(Reply::silent(), Reply::silent()), "account_state", late),
        (world(ready(), Reply::silent()), "account_state", late),
        (
            world(opened, Reply::object(added)),
            "updateFreezeState",
            "TDLib does not report the account's state",
        ),
    ];
    for (world, seen, expected) in cases {
        world.open_account(1).await;
        world.tdlib.seen("setTdlibParameters").await;
        world.log.next(1, seen, |_| true).await;
        assert_eq!(failure_in_the_end(&world).await, expected);
        world.tdlib.seen("close").await;
    }
}

#[tokio::test]
async fn an_account_whose_disk_hangs_fails() {
    let world = World::closed(&Options::default());
    let directory = world.data_dir.path().join("accounts/1");
    fs::create_dir_all(&directory).unwrap();
    let marker = directory.join("opening");
    mknodat(CWD, &marker, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    world.open_account(1).await;
    // Succeeds once the file is being read, which lasts for as long as it can be written.
    let flags = OFlags::WRONLY | OFlags::NONBLOCK;
    let writer = loop {
        match open(&marker, flags, Mode::empty()) {
            Ok(writer) => break writer,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(failure_in_the_end(&world).await, "the account's directory does not answer");
    drop(writer);
}

#[tokio::test]
async fn an_account_does_not_open_if_tdlib_cannot_be_kept_to_its_proxy() {
    let proxy_guard = Err(GuardError::NotImported("connect".to_owned()));
    let world = World::closed(&Options { proxy: true, proxy_guard, ..Options::default() });
    world.open_account(1).await;
    let why = failure(&world).await;
    assert!(why.contains("cannot be kept to telegram.proxy"), "{why}");
    assert!(why.contains("it does not import `connect`"), "{why}");
    assert_eq!(world.sent("setTdlibParameters").len(), 0);
    assert!(!world.data_dir.path().join("accounts").exists());
}

#[tokio::test]
async fn an_account_that_was_logged_in_and_opens_without_a_login_fails() {
    let world = World::closed(&Options::default());
    let waiting = authorization("authorizationStateWaitPhoneNumber");
    world.tdlib.answer("setTdlibParameters", Reply::ok().then_update(waiting));
    let database = world.data_dir.path().join("accounts/1/db");
    fs::create_dir_all(&database).unwrap();
    fs::write(database.join("td.binlog"), "noise").unwrap();
    fs::write(database.join("../owner"), "41\n").unwrap();
    let opened = Some(Epoch(41));
    world.log.set_head(1, LogHead { logged_in: true, opened, ..LogHead::default() });
    world.open_account(1).await;
    let why = failure(&world).await;
    assert!(why.contains("its database in accounts/1/db has no login any more"), "{why}");
    world.tdlib.seen("close").await;
    assert_eq!(world.log.head_fields(1), [HeadField::Opened], "it is still to be logged in");
    let start = world.submit(&request("start", &json!({"phone": "+15550100"}))).payload().await;
    assert_eq!(start["error_info"]["code"], "not_ready", "{start}");
    let states: Vec<Value> =
        world.log.events(1).iter().map(|event| event["result"]["state"].clone()).collect();
    assert_eq!(states[..2], ["starting", "failed"], "{states:?}");
}
