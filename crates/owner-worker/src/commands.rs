//! The table of the commands, and how to find one.
//!
//! Each area has a file, which opens with its table. A command is one struct (its arguments) with one
//! `impl` of `AccountCommand` (`commands/command.rs`): name, access, idempotence, and how it runs. Its row in
//! the table is its only registration.

mod args;
mod block_list;
mod catalog;
mod command;
mod contacts;
mod context;
mod error;
mod global_privacy;
mod login;
mod privacy;
mod raw;
mod sessions;
mod websites;

pub use catalog::{CommandDescription, catalog};
pub(crate) use command::{Access, CommandEntry, Needs, PreparedCommand, Traffic, TrafficClass};
pub(crate) use context::{AccountContext, Context};

/// The tables of all areas, in the order of the reference.
const AREAS: &[&[CommandEntry]] = &[
    login::COMMANDS,
    sessions::COMMANDS,
    block_list::COMMANDS,
    privacy::COMMANDS,
    global_privacy::COMMANDS,
    contacts::COMMANDS,
    websites::COMMANDS,
    raw::COMMANDS,
];

/// The row of the command named `name`.
pub(crate) fn find(name: &str) -> Option<&'static CommandEntry> {
    all().find(|entry| entry.name == name)
}

/// Every row.
pub(crate) fn all() -> impl Iterator<Item = &'static CommandEntry> {
    AREAS.iter().copied().flatten()
}
