//! Free loopback ports.

use std::net::{Ipv4Addr, TcpListener};

/// `N` different free TCP ports of 127.0.0.1.
///
/// They are bound together and then released, so one call never returns a port twice. Another process
/// may take a port before its server binds it; the kernel's order of ephemeral ports makes this
/// rare.
///
/// # Panics
///
/// The loopback interface is down, or no port is free.
pub fn free<const N: usize>() -> [u16; N] {
    let listeners: [TcpListener; N] = std::array::from_fn(|_| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap_or_else(|error| panic!("no free port on 127.0.0.1: {error}"))
    });
    listeners.map(|listener| {
        listener.local_addr().unwrap_or_else(|error| panic!("a port of 127.0.0.1: {error}")).port()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn no_port_is_handed_out_twice() {
        let ports = super::free::<16>();
        assert_eq!(ports.iter().collect::<HashSet<_>>().len(), 16);
    }
}
