//! Reading the audit stream.

use contracts::{AuditEntry, Names};
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{RedisError, cmd};
use settings::PublisherSettings;

use crate::error::InvalidUri;
use crate::redis::{RedisClient, StreamEntry};

/// Entries that are read together.
const PAGE: usize = 1000;

/// The audit stream, for the operator: who had which command run, oldest first.
pub struct AuditReader {
    connection: MultiplexedConnection,
    key: String,
    /// Where the next page begins.
    from: String,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// When its answer was stored, by Redis's clock: Unix time in milliseconds.
    pub at_ms: i64,
    /// What it says.
    pub entry: AuditEntry<'static>,
}

/// Why the audit stream could not be read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The setting is not a URI.
    #[error(transparent)]
    Uri(#[from] InvalidUri),
    /// Redis is unreachable, or rejects the user or the password.
    #[error("cannot connect to Redis")]
    Connect(#[source] RedisError),
    /// Redis did not answer, or refused.
    #[error("cannot read the audit stream")]
    Read(#[source] RedisError),
}

impl AuditReader {
    /// Connects; reading begins with the entries of `since` (Unix time in milliseconds).
    ///
    /// # Errors
    ///
    /// [`AuditError::Uri`], [`AuditError::Connect`].
    pub async fn connect(
        settings: &PublisherSettings,
        names: &Names,
        since_ms: i64,
    ) -> Result<Self, AuditError> {
        let client = RedisClient::new(&settings.uri, settings.timeout())?;
        let connection = client.connect().await.map_err(AuditError::Connect)?;
        Ok(Self { connection, key: names.audit_key(), from: since_ms.max(0).to_string() })
    }

    /// The next entries; none at the end. What tdfleet did not write is passed over.
    ///
    /// # Errors
    ///
    /// [`AuditError::Read`].
    pub async fn next_page(&mut self) -> Result<Vec<AuditRecord>, AuditError> {
        let mut records = Vec::new();
        while records.is_empty() {
            let mut range = cmd("XRANGE");
            range.arg(&self.key).arg(&self.from).arg("+").arg("COUNT").arg(PAGE);
            let page: Vec<StreamEntry> =
                range.query_async(&mut self.connection).await.map_err(AuditError::Read)?;
            let Some((last, _)) = page.last() else { break };
            self.from = format!("({last}");
            records.extend(page.iter().filter_map(record));
        }
        Ok(records)
    }
}

fn record((id, fields): &StreamEntry) -> Option<AuditRecord> {
    let json = fields.iter().find(|(name, _)| &name[..] == b"e").map(|(_, json)| json)?;
    let at_ms = id.split('-').next()?.parse().ok()?;
    let entry: AuditEntry<'_> = serde_json::from_slice(json).ok()?;
    Some(AuditRecord { at_ms, entry: entry.into_owned() })
}
