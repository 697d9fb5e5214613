//! The operator's commands.

use serde_json::Value;

use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn send_prints_the_answer_and_events_replays_it() {
    let world = World::start(1).await;
    let _worker = world.worker();
    drop(world.backend_when_declared().await);
    let phone = format!("phone={}", world.sandbox.phone(1));
    let code = format!("code={}", world.sandbox.code(1));
    for arguments in [["send", "1", "start", &phone], ["send", "1", "send_code", &code]] {
        let (status, text) = world.output(&arguments).await;
        assert_eq!(status, Some(0), "{text}");
    }
    let (status, text) = world.output(&["send", "1", "get_active_sessions"]).await;
    assert_eq!(status, Some(0), "{text}");
    let event: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(event["payload"]["result"]["sessions"].as_array().unwrap().len(), 2);

    let (status, text) = world.output(&["send", "1", "no_such_command"]).await;
    assert_eq!(status, Some(1));
    assert!(text.contains("Unsupported command: no_such_command"), "{text}");

    let (status, text) = world.output(&["events", "1", "--all", "--limit", "4"]).await;
    assert_eq!((status, text.lines().count()), (Some(0), 4), "{text}");
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events[0]["payload"]["result"]["state"], "starting");
}

#[tokio::test(flavor = "multi_thread")]
async fn send_needs_no_right_but_to_write() {
    let (mut world, worker, _backend) = World::logged_in(1).await;
    for arguments in [
        &["add_user", "writer", "hush"][..],
        &["set_permissions", "writer", "^$", "^tdfleet\\.commands$", "^$"],
        &["add_user", "nobody", "hush"],
        &["set_permissions", "nobody", "^$", "^$", "^$"],
    ] {
        world.rabbit.ctl(arguments);
    }
    let uri = |user: &str| world.rabbit.uri().replace("guest:guest", &format!("{user}:hush"));
    let send = ["send", "1", "get_active_sessions", "--timeout-s", "20"];
    let mut process = world.tdfleet(&send, &[("TDFLEET__BROKER__URI", &uri("writer"))]);
    let (status, text) = process.output().await;
    assert_eq!(status, Some(0), "{}", process.log());
    assert!(text.contains("get_active_sessions"), "{text}");

    // One that may not even write learns that nothing was published.
    let mut process = world.tdfleet(&send, &[("TDFLEET__BROKER__URI", &uri("nobody"))]);
    assert_eq!(process.output().await.0, Some(1), "{}", process.log());
    let log = process.log();
    assert!(log.contains("it was not published") && !log.contains("may still run"), "{log}");

    // So does one who asks a broker that is not there.
    drop(worker);
    world.rabbit.kill9();
    let send = ["send", "1", "get_active_sessions", "--timeout-s", "2"];
    let mut process = world.tdfleet(&send, &[]);
    assert_eq!(process.output().await.0, Some(1), "{}", process.log());
    let log = process.log();
    assert!(log.contains("nothing was published") && !log.contains("may still run"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_settings_are_all_reported_with_exit_code_78() {
    let world = World::without_servers(1).await;
    let wrong = [
        ("TDFLEET__BROKER__PREFETCH", "0"),
        ("TDFLEET__PUBLISHER__URI", "http://user:hush@nowhere"),
        ("TDFLEET__COLOUR", "red"),
    ];
    let mut process = world.tdfleet(&["check-config"], &wrong);
    assert_eq!(process.output().await.0, Some(78));
    let log = process.log();
    for fault in ["broker.prefetch: ", "publisher.uri: ", "colour: there is no such setting"] {
        assert!(log.contains(fault), "{fault}: {log}");
    }
    assert!(!log.contains("hush"), "{log}");
    let mut process = world.tdfleet(&["worker"], &wrong);
    assert_eq!(process.output().await.0, Some(78));
    assert!(process.log().contains("colour: there is no such setting"), "{}", process.log());
    let script = r#"unset TDFLEET__TELEGRAM__API_ID; exec "$@""#;
    let mut process = world.tdfleet_in_shell(script, &["check-config"], &wrong);
    assert_eq!(process.output().await.0, Some(78));
    let log = process.log();
    assert!(log.contains("telegram.api_id: is required") && log.contains("colour: "), "{log}");
    let checked = world.output(&["check-config"]).await;
    assert_eq!(checked, (Some(0), "configuration OK\n".to_owned()));
}
