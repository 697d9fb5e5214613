//! Measures what a command and an update cost, on real parts.
//!
//! `make figures` runs it in a network namespace with the release build. Compare rows of the same run
//! only: broker, Redis, TDLib, sandbox and this driver share the machine's cores.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints its progress, and may panic"
)]

#[path = "../support/installation.rs"]
mod installation;
#[expect(dead_code, reason = "the end-to-end tests use all of it")]
#[path = "../support/lib.rs"]
mod support;

mod bare;
mod commands;
mod costs;
mod cpu;
mod report;
mod updates;

fn main() {
    // `cargo test --benches` runs it too, with `--test`; there is nothing to test.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if std::env::args().any(|argument| argument == bare::ARGUMENT) {
        return runtime.block_on(bare::run());
    }
    let load = report::load_average();
    let tables = [
        updates::measure(),
        runtime.block_on(commands::measure()),
        runtime.block_on(costs::measure()),
    ];
    report::write(&tables, load);
}
