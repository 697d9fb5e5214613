//! Accounts that TDLib cannot open, and proxies that do not work: the real library says so, and the
//! worker tells why.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Backend, Worker, World};

/// Why account 1 has failed.
async fn failure(backend: &mut Backend) -> String {
    let is_failure = |event: &Value| event["payload"]["result"]["state"] == "failed";
    let failed = backend.live_event(is_failure).await;
    failed["payload"]["result"]["reason"].as_str().unwrap().to_owned()
}

async fn ready(backend: &mut Backend) {
    backend.live_event(|event| event["payload"]["result"]["state"] == "ready").await;
}

async fn stop(worker: &mut Worker) {
    worker.terminate();
    assert_eq!(worker.ended().await.code(), Some(0), "{}", worker.log());
}

/// The file with account 1's login.
fn binlog(world: &World) -> PathBuf {
    world.directory(1).join("db/td.binlog")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_behind_a_proxy_that_tdlib_cannot_open_fails_with_the_reason() {
    let (world, mut worker, mut backend) = World::logged_in(1).await;
    stop(&mut worker).await;

    let (file, aside) = (binlog(&world), world.directory(1).join("aside"));
    fs::rename(&file, &aside).unwrap();
    fs::create_dir(&file).unwrap();
    let mut worker = world.worker();
    let why = failure(&mut backend).await;
    assert!(why.starts_with("TDLib refuses it: File "), "{why}\n{}", worker.log());
    worker.logged("TDLib cannot open the account").await;
    stop(&mut worker).await;

    fs::remove_dir(&file).unwrap();
    fs::rename(&aside, &file).unwrap();
    let _worker = world.worker();
    ready(&mut backend).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_overwritten_with_noise_fails_the_account_until_it_is_restored() {
    let (world, mut worker, mut backend) = World::logged_in(1).await;
    stop(&mut worker).await;
    let (file, aside) = (binlog(&world), world.directory(1).join("aside"));
    fs::copy(&file, &aside).unwrap();
    let noise: Vec<u8> =
        (0_u32..4096).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for _ in 0..2 {
        fs::write(&file, &noise).unwrap();
        let mut worker = world.worker();
        let why = failure(&mut backend).await;
        assert!(why.contains("its database in accounts/1/db has no login any more"), "{why}");
        stop(&mut worker).await;
    }
    fs::rename(&aside, &file).unwrap();
    let _worker = world.worker();
    ready(&mut backend).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_keeps_tdlib_to_its_proxy_and_says_when_it_had_to() {
    let world = World::start(1).await;
    // A port that nobody listens on.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let proxy = ("TDFLEET__TELEGRAM__PROXY__PORT", &*closed.to_string());
    let worker = world.tdfleet(&["worker"], &[proxy]);
    let mut backend = world.backend_when_declared().await;
    backend.listen(1).await;
    backend.send(1, "start", json!({"phone": world.sandbox.phone(1)}), None).await;
    worker.logged("TDLib was kept from going past the proxy").await;
    // The sandbox's copy of the library looks for other data centres on this machine.
    assert!(worker.log().contains("destination=127.0.0.1:443"), "{}", worker.log());
}
