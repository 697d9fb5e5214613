//! Free loopback ports.

use std::net::{Ipv4Addr, TcpListener};

/// `N` different TCP ports of 127.0.0.1 that nobody listens on.
///
/// They are bound together and let go together, so that one call never names a port twice. Another
/// process may take one before its server binds it; the kernel hands out ephemeral ports in an order
/// that makes this rare.
///
/// # Panics
///
/// The loopback interface is down, or the ports are used up.
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
