use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, getpid, kill_process};
use serde_json::json;
use serde_json::value::to_raw_value;
use tdlib::{CancellationToken, Client, Library, LibraryFile, Tdlib};

use crate::network::{Attempt, Network};
use crate::proxies::ProxyCase;

/// Names the environment variable that makes the test a child.
pub(crate) const CHILD: &str = "TDFLEET_TEST_GUARD_CHILD";

/// Runs a client for each proxy. `guarded` has all proxies and a guard, and runs until its input
/// ends; any other name is that of one case without a guard, which ends once TDLib goes past it.
pub(crate) fn run(name: &str) {
    let started = Instant::now();
    let guarded = name == "guarded";
    let cases: Vec<_> = ProxyCase::all().filter(|case| guarded || case.name() == name).collect();
    let network = Network::watch();
    for case in &cases {
        case.serve();
    }
    let directory = tempfile::tempdir().unwrap();
    let library = load(directory.path());
    let guard = guarded.then(|| library.guard().unwrap());
    for case in cases.iter().filter(|_| guarded) {
        guard.unwrap().allow(&case.server(), case.address().port());
    }
    let tdlib = Tdlib::start(Arc::new(library), CancellationToken::new()).unwrap();
    let clients: Vec<_> =
        cases.iter().map(|case| open(&tdlib, *case, &directory.path().join(case.name()))).collect();
    let past = |attempt: &Attempt| !cases.iter().any(|case| is_for(attempt, *case));
    if !guarded {
        let leaks = wait_for(|| network.attempts(past).first().cloned());
        println!("\nchild: past the proxy after {:?}: {leaks:?}", started.elapsed());
        end();
    }
    let dialled = |case: &ProxyCase| !network.attempts(|attempt| is_for(attempt, *case)).is_empty();
    wait_for(|| cases.iter().all(dialled).then_some(()));
    let leaking = u64::try_from(cases.iter().filter(|case| case.leaks()).count()).unwrap();
    wait_for(|| (leaking <= guard.unwrap().refused()).then_some(()));
    println!("\nchild: {leaking} refused after {:?}", started.elapsed());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    let past = network.attempts(past);
    println!("\nchild: refused {} in {:?}", guard.unwrap().refused(), started.elapsed());
    if past.is_empty() {
        println!("\nchild: only the proxies");
    } else {
        println!("\nchild: past the proxies: {past:?}");
    }
    drop(clients);
    end();
}

/// Ends this process at once: TDLib's threads would crash while being torn down.
fn end() {
    kill_process(getpid(), Signal::KILL).unwrap();
}

/// Waits without a limit of its own: the test runner has one.
fn wait_for<T>(mut found: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = found() {
            return found;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether an attempt leads to the proxy, or asks for its name.
fn is_for(attempt: &Attempt, case: ProxyCase) -> bool {
    match attempt {
        Attempt::Connection(to) => *to == case.address(),
        Attempt::Question(name) => *name == case.server(),
        Attempt::Datagram(_) | Attempt::Other(_) => false,
    }
}

fn open(tdlib: &Tdlib, case: ProxyCase, directory: &Path) -> Client {
    let (client, _) = tdlib.client();
    let parameters = json!({
        "use_test_dc": false, "database_directory": directory, "files_directory": directory,
        "database_encryption_key": "", "use_file_database": true, "use_chat_info_database": true,
        "use_message_database": true, "use_secret_chats": false, "api_id": 1, "api_hash": "none",
        "system_language_code": "en", "device_model": "test", "system_version": "1",
        "application_version": "1",
    });
    let phone = json!({"phone_number": "+15550000001"});
    for (method, fields) in [
        ("addProxy", json!({"proxy": case.object(), "enable": true})),
        ("setTdlibParameters", parameters),
        ("setAuthenticationPhoneNumber", phone),
    ] {
        // Their answers are not waited for: without a network there is none to the last.
        drop(client.start_raw(method, &to_raw_value(&fields).unwrap()).unwrap());
    }
    client
}

fn load(crash_records: &Path) -> Library {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tdlib/libtdjson.so.1.8.61");
    let path = std::env::var_os("TDFLEET_TDLIB_LIBRARY").map_or(fetched, PathBuf::from);
    let file = LibraryFile::verify(&path, None).unwrap_or_else(|error| panic!("{error}"));
    Library::load(&file, 2, crash_records).unwrap_or_else(|error| panic!("{error}"))
}
