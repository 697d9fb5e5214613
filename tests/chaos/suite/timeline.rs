//! The log of a run.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Prints what happens in a run, and keeps it for the run's files.
pub(crate) struct Timeline {
    begun: Instant,
    lines: Mutex<Vec<String>>,
}

impl Timeline {
    pub(crate) fn start() -> Self {
        Self { begun: Instant::now(), lines: Mutex::default() }
    }

    pub(crate) fn note(&self, what: impl Display) {
        let line = format!("{:>7.1} s  {what}", self.begun.elapsed().as_secs_f64());
        say(&line);
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// All lines so far.
    pub(crate) fn text(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n") + "\n"
    }
}

/// Prints a line.
#[expect(clippy::print_stdout, reason = "the progress of a run")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
