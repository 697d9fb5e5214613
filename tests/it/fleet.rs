//! Several workers: `tdfleet shards`, `tdfleet workers` and `tdfleet doctor`.

use serde_json::Value;
use tokio::time::{Duration, sleep, timeout};

use crate::support::{PATIENCE, Worker, World, routing_key};

/// Shards move without delay, and no lease is lost on a busy machine.
const FAST_MOVES: [(&str, &str); 3] = [
    ("TDFLEET__OWNERSHIP__LEASE_S", "20"),
    ("TDFLEET__OWNERSHIP__JOIN_DELAY_S", "0"),
    ("TDFLEET__OWNERSHIP__DWELL_S", "0"),
];

/// The shard of an account, such as `s003`.
pub(crate) fn shard_of(account: u32) -> String {
    routing_key(account, "x").split('.').nth(1).unwrap().to_owned()
}

fn worker(world: &World, name: &str, store: Option<&str>) -> Worker {
    let mut environment = vec![("TDFLEET__OWNERSHIP__NAME", name)];
    environment.extend(FAST_MOVES);
    environment.extend(store.map(|store| ("TDFLEET__WORKER__DATA_DIR", store)));
    world.tdfleet(&["worker"], &environment)
}

pub(crate) async fn list(world: &World, what: &str) -> Vec<Value> {
    let (code, text) = world.output(&[what, "list", "--json"]).await;
    assert_eq!(code, Some(0), "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Waits until each of the workers owns shards, and every shard is owned.
async fn wait_until_shared(world: &World, workers: &[&str]) -> Vec<Value> {
    let shared = async {
        loop {
            let shards = list(world, "shards").await;
            let owned = |worker: &&str| shards.iter().any(|shard| shard["owner"] == **worker);
            if workers.iter().all(owned) && shards.iter().all(|shard| shard["state"] == "owned") {
                return shards;
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(PATIENCE, shared).await.expect("the workers share the shards")
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_are_listed_and_moved() {
    let world = World::start(1).await;
    let mut one = worker(&world, "one", None);
    let mut backend = world.backend_when_declared().await;
    backend.listen(1).await;
    world.log_in(&mut backend, 1).await;
    let mut two = worker(&world, "two", None);
    let shards = wait_until_shared(&world, &["one", "two"]).await;
    let workers = list(&world, "workers").await;
    assert_eq!(workers.len(), 2, "{workers:?}");
    for worker in &workers {
        assert_eq!((&worker["live"], &worker["rabbitmq"]), (&true.into(), &true.into()));
        assert_eq!(worker["store"], workers[0]["store"]);
    }

    let counted = async {
        loop {
            let workers = list(&world, "workers").await;
            let accounts: Vec<_> =
                workers.iter().filter_map(|worker| worker["accounts"].as_u64()).collect();
            if accounts.iter().sum::<u64>() == 1 {
                return;
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(Duration::from_secs(30), counted).await.expect("one worker runs the account");

    let shard = shard_of(1);
    let found = |shards: &[Value]| {
        let found = shards.iter().find(|found| found["shard"] == *shard).unwrap();
        (found["owner"].clone(), found["pin"].clone())
    };
    for to in ["one", "two"] {
        let (code, _) = world.output(&["shards", "move", &shard, "--to", to]).await;
        assert_eq!(code, Some(0));
        let shards = list(&world, "shards").await;
        assert_eq!(found(&shards), (to.into(), to.into()));
        let answer = backend.call(1, "get_active_sessions", serde_json::json!({})).await;
        assert!(answer["payload"]["result"].is_object(), "{answer}");
    }
    assert_eq!(world.output(&["shards", "unpin", &shard]).await.0, Some(0));
    // It may be moving by now, and have no owner.
    assert_eq!(found(&list(&world, "shards").await).1, Value::Null);
    assert_eq!(shards.len(), 4);

    let refused = async |to: &str| {
        let mut process = world.tdfleet(&["shards", "move", &shard, "--to", to], &[]);
        let code = process.ended().await.code();
        (code, process.log())
    };
    let (code, error) = refused("nobody").await;
    assert!(code == Some(1) && error.contains("there is no worker nobody"), "{error}");
    let mut elsewhere = worker(&world, "elsewhere", Some("another-store"));
    let seen = async {
        while list(&world, "workers").await.len() < 3 {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, seen).await.expect("a third worker");
    let (code, error) = refused("elsewhere").await;
    assert!(code == Some(1) && error.contains("another store"), "{error}");

    for worker in [&mut one, &mut two, &mut elsewhere] {
        worker.terminate();
    }
    for worker in [&mut one, &mut two, &mut elsewhere] {
        assert_eq!(worker.ended().await.code(), Some(0), "{}", worker.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_reports_what_is_wrong() {
    let world = World::start(1).await;
    let (code, text) = world.output(&["doctor"]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("nothing is declared yet")
            && text.contains("has the expected checksum, loads, and is kept to the proxy"),
        "{text}"
    );

    let _worker = world.worker();
    let backend = world.backend_when_declared().await;
    // The last thing that a worker declares is the binding of the last queue.
    backend.publish(&routing_key(1, "x"), b"{}", lapin::BasicProperties::default()).await;
    let sound = async {
        loop {
            let (code, text) = world.output(&["doctor"]).await;
            if text.contains("everything is declared") && text.contains("is store") {
                return (code, text);
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    let (code, text) = timeout(PATIENCE, sound).await.expect("a healthy installation");
    assert!(code == Some(0) && !text.contains("WRONG"), "{text}");

    let wrong = [("TDFLEET__SHARD_COUNT", "8"), ("TDFLEET__TDLIB__LIBRARY", "/nowhere")];
    let (code, text) = world.tdfleet(&["doctor", "--json"], &wrong).output().await;
    let checks: Vec<Value> = serde_json::from_str(&text).unwrap();
    let wrong = checks.iter().filter(|check| check["state"] == "wrong");
    let parts: Vec<_> = wrong.filter_map(|check| check["part"].as_str()).collect();
    assert_eq!((code, parts), (Some(1), vec!["tdlib", "rabbitmq"]), "{text}");
}
