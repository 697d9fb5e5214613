//! The two scripts, and the names Redis gives them.

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{RedisError, cmd};

use crate::store::Act;

const LOG: &str = concat!(include_str!("head.lua"), include_str!("log.lua"));
const LEDGER: &str = concat!(include_str!("head.lua"), include_str!("ledger.lua"));

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Log,
    Ledger,
}

impl Script {
    /// The one that carries the act out.
    pub(super) fn of(act: &Act) -> Self {
        match act {
            Act::Append(_) | Act::Restore(_) => Self::Log,
            Act::Claim { .. }
            | Act::Admit(_)
            | Act::UndoDispatch(_)
            | Act::PushPending(_)
            | Act::RemovePending(_)
            | Act::SetHead(_) => Self::Ledger,
        }
    }
}

/// SHA-1 of each script, as Redis told it.
pub(super) struct Shas {
    log: String,
    ledger: String,
}

impl Shas {
    /// Makes the scripts known to the server.
    pub(super) async fn load(connection: &mut MultiplexedConnection) -> Result<Self, RedisError> {
        let mut load = async |script: &str| {
            cmd("SCRIPT").arg("LOAD").arg(script).query_async(connection).await
        };
        Ok(Self { log: load(LOG).await?, ledger: load(LEDGER).await? })
    }

    pub(super) fn of(&self, script: Script) -> &str {
        match script {
            Script::Log => &self.log,
            Script::Ledger => &self.ledger,
        }
    }
}
