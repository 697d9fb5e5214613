//! How a worker ends: by signals, within its grace period or not, and what the next one finds.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use rustix::process::Signal;
use sandbox::Fault;
use serde_json::{Value, json};

use crate::support::World;

const COMMANDS: usize = 200;

/// The ids of the answered commands; panics if one has two answers.
fn answered_ids(answers: &[Value]) -> BTreeSet<&str> {
    let ids = answers.iter().filter_map(|event| event["payload"]["_meta"]["command_id"].as_str());
    let ids: Vec<_> = ids.filter(|id| id.starts_with("cmd-")).collect();
    let unique: BTreeSet<_> = ids.iter().copied().collect();
    assert_eq!(ids.len(), unique.len(), "a command has two answers");
    unique
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_mid_command_loses_no_command_and_closes_tdlib() {
    let (world, mut worker, mut backend) = World::logged_in(1).await;
    let before = backend.answers(1, 2).await.len();

    for number in 0..COMMANDS {
        let id = format!("cmd-{number}");
        backend.send(1, "get_active_sessions", json!({}), Some(&id)).await;
        if number == COMMANDS / 2 {
            worker.terminate();
        }
    }
    let status = worker.ended().await;
    assert_eq!(status.code(), Some(0), "{status}\n{}", worker.log());
    let log = backend.log(1).await;
    let (_, last) = log.last().unwrap();
    assert_eq!(last["payload"]["result"]["state"], "cold", "TDLib was closed: {last}");

    // The next worker finds a closed database: the account is ready without a login.
    let mut next = world.worker();
    let answers = backend.answers(1, before + COMMANDS).await;
    assert_eq!(answered_ids(&answers).len(), COMMANDS);
    let failed = answers.iter().find(|event| event["payload"]["error"].is_string());
    assert_eq!(failed, None);
    let log = backend.log(1).await;
    let logins =
        log.iter().filter(|(_, event)| event["payload"]["result"]["state"] == "wait_phone").count();
    assert_eq!(logins, 1, "only the first worker logged in");
    next.terminate();
    assert!(next.ended().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_would_end_the_process_closes_its_accounts_first_or_is_ignored() {
    let (world, mut worker, mut backend) = World::logged_in(1).await;
    for (signal, name) in [(Signal::HUP, "SIGHUP"), (Signal::QUIT, "SIGQUIT")] {
        // Neither of these means anything.
        worker.signal(Signal::USR1);
        worker.signal(Signal::USR2);
        worker.signal(signal);
        assert_eq!(worker.ended().await.code(), Some(0), "{name}: {}", worker.log());
        assert!(worker.log().contains(name), "{}", worker.log());
        let log = backend.log(1).await;
        assert_eq!(log.last().unwrap().1["payload"]["result"]["state"], "cold", "{name}");
        worker = world.tdfleet_in_shell(r#"exec nohup "$@""#, &["worker"], &[]);
        worker.logged("state=\"ready\"").await;
        if signal == Signal::HUP {
            worker.signal(Signal::HUP);
        }
    }
    worker.terminate();
    assert_eq!(worker.ended().await.code(), Some(0), "{}", worker.log());
    assert!(!worker.log().contains("SIGHUP"), "started by nohup: {}", worker.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_waits_for_running_commands() {
    let (world, mut worker, mut backend) = World::logged_in(1).await;

    let slow = Fault::delay(Duration::from_secs(3)).method("account.getAuthorizations");
    world.sandbox.inject(slow);
    backend.send(1, "get_active_sessions", json!({}), Some("cmd-slow")).await;
    world.called("account.getAuthorizations").await;
    worker.terminate();
    let answer = backend.answer("get_active_sessions").await;
    assert!(answer["payload"]["result"].is_object(), "{answer}");
    assert_eq!(worker.ended().await.code(), Some(0), "{}", worker.log());
    let log = backend.log(1).await;
    assert_eq!(answers_to(&log, "cmd-slow"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_outlasts_the_grace_period_is_run_by_the_next_worker() {
    let grace = [("TDFLEET__WORKER__GRACE_S", "1")];
    let (world, mut worker, mut backend) = World::logged_in_with(1, &["worker"], &grace).await;

    let silent = Fault::no_answer().method("account.getAuthorizations");
    world.sandbox.inject(silent);
    backend.send(1, "get_active_sessions", json!({}), Some("cmd-stuck")).await;
    world.called("account.getAuthorizations").await;
    worker.terminate();
    assert_eq!(worker.ended().await.code(), Some(0), "{}", worker.log());
    let log = backend.log(1).await;
    assert_eq!(answers_to(&log, "cmd-stuck"), 0, "it is redelivered instead: {log:#?}");

    world.sandbox.clear_faults();
    let _next = world.worker();
    let answer = backend.answer("get_active_sessions").await;
    assert_eq!(answer["payload"]["_meta"]["command_id"], "cmd-stuck", "{answer}");
    assert!(answer["payload"]["result"].is_object(), "{answer}");
}

fn answers_to(log: &[(String, Value)], id: &str) -> usize {
    log.iter().filter(|(_, event)| event["payload"]["_meta"]["command_id"] == id).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn sigkill_loses_no_command() {
    let (world, mut worker, mut backend) = World::logged_in(1).await;

    for number in 0..COMMANDS {
        let id = format!("cmd-{number}");
        backend.send(1, "get_active_sessions", json!({}), Some(&id)).await;
        if number == COMMANDS / 2 {
            worker.kill9();
        }
    }
    assert_eq!(worker.ended().await.signal(), Some(9));
    let _next = world.worker();
    let of_command = |event: &Value| {
        let id = event["payload"]["_meta"]["command_id"].as_str();
        id.is_some_and(|id| id.starts_with("cmd-"))
    };
    let answers = backend.logged(1, COMMANDS, of_command).await;
    assert_eq!(answered_ids(&answers).len(), COMMANDS);
    let log = backend.log(1).await;
    let ids = log.iter().map(|(_, event)| event["payload"]["_meta"]["event_id"].to_string());
    assert_eq!(ids.collect::<BTreeSet<_>>().len(), log.len(), "event ids are unique");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_process_immediately() {
    let (world, mut worker, mut backend) = World::logged_in(1).await;

    // The first signal waits for this command, up to the grace period of 20 s.
    world.sandbox.inject(Fault::no_answer().method("account.getAuthorizations"));
    backend.send(1, "get_active_sessions", json!({}), Some("cmd-stuck")).await;
    world.called("account.getAuthorizations").await;
    worker.terminate();
    worker.logged("shutting down").await;
    worker.terminate();
    assert_eq!(worker.ended().await.signal(), Some(9), "{}", worker.log());
    assert!(worker.log().contains("second signal received"), "{}", worker.log());
    assert_eq!(answers_to(&backend.log(1).await, "cmd-stuck"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_never_own_the_same_shard() {
    let (world, mut first, mut backend) = World::logged_in(1).await;
    let mut second = world.worker();
    second.logged("connected to RabbitMQ").await;
    assert!(!second.log().contains("account state"), "{}", second.log());
    first.terminate();
    assert!(first.ended().await.success());
    // The second takes over: the account becomes ready there, under a new epoch.
    second.logged("state=\"ready\"").await;
    let answer = backend.call(1, "get_active_sessions", json!({})).await;
    assert!(answer["payload"]["result"].is_object(), "{answer}");
    let epochs: BTreeSet<_> = backend
        .log(1)
        .await
        .into_iter()
        .map(|(id, _)| id.split('-').next().unwrap().to_owned())
        .collect();
    assert_eq!(epochs.len(), 2, "{epochs:?}");
    second.terminate();
    assert!(second.ended().await.success());
}
