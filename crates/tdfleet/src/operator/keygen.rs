//! `tdfleet keygen`: makes a master key.

use std::process::ExitCode;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::output::print_line;

/// Random bytes of a key.
const KEY_LENGTH: usize = 32;

pub(crate) fn run() -> anyhow::Result<ExitCode> {
    print_line(STANDARD.encode(random_bytes()?))?;
    Ok(ExitCode::SUCCESS)
}

/// Bytes from the kernel's source of randomness, which waits until it is seeded.
pub(crate) fn random_bytes() -> anyhow::Result<[u8; KEY_LENGTH]> {
    let mut bytes = [0; KEY_LENGTH];
    let length = getrandom(&mut bytes, GetRandomFlags::empty()).context("no random numbers")?;
    ensure!(length == KEY_LENGTH, "too few random numbers");
    Ok(bytes)
}
