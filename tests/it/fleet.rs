//! Several workers, seen and moved by the operator.

use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::time::{Duration, sleep, timeout};

use crate::support::{Worker, World, routing_key};

const LEASE: (&str, &str) = ("TDFLEET__OWNERSHIP__LEASE_S", "6");
const PROMPT: [(&str, &str); 3] =
    [LEASE, ("TDFLEET__OWNERSHIP__JOIN_DELAY_S", "0"), ("TDFLEET__OWNERSHIP__DWELL_S", "0")];

/// What an operator's command prints on standard output, and its exit code.
pub(crate) async fn output(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    output_with(world, arguments, &[]).await
}

async fn output_with(
    world: &World,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> (Option<i32>, String) {
    let mut process = world.tdfleet(arguments, environment);
    let mut text = String::new();
    process.child.stdout.take().unwrap().read_to_string(&mut text).await.unwrap();
    (process.ended().await.code(), text)
}

/// The shard of an account, such as `s003`.
pub(crate) fn shard_of(account: u32) -> String {
    routing_key(account, "x").split('.').nth(1).unwrap().to_owned()
}

fn worker(world: &World, name: &str, store: Option<&str>) -> Worker {
    let mut environment = vec![("TDFLEET__OWNERSHIP__NAME", name)];
    environment.extend(PROMPT);
    environment.extend(store.map(|store| ("TDFLEET__WORKER__DATA_DIR", store)));
    world.tdfleet(&["worker"], &environment)
}

async fn listed(world: &World, what: &str) -> Vec<Value> {
    let (code, text) = output(world, &[what, "list", "--json"]).await;
    assert_eq!(code, Some(0), "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Waits until each of the workers has shards.
async fn shared(world: &World, workers: &[&str]) -> Vec<Value> {
    let shared = async {
        loop {
            let shards = listed(world, "shards").await;
            let owned = |worker: &&str| shards.iter().any(|shard| shard["owner"] == **worker);
            if workers.iter().all(owned) && shards.iter().all(|shard| shard["state"] == "owned") {
                return shards;
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(Duration::from_mins(1), shared).await.expect("the workers share the shards")
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_are_listed_and_moved() {
    let world = World::start(1).await;
    let mut one = worker(&world, "one", None);
    let mut backend = world.backend_when_declared().await;
    backend.listen(1).await;
    world.log_in(&mut backend, 1).await;
    let mut two = worker(&world, "two", None);
    let shards = shared(&world, &["one", "two"]).await;
    let workers = listed(&world, "workers").await;
    assert_eq!(workers.len(), 2, "{workers:?}");
    for worker in &workers {
        assert_eq!((&worker["live"], &worker["rabbitmq"]), (&true.into(), &true.into()));
        assert_eq!(worker["store"], workers[0]["store"]);
    }

    let shard = shard_of(1);
    let found = |shards: &[Value]| {
        let found = shards.iter().find(|found| found["shard"] == *shard).unwrap();
        (found["owner"].clone(), found["pin"].clone())
    };
    for to in ["one", "two"] {
        let (code, _) = output(&world, &["shards", "move", &shard, "--to", to]).await;
        assert_eq!(code, Some(0));
        let shards = listed(&world, "shards").await;
        assert_eq!(found(&shards), (to.into(), to.into()));
        let answer = backend.call(1, "get_active_sessions", serde_json::json!({})).await;
        assert!(answer["payload"]["result"].is_object(), "{answer}");
    }
    assert_eq!(output(&world, &["shards", "unpin", &shard]).await.0, Some(0));
    // It may be on its way to where it belongs by now, and have no owner.
    assert_eq!(found(&listed(&world, "shards").await).1, Value::Null);
    assert_eq!(shards.len(), 4);

    let refused = async |to: &str| {
        let mut process = world.tdfleet(&["shards", "move", &shard, "--to", to], &[]);
        let code = process.ended().await.code();
        (code, process.log())
    };
    let (code, said) = refused("nobody").await;
    assert!(code == Some(1) && said.contains("there is no worker nobody"), "{said}");
    let mut elsewhere = worker(&world, "elsewhere", Some("another-store"));
    let seen = async {
        while listed(&world, "workers").await.len() < 3 {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(30), seen).await.expect("a third worker");
    let (code, said) = refused("elsewhere").await;
    assert!(code == Some(1) && said.contains("another store"), "{said}");

    for worker in [&mut one, &mut two, &mut elsewhere] {
        worker.terminate();
    }
    for worker in [&mut one, &mut two, &mut elsewhere] {
        assert_eq!(worker.ended().await.code(), Some(0), "{}", worker.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_what_is_wrong() {
    let world = World::start(1).await;
    let (code, text) = output(&world, &["doctor"]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("nothing is declared yet") && text.contains("libtdjson 1.8.61"),
        "{text}"
    );

    let _worker = world.worker();
    let backend = world.backend_when_declared().await;
    // The last thing that a worker declares is the binding of the last queue.
    backend.publish(&routing_key(1, "x"), b"{}", lapin::BasicProperties::default()).await;
    let sound = async {
        loop {
            let (code, text) = output(&world, &["doctor"]).await;
            if text.contains("everything is declared") && text.contains("is the store") {
                return (code, text);
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    let (code, text) = timeout(Duration::from_secs(30), sound).await.expect("a sound world");
    assert!(code == Some(0) && !text.contains("WRONG"), "{text}");

    let wrong = [("TDFLEET__SHARD_COUNT", "8"), ("TDFLEET__TDLIB__LIBRARY", "/nowhere")];
    let (code, text) = output_with(&world, &["doctor", "--json"], &wrong).await;
    let checks: Vec<Value> = serde_json::from_str(&text).unwrap();
    let wrong = checks.iter().filter(|check| check["state"] == "wrong");
    let parts: Vec<_> = wrong.filter_map(|check| check["part"].as_str()).collect();
    assert_eq!((code, parts), (Some(1), vec!["tdlib", "rabbitmq"]), "{text}");
}
