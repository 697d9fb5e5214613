//! Figures of the whole: what a command and an update cost, on real parts.
//!
//! `make figures` runs it in a network namespace with the release build. Compare the rows of one run
//! only: broker, Redis, TDLib, sandbox and this driver share the machine's cores.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "it prints tables, and may end by panicking"
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
mod updates;

fn main() {
    // `cargo test --benches` calls it too, with `--test`: there is nothing to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if std::env::args().any(|argument| argument == bare::ARGUMENT) {
        return runtime.block_on(bare::run());
    }
    updates::print();
    runtime.block_on(commands::print());
    runtime.block_on(costs::print());
}
