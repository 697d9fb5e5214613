use std::io::Error;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::AsRawFd;

use libc::{in_addr, sockaddr_in};

use super::*;

/// The length of an IPv4 address.
const LENGTH: socklen_t = 16;

fn loopback(port: u16) -> sockaddr_in {
    let sin_addr = in_addr { s_addr: Ipv4Addr::LOCALHOST.to_bits().to_be() };
    let sin_family = u16::try_from(libc::AF_INET).unwrap();
    sockaddr_in { sin_family, sin_port: port.to_be(), sin_addr, sin_zero: [0; 8] }
}

/// The error of a call, if it failed.
fn error(result: impl Into<i64>) -> Option<i32> {
    (result.into() < 0).then(|| Error::last_os_error().raw_os_error()).flatten()
}

#[test]
fn only_what_is_allowed_is_connected_to() {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [allowed, other] = [0, 1].map(|one: usize| listeners[one].local_addr().unwrap().port());
    runtime::write_lock(&ALLOW_LIST).add("127.0.0.1", allowed);
    // SAFETY: the arguments are `socket`'s and `connect`'s.
    let dial = |port| unsafe {
        let address = loopback(port);
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0);
        let result = connect(socket, (&raw const address).cast(), LENGTH);
        let error = error(result);
        libc::close(socket);
        error
    };
    assert_eq!(dial(other), Some(libc::ECONNREFUSED));
    assert_eq!(dial(allowed), None);
}

#[test]
fn no_datagram_is_sent_elsewhere_by_any_function() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_nonblocking(true).unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (fd, port) = (sender.as_raw_fd(), receiver.local_addr().unwrap().port());
    let mut address = loopback(port);
    // SAFETY: all zero is a valid message, which is then given the address.
    let mut message: mmsghdr = unsafe { std::mem::zeroed() };
    (message.msg_hdr.msg_name, message.msg_hdr.msg_namelen) = ((&raw mut address).cast(), LENGTH);
    // Linux sends to an address without a family as if it were IPv4.
    for family in [libc::AF_INET, libc::AF_UNSPEC] {
        address.sin_family = u16::try_from(family).unwrap();
        let to = (&raw const address).cast();
        // SAFETY: the arguments are those of the functions they are for.
        let errors = unsafe {
            [
                error(send_to(fd, c"x".as_ptr().cast(), 1, 0, to, LENGTH) as i64),
                error(send_message(fd, &raw const message.msg_hdr, 0) as i64),
                error(send_messages(fd, &raw mut message, 1, 0)),
            ]
        };
        assert_eq!(errors, [Some(libc::ECONNREFUSED); 3], "{family}");
    }
    // SAFETY: it is refused before its arguments are looked at.
    let called = unsafe { system_call(libc::SYS_sendto, 0, 0, 0, 0, 0, 0) };
    assert_eq!(error(called), Some(libc::EPERM));
    assert!(receiver.recv(&mut [0]).is_err(), "nothing has arrived");
    // SAFETY: these are the arguments of `getpid`.
    let called = unsafe { system_call(libc::SYS_getpid, 0, 0, 0, 0, 0, 0) };
    assert_eq!(called, i64::from(std::process::id()));
}

#[test]
fn names_are_not_asked_for_but_digits_are_read() {
    runtime::write_lock(&ALLOW_LIST).add("localhost", 443);
    let resolve = |name: &CStr| {
        let mut list = ptr::null_mut();
        // SAFETY: the arguments are `getaddrinfo`'s, and the list is freed once.
        unsafe {
            let status = get_address_info(name.as_ptr(), ptr::null(), ptr::null(), &raw mut list);
            let addresses = if status == 0 { addresses_of(list) } else { Vec::new() };
            if status == 0 {
                libc::freeaddrinfo(list);
            }
            (status, addresses.first().copied())
        }
    };
    assert_eq!(resolve(c"dns.google"), (libc::EAI_FAIL, None));
    assert_eq!(resolve(c"192.0.2.1").1, Some(IpAddr::from([192, 0, 2, 1])));
    let (status, address) = resolve(c"localhost");
    assert_eq!(status, 0);
    let resolved = (address.unwrap(), 443).into();
    assert!(runtime::read_lock(&ALLOW_LIST).allows(resolved), "it may be connected to now");
    // SAFETY: the argument is `gethostbyname`'s.
    assert!(unsafe { get_host_by_name(c"localhost".as_ptr()) }.is_null());
}
