//! Reads the addresses that are passed to the C library's functions.
#![expect(unsafe_code, reason = "the addresses are passed as pointers")]

use std::ffi::c_int;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use libc::{msghdr, sa_family_t, sockaddr, sockaddr_in, sockaddr_in6, socklen_t};

/// Where a call would connect or send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// A Unix domain socket; or no address, so that the socket is connected already.
    Local,
    /// `AF_UNSPEC`: `connect` disconnects the socket. When sending it means IPv4.
    Unspecified,
    Internet(SocketAddr),
    /// Another family, or an address that is too short.
    Other,
}

impl Destination {
    /// # Safety
    ///
    /// `address` is null or points to `length` bytes.
    pub(super) unsafe fn read(address: *const sockaddr, length: socklen_t) -> Self {
        let length = usize::try_from(length).unwrap_or(0);
        if address.is_null() {
            return Self::Local;
        }
        if length < size_of::<sa_family_t>() {
            return Self::Other;
        }
        // SAFETY: the length was checked.
        let family = unsafe { address.cast::<sa_family_t>().read_unaligned() };
        match c_int::from(family) {
            libc::AF_UNIX => Self::Local,
            libc::AF_UNSPEC => Self::Unspecified,
            libc::AF_INET if length >= size_of::<sockaddr_in>() => {
                // SAFETY: family and length were checked.
                let address = unsafe { address.cast::<sockaddr_in>().read_unaligned() };
                let ip = Ipv4Addr::from_bits(u32::from_be(address.sin_addr.s_addr));
                Self::Internet((ip, u16::from_be(address.sin_port)).into())
            }
            libc::AF_INET6 if length >= size_of::<sockaddr_in6>() => {
                // SAFETY: family and length were checked.
                let address = unsafe { address.cast::<sockaddr_in6>().read_unaligned() };
                let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
                Self::Internet((ip, u16::from_be(address.sin6_port)).into())
            }
            _ => Self::Other,
        }
    }

    /// # Safety
    ///
    /// The message's name is null or points to as many bytes as the message says.
    pub(super) unsafe fn of_message(message: &msghdr) -> Self {
        // SAFETY: the caller vouches for it.
        unsafe { Self::read(message.msg_name.cast(), message.msg_namelen) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Destination {
        let length = socklen_t::try_from(bytes.len()).unwrap();
        // SAFETY: the address is as long as it says.
        unsafe { Destination::read(bytes.as_ptr().cast(), length) }
    }

    /// The bytes of an address of a family.
    fn address(family: c_int, rest: &[u8]) -> Vec<u8> {
        let family = sa_family_t::try_from(family).unwrap().to_ne_bytes();
        [&family[..], rest].concat()
    }

    #[test]
    fn addresses_are_read_to_their_length_and_not_beyond() {
        let v4 = address(libc::AF_INET, &[1, 187, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(read(&v4), Destination::Internet("192.0.2.1:443".parse().unwrap()));
        let ip: Ipv6Addr = "2001:db8::1".parse().unwrap();
        let v6 = [&[1, 187, 0, 0, 0, 0][..], &ip.octets(), &[0; 4]].concat();
        let v6 = address(libc::AF_INET6, &v6);
        assert_eq!(read(&v6), Destination::Internet("[2001:db8::1]:443".parse().unwrap()));
        for short in [&v4[..15], &v6[..27], &v4[..2], &v4[..1], &[]] {
            assert_eq!(read(short), Destination::Other, "{short:?}");
        }
    }

    #[test]
    fn other_families_are_told_apart() {
        assert_eq!(read(&address(libc::AF_UNIX, b"/run/x")), Destination::Local);
        assert_eq!(read(&address(libc::AF_UNSPEC, &[0; 14])), Destination::Unspecified);
        for family in [libc::AF_VSOCK, libc::AF_PACKET, libc::AF_NETLINK] {
            assert_eq!(read(&address(family, &[0; 14])), Destination::Other);
        }
        // SAFETY: null is allowed.
        assert_eq!(unsafe { Destination::read(std::ptr::null(), 0) }, Destination::Local);
    }
}
