//! What someone writes into the workers' keys on Redis costs one account.

use deadpool_redis::redis;
use serde_json::json;

use crate::dead_letters::wait_for_letters;
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
async fn an_epoch_that_no_owner_has_costs_one_account_until_it_is_corrected() {
    let world = World::start(5).await;
    let (one, two) = neighbours();
    let worker = world.worker();
    let mut backend = world.backend_when_declared().await;
    for account in [one, two] {
        backend.listen(account).await;
        world.log_in(&mut backend, account).await;
    }
    redis_command(&world, &format!("HSET tdfleet:{{{one}}}:head epoch 9999999999999")).await;
    backend.send(one, "get_active_sessions", json!({}), Some("cmd-1")).await;
    let letters = wait_for_letters(&world, 1).await;
    let reason = letters[0]["reason"].as_str().unwrap();
    assert!(reason.contains("epoch 9999999999999"), "{reason}");
    let answer = backend.call(two, "get_active_sessions", json!({})).await;
    assert!(answer["payload"]["result"].is_object(), "{answer}");

    // The same for a worker that starts now.
    worker.terminate();
    let mut first = worker;
    assert_eq!(first.ended().await.code(), Some(0), "{}", first.log());
    assert!(!first.log().contains("a shard was not opened"), "{}", first.log());
    let worker = world.worker();
    worker.logged("an account is closed until its log can be claimed").await;
    let answer = backend.call(two, "get_active_sessions", json!({})).await;
    assert!(answer["payload"]["result"].is_object(), "{answer}");
    let (_, text) = world.output(&["doctor"]).await;
    assert!(text.contains(&format!("account {one}")) && text.contains("epoch"), "{text}");

    redis_command(&world, &format!("HDEL tdfleet:{{{one}}}:head epoch")).await;
    worker.logged("the account's log is claimed again").await;
    let redriven = world.output(&["dead-letters", "redrive", "cmd-1"]).await;
    assert_eq!(redriven, (Some(0), "1 republished\n".to_owned()));
    let answer = backend.answer("get_active_sessions").await;
    assert_eq!(answer["payload"]["_meta"]["command_id"], "cmd-1", "{answer}");
    assert!(answer["payload"]["result"].is_object(), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_no_worker_wrote_do_not_end_an_account() {
    let (world, _worker, mut backend) = World::logged_in(1).await;
    redis_command(&world, "XADD tdfleet:{1}:log * e x").await;
    let answer = backend.call(1, "get_active_sessions", json!({})).await;
    assert!(answer["payload"]["result"].is_object(), "{answer}");
}
