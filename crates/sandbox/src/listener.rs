use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::{debug, warn};

use crate::connection;
use crate::core::SandboxCore;
use crate::transport::ListenerKind;

/// Delay before retrying after an error of the operating system.
const PAUSE: Duration = Duration::from_millis(20);

/// Accepts clients on `address`, starting with `listener`. While clients are refused, the port is
/// closed.
pub(crate) async fn run(
    core: Arc<SandboxCore>,
    entry: ListenerKind,
    listener: TcpListener,
    address: SocketAddr,
) {
    let stop = core.stop.clone();
    let taking = take(&core, entry, listener, address);
    stop.run_until_cancelled(taking).await;
}

async fn take(
    core: &Arc<SandboxCore>,
    entry: ListenerKind,
    listener: TcpListener,
    address: SocketAddr,
) {
    let mut wanted = core.connections.wanted();
    let mut open = Some(listener);
    core.connections.set_listening(true);
    loop {
        let Some(listener) = &open else {
            until(&mut wanted, true).await;
            open = Some(bind(address).await);
            core.connections.set_listening(true);
            continue;
        };
        tokio::select! {
            biased;
            () = until(&mut wanted, false) => {
                open = None;
                core.connections.set_listening(false);
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    core.tasks.spawn(connection::serve(Arc::clone(core), entry, stream, peer));
                }
                // The client has disconnected, or too many files are open: keep accepting.
                Err(error) => {
                    debug!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
}

async fn until(wanted: &mut watch::Receiver<bool>, state: bool) {
    // The sender lives as long as the sandbox.
    drop(wanted.wait_for(|wanted| *wanted == state).await);
}

/// Reopens the port.
async fn bind(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => {
                warn!(%error, %address, "the sandbox's port cannot be reopened");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
