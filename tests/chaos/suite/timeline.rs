//! What happened when, as it is printed.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Prints and keeps what happens in a run.
pub(crate) struct Timeline {
    begun: Instant,
    lines: Mutex<Vec<String>>,
}

impl Timeline {
    pub(crate) fn begin() -> Self {
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
#[expect(clippy::print_stdout, reason = "a run tells what it does while it does it")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
