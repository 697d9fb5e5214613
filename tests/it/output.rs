//! Output that cannot be written: a log that is lost, results that are not.

use serde_json::json;

use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_log_cannot_be_written_goes_on() {
    let world = World::start(1).await;
    // The second one logs into a pipe whose reader has ended.
    let to_nobody = r#"mkfifo log; true <log & exec "$@" 2>log"#;
    for script in [r#"exec "$@" 2>/dev/full"#, to_nobody] {
        let mut worker = world.tdfleet_in_shell(script, &["worker"], &[]);
        let mut backend = world.backend_when_declared().await;
        backend.listen(1).await;
        let answer = backend.call(1, "get_close_friends", json!({})).await;
        assert!(answer["payload"]["type"].is_string(), "{answer}");
        assert!(worker.child.try_wait().unwrap().is_none(), "{script}: it has ended");
        worker.kill9();
        worker.ended().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_cannot_be_printed_is_a_failure() {
    let (world, _worker, _backend) = World::logged_in(1).await;
    let commands: [&[&str]; 6] = [
        &["check-config"],
        &["keygen"],
        &["send", "1", "get_active_sessions"],
        &["send", "1", "get_active_sessions", "--no-wait"],
        &["workers", "list"],
        &["events", "1", "--all"],
    ];
    for arguments in commands {
        let mut process = world.tdfleet_in_shell(r#"exec "$@" >/dev/full"#, arguments, &[]);
        let status = process.ended().await;
        assert_eq!(status.code(), Some(74), "{arguments:?}: {}", process.log());
        let log = process.log();
        assert!(log.contains("standard output cannot be written"), "{arguments:?}: {log}");
        assert_eq!(arguments[0] == "send", log.contains(" is lost"), "{arguments:?}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_ends_when_nobody_reads_them_any_more() {
    let (world, _worker, _backend) = World::logged_in(1).await;
    // No further event comes that it could fail to print.
    let script = r#"{ "$@"; echo "ended with $?" >&2; } | head -n 1"#;
    let mut process = world.tdfleet_in_shell(script, &["events", "1", "--all"], &[]);
    let (_, text) = process.output().await;
    assert_eq!(text.lines().count(), 1, "{text}");
    process.logged("ended with 0").await;
}
