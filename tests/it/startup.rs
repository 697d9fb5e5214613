//! What a worker checks before it opens an account.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn unsound_settings_end_the_process_before_anything_is_dialled_or_created() {
    let world = World::without_servers(1).await;
    for (name, value) in [
        ("TELEGRAM__PROXY__SERVER", ""),
        ("TELEGRAM__PROXY__SECRET", "nothex"),
        ("TELEGRAM__PROXY__PORT", "0"),
        ("TELEGRAM__API_HASH", ""),
        ("WORKER__DATA_DIR", ""),
        ("BROKER__URI", "amqp://:5690/%2f"),
        ("BROKER__URI", "amqp://host:5690/%2f?heartbeat=soon"),
    ] {
        let wrong = [(&*format!("TDFLEET__{name}"), value)];
        for arguments in [&["worker"][..], &["run", "--embedded"], &["worker", "--processes", "2"]]
        {
            // In one process there is no broker.
            if arguments[0] == "run" && value.contains("soon") {
                continue;
            }
            let mut process = world.tdfleet(arguments, &wrong);
            let code = process.output().await.0;
            assert_eq!(code, Some(78), "{name}={value}: {}", process.log());
        }
    }
    assert_eq!(world.sandbox.connections(), 0);
    assert!(!world.data_dir().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_do_not_fit_into_the_open_files_are_refused_before_one_opens() {
    let world = World::start(200).await;
    let low = r#"ulimit -n 1024 && exec "$@""#;
    let mut worker = world.tdfleet_in_shell(low, &["worker"], &[]);
    assert_eq!(worker.output().await.0, Some(78), "{}", worker.log());
    assert!(worker.log().contains("worker.accounts: 200 accounts need up to"), "{}", worker.log());
    assert!(!world.data_dir().exists());
    let mut doctor = world.tdfleet_in_shell(low, &["doctor"], &[]);
    let (_, text) = doctor.output().await;
    assert!(text.contains("WRONG    process   200 accounts need up to"), "{text}");

    // A soft limit alone is raised: 60 accounts need more than 256 open files.
    let soft = r#"ulimit -Sn 256 && exec "$@""#;
    let few = [("TDFLEET__WORKER__ACCOUNTS", "1-60")];
    let mut worker = world.tdfleet_in_shell(soft, &["worker"], &few);
    let mut backend = world.backend_when_declared().await;
    for account in 1..=60 {
        backend.wait_for_state(account, "wait_phone").await;
    }
    worker.terminate();
    assert_eq!(worker.ended().await.code(), Some(0), "{}", worker.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_this_users_alone() {
    let world = World::start(1).await;
    let mut worker = world.tdfleet_in_shell(r#"umask 0 && exec "$@""#, &["worker"], &[]);
    drop(world.backend_when_declared().await);
    worker.logged("wait_phone").await;
    worker.terminate();
    assert_eq!(worker.ended().await.code(), Some(0), "{}", worker.log());
    assert_private(&world.data_dir());

    // A store from before is made private; one that others can write to is refused.
    let locks = world.data_dir().join("shards");
    fs::set_permissions(world.data_dir(), Permissions::from_mode(0o755)).unwrap();
    let mut worker = world.worker();
    worker.logged("wait_phone").await;
    worker.terminate();
    assert_eq!(worker.ended().await.code(), Some(0), "{}", worker.log());
    assert_private(&world.data_dir());
    fs::set_permissions(&locks, Permissions::from_mode(0o777)).unwrap();
    let mut worker = world.worker();
    assert_eq!(worker.output().await.0, Some(78), "{}", worker.log());
    let refused = format!("worker.data_dir: `{}` is writable by others", locks.display());
    assert!(worker.log().contains(&refused), "{}", worker.log());
}

fn assert_private(path: &Path) {
    let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            assert_private(&entry.unwrap().path());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_library_is_not_loaded() {
    let world = World::without_servers(1).await;
    let library = world.data_dir().with_file_name("libtdjson.so.1.8.61");
    fs::copy(world.library(), &library).unwrap();
    let copy = [("TDFLEET__TDLIB__LIBRARY", library.to_str().unwrap())];
    let last = fs::metadata(&library).unwrap().len() - 1;
    let mut doctor = world.tdfleet(&["doctor"], &copy);
    assert!(doctor.output().await.1.contains("has the expected checksum, loads"));
    OpenOptions::new().write(true).open(&library).unwrap().write_all_at(b"?", last).unwrap();
    let mut doctor = world.tdfleet(&["doctor"], &copy);
    assert!(doctor.output().await.1.contains("which is not the expected one"));
    let mut worker = world.tdfleet(&["worker"], &copy);
    assert_eq!(worker.output().await.0, Some(1));
    assert!(worker.log().contains("which is not the expected one"), "{}", worker.log());
    assert!(!world.data_dir().exists());

    // Without a setting it is not looked for in the current directory.
    fs::create_dir(world.data_dir().with_file_name(".tdlib")).unwrap();
    fs::copy(&library, world.data_dir().with_file_name(".tdlib/libtdjson.so.1.8.61")).unwrap();
    let script = r#"unset TDFLEET__TDLIB__LIBRARY TDFLEET__TDLIB__SHA256; exec "$@""#;
    let mut doctor = world.tdfleet_in_shell(script, &["doctor"], &[]);
    let (_, text) = doctor.output().await;
    assert!(!text.contains(library.parent().unwrap().join(".tdlib").to_str().unwrap()), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_master_key_is_refused_before_an_account_is_opened() {
    let (world, mut worker, mut backend) = World::logged_in(1).await;
    worker.terminate();
    assert_eq!(worker.ended().await.code(), Some(0), "{}", worker.log());
    let events = backend.log(1).await.len();

    let other = [("TDFLEET__TELEGRAM__MASTER_KEY", "a key of another store")];
    let mut worker = world.tdfleet(&["worker"], &other);
    assert_eq!(worker.output().await.0, Some(78), "{}", worker.log());
    let log = worker.log();
    assert!(log.contains("telegram.master_key: is not the key of this store's accounts"), "{log}");
    assert!(!log.contains("a key of another store"), "{log}");
    assert_eq!(backend.log(1).await.len(), events);
    let worker = world.worker();
    worker.logged("state=\"ready\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_master_key_is_32_random_bytes() {
    let world = World::without_servers(1).await;
    let (first, second) = (world.output(&["keygen"]).await, world.output(&["keygen"]).await);
    assert_eq!((first.0, first.1.trim_end().len()), (Some(0), 44), "{first:?}");
    assert_ne!(first.1, second.1);
    let key = [("TDFLEET__TELEGRAM__MASTER_KEY", first.1.as_str())];
    assert_eq!(world.tdfleet(&["check-config"], &key).output().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_leaves_no_core_dump_and_cannot_be_looked_into() {
    let world = World::start(1).await;
    let worker = world.tdfleet_in_shell(r#"ulimit -c unlimited; exec "$@""#, &["worker"], &[]);
    worker.logged("connected to RabbitMQ").await;
    let process = Path::new("/proc").join(worker.child.id().unwrap().to_string());
    let limits = fs::read_to_string(process.join("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let words: Vec<_> = core.split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{core}");
    let stat = fs::read_to_string(process.join("status")).unwrap();
    assert!(stat.contains("CoreDumping:\t0"), "{stat}");
}
