//! Reads logs over a small pool of connections.

use contracts::{AccountId, EventId, Names};
use deadpool_redis::redis::cmd;
use deadpool_redis::{Connection, Manager, Pool, Runtime};
use tracing::warn;

use crate::error::{InvalidUri, ReadError};
use crate::redis::client::RedisClient;
use crate::redis::decode::StreamEntry;
use crate::redis::subscription::RedisSubscription;
use crate::stored::StoredEvent;

/// Connections that all readers share; one range of a stream takes about a millisecond.
const CONNECTIONS: usize = 4;

#[derive(Clone)]
pub(crate) struct RedisReader {
    client: RedisClient,
    names: Names,
    pool: Pool,
}

impl RedisReader {
    pub(crate) fn new(client: RedisClient, names: Names) -> Result<Self, InvalidUri> {
        let info = client.client.get_connection_info().clone();
        let manager =
            Manager::new_with_config(info, client.connection_config()).map_err(|_| InvalidUri)?;
        let timeout = Some(client.timeout);
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(timeout)
            .create_timeout(timeout)
            .recycle_timeout(timeout)
            .build()
            .map_err(|_| InvalidUri)?;
        Ok(Self { client, names, pool })
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.client.endpoint
    }

    async fn connection(&self) -> Result<Connection, ReadError> {
        self.pool.get().await.map_err(ReadError::Connect)
    }

    pub(crate) async fn read(
        &self,
        account: AccountId,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        let mut start = after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
        let mut connection = self.connection().await?;
        let mut events = Vec::new();
        // Entries that are no events are passed over, however many there are.
        loop {
            let wanted = limit - events.len();
            let entries: Vec<StreamEntry> = cmd("XRANGE")
                .arg(self.names.log_key(account))
                .arg(start)
                .arg("+")
                .arg("COUNT")
                .arg(wanted)
                .query_async(&mut connection)
                .await
                .map_err(ReadError::Read)?;
            let last = entries.get(wanted.wrapping_sub(1)).map(|(id, _)| format!("({id}"));
            events.extend(entries.into_iter().filter_map(|entry| stored_event(account, entry)));
            start = match last {
                Some(last) if events.len() < limit => last,
                _ => return Ok(events),
            };
        }
    }

    pub(crate) async fn newest(&self, account: AccountId) -> Result<Option<EventId>, ReadError> {
        let mut connection = self.connection().await?;
        let last: Option<String> = cmd("HGET")
            .arg(self.names.head_key(account))
            .arg("last")
            .query_async(&mut connection)
            .await
            .map_err(ReadError::Read)?;
        Ok(last.and_then(|last| last.parse().ok()))
    }

    pub(crate) async fn subscribe(
        &self,
        accounts: &[AccountId],
    ) -> Result<RedisSubscription, ReadError> {
        let channels = accounts.iter().map(|&account| self.names.live_channel(account));
        RedisSubscription::subscribe(&self.client, channels.collect())
            .await
            .map_err(ReadError::Read)
    }
}

/// The event in an entry; `None` if there is none with the entry's own id.
pub(super) fn stored_event(account: AccountId, (id, fields): StreamEntry) -> Option<StoredEvent> {
    let json = fields.into_iter().find(|(name, _)| &name[..] == b"e").map(|(_, json)| json);
    let own = |event: &StoredEvent| event.account == account && id.parse() == Ok(event.id);
    let event = json.and_then(StoredEvent::read).filter(own);
    if event.is_none() {
        warn!(account.id = %account, event.id = id, "an entry of the log is not an event");
    }
    event
}
