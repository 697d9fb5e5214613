//! One node for all tests of a run.
//!
//! A node takes seconds of CPU to start, and nextest runs each test in its own process. So the first
//! test that needs the node starts it and lets it run, and the others read its URI from a file. The
//! node ends with the run: with nextest, or with the test process itself under `cargo test`.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::RabbitServer;
use crate::test_run::TestRun;

/// The URI of this run's node, as [`RabbitServer::uri`]; starts the node if no other test has.
/// `directory` is the same for all tests of the run, such as `CARGO_TARGET_TMPDIR`.
///
/// # Panics
///
/// As [`RabbitServer::start`], and if the directory cannot be written.
pub fn uri(directory: &Path) -> String {
    let found = find_or_start(TestRun::current(directory));
    found.unwrap_or_else(|error| panic!("{} cannot be used: {error}", directory.display()))
}

fn find_or_start(run: TestRun) -> io::Result<String> {
    fs::create_dir_all(&run.directory)?;
    // Held until the URI is there: the other tests of the run wait for it.
    let lock = File::create(run.directory.join("lock"))?;
    lock.lock()?;
    let file = run.directory.join("uri");
    if let Ok(uri) = fs::read_to_string(&file) {
        return Ok(uri);
    }
    let mut server = RabbitServer { run: Some(run), ..RabbitServer::new() };
    server.restart();
    let uri = server.uri();
    fs::write(file, &uri)?;
    let RabbitServer { node, mapper, dir, .. } = server;
    node.detach();
    mapper.detach();
    let _left_to_the_end_of_the_run = dir.keep();
    Ok(uri)
}
