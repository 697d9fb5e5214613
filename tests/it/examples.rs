//! The example clients of `examples/`: the same programs in three languages.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use deadpool_redis::redis;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::support::{Backend, PATIENCE, World};

/// An example client: a program, or an interpreter with a script.
#[derive(Debug)]
struct Client {
    program: PathBuf,
    script: Option<PathBuf>,
}

fn clients() -> [Client; 3] {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let rust = Path::new(env!("CARGO_BIN_EXE_tdfleet")).with_file_name("example-client");
    [
        Client {
            program: target.join("examples-python/bin/python"),
            script: Some(examples.join("python/client.py")),
        },
        Client { program: "node".into(), script: Some(examples.join("node/client.js")) },
        Client { program: rust, script: None },
    ]
}

impl Client {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.script).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn output(&self, command: &mut Command) -> Output {
        let output = timeout(PATIENCE, command.output()).await.expect("it ends");
        output.unwrap_or_else(|error| self.absent(&error))
    }

    fn absent(&self, error: &std::io::Error) -> ! {
        panic!("{self:?}: {error}; `make test` installs what the examples need")
    }

    /// Publishes a command and waits for its answer; exit code and printed event.
    async fn send(&self, world: &World, arguments: &[&str]) -> (Option<i32>, Value) {
        let mut command = self.command(&["send", "1"]);
        command
            .args(arguments)
            .env("TDFLEET_AMQP", world.rabbit.uri())
            .env("TDFLEET_REDIS", world.redis.uri())
            .env("TDFLEET_SHARDS", "4");
        let output = self.output(&mut command).await;
        let event = serde_json::from_slice(&output.stdout);
        let event = event.unwrap_or_else(|error| panic!("{self:?}: {error}: {output:?}"));
        (output.status.code(), event)
    }

    /// Follows account 1 after an event.
    fn follow(&self, redis: &str, after: &str) -> Following {
        let mut command = self.command(&["--redis", redis, "follow", "1", "--after", after]);
        let child = command.stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| self.absent(&error));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Following { child, lines, ids: Vec::new() }
    }
}

/// A client that is following events.
struct Following {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    ids: Vec<String>,
}

impl Following {
    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Reads what it prints until it has printed the event `last`.
    async fn read_to(&mut self, last: &str) {
        while self.ids.last().is_none_or(|id| id != last) {
            let line = timeout(PATIENCE, self.lines.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("{last} is not printed: {:?}", self.ids));
            let event: Value =
                serde_json::from_str(&line.unwrap().expect("it keeps running")).unwrap();
            self.ids.push(id(&event).to_owned());
        }
    }
}

fn id(event: &Value) -> &str {
    event["payload"]["_meta"]["event_id"].as_str().unwrap()
}

async fn log_of(backend: &mut Backend) -> Vec<String> {
    backend.log(1).await.into_iter().map(|(id, _)| id).collect()
}

async fn redis_command(uri: &str, words: &[&str]) -> redis::Value {
    let client = redis::Client::open(uri).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_prints_the_answer_to_its_command() {
    let (world, _worker, _backend) = World::logged_in(1).await;
    for client in clients() {
        for way in [&["get_active_sessions"][..], &["get_active_sessions", "--by-event"]] {
            let (code, event) = client.send(&world, way).await;
            assert_eq!(code, Some(0), "{client:?}: {event}");
            assert_eq!(event["payload"]["type"], "get_active_sessions");
            let sessions = event["payload"]["result"]["sessions"].as_array().unwrap();
            assert_eq!(sessions.len(), 2, "{client:?}: {event}");
        }
        let wrong = ["get_active_sessions", r#"{"colour": "red"}"#];
        let (code, event) = client.send(&world, &wrong).await;
        assert_eq!(code, Some(1), "{client:?}: {event}");
        assert_eq!(event["payload"]["error"], "unknown field: colour");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_explains_why_its_command_cannot_be_published() {
    let mut rabbit = test_servers::rabbitmq::RabbitServer::new();
    for exchange_is_missing in [false, true] {
        if exchange_is_missing {
            rabbit = tokio::task::spawn_blocking(move || {
                rabbit.restart();
                rabbit
            })
            .await
            .unwrap();
        }
        for client in clients() {
            let mut command = client.command(&["--amqp", &rabbit.uri(), "send", "1", "x"]);
            let output = client.output(&mut command).await;
            assert_eq!(output.status.code(), Some(1), "{client:?}: {output:?}");
            let stderr = String::from_utf8(output.stderr).unwrap();
            let traced =
                ["Traceback", "backtrace", "    at "].iter().any(|word| stderr.contains(word));
            assert!(!stderr.is_empty() && !traced, "{client:?}: {stderr}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_resumes_a_killed_subscription_without_missing_events() {
    let (world, _worker, mut backend) = World::logged_in(1).await;
    let before = log_of(&mut backend).await;
    let (after, uri) = (&before[1], world.redis.uri());

    let mut following: Vec<_> = clients().iter().map(|client| client.follow(&uri, after)).collect();
    for client in &mut following {
        client.read_to(before.last().unwrap()).await;
        // It cannot resubscribe while it is stopped.
        client.signal(Signal::STOP);
    }
    redis_command(&uri, &["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    let answered = backend.answers(1, 0).await.len();
    for _ in 0..3 {
        backend.send(1, "get_active_sessions", json!({}), None).await;
    }
    backend.answers(1, answered + 3).await;
    for client in &following {
        client.signal(Signal::CONT);
    }
    let missed = log_of(&mut backend).await;
    for client in &mut following {
        client.read_to(missed.last().unwrap()).await;
    }
    backend.send(1, "get_active_sessions", json!({}), None).await;
    backend.answers(1, answered + 4).await;
    let log = log_of(&mut backend).await;
    for client in &mut following {
        client.read_to(log.last().unwrap()).await;
        assert_eq!(client.ids, log[2..], "{:?}", client.child);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_fills_gaps_reports_lost_events_and_exits_after_its_count() {
    let server =
        tokio::task::spawn_blocking(test_servers::redis::RedisServer::start).await.unwrap();
    let uri = server.uri();
    let event = |id: &str, prev: &str| {
        json!({"type": "chat_update", "userbot_id": 1, "payload": {"userbot_id": 1, "type": "x",
            "_meta": {"event_id": id, "prev": prev}}})
        .to_string()
    };
    for client in clients() {
        redis_command(&uri, &["FLUSHALL"]).await;
        let store = async |id: &str, prev: &str| {
            redis_command(&uri, &["XADD", "tdfleet:{1}:log", id, "e", &event(id, prev)]).await;
        };
        let publish = async |id: &str, prev: &str| {
            redis_command(&uri, &["PUBLISH", "tdfleet:{1}:live", &event(id, prev)]).await;
        };
        // 7-3 is no longer in the log.
        store("7-4", "7-3").await;
        let arguments = ["--redis", &uri, "follow", "1", "--after", "7-2", "--count", "5"];
        let mut command = client.command(&arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| client.absent(&error));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut next = async || {
            let line = timeout(PATIENCE, lines.next_line()).await.expect("an event").unwrap();
            let event: Value = serde_json::from_str(&line.expect("it keeps running")).unwrap();
            id(&event).to_owned()
        };
        assert_eq!(next().await, "7-4", "{client:?}");
        // A repeated event is ignored. One in sequence is printed without reading the log.
        publish("7-4", "7-3").await;
        publish("7-5", "7-4").await;
        assert_eq!(next().await, "7-5", "{client:?}");
        // 7-6 and 7-7 are not published live.
        store("7-6", "7-5").await;
        store("7-7", "7-6").await;
        // Entries that no worker wrote, more than a client reads at once.
        for number in 1..=150 {
            let id = format!("8-{number}");
            redis_command(&uri, &["XADD", "tdfleet:{1}:log", &id, "e", "x"]).await;
        }
        store("10-1", "7-7").await;
        publish("10-1", "7-7").await;
        assert_eq!([next().await, next().await, next().await], ["7-6", "7-7", "10-1"]);
        let output = timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
        assert!(output.status.success(), "{client:?}: {output:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr, "events before the next one are gone\n", "{client:?}");
    }
}
