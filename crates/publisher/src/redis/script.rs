//! The two scripts, and the hashes that Redis calls them by.

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{RedisError, cmd};

use crate::store::StoreOperation;

const APPEND: &str = concat!(include_str!("head.lua"), include_str!("append.lua"));
const LEDGER: &str = concat!(include_str!("head.lua"), include_str!("ledger.lua"));

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoreScript {
    Append,
    Ledger,
}

impl StoreScript {
    /// The script that applies the operation.
    pub(super) fn of(operation: &StoreOperation) -> Self {
        match operation {
            StoreOperation::Append(_) | StoreOperation::Restore(_) => Self::Append,
            StoreOperation::Claim { .. }
            | StoreOperation::Admit(_)
            | StoreOperation::UndoDispatch(_)
            | StoreOperation::PushPending(_)
            | StoreOperation::RemovePending(_)
            | StoreOperation::Quarantine(_)
            | StoreOperation::RepairHead { .. }
            | StoreOperation::SetHead(_) => Self::Ledger,
        }
    }
}

/// SHA-1 of each script, as Redis returned it.
pub(super) struct ScriptHashes {
    append: String,
    ledger: String,
}

impl ScriptHashes {
    /// Loads the scripts into the server.
    pub(super) async fn load(connection: &mut MultiplexedConnection) -> Result<Self, RedisError> {
        let mut load = async |script: &str| {
            cmd("SCRIPT").arg("LOAD").arg(script).query_async(connection).await
        };
        Ok(Self { append: load(APPEND).await?, ledger: load(LEDGER).await? })
    }

    pub(super) fn of(&self, script: StoreScript) -> &str {
        match script {
            StoreScript::Append => &self.append,
            StoreScript::Ledger => &self.ledger,
        }
    }
}
