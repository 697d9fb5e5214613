//! The real libtdjson. No client gets parameters here, so none connects to anything.
#![expect(clippy::unwrap_used, reason = "clippy knows tests by their attribute only")]

use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;
use tdlib::answers::TdVariant;
use tdlib::methods::{Close, GetAuthorizationState, GetMe, GetOption, TestSquareInt};
use tdlib::{
    CallError, CancellationToken, Library, LibraryFile, LoadError, ReaderCounters, Tdjson, Tdlib,
    UpdateReceiver, enums,
};

const LONG: Duration = Duration::from_secs(30);

/// Names the directory that the child process of the crash test writes into.
const CRASH_CHILD: &str = "TDFLEET_TEST_CRASH_RECORDS";

static TDLIB: LazyLock<(Arc<Library>, Tdlib)> = LazyLock::new(|| {
    let library = Arc::new(load(&std::env::temp_dir()));
    let tdlib = Tdlib::start(Arc::<Library>::clone(&library), CancellationToken::new()).unwrap();
    (library, tdlib)
});

fn load(crash_records: &Path) -> Library {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tdlib/libtdjson.so.1.8.61");
    let path = variable("TDFLEET_TDLIB_LIBRARY").map_or(fetched, PathBuf::from);
    let file = LibraryFile::verify(&path, None).unwrap_or_else(|error| panic!("{error}"));
    Library::load(&file, 2, crash_records).unwrap_or_else(|error| panic!("{error}"))
}

fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

fn execute(library: &Library, request: &CStr) -> Value {
    serde_json::from_str(&library.execute(request).unwrap()).unwrap()
}

/// Takes updates until one has this text in it.
async fn until(updates: &mut UpdateReceiver, text: &str) {
    let found = async {
        loop {
            let mut batch = Vec::new();
            assert_ne!(updates.recv_many(&mut batch, 1).await, 0, "ended before {text}");
            if batch.iter().any(|update| update.json().contains(text)) {
                return;
            }
        }
    };
    tokio::time::timeout(LONG, found).await.unwrap();
}

#[test]
fn it_is_the_required_version_and_executes_requests() {
    let (library, _) = &*TDLIB;
    let level = execute(library, c"{\"@type\":\"getLogVerbosityLevel\"}");
    assert_eq!(level["verbosity_level"], 2);
    let stream = execute(library, c"{\"@type\":\"getLogStream\"}");
    assert_eq!(stream["@type"], "logStreamEmpty");
}

#[tokio::test]
async fn a_client_lives_from_its_first_request_to_closed() {
    let (_, tdlib) = &*TDLIB;
    let (client, mut updates) = tdlib.client();
    assert_eq!(client.call(TestSquareInt { x: 12 }, LONG).await.unwrap().value, 144);
    until(&mut updates, "authorizationStateWaitTdlibParameters").await;
    let state = client.call(GetAuthorizationState, LONG).await.unwrap();
    assert_eq!(state.name, "authorizationStateWaitTdlibParameters");
    let TdVariant::Known(enums::OptionValue::String(version)) =
        client.call(GetOption { name: "version" }, LONG).await.unwrap()
    else {
        panic!("the version is no string");
    };
    assert_eq!(version.value, "1.8.61");

    client.call(Close, LONG).await.unwrap();
    until(&mut updates, "authorizationStateClosed").await;
    assert_eq!(updates.recv_many(&mut Vec::new(), 1).await, 0);
    assert_eq!(client.call(GetMe, LONG).await.unwrap_err(), CallError::Closed);
    let strange = ReaderCounters { not_understood: 0, reshaped: 0, ..tdlib.counters() };
    assert_eq!(tdlib.counters(), strange);
}

#[tokio::test]
async fn its_refusals_are_returned_as_errors() {
    let (_, tdlib) = &*TDLIB;
    let (client, mut updates) = tdlib.client();
    let error = client.call(GetMe, LONG).await.unwrap_err();
    assert!(matches!(&error, CallError::Td(error) if error.code == 400), "{error:?}");
    let params = RawValue::from_string("{\"x\":\"no number\"}".to_owned()).unwrap();
    let error = client.raw("testSquareInt", &params, LONG).await.unwrap_err();
    assert!(matches!(&error, CallError::Td(error) if error.code == 400), "{error:?}");
    let params = RawValue::from_string("{ }".to_owned()).unwrap();
    let error = client.raw("soItGoes", &params, LONG).await.unwrap_err();
    assert!(matches!(&error, CallError::Td(error) if error.code == 400), "{error:?}");
    let answer = client.raw("testCallEmpty", &params, LONG).await.unwrap();
    assert_eq!(answer.get(), "{\"@type\":\"ok\"}");
    client.call(Close, LONG).await.unwrap();
    until(&mut updates, "authorizationStateClosed").await;
}

#[tokio::test]
async fn a_request_that_tdlib_cannot_parse_is_answered_without_its_number() {
    let (library, tdlib) = &*TDLIB;
    let (client, mut updates) = tdlib.client();
    let params = format!("{{\"x\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let fields = params.strip_prefix('{').unwrap();
    let request = format!("{{\"@type\":\"testCallEmpty\",\"@extra\":1,{fields}\0");
    library.send(client.id(), CStr::from_bytes_until_nul(request.as_bytes()).unwrap());
    // Answers keep their order.
    client.call(TestSquareInt { x: 12 }, LONG).await.unwrap();
    assert_eq!(tdlib.counters().unmatched, 1);
    let params = RawValue::from_string(params).unwrap();
    let refused = client.raw("testCallEmpty", &params, LONG).await;
    assert!(matches!(refused, Err(CallError::Encode { .. })), "{refused:?}");
    client.call(Close, LONG).await.unwrap();
    let mut all = Vec::new();
    while updates.recv_many(&mut all, 100).await > 0 {}
    assert!(all.iter().all(|update| update.kind().starts_with("update")), "{all:?}");
}

#[tokio::test]
async fn text_is_returned_unchanged() {
    let (_, tdlib) = &*TDLIB;
    let (client, mut updates) = tdlib.client();
    let text = "so \"it\" goes \\ \u{1f44b} \u{7f} \u{1}\n\",\"@extra\":0,\"@client_id\":1}";
    let params = serde_json::value::to_raw_value(&serde_json::json!({ "x": text })).unwrap();
    let answer = client.raw("testCallString", &params, LONG).await.unwrap();
    let answer: Value = serde_json::from_str(answer.get()).unwrap();
    assert_eq!(answer["value"], text);
    client.call(Close, LONG).await.unwrap();
    until(&mut updates, "authorizationStateClosed").await;
}

#[test]
fn a_missing_library_names_the_path_and_the_remedy() {
    let error = LibraryFile::verify(Path::new("/nowhere/libtdjson.so"), None);
    assert_eq!(
        error.err().unwrap().to_string(),
        "no libtdjson at `/nowhere/libtdjson.so`: run `make tdlib`, or set `tdlib.library` to \
         your own copy"
    );
}

/// The error of loading a file whose checksum the operator has given.
fn load_trusted(path: &Path) -> LoadError {
    let Err(LoadError::Checksum { found, .. }) = LibraryFile::verify(path, None) else {
        panic!("{} is no build of TDLib", path.display());
    };
    let file = LibraryFile::verify(path, Some(&found)).unwrap();
    Library::load(&file, 2, Path::new("/tmp")).err().unwrap()
}

#[test]
fn a_file_that_is_not_tdlib_is_refused() {
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let error = load_trusted(&text);
    assert!(matches!(error, LoadError::Open { .. }), "{error:?}");

    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let libc = maps.lines().find(|line| line.ends_with("libc.so.6")).unwrap();
    let libc = Path::new(libc.split_ascii_whitespace().last().unwrap());
    let error = load_trusted(libc);
    assert_eq!(
        error.to_string(),
        format!("`{}` is not libtdjson: it has no `td_create_client_id`", libc.display())
    );
}

#[test]
fn a_fatal_error_leaves_a_record_before_the_process_dies() {
    const NAME: &str = "a_fatal_error_leaves_a_record_before_the_process_dies";
    if let Some(directory) = variable(CRASH_CHILD) {
        let library = Arc::new(load(Path::new(&directory)));
        let _tdlib = Tdlib::start(Arc::<Library>::clone(&library), CancellationToken::new());
        execute(
            &library,
            c"{\"@type\":\"addLogMessage\",\"verbosity_level\":0,\"text\":\"of 15551234567\"}",
        );
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME])
        .env(CRASH_CHILD, directory.path())
        .output()
        .unwrap();
    assert!(!child.status.success());
    let mut records = std::fs::read_dir(directory.path()).unwrap();
    let record = std::fs::read(records.next().unwrap().unwrap().path()).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let message = record["message"].as_str().unwrap();
    assert!(message.contains("of #") && !message.contains("15551234567"), "{message}");
}
