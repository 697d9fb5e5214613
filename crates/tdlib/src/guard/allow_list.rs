use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

/// How many addresses of a host name are remembered; the oldest are forgotten.
const ADDRESSES_PER_HOST: usize = 64;

/// What TDLib may reach.
pub(super) struct AllowList(Vec<AllowedProxy>);

struct AllowedProxy {
    /// As in the settings: a host name or an address.
    server: String,
    port: u16,
    /// The address, or those to which the host name was resolved.
    addresses: VecDeque<IpAddr>,
}

impl AllowList {
    /// Allows nothing.
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn add(&mut self, server: &str, port: u16) {
        if self.0.iter().any(|proxy| proxy.port == port && proxy.is_called(server)) {
            return;
        }
        let without_brackets = server.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let literal = without_brackets.unwrap_or(server).parse();
        let addresses = literal.map(|address: IpAddr| address.to_canonical()).into_iter().collect();
        self.0.push(AllowedProxy { server: server.to_owned(), port, addresses });
    }

    /// Whether the host name may be resolved.
    pub(super) fn allows_name(&self, name: &str) -> bool {
        self.0.iter().any(|proxy| proxy.is_called(name))
    }

    /// Remembers what an allowed host name was resolved to.
    pub(super) fn set_resolved(&mut self, name: &str, resolved: &[IpAddr]) {
        for proxy in self.0.iter_mut().filter(|proxy| proxy.is_called(name)) {
            for address in resolved.iter().map(IpAddr::to_canonical) {
                proxy.addresses.retain(|known| *known != address);
                proxy.addresses.push_back(address);
            }
            let excess = proxy.addresses.len().saturating_sub(ADDRESSES_PER_HOST);
            proxy.addresses.drain(..excess);
        }
    }

    pub(super) fn allows(&self, destination: SocketAddr) -> bool {
        let (address, port) = (destination.ip().to_canonical(), destination.port());
        self.0.iter().any(|proxy| proxy.port == port && proxy.addresses.contains(&address))
    }
}

impl AllowedProxy {
    fn is_called(&self, name: &str) -> bool {
        let [own, name] = [&self.server, name].map(|name| name.strip_suffix('.').unwrap_or(name));
        own.eq_ignore_ascii_case(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(list: &AllowList, destination: &str) -> bool {
        list.allows(destination.parse().unwrap())
    }

    #[test]
    fn an_address_is_reached_on_its_port_only_in_each_way_to_write_it() {
        let mut list = AllowList::new();
        assert!(!allows(&list, "192.0.2.1:443"));
        list.add("192.0.2.1", 443);
        list.add("[2001:db8::1]", 8443);
        list.add("::ffff:192.0.2.7", 1080);
        for reached in
            ["192.0.2.1:443", "[::ffff:192.0.2.1]:443", "[2001:db8::1]:8443", "192.0.2.7:1080"]
        {
            assert!(allows(&list, reached), "{reached}");
        }
        for refused in ["192.0.2.1:80", "192.0.2.2:443", "[2001:db8::1]:443", "0.0.0.0:443"] {
            assert!(!allows(&list, refused), "{refused}");
        }
    }

    #[test]
    fn a_host_name_allows_what_it_resolves_to() {
        let mut list = AllowList::new();
        list.add("Proxy.Example", 443);
        assert!(list.allows_name("proxy.example") && list.allows_name("PROXY.example."));
        for other in ["dns.google", "a.proxy.example", "proxy.example..", ""] {
            assert!(!list.allows_name(other), "{other}");
        }
        list.set_resolved("dns.google", &["192.0.2.9".parse().unwrap()]);
        assert!(!allows(&list, "192.0.2.9:443"));
        list.set_resolved("proxy.example", &["192.0.2.1".parse().unwrap()]);
        assert!(allows(&list, "192.0.2.1:443") && !allows(&list, "192.0.2.1:80"));
    }

    #[test]
    fn of_a_name_with_ever_new_addresses_the_newest_are_kept() {
        let mut list = AllowList::new();
        list.add("proxy.example", 443);
        for last in 0..=u8::MAX {
            list.set_resolved("proxy.example", &[IpAddr::from([192, 0, 2, last])]);
        }
        assert!(allows(&list, "192.0.2.255:443") && !allows(&list, "192.0.2.0:443"));
        assert_eq!(list.0[0].addresses.len(), ADDRESSES_PER_HOST);
    }
}
