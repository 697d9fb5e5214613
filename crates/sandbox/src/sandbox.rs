use std::fmt::{self, Write as _};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::core::Core;
use crate::http;
use crate::listener;
use crate::model::{self, SeedError};
use crate::options::Options;
use crate::patch::{PatchError, PatchedLibrary};
use crate::state::{self, StateError};
use crate::transport::Entry;

/// How long changes of the state are gathered before they are written.
const SWARM: Duration = Duration::from_millis(200);

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Only this machine may talk to a sandbox.
    #[error("the sandbox listens on loopback only, not on {0}")]
    NotLoopback(SocketAddr),
    /// The address could not be listened on.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// The state of an earlier run could not be used.
    #[error("cannot use the state of an earlier run")]
    State(#[from] StateError),
    /// The seed was not taken.
    #[error("cannot use the seed")]
    Seed(#[from] SeedError),
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
    socks_address: Option<SocketAddr>,
    control_address: Option<SocketAddr>,
    secret: String,
    accounts: u32,
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
    /// [`Error::NotLoopback`] and [`Error::Listen`] for the addresses of the options.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let doors = Doors::open(&options).await?;
        let (accounts, directory) = (options.accounts, options.state.clone());
        let core = tokio::task::spawn_blocking(move || {
            let state = options.state.as_deref().map(state::load).transpose()?;
            Ok::<_, Error>(Core::new(&options, state.flatten())?)
        });
        let core = Arc::new(core.await.map_err(|_| Error::Key)??);
        let mut secret = String::from("dd");
        for byte in core.secret {
            write!(secret, "{byte:02x}").map_err(|_| Error::Key)?;
        }
        let address_of = |door: &Option<Door>| door.as_ref().map(|(_, address)| *address);
        let sandbox = Self {
            address: doors.proxy.1,
            socks_address: address_of(&doors.socks),
            control_address: address_of(&doors.control),
            secret,
            accounts,
            core,
        };
        if let Some(directory) = directory {
            sandbox.core.tasks.spawn(keep(Arc::clone(&sandbox.core), directory));
            // That there was this run is to be kept, too.
            sandbox.core.changed.notify_one();
        }
        sandbox.attend(doors).await;
        info!(address = %sandbox.address, "sandbox started");
        Ok(sandbox)
    }

    /// Lets clients in, from when this returns.
    async fn attend(&self, doors: Doors) {
        let core = &self.core;
        let take = |entry, (listener, address): Door| {
            core.tasks.spawn(listener::run(Arc::clone(core), entry, listener, address));
        };
        take(Entry::Proxy(core.secret), doors.proxy);
        if let Some(door) = doors.socks {
            take(Entry::Socks, door);
        }
        if let Some((listener, _)) = doors.control {
            core.tasks.spawn(http::serve(self.clone(), listener));
        }
        core.connections.admit(true).await;
    }

    /// Where clients connect: the `server` and `port` of `TDLib`'s `addProxy`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where clients connect as to a SOCKS5 server, if the options ask for it.
    pub fn socks_address(&self) -> Option<SocketAddr> {
        self.socks_address
    }

    /// Where the control API listens, if the options ask for it.
    pub fn control_address(&self) -> Option<SocketAddr> {
        self.control_address
    }

    /// How many accounts the default fleet has.
    pub fn accounts(&self) -> u32 {
        self.accounts
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

/// Keeps the state in `directory` whenever it has changed, and when the sandbox stops.
async fn keep(core: Arc<Core>, directory: PathBuf) {
    loop {
        let going = core.stop.run_until_cancelled(core.changed.notified()).await.is_some();
        let (kept, place) = (Arc::clone(&core), directory.clone());
        let saved = tokio::task::spawn_blocking(move || state::save(&place, &kept.state()));
        if let Ok(Err(error)) = saved.await {
            warn!(%error, "the sandbox's state is not kept");
        }
        if !going {
            return;
        }
        // Changes come in swarms.
        core.stop.run_until_cancelled(tokio::time::sleep(SWARM)).await;
    }
}

/// A listener and where it listens.
type Door = (TcpListener, SocketAddr);

struct Doors {
    proxy: Door,
    socks: Option<Door>,
    control: Option<Door>,
}

impl Doors {
    async fn open(options: &Options) -> Result<Self, Error> {
        Ok(Self {
            proxy: listen(options.listen).await?,
            socks: listen_if(options.socks).await?,
            control: listen_if(options.control).await?,
        })
    }
}

async fn listen(address: SocketAddr) -> Result<Door, Error> {
    if !address.ip().is_loopback() {
        return Err(Error::NotLoopback(address));
    }
    let listening = async {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    listening.await.map_err(|error| Error::Listen(address, error))
}

async fn listen_if(address: Option<SocketAddr>) -> Result<Option<Door>, Error> {
    match address {
        Some(address) => listen(address).await.map(Some),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_others_can_reach_is_refused() {
        let outside: SocketAddr = "0.0.0.0:0".parse().unwrap();
        for options in [
            Options { listen: outside, ..Options::default() },
            Options { socks: Some(outside), ..Options::default() },
            Options { control: Some(outside), ..Options::default() },
        ] {
            assert!(matches!(Sandbox::start(options).await, Err(Error::NotLoopback(_))));
        }
    }

    #[tokio::test]
    async fn it_starts_on_a_free_port_and_stops() {
        let sandbox = Sandbox::start(Options::default()).await.unwrap();
        assert!(sandbox.address().ip().is_loopback());
        assert_eq!(sandbox.secret().len(), 34);
        sandbox.stop().await;
    }
}
