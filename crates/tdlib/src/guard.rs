//! Keeps libtdjson to the proxies: TDLib's own recovery dials hosts of its choice past any proxy,
//! and no option of TDLib turns that off.
//!
//! [`Library::guard`](crate::Library::guard) binds the library's imports of `connect`,
//! `getaddrinfo` and the like to functions of this crate. They pass on what goes to an allowed
//! proxy, and refuse everything else. The file is not changed, and no other part of the process is
//! affected. The reading order is `allow_list`, `destination`, `hooks`, `elf`, `imports`.

mod allow_list;
mod destination;
mod elf;
mod hooks;
mod imports;

pub use imports::GuardError;

use hooks::ALLOW_LIST;

/// The proof that the library's network calls are guarded: from its creation on, TDLib reaches only
/// what [`Self::allow`] was told.
#[derive(Clone, Copy, Debug)]
pub struct ProxyGuard(());

impl ProxyGuard {
    /// Binds the network calls of the object that contains `function`, and of what it links to
    /// besides the C and C++ runtime.
    pub(crate) fn bind(function: *const ()) -> Result<Self, GuardError> {
        imports::bind(function).map(|()| Self(()))
    }

    /// Lets TDLib reach one more proxy: an address, or a host name, which TDLib may then resolve,
    /// and connect to the addresses that this returns. `port` is its TCP port.
    pub fn allow(self, server: &str, port: u16) {
        runtime::write_lock(&ALLOW_LIST).add(server, port);
    }

    /// How many calls were refused since the process started.
    pub fn refused(self) -> u64 {
        hooks::refused()
    }
}
