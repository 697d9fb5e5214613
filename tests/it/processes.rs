//! `tdfleet worker --processes N`.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::time::{Duration, sleep, timeout};

use crate::fleet::shard_of;
use crate::support::{PATIENCE, Worker, World};

/// The lease is long enough for a busy machine, where a heartbeat may take seconds; a frozen process
/// is killed when it is over.
const SETTINGS: [(&str, &str); 4] = [
    ("TDFLEET__OWNERSHIP__NAME", "w"),
    ("TDFLEET__OWNERSHIP__LEASE_S", "20"),
    ("TDFLEET__OWNERSHIP__JOIN_DELAY_S", "0"),
    ("TDFLEET__OWNERSHIP__DWELL_S", "0"),
];

/// All processes that were started, by their worker's name, the newest last.
fn started(supervisor: &Worker) -> BTreeMap<String, Vec<Pid>> {
    let mut started = BTreeMap::<_, Vec<_>>::new();
    for line in supervisor.log().lines().filter(|line| line.contains("worker process started")) {
        let field = |name: &str| {
            let value = line.split(&format!("{name}=")).nth(1).unwrap();
            value.split_whitespace().next().unwrap().trim_matches('"').to_owned()
        };
        let pid = Pid::from_raw(field("pid").parse().unwrap()).unwrap();
        started.entry(field("worker")).or_default().push(pid);
    }
    started
}

/// Waits until a worker's process has been started for the `number`th time, and returns it.
async fn process(supervisor: &Worker, worker: &str, number: usize) -> Pid {
    let search = async {
        loop {
            let started = started(supervisor);
            if let Some(pid) = started.get(worker).and_then(|pids| pids.get(number - 1)) {
                return *pid;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let found = timeout(PATIENCE, search).await;
    found.unwrap_or_else(|_| panic!("{worker} is not restarted:\n{}", supervisor.log()))
}

/// Whether a process is running; a zombie is not.
fn runs(process: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero()));
    status.is_ok_and(|status| !status.contains("State:\tZ"))
}

/// Waits until both workers own shards, and returns the owner of each shard.
async fn wait_for_owners(world: &World) -> BTreeMap<String, String> {
    let shared = async {
        loop {
            let (_, text) = world.output(&["shards", "list", "--json"]).await;
            let shards: Vec<Value> = serde_json::from_str(&text).unwrap();
            let owned = shards.iter().filter(|shard| shard["state"] == "owned");
            let owners: BTreeMap<_, _> = owned
                .map(|shard| {
                    ["shard", "owner"].map(|name| shard[name].as_str().unwrap().to_owned())
                })
                .map(|[shard, owner]| (shard, owner))
                .collect();
            let both = ["w-1", "w-2"].iter().all(|name| owners.values().any(|owner| owner == name));
            if both && owners.len() == shards.len() {
                return owners;
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(PATIENCE, shared).await.expect("both workers own shards")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_or_freezes_takes_down_only_its_own_accounts() {
    let (world, mut supervisor, mut backend) =
        World::logged_in_with(4, &["worker", "--processes", "2"], &SETTINGS).await;

    for (number, signal) in [Signal::KILL, Signal::STOP].into_iter().enumerate() {
        let owners = wait_for_owners(&world).await;
        let of = |worker: &str| (1..=4).find(|account| owners[&shard_of(*account)] == worker);
        let account = of("w-1").or_else(|| of("w-2")).unwrap();
        let worker = owners[&shard_of(account)].clone();
        let starts = started(&supervisor)[&worker].len();
        kill_process(process(&supervisor, &worker, starts).await, signal).unwrap();
        process(&supervisor, &worker, starts + 1).await;
        let account = account.to_string();
        let answer = world.output(&["send", &account, "get_active_sessions"]).await;
        assert_eq!(answer.0, Some(0), "{}", answer.1);
        let starts: usize = started(&supervisor).values().map(Vec::len).sum();
        assert_eq!(starts, 2 + number + 1, "the other was not restarted:\n{}", supervisor.log());
    }
    let log = supervisor.log();
    assert!(log.contains("a worker process is unresponsive; killing it"), "{log}");

    wait_for_owners(&world).await;
    supervisor.terminate();
    assert_eq!(supervisor.ended().await.code(), Some(0), "{}", supervisor.log());
    for account in 1..=4 {
        let log = backend.log(account).await;
        let (_, last) = log.last().unwrap();
        assert_eq!(last["payload"]["result"]["state"], "cold", "TDLib was closed: {last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_shut_down_cleanly_when_their_supervisor_dies() {
    let (_world, mut supervisor, mut backend) =
        World::logged_in_with(1, &["worker", "--processes", "2"], &SETTINGS).await;
    let processes: Vec<_> = started(&supervisor).into_values().flatten().collect();
    assert_eq!(processes.len(), 2);
    supervisor.kill9();
    supervisor.ended().await;
    let ended = async {
        while processes.iter().any(|process| runs(*process)) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let ended = timeout(PATIENCE, ended).await;
    assert!(ended.is_ok(), "they are still running:\n{}", supervisor.log());
    let log = backend.log(1).await;
    assert_eq!(log.last().unwrap().1["payload"]["result"]["state"], "cold");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_kills_every_process() {
    let world = World::without_servers(1).await;
    // The lease time is also how long a process may be silent: it must outlast this test.
    let settings = [SETTINGS[0], ("TDFLEET__OWNERSHIP__LEASE_S", "600")];
    let mut supervisor = world.tdfleet(&["worker", "--processes", "2"], &settings);
    let processes = [process(&supervisor, "w-1", 1).await, process(&supervisor, "w-2", 1).await];
    // A stopped process does not react to the first signal.
    for process in processes {
        kill_process(process, Signal::STOP).unwrap();
    }
    supervisor.terminate();
    supervisor.logged("shutting down").await;
    supervisor.terminate();
    assert_eq!(supervisor.ended().await.code(), Some(1), "{}", supervisor.log());
    assert!(supervisor.log().contains("second signal received"), "{}", supervisor.log());
    assert!(!processes.into_iter().any(runs));
}
