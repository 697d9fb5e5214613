//! The functions that libtdjson gets in the place of the C library's.
//!
//! They run on TDLib's threads, do not panic, and hold no lock while they wait.
#![expect(unsafe_code, reason = "these functions have the types of the C library's")]

use std::ffi::{CStr, c_char, c_int, c_long, c_uint, c_void};
use std::fmt::Display;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{ptr, slice};

use libc::{
    addrinfo, hostent, mmsghdr, msghdr, sa_family_t, sockaddr, sockaddr_in, sockaddr_in6,
    socklen_t, ssize_t,
};
use tracing::warn;

use super::allow_list::AllowList;

/// What TDLib may reach. A static, since C passes these functions no context.
pub(super) static ALLOW_LIST: RwLock<AllowList> = RwLock::new(AllowList::new());

static REFUSED_CONNECTIONS: AtomicU64 = AtomicU64::new(0);
static REFUSED_NAMES: AtomicU64 = AtomicU64::new(0);

/// The system calls by which the ones below could be made without these functions.
const REFUSED_SYSTEM_CALLS: [c_long; 5] = [
    libc::SYS_connect,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_io_uring_setup,
];

/// The imports that are replaced, and the functions that replace them.
pub(super) fn hooks() -> [(&'static CStr, usize); 8] {
    [
        (c"connect", connect as *const () as usize),
        (c"sendto", send_to as *const () as usize),
        (c"sendmsg", send_message as *const () as usize),
        (c"sendmmsg", send_messages as *const () as usize),
        (c"getaddrinfo", get_address_info as *const () as usize),
        (c"getnameinfo", get_name_info as *const () as usize),
        (c"gethostbyname", get_host_by_name as *const () as usize),
        (c"syscall", system_call as *const () as usize),
    ]
}

/// How many calls were refused.
pub(super) fn refused() -> u64 {
    REFUSED_CONNECTIONS.load(Ordering::Relaxed) + REFUSED_NAMES.load(Ordering::Relaxed)
}

unsafe extern "C" fn connect(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int {
    // SAFETY: the caller passes `connect`'s arguments.
    let permitted = unsafe { Destination::read(address, length) }.is_permitted(true);
    if permitted {
        // SAFETY: as above.
        return unsafe { libc::connect(fd, address, length) };
    }
    set_errno(libc::ECONNREFUSED);
    -1
}

unsafe extern "C" fn send_to(
    fd: c_int,
    data: *const c_void,
    size: usize,
    flags: c_int,
    address: *const sockaddr,
    length: socklen_t,
) -> ssize_t {
    // SAFETY: the caller passes `sendto`'s arguments.
    let permitted = unsafe { Destination::read(address, length) }.is_permitted(false);
    if permitted {
        // SAFETY: as above.
        return unsafe { libc::sendto(fd, data, size, flags, address, length) };
    }
    set_errno(libc::ECONNREFUSED);
    -1
}

unsafe extern "C" fn send_message(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
    // SAFETY: the caller passes `sendmsg`'s arguments: null, or a message.
    let permitted = unsafe { message.as_ref() }.is_none_or(|message| {
        // SAFETY: the message's name is null or an address of this length.
        unsafe { Destination::read(message.msg_name.cast(), message.msg_namelen) }
            .is_permitted(false)
    });
    if permitted {
        // SAFETY: as above.
        return unsafe { libc::sendmsg(fd, message, flags) };
    }
    set_errno(libc::ECONNREFUSED);
    -1
}

unsafe extern "C" fn send_messages(
    fd: c_int,
    messages: *mut mmsghdr,
    count: c_uint,
    flags: c_int,
) -> c_int {
    let permitted = messages.is_null() || {
        // SAFETY: the caller passes `sendmmsg`'s arguments: `count` messages.
        let messages = unsafe { slice::from_raw_parts(messages, count as usize) };
        messages.iter().all(|message| {
            let message = &message.msg_hdr;
            // SAFETY: the message's name is null or an address of this length.
            unsafe { Destination::read(message.msg_name.cast(), message.msg_namelen) }
                .is_permitted(false)
        })
    };
    if permitted {
        // SAFETY: as above.
        return unsafe { libc::sendmmsg(fd, messages, count, flags) };
    }
    set_errno(libc::ECONNREFUSED);
    -1
}

unsafe extern "C" fn get_address_info(
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    result: *mut *mut addrinfo,
) -> c_int {
    if node.is_null() {
        // SAFETY: the caller passes `getaddrinfo`'s arguments; without a node nothing is asked.
        return unsafe { libc::getaddrinfo(node, service, hints, result) };
    }
    // SAFETY: a node that is not null is a NUL-terminated string.
    let name = unsafe { CStr::from_ptr(node) }.to_string_lossy();
    if runtime::read_lock(&ALLOW_LIST).allows_name(&name) {
        // SAFETY: the caller passes `getaddrinfo`'s arguments.
        let status = unsafe { libc::getaddrinfo(node, service, hints, result) };
        if status == 0 {
            // SAFETY: `getaddrinfo` has succeeded, so that the result is a list.
            let resolved = unsafe { addresses_of(*result) };
            runtime::write_lock(&ALLOW_LIST).set_resolved(&name, &resolved);
        }
        return status;
    }
    // SAFETY: null or the caller's hints; all zero is valid and what null stands for.
    let mut numeric = unsafe { hints.as_ref().copied().unwrap_or(std::mem::zeroed()) };
    numeric.ai_flags |= libc::AI_NUMERICHOST;
    // SAFETY: the caller passes `getaddrinfo`'s arguments; with this flag nothing is asked.
    let status = unsafe { libc::getaddrinfo(node, service, &raw const numeric, result) };
    if status != libc::EAI_NONAME {
        return status;
    }
    count(&REFUSED_NAMES, &name);
    libc::EAI_FAIL
}

/// Never asks for the name of an address.
unsafe extern "C" fn get_name_info(
    address: *const sockaddr,
    length: socklen_t,
    host: *mut c_char,
    host_size: socklen_t,
    service: *mut c_char,
    service_size: socklen_t,
    flags: c_int,
) -> c_int {
    let flags = flags | libc::NI_NUMERICHOST | libc::NI_NUMERICSERV;
    // SAFETY: the caller passes `getnameinfo`'s arguments.
    unsafe {
        libc::getnameinfo(address, length, host, host_size, service, service_size, flags)
    }
}

/// TDLib does not use it; OpenSSL, which is part of the library, could.
unsafe extern "C" fn get_host_by_name(name: *const c_char) -> *mut hostent {
    // SAFETY: the caller passes `gethostbyname`'s argument: a NUL-terminated string, or null.
    let name = (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }.to_string_lossy());
    count(&REFUSED_NAMES, &name.unwrap_or_default());
    ptr::null_mut()
}

/// `syscall` takes as many arguments as the system call has; all are passed on, as glibc does.
unsafe extern "C" fn system_call(
    number: c_long,
    a: c_long,
    b: c_long,
    c: c_long,
    d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    if !REFUSED_SYSTEM_CALLS.contains(&number) {
        // SAFETY: the caller passes the arguments of this system call; it ignores further ones.
        return unsafe { libc::syscall(number, a, b, c, d, e, f) };
    }
    count(&REFUSED_CONNECTIONS, &format_args!("system call {number}"));
    set_errno(libc::EPERM);
    -1
}

/// Where a call would send something.
enum Destination {
    /// Nowhere that it has not been sent before: no address, or a Unix domain socket's.
    Local,
    /// `AF_UNSPEC`, which disconnects a socket. When sending it means IPv4.
    Unspecified,
    Internet(SocketAddr),
    Other,
}

impl Destination {
    /// # Safety
    ///
    /// `address` is null or points to `length` bytes.
    unsafe fn read(address: *const sockaddr, length: socklen_t) -> Self {
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

    /// Whether it may be reached; counts if not. A panic counts as no.
    fn is_permitted(self, connects: bool) -> bool {
        let permitted = || match self {
            Self::Local => true,
            Self::Unspecified if connects => true,
            Self::Internet(address) if runtime::read_lock(&ALLOW_LIST).allows(address) => true,
            Self::Internet(address) => {
                count(&REFUSED_CONNECTIONS, &address);
                false
            }
            Self::Unspecified | Self::Other => {
                count(&REFUSED_CONNECTIONS, &"an address of another family");
                false
            }
        };
        catch_unwind(AssertUnwindSafe(permitted)).unwrap_or(false)
    }
}

/// # Safety
///
/// `list` is what `getaddrinfo` returned.
unsafe fn addresses_of(mut list: *const addrinfo) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    // SAFETY: the list's elements are valid until it is freed; the last one's next is null.
    while let Some(entry) = unsafe { list.as_ref() } {
        // SAFETY: an element's address is null or of this length.
        let destination = unsafe { Destination::read(entry.ai_addr, entry.ai_addrlen) };
        if let Destination::Internet(address) = destination {
            addresses.push(address.ip());
        }
        list = entry.ai_next;
    }
    addresses
}

/// Counts a refusal, and logs the first, the tenth, the hundredth and so on.
fn count(refused: &AtomicU64, destination: &(impl Display + ?Sized)) {
    let refused = refused.fetch_add(1, Ordering::Relaxed) + 1;
    if 10_u64.pow(refused.ilog10()) == refused {
        warn!(%destination, refused, "TDLib was kept from going past the proxy");
    }
}

fn set_errno(error: c_int) {
    // SAFETY: the location is this thread's own, and always valid.
    unsafe { *libc::__errno_location() = error }
}
