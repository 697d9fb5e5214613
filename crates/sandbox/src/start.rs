//! Startup: opens the listeners, creates the data centre, and saves its state from then on.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::core::SandboxCore;
use crate::http;
use crate::listener;
use crate::model::SeedError;
use crate::options::SandboxOptions;
use crate::sandbox::{Sandbox, SandboxAddresses};
use crate::saved_state::{self, StateError};
use crate::transport::ListenerKind;

/// How long changes are collected before the state is saved.
const SAVE_DELAY: Duration = Duration::from_millis(200);

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A sandbox listens on loopback only.
    #[error("the sandbox listens on loopback only, not on {0}")]
    NotLoopback(SocketAddr),
    /// The address cannot be bound.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// The state of an earlier run cannot be used.
    #[error("cannot use the state of an earlier run")]
    State(#[from] StateError),
    /// The seed file cannot be used.
    #[error("cannot use the seed")]
    Seed(#[from] SeedError),
    /// The data centre's key cannot be generated.
    #[error("cannot generate the data centre's key")]
    Key,
}

/// Starts a data centre; it accepts clients when this returns.
///
/// It runs until [`Sandbox::stop`], or until the current tokio runtime ends.
///
/// # Errors
///
/// [`StartError::NotLoopback`] and [`StartError::Listen`] for the addresses of the options.
pub async fn start(options: SandboxOptions) -> Result<Sandbox, StartError> {
    let listeners = BoundListeners::open(&options).await?;
    let (accounts, directory) = (options.accounts, options.state.clone());
    let core = tokio::task::spawn_blocking(move || {
        let state = options.state.as_deref().map(saved_state::load).transpose()?;
        Ok::<_, StartError>(SandboxCore::new(&options, state.flatten())?)
    });
    let core = Arc::new(core.await.map_err(|_| StartError::Key)??);
    let sandbox = Sandbox::new(Arc::clone(&core), listeners.addresses(), accounts);
    if let Some(directory) = directory {
        core.tasks.spawn(save_changes(Arc::clone(&core), directory));
        // The number of runs is part of the state, so save it even if nothing else changes.
        core.changed.notify_one();
    }
    accept_clients(&sandbox, listeners).await;
    info!(address = %sandbox.address(), "sandbox started");
    Ok(sandbox)
}

/// Spawns the tasks that accept clients, and waits until the ports are open.
async fn accept_clients(sandbox: &Sandbox, listeners: BoundListeners) {
    let core = sandbox.core();
    let accept = |kind, (listener, address): BoundListener| {
        core.tasks.spawn(listener::run(Arc::clone(core), kind, listener, address));
    };
    accept(ListenerKind::Proxy(core.secret), listeners.proxy);
    if let Some(socks) = listeners.socks {
        accept(ListenerKind::Socks, socks);
    }
    if let Some((listener, _)) = listeners.control {
        core.tasks.spawn(http::serve(sandbox.clone(), listener));
    }
    core.connections.admit(true).await;
}

/// Saves the state in `directory` whenever it has changed, and when the sandbox stops.
async fn save_changes(core: Arc<SandboxCore>, directory: PathBuf) {
    loop {
        let running = core.stop.run_until_cancelled(core.changed.notified()).await.is_some();
        let (saved, target) = (Arc::clone(&core), directory.clone());
        let saved = tokio::task::spawn_blocking(move || saved_state::save(&target, &saved.state()));
        if let Ok(Err(error)) = saved.await {
            warn!(%error, "the sandbox's state cannot be saved");
        }
        if !running {
            return;
        }
        core.stop.run_until_cancelled(tokio::time::sleep(SAVE_DELAY)).await;
    }
}

/// A listener and its address.
type BoundListener = (TcpListener, SocketAddr);

struct BoundListeners {
    proxy: BoundListener,
    socks: Option<BoundListener>,
    control: Option<BoundListener>,
}

impl BoundListeners {
    async fn open(options: &SandboxOptions) -> Result<Self, StartError> {
        Ok(Self {
            proxy: listen(options.listen).await?,
            socks: listen_if(options.socks).await?,
            control: listen_if(options.control).await?,
        })
    }

    fn addresses(&self) -> SandboxAddresses {
        let address = |listener: &Option<BoundListener>| listener.as_ref().map(|bound| bound.1);
        SandboxAddresses {
            proxy: self.proxy.1,
            socks: address(&self.socks),
            control: address(&self.control),
        }
    }
}

async fn listen(address: SocketAddr) -> Result<BoundListener, StartError> {
    if !address.ip().is_loopback() {
        return Err(StartError::NotLoopback(address));
    }
    let bind = async {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    bind.await.map_err(|error| StartError::Listen(address, error))
}

async fn listen_if(address: Option<SocketAddr>) -> Result<Option<BoundListener>, StartError> {
    match address {
        Some(address) => listen(address).await.map(Some),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_outside_loopback_is_refused() {
        let outside: SocketAddr = "0.0.0.0:0".parse().unwrap();
        for options in [
            SandboxOptions { listen: outside, ..SandboxOptions::default() },
            SandboxOptions { socks: Some(outside), ..SandboxOptions::default() },
            SandboxOptions { control: Some(outside), ..SandboxOptions::default() },
        ] {
            assert!(matches!(start(options).await, Err(StartError::NotLoopback(_))));
        }
    }

    #[tokio::test]
    async fn a_sandbox_starts_on_a_free_port_and_stops() {
        let sandbox = start(SandboxOptions::default()).await.unwrap();
        assert!(sandbox.address().ip().is_loopback());
        assert_eq!(sandbox.secret().len(), 34);
        sandbox.stop().await;
    }
}
