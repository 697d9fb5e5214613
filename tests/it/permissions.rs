//! The users of docs/permissions.md, with exactly their rights.

use deadpool_redis::redis;
use deadpool_redis::redis::aio::MultiplexedConnection;
use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use serde_json::{Value, json};
use tokio::time::{Duration, sleep, timeout};

use crate::dead_letters::wait_for_letters;
use crate::fleet::{list, shard_of};
use crate::support::{World, routing_key};

const PATIENCE: Duration = Duration::from_secs(30);

/// The page's commands that begin with this program, as lists of words.
fn commands(program: &str) -> Vec<Vec<String>> {
    let page = include_str!("../../docs/permissions.md");
    let lines = page.lines().filter_map(|line| line.strip_prefix(&format!("{program} ")));
    let words = |line: &str| line.split(' ').map(|word| word.replace('\'', "")).collect();
    lines.map(words).collect()
}

async fn redis_command(uri: &str, words: &[String]) -> redis::RedisResult<redis::Value> {
    let mut connection = redis_connection(uri).await;
    redis::cmd(&words[0]).arg(&words[1..]).query_async(&mut connection).await
}

async fn redis_connection(uri: &str) -> MultiplexedConnection {
    let client = redis::Client::open(uri).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// The URIs of a role on both servers.
struct Role {
    amqp: String,
    redis: String,
}

impl Role {
    fn of(world: &World, name: &str) -> Self {
        let amqp = format!("amqp://{name}:secret-of-{name}@127.0.0.1:{}/%2f", world.rabbit.port());
        let redis = format!("redis://{name}:secret-of-{name}@127.0.0.1:{}/0", world.redis.port());
        Self { amqp, redis }
    }

    fn environment(&self) -> [(&str, &str); 2] {
        [("TDFLEET__BROKER__URI", &self.amqp), ("TDFLEET__PUBLISHER__URI", &self.redis)]
    }

    async fn channel(&self) -> Channel {
        let connection =
            Connection::connect(&self.amqp, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        channel
    }
}

/// A world with the page's users; the users without a password may do nothing any more.
async fn world_with_users(accounts: u32) -> World {
    let world = World::start(accounts).await;
    let world = tokio::task::spawn_blocking(move || {
        for command in commands("rabbitmqctl") {
            world.rabbit.ctl(command);
        }
        world
    });
    let world = world.await.unwrap();
    for command in commands("redis-cli") {
        redis_command(&world.redis.uri(), &command).await.unwrap();
    }
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_can_do_its_work_with_its_permissions_and_no_more() {
    let world = world_with_users(2).await;
    let [worker, caller, reader, operator] =
        ["worker", "caller", "reader", "operator"].map(|name| Role::of(&world, name));
    let mut running = world.tdfleet(&["worker"], &worker.environment());
    let mut backend = world.backend_when_declared().await;
    for account in [1, 2] {
        backend.listen(account).await;
        world.log_in(&mut backend, account).await;
    }

    caller_calls(&caller).await;
    reader_reads(&reader).await;
    operator_operates(&world, &operator).await;

    let (code, text) = world.tdfleet(&["doctor"], &worker.environment()).output().await;
    assert!(code == Some(0) && text.contains("user worker may do"), "{text}");
    running.terminate();
    assert_eq!(running.ended().await.code(), Some(0), "{}", running.log());
    for refused in ["NOPERM", "ACCESS_REFUSED", "not accepting writes"] {
        assert!(!running.log().contains(refused), "{}", running.log());
    }
}

async fn caller_calls(caller: &Role) {
    let channel = caller.channel().await;
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let reply_to = "amq.rabbitmq.reply-to";
    let replies =
        channel.basic_consume(reply_to.into(), "".into(), options, FieldTable::default()).await;
    let mut replies = replies.unwrap();
    let publish = async |account: u32| {
        let key = routing_key(account, "get_active_sessions");
        let body = json!({"command": "get_active_sessions", "userbot_id": account}).to_string();
        let properties = BasicProperties::default().with_reply_to(reply_to.into());
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let exchange = "tdfleet.commands".into();
        channel
            .basic_publish(exchange, key.into(), options, body.as_bytes(), properties)
            .await?
            .await
    };
    assert!(publish(1).await.unwrap().is_ack());
    let reply = timeout(PATIENCE, replies.next()).await.expect("a reply").unwrap().unwrap();
    let reply: Value = serde_json::from_slice(&reply.data).unwrap();
    assert!(reply["payload"]["result"].is_object(), "{reply}");
    let refused = publish(2).await.unwrap_err();
    assert!(refused.to_string().contains("ACCESS_REFUSED"), "{refused}");
}

async fn reader_reads(reader: &Role) {
    let mut connection = redis_connection(&reader.redis).await;
    let mut run = async |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        redis::cmd(words[0]).arg(&words[1..]).query_async::<redis::Value>(&mut connection).await
    };
    for line in [
        "XRANGE tdfleet:{1}:log - + COUNT 1",
        "XREVRANGE tdfleet:{1}:log + - COUNT 1",
        "XREAD COUNT 1 STREAMS tdfleet:{1}:log 0",
        "HGET tdfleet:{1}:head last",
    ] {
        assert_ne!(run(line).await.unwrap(), redis::Value::Nil, "{line}");
    }
    for line in [
        "XRANGE tdfleet:{2}:log - +",
        "XADD tdfleet:{1}:log * e x",
        "HSET tdfleet:{1}:head epoch 1",
        "PUBLISH tdfleet:{1}:live x",
        "GET tdfleet:{1}:cmd:x",
    ] {
        let refused = run(line).await.unwrap_err();
        assert!(refused.to_string().contains("NoPerm"), "{line}: {refused}");
    }
    let client = redis::Client::open(&*reader.redis).unwrap();
    let mut live = client.get_async_pubsub().await.unwrap();
    live.subscribe("tdfleet:{1}:live").await.unwrap();
    assert!(live.subscribe("tdfleet:{2}:live").await.is_err());
}

async fn operator_operates(world: &World, operator: &Role) {
    let run = async |arguments: &[&str]| {
        let mut process = world.tdfleet(arguments, &operator.environment());
        let (code, text) = process.output().await;
        assert_eq!(code, Some(0), "{arguments:?}: {text}{}", process.log());
        text
    };
    assert!(run(&["workers", "list"]).await.contains("yes"));
    let workers = list(world, "workers").await;
    let name = workers[0]["name"].as_str().unwrap();
    run(&["shards", "move", &shard_of(1), "--to", name]).await;
    run(&["shards", "unpin", &shard_of(1)]).await;

    let admin = world.backend().await;
    let key = routing_key(1, "x");
    admin.publish(&key, b"no json", BasicProperties::default()).await;
    let letters = wait_for_letters(world, 1).await;
    let id = letters[0]["id"].as_str().unwrap();
    assert!(run(&["dead-letters", "list"]).await.contains(id));
    assert!(run(&["dead-letters", "show", id]).await.contains(&key));
    assert_eq!(run(&["dead-letters", "redrive", id]).await, "1 republished\n");
    wait_for_letters(world, 1).await;
    assert_eq!(run(&["dead-letters", "purge", "--all"]).await, "1 purged\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_the_permissions_that_a_worker_lacks() {
    let world = world_with_users(1).await;
    let worker = Role::of(&world, "worker");
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    // Channels are not among the keys: many forget them.
    redis_command(&world.redis.uri(), &words("ACL SETUSER worker resetchannels")).await.unwrap();
    let (world, worker) = tokio::task::spawn_blocking(move || {
        let none = ["set_permissions", "worker", "^$", "^tdfleet\\.", "^tdfleet\\."];
        world.rabbit.ctl(none);
        (world, worker)
    })
    .await
    .unwrap();
    let doctor = async || world.tdfleet(&["doctor"], &worker.environment()).output().await;
    let (code, text) = doctor().await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("user worker may not: PUBLISH tdfleet:{1}:live x"), "{text}");
    assert!(text.contains("access to queue 'tdfleet.doctor"), "{text}");

    // Everything is declared by another user: what is refused now is what a worker would be refused.
    let other = world.worker();
    let _backend = world.backend_when_declared().await;
    let refused = async {
        loop {
            let (code, text) = doctor().await;
            if text.contains("everything is declared") {
                return (code, text);
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    let (code, text) = timeout(PATIENCE, refused).await.expect("a declared topology");
    assert_eq!(code, Some(1), "{text}");
    for part in ["access to queue 'tdfleet.dead-letters'", "access to exchange 'amq.default'"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    drop(other);
}
