//! Free loopback ports.

use std::array;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};

/// The first port to choose from, and the number of them: all below the ports that Linux gives to
/// outgoing connections (`net.ipv4.ip_local_port_range`, from 32768), so that no connection takes a
/// port before its server binds it.
const FIRST: u16 = 10_000;
const COUNT: u64 = 20_000;

/// Ports that are tried before the search is given up.
const TRIES: usize = 1_000;

/// `N` different TCP ports of 127.0.0.1 that nobody listens on, chosen at random.
///
/// They are bound together and released together, so that one call never returns a port twice.
///
/// # Panics
///
/// The loopback interface is down, or the ports are used up.
pub fn free<const N: usize>() -> [u16; N] {
    let listeners: [(TcpListener, u16); N] = array::from_fn(|_| listen());
    listeners.map(|(_, port)| port)
}

fn listen() -> (TcpListener, u16) {
    for _ in 0..TRIES {
        // A fresh RandomState hashes with random keys: the standard library's own randomness.
        let random = RandomState::new().build_hasher().finish() % COUNT;
        let port = FIRST + u16::try_from(random).unwrap_or(0);
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return (listener, port);
        }
    }
    panic!("no free port on 127.0.0.1")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn no_port_is_returned_twice() {
        let ports = super::free::<16>();
        assert_eq!(ports.iter().collect::<HashSet<_>>().len(), 16);
    }
}
