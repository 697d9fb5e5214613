use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// How a sandbox is set up.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Where clients connect. Anything but a loopback address is refused. Default: `127.0.0.1`, a
    /// free port.
    pub listen: SocketAddr,
    /// Where clients connect as to a SOCKS5 server; loopback only. Default: nowhere.
    pub socks: Option<SocketAddr>,
    /// Where the control API listens (HTTP); loopback only. Default: nowhere.
    pub control: Option<SocketAddr>,
    /// A directory (made if it is not there) for what a restarted sandbox needs to know its clients
    /// again: keys, and who is logged in; give it the same `listen` and `accounts` then. Default:
    /// nothing is kept.
    pub state: Option<PathBuf>,
    /// Accounts of the default fleet, numbered from 1. Default: 1.
    pub accounts: u32,
    /// A TOML file with accounts and people of one's own; `examples/seed.toml` has every field.
    /// Default: only the fleet.
    pub seed: Option<PathBuf>,
    /// How many of the last calls are kept for [`Sandbox::calls`]. Default: 100,000.
    ///
    /// [`Sandbox::calls`]: crate::Sandbox::calls
    pub recorded_calls: usize,
    /// Calls of one method by one client within five seconds that count as a loop. Default: 100.
    pub hot_loop: u32,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            socks: None,
            control: None,
            state: None,
            accounts: 1,
            seed: None,
            recorded_calls: 100_000,
            hot_loop: 100,
        }
    }
}
