use std::fmt::{self, Write as _};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tracing::info;

use crate::core::Core;
use crate::listener;
use crate::model;
use crate::options::Options;
use crate::patch::{PatchError, PatchedLibrary};

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Only this machine may talk to a sandbox.
    #[error("the sandbox listens on loopback only, not on {0}")]
    NotLoopback(SocketAddr),
    /// The address could not be listened on.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// The data centre's key could not be made.
    #[error("cannot make the data centre's key")]
    Key,
}

/// A running data centre; a clone is the same one.
///
/// It runs until [`Sandbox::stop`], or until the runtime it was started on ends.
#[derive(Clone)]
pub struct Sandbox {
    core: Arc<Core>,
    address: SocketAddr,
    secret: String,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Makes a new key, and takes clients from then on.
    ///
    /// # Errors
    ///
    /// [`Error::NotLoopback`] and [`Error::Listen`] for the address of the options.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let listen = options.listen;
        if !listen.ip().is_loopback() {
            return Err(Error::NotLoopback(listen));
        }
        let bound = async {
            let listener = TcpListener::bind(listen).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = bound.await.map_err(|error| Error::Listen(listen, error))?;
        let core = tokio::task::spawn_blocking(move || Core::new(&options));
        let core = Arc::new(core.await.map_err(|_| Error::Key)?);
        let mut secret = String::from("dd");
        for byte in core.secret {
            write!(secret, "{byte:02x}").map_err(|_| Error::Key)?;
        }
        core.tasks.spawn(listener::run(Arc::clone(&core), listener, address));
        core.connections.admit(true).await;
        info!(%address, "sandbox started");
        Ok(Self { core, address, secret })
    }

    /// Where clients connect: the `server` and `port` of `TDLib`'s `addProxy`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client has to know, in hexadecimal, for `TDLib`'s `proxyTypeMtproto`.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Copies a libtdjson so that it trusts this sandbox, and nothing else; see [`PatchedLibrary`].
    ///
    /// # Errors
    ///
    /// [`PatchError::Unexpected`] when `source` is no library the patch was made for.
    pub fn patch_library(&self, source: &Path) -> Result<PatchedLibrary, PatchError> {
        PatchedLibrary::write(source, &self.core.rsa.public_pem())
    }

    /// The phone number of an account of the default fleet; they are numbered from 1.
    pub fn phone(&self, account: u32) -> String {
        model::fleet_phone(account)
    }

    /// The login code of an account of the default fleet: the only one that is right.
    pub fn code(&self, account: u32) -> String {
        model::fleet_code(account)
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Closes all connections and waits for them to end.
    pub async fn stop(self) {
        self.core.stop.cancel();
        self.core.tasks.close();
        self.core.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_others_can_reach_is_refused() {
        let options = Options { listen: "0.0.0.0:0".parse().unwrap(), ..Options::default() };
        assert!(matches!(Sandbox::start(options).await, Err(Error::NotLoopback(_))));
    }

    #[tokio::test]
    async fn it_starts_on_a_free_port_and_stops() {
        let sandbox = Sandbox::start(Options::default()).await.unwrap();
        assert!(sandbox.address().ip().is_loopback());
        assert_eq!(sandbox.secret().len(), 34);
        sandbox.stop().await;
    }
}
