//! RabbitMQ, Redis or TDLib is unavailable.

use serde_json::json;

use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_names_servers_that_are_down_at_start_and_waits_for_them() {
    let mut world = World::without_servers(1).await;
    let worker = world.worker();
    worker.logged(&format!("127.0.0.1:{}", world.rabbit.port())).await;
    worker.logged(&format!("127.0.0.1:{}", world.redis.port())).await;
    let world = tokio::task::spawn_blocking(move || {
        world.redis.restart();
        world.rabbit.restart();
        world
    });
    let world = world.await.unwrap();
    let mut backend = world.backend_when_declared().await;
    backend.listen(1).await;
    world.log_in(&mut backend, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_wait_while_redis_is_down() {
    let (mut world, worker, backend) = World::logged_in(1).await;
    world.redis.kill9();
    for number in 0..10 {
        let id = format!("cmd-{number}");
        backend.send(1, "get_active_sessions", json!({}), Some(&id)).await;
    }
    let world = tokio::task::spawn_blocking(move || {
        world.redis.restart();
        world
    });
    let world = world.await.unwrap();
    let mut backend = world.backend().await;
    let answers = backend.answers(1, 12).await;
    assert_eq!(answers.len(), 12, "two for the login and one for each command");
    drop(worker);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_tdlib_is_reported_in_one_line_that_names_make_tdlib() {
    let world = World::without_servers(1).await;
    let mut worker =
        world.tdfleet(&["worker"], &[("TDFLEET__TDLIB__LIBRARY", "/nowhere/libtdjson.so")]);
    assert_eq!(worker.ended().await.code(), Some(1));
    let log = worker.log();
    let line =
        log.lines().find(|line| line.contains("make tdlib")).expect("a line names `make tdlib`");
    assert!(line.contains("/nowhere/libtdjson.so"), "{log}");
    assert_eq!(log.lines().count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_uris_are_reported_without_their_secrets() {
    let world = World::without_servers(1).await;
    for (setting, uri) in [
        ("TDFLEET__BROKER__URI", "amqp://user:hush@host:port/"),
        ("TDFLEET__PUBLISHER__URI", "redis://user:hush@host:port/"),
    ] {
        let mut worker = world.tdfleet(&["worker"], &[(setting, uri)]);
        assert_eq!(worker.ended().await.code(), Some(78), "{}", worker.log());
        let log = worker.log();
        assert!(log.contains(".uri") && !log.contains("hush"), "{log}");
        assert_eq!(log.lines().count(), 2, "the heading and the fault: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_different_shard_count_is_refused_at_start() {
    let world = World::start(1).await;
    let first = world.worker();
    let _backend = world.backend_when_declared().await;
    let store = [("TDFLEET__SHARD_COUNT", "8"), ("TDFLEET__WORKER__DATA_DIR", "other")];
    let mut second = world.tdfleet(&["worker"], &store);
    assert_eq!(second.ended().await.code(), Some(1), "{}", second.log());
    assert!(second.log().contains("shard_count"), "{}", second.log());
    drop(first);
}
