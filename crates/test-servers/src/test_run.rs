//! The run that a test belongs to.

#![expect(clippy::disallowed_methods, reason = "the test runner's variable")]

use std::env;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, getpid, getppid};

/// A run of tests.
#[derive(Debug)]
pub(crate) struct TestRun {
    /// The process that ends when the run does: nextest, or under `cargo test` this one.
    pub(crate) owner: Pid,
    /// What the tests of the run share.
    pub(crate) directory: PathBuf,
}

impl TestRun {
    /// This process's run, with its own directory in `directory`.
    pub(crate) fn current(directory: &Path) -> Self {
        let nextest = env::var("NEXTEST_RUN_ID").ok().zip(getppid());
        let (id, owner) =
            nextest.unwrap_or_else(|| (getpid().as_raw_nonzero().to_string(), getpid()));
        Self { owner, directory: directory.join(id) }
    }
}
