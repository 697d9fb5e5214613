//! The functions that libtdjson gets in the place of the C library's.
//!
//! They run on TDLib's threads, do not panic, and hold no lock while they wait.
#![expect(unsafe_code, reason = "these functions have the types of the C library's")]

use std::ffi::{CStr, c_char, c_int, c_long, c_uint, c_void};
use std::fmt::Display;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{ptr, slice};

use libc::{addrinfo, hostent, mmsghdr, msghdr, sockaddr, socklen_t, ssize_t};
use tracing::warn;

use super::allow_list::AllowList;
use super::destination::Destination;

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
    let permitted = is_permitted(unsafe { Destination::read(address, length) }, true);
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
    let permitted = is_permitted(unsafe { Destination::read(address, length) }, false);
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
        // SAFETY: the message is the caller's.
        is_permitted(unsafe { Destination::of_message(message) }, false)
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
            // SAFETY: the message is the caller's.
            is_permitted(unsafe { Destination::of_message(&message.msg_hdr) }, false)
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
    unsafe { libc::getnameinfo(address, length, host, host_size, service, service_size, flags) }
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
    first: c_long,
    second: c_long,
    third: c_long,
    fourth: c_long,
    fifth: c_long,
    sixth: c_long,
) -> c_long {
    if !REFUSED_SYSTEM_CALLS.contains(&number) {
        // SAFETY: the caller passes the arguments of this system call; it ignores further ones.
        return unsafe { libc::syscall(number, first, second, third, fourth, fifth, sixth) };
    }
    count(&REFUSED_CONNECTIONS, &format_args!("system call {number}"));
    set_errno(libc::EPERM);
    -1
}

/// Whether a call may go there; counts if not. A panic counts as no.
fn is_permitted(destination: Destination, connects: bool) -> bool {
    let permitted = || match destination {
        Destination::Local => true,
        Destination::Unspecified if connects => true,
        Destination::Internet(to) if runtime::read_lock(&ALLOW_LIST).allows(to) => true,
        Destination::Internet(to) => {
            count(&REFUSED_CONNECTIONS, &to);
            false
        }
        Destination::Unspecified | Destination::Other => {
            count(&REFUSED_CONNECTIONS, &"an address of another family");
            false
        }
    };
    catch_unwind(AssertUnwindSafe(permitted)).unwrap_or(false)
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

#[cfg(test)]
mod tests;
