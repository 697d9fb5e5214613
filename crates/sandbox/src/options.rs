use std::net::{Ipv4Addr, SocketAddr};

/// How a sandbox is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where clients connect. Anything but a loopback address is refused. Default: `127.0.0.1`, a
    /// free port.
    pub listen: SocketAddr,
    /// Accounts of the default fleet, numbered from 1. Default: 1.
    pub accounts: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), accounts: 1 }
    }
}
