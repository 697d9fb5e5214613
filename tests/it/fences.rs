//! What someone writes into the workers' keys on Redis costs one account.

use deadpool_redis::redis;
use serde_json::json;

use crate::fleet::shard_of;
use crate::support::World;

/// Sends one command to Redis.
async fn redis_command(world: &World, line: &str) {
    let client = redis::Client::open(world.redis.uri()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    words.for_each(|word| {
        command.arg(word);
    });
    command.exec_async(&mut connection).await.unwrap();
}

/// Two of the accounts 1 to 5, with one shard.
fn neighbours() -> (u32, u32) {
    let pair = |one: u32| Some((one, (one + 1..=5).find(|two| shard_of(*two) == shard_of(one))?));
    (1..=5).find_map(pair).expect("five accounts in four shards")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_that_no_worker_wrote_stops_no_account() {
    let world = World::start(5).await;
    let (one, two) = neighbours();
    let mut worker = world.worker();
    let mut backend = world.backend_when_declared().await;
    for account in [one, two] {
        backend.listen(account).await;
        world.log_in(&mut backend, account).await;
    }
    redis_command(&world, &format!("HSET tdfleet:{{{one}}}:head epoch 9999999999999")).await;
    for account in [one, two] {
        let answer = backend.call(account, "get_active_sessions", json!({})).await;
        assert!(answer["payload"]["result"].is_object(), "{answer}");
    }

    // The same for a worker that starts now.
    redis_command(&world, &format!("HSET tdfleet:{{{one}}}:head epoch 9999999999999")).await;
    worker.terminate();
    assert_eq!(worker.ended().await.code(), Some(0), "{}", worker.log());
    assert!(!worker.log().contains("a shard was not opened"), "{}", worker.log());
    let _worker = world.worker();
    for account in [one, two] {
        let answer = backend.call(account, "get_active_sessions", json!({})).await;
        assert!(answer["payload"]["result"].is_object(), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_no_worker_wrote_do_not_end_an_account() {
    let (world, _worker, mut backend) = World::logged_in(1).await;
    redis_command(&world, "XADD tdfleet:{1}:log * e x").await;
    let answer = backend.call(1, "get_active_sessions", json!({})).await;
    assert!(answer["payload"]["result"].is_object(), "{answer}");
}
