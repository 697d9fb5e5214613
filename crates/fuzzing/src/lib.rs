//! For tests alone: runs a check on a corpus of inputs, and on mutations of them.
//!
//! A target is a test that calls [`fuzz`] with the directory of its corpus. It tries every file of
//! the corpus as it is, then a fixed number of mutations that a fixed seed decides, so that a run is
//! repeatable. `make fuzz` sets `TDFLEET_FUZZ_SECONDS`: then each target continues with further seeds
//! for that long. The input of a failure is shrunk and saved in the corpus, for the next runs.

mod cost;
mod mutation;

pub use cost::{allocated, grows_linearly};

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseResult, TestError, TestRunner};

use mutation::mutated;

/// Mutations of one target in a run without `TDFLEET_FUZZ_SECONDS`.
const CASES: u32 = 1_000;
/// Shrinking stops after this many steps.
const MAX_SHRINK_STEPS: u32 = 20_000;

/// Checks every input of a corpus, and mutations of them; `corpus` is a directory below the crate's.
///
/// # Panics
///
/// The corpus is empty or cannot be read, or the check fails or panics on an input.
pub fn fuzz(corpus: impl AsRef<Path>, check: impl Fn(&[u8]) -> TestCaseResult) {
    let directory = corpus.as_ref();
    let corpus = read_corpus(directory);
    for (path, input) in &corpus {
        if let Err(error) = check(input) {
            panic!("{}: {error}", path.display());
        }
    }
    let inputs: Vec<Vec<u8>> = corpus.into_iter().map(|(_, input)| input).collect();
    rounds(|seed| {
        let mut runner = TestRunner::new(config(CASES, seed));
        let failed = runner.run(&mutated(inputs.clone()), |input| check(&input.bytes));
        if let Err(TestError::Fail(reason, input)) = &failed {
            let path = save(directory, &input.bytes);
            panic!("{reason}; the input is {}", path.display());
        }
        failed.unwrap_or_else(|error| panic!("{error}"));
    });
}

/// Checks `cases` values that a strategy makes, with the same seeds and duration as [`fuzz`].
///
/// # Panics
///
/// The check fails or panics on a value.
pub fn fuzz_values<S: Strategy>(
    cases: u32,
    values: &S,
    check: impl Fn(S::Value) -> TestCaseResult,
) {
    rounds(|seed| {
        let mut runner = TestRunner::new(config(cases, seed));
        runner.run(values, &check).unwrap_or_else(|error| panic!("{error}"));
    });
}

/// Runs one round, or as many as the time allows, each with its own seed.
fn rounds(mut round: impl FnMut(u64)) {
    let begun = Instant::now();
    let lasting = variable("TDFLEET_FUZZ_SECONDS").map(Duration::from_secs);
    let mut seed = variable("TDFLEET_FUZZ_SEED").unwrap_or(0);
    loop {
        round(seed);
        seed = seed.wrapping_add(1);
        if lasting.is_none_or(|lasting| lasting <= begun.elapsed()) {
            return;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's own switch, not a setting")]
fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

fn config(cases: u32, seed: u64) -> Config {
    Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: MAX_SHRINK_STEPS,
        ..Config::default()
    }
}

fn read_corpus(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(directory).unwrap_or_else(|error| {
        panic!("the corpus {} cannot be read: {error}", directory.display())
    });
    let mut paths: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "the corpus {} is empty", directory.display());
    let read = |path: PathBuf| match fs::read(&path) {
        Ok(input) => (path, input),
        Err(error) => panic!("{} cannot be read: {error}", path.display()),
    };
    paths.into_iter().map(read).collect()
}

/// Saves the input of a failure under a name that depends on its bytes.
fn save(directory: &Path, input: &[u8]) -> PathBuf {
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let path = directory.join(format!("found-{hash:016x}"));
    if let Err(error) = fs::write(&path, input) {
        panic!("{} cannot be written: {error}\n{}", path.display(), input.escape_ascii());
    }
    path
}
