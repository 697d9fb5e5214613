use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Configuration of a sandbox.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Address for clients; loopback only. Default: a free port of `127.0.0.1`.
    pub listen: SocketAddr,
    /// Address of the SOCKS5 listener; loopback only. Default: none.
    pub socks: Option<SocketAddr>,
    /// Address of the HTTP control API; loopback only. Default: none.
    pub control: Option<SocketAddr>,
    /// Directory (created if missing) where the sandbox saves its keys and logins, so that clients
    /// stay logged in across a restart with the same `listen` and `accounts`. Default: nothing is
    /// saved.
    pub state: Option<PathBuf>,
    /// Number of default accounts, numbered from 1. Default: 1.
    pub accounts: u32,
    /// A TOML file with additional accounts and users; `examples/seed.toml` has every field.
    /// Default: only the default accounts.
    pub seed: Option<PathBuf>,
    /// Number of calls kept for [`Sandbox::calls`]. Default: 100,000.
    ///
    /// [`Sandbox::calls`]: crate::Sandbox::calls
    pub recorded_calls: usize,
    /// Number of calls of one method by one client within five seconds that counts as a loop.
    /// Default: 100.
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
