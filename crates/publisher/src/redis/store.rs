//! Writes logs: one connection, two scripts, one pipeline per batch.

use std::{mem, slice};

use contracts::Names;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Pipeline, Value, cmd};
use runtime::MacKey;
use settings::PublisherSettings;
use tracing::warn;

use crate::redis::client::RedisClient;
use crate::redis::decode::{ScriptAnswer, is_no_script, read_answer};
use crate::redis::encode::ScriptEncoder;
use crate::redis::script::ScriptHashes;
use crate::redis::seal::LogSeal;
use crate::store::{LogStore, StoreError, StoreOperation, StoreRequest, StoreResponse};

pub(crate) struct RedisStore {
    client: RedisClient,
    encoder: ScriptEncoder,
    connection: Option<ScriptConnection>,
    /// The audit stream cannot be written, and that has been logged.
    audit_fails: bool,
}

struct ScriptConnection {
    connection: MultiplexedConnection,
    hashes: ScriptHashes,
}

impl RedisStore {
    pub(crate) fn new(
        client: RedisClient,
        settings: PublisherSettings,
        names: Names,
        key: Option<MacKey>,
    ) -> Self {
        let seal = LogSeal::new(key);
        Self {
            client,
            encoder: ScriptEncoder { names, settings, seal },
            connection: None,
            audit_fails: false,
        }
    }

    fn pipeline(&self, hashes: &ScriptHashes, requests: &[StoreRequest]) -> Pipeline {
        let mut pipeline = Pipeline::with_capacity(requests.len());
        for request in requests {
            pipeline.add_command(self.encoder.command(hashes, request));
        }
        pipeline
    }

    async fn send(&mut self, requests: &[StoreRequest]) -> Result<Vec<Value>, StoreError> {
        let Some(ScriptConnection { mut connection, mut hashes }) = self.connection.take() else {
            return Err(StoreError::Refusing("not connected".to_owned()));
        };
        let mut pipeline = self.pipeline(&hashes, requests);
        let mut answers = connection.send_packed_commands(&pipeline, 0, requests.len()).await;
        if answers.as_ref().is_ok_and(|answers| answers.iter().any(is_no_script)) {
            // The scripts were flushed. Running a request a second time changes nothing more.
            hashes = ScriptHashes::load(&mut connection).await.map_err(StoreError::Answer)?;
            pipeline = self.pipeline(&hashes, requests);
            answers = connection.send_packed_commands(&pipeline, 0, requests.len()).await;
        }
        let answers = answers.map_err(StoreError::Answer)?;
        self.connection = Some(ScriptConnection { connection, hashes });
        Ok(answers)
    }
}

impl RedisStore {
    /// The response to a request; what no owner has written is set aside first.
    async fn respond(
        &mut self,
        request: &StoreRequest,
        answer: ScriptAnswer,
    ) -> Result<StoreResponse, StoreError> {
        let StoreRequest { account, epoch, served, .. } = *request;
        let aside = |last, operation| StoreRequest { account, epoch, served, last, operation };
        match answer {
            ScriptAnswer::Response(response) => Ok(response),
            ScriptAnswer::Unaudited(response) => {
                if !mem::replace(&mut self.audit_fails, true) {
                    warn!("the audit stream cannot be written; answers are stored without it");
                }
                Ok(response)
            }
            ScriptAnswer::Foreign(response, entries) => {
                let last = match &response {
                    StoreResponse::Claimed(head) => head.last,
                    _ => request.last,
                };
                self.send(&[aside(last, StoreOperation::Quarantine(entries))]).await?;
                Ok(response)
            }
            ScriptAnswer::ForgedEpoch { epoch: forged, code } => {
                warn!(account.id = %account, %epoch, "a head has an epoch of no owner; repairing it");
                let repair = StoreOperation::RepairHead { epoch: forged, code };
                self.send(&[aside(request.last, repair)]).await?;
                let answer = self.send(slice::from_ref(request)).await?.pop();
                let answer = answer.unwrap_or(Value::Nil);
                match read_answer(account, answer, &self.encoder.seal)? {
                    ScriptAnswer::Response(response)
                    | ScriptAnswer::Unaudited(response)
                    | ScriptAnswer::Foreign(response, _) => Ok(response),
                    ScriptAnswer::ForgedEpoch { .. } => {
                        Ok(StoreResponse::Refused("its head has a forged epoch".to_owned()))
                    }
                }
            }
        }
    }
}

impl LogStore for RedisStore {
    fn endpoint(&self) -> &str {
        &self.client.endpoint
    }

    async fn connect(&mut self) -> Result<(), StoreError> {
        self.connection = None;
        let mut connection = self.client.connect().await.map_err(StoreError::Connect)?;
        let hashes = ScriptHashes::load(&mut connection).await.map_err(StoreError::Answer)?;
        self.connection = Some(ScriptConnection { connection, hashes });
        Ok(())
    }

    async fn ping(&mut self) -> Result<(), StoreError> {
        let Some(ScriptConnection { connection, .. }) = &mut self.connection else {
            return Err(StoreError::Refusing("not connected".to_owned()));
        };
        cmd("PING").exec_async(connection).await.map_err(StoreError::Answer)
    }

    async fn execute(
        &mut self,
        requests: &[StoreRequest],
    ) -> Result<Vec<StoreResponse>, StoreError> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let answers = self.send(requests).await?;
        let mut responses = Vec::with_capacity(requests.len());
        for (request, answer) in requests.iter().zip(answers) {
            let answer = read_answer(request.account, answer, &self.encoder.seal)?;
            responses.push(self.respond(request, answer).await?);
        }
        Ok(responses)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use contracts::{AccountId, CommandId, Epoch, EventId, LedgerKey};
    use deadpool_redis::redis::Client;
    use futures_util::StreamExt;
    use log_port::{Admission, CommandFingerprint, HeadField, Intent};
    use test_servers::redis::RedisServer;

    use super::*;
    use crate::store::{AdmissionRequest, DispatchToken, EventBatch, EventEntry};
    use crate::stored::StoredEvent;

    fn id(n: u64) -> EventId {
        EventId { epoch: Epoch(7), n }
    }

    fn request(last: Option<EventId>, operation: StoreOperation) -> StoreRequest {
        let account = AccountId::new(1).unwrap();
        StoreRequest { account, epoch: Epoch(7), served: true, last, operation }
    }

    fn before(n: u64) -> Option<EventId> {
        (n > 1).then(|| id(n - 1))
    }

    /// Events `numbers`, each with `text` in it; event `n` occurred at `n` milliseconds.
    fn batch(numbers: std::ops::RangeInclusive<u64>, text: &str) -> EventBatch {
        let entry = |n: u64| EventEntry {
            event: StoredEvent {
                account: AccountId::new(1).unwrap(),
                id: id(n),
                prev: before(n),
                json: Bytes::from(format!("{n} {text}")),
            },
            at: i64::try_from(n).unwrap(),
            completion: None,
            audit: None,
        };
        EventBatch::new(numbers.map(entry).collect())
    }

    fn append(batch: EventBatch) -> StoreRequest {
        request(batch.entries[0].event.prev, StoreOperation::Append(batch))
    }

    fn key() -> MacKey {
        MacKey::derive("0123456789abcdef", "tdfleet log")
    }

    async fn store(server: &RedisServer) -> RedisStore {
        let settings =
            PublisherSettings { uri: server.uri().into(), ..PublisherSettings::default() };
        let client = RedisClient::new(&settings.uri, settings.timeout()).unwrap();
        let mut store = RedisStore::new(client, settings, Names::default(), Some(key()));
        store.connect().await.unwrap();
        store
    }

    async fn execute(store: &mut RedisStore, request: StoreRequest) -> String {
        format!("{:?}", store.execute(&[request]).await.unwrap().remove(0))
    }

    async fn last(store: &mut RedisStore) -> Option<EventId> {
        let claim = request(None, StoreOperation::Claim { pending: false });
        match store.execute(&[claim]).await.unwrap().remove(0) {
            StoreResponse::Claimed(head) => head.last,
            other => panic!("a claim, not {other:?}"),
        }
    }

    #[tokio::test]
    async fn the_same_batch_twice_is_stored_and_published_once() {
        let server = RedisServer::start();
        let mut store = store(&server).await;
        let client = Client::open(server.uri()).unwrap();
        let mut live = client.get_async_pubsub().await.unwrap();
        live.subscribe("tdfleet:{1}:live").await.unwrap();
        let again = || append(batch(1..=2, "a"));
        assert_eq!(execute(&mut store, again()).await, "Stored { unheard: 0 }");
        assert_eq!(execute(&mut store, again()).await, "AlreadyStored");
        let gap = |n| format!("{:?}", StoreResponse::Gap { last: Some(id(n)) });
        assert_eq!(execute(&mut store, append(batch(1..=2, "b"))).await, gap(2));
        assert_eq!(execute(&mut store, append(batch(3..=3, "c"))).await, "Stored { unheard: 0 }");
        assert_eq!(execute(&mut store, again()).await, gap(3));
        let live: Vec<String> =
            live.on_message().take(3).map(|message| message.get_payload().unwrap()).collect().await;
        assert_eq!(live, ["1 a", "2 a", "3 c"]);
    }

    #[tokio::test]
    async fn a_restore_stores_missing_events_and_may_leave_a_gap() {
        let server = RedisServer::start();
        let mut store = store(&server).await;
        execute(&mut store, append(batch(1..=2, "a"))).await;
        let restore = || request(Some(id(1)), StoreOperation::Restore(batch(2..=4, "a")));
        assert_eq!(execute(&mut store, restore()).await, "Stored { unheard: 2 }");
        assert_eq!(execute(&mut store, restore()).await, "Stored { unheard: 0 }");
        assert_eq!(last(&mut store).await, Some(id(4)));
        let far = request(Some(id(8)), StoreOperation::Restore(batch(9..=9, "a")));
        assert_eq!(execute(&mut store, far).await, "Stored { unheard: 1 }");
        let nothing = request(Some(id(20)), StoreOperation::Restore(EventBatch::new(Vec::new())));
        assert_eq!(execute(&mut store, nothing).await, "Stored { unheard: 0 }");
        assert_eq!(last(&mut store).await, Some(id(20)));
    }

    #[tokio::test]
    async fn events_that_are_too_old_are_dropped_from_the_front() {
        let server = RedisServer::start();
        let mut store = store(&server).await;
        let client = Client::open(server.uri()).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        let left = async || -> Vec<String> {
            let entries: Vec<(String, Value)> = cmd("XRANGE")
                .arg(&["tdfleet:{1}:log", "-", "+"])
                .query_async(&mut connection.clone())
                .await
                .unwrap();
            entries.into_iter().map(|(id, _)| id).collect()
        };
        let foreign = cmd("XADD").arg(&["tdfleet:{1}:log", "1-1", "x", "y"]).take();
        foreign.exec_async(&mut connection.clone()).await.unwrap();
        execute(&mut store, append(batch(1..=250, "a"))).await;
        let mut late = batch(251..=253, "a");
        // The second of these happened long before the first.
        late.entries[1].at = 0;
        execute(&mut store, append(EventBatch { drop_before: Some(241), ..late })).await;
        assert_eq!(left().await.len(), 13);
        assert_eq!(left().await[0], "7-241");
        let end = EventBatch { drop_before: Some(251), ..batch(254..=254, "a") };
        execute(&mut store, append(end)).await;
        assert_eq!(left().await, ["7-251", "7-252", "7-253", "7-254"]);
        let all = EventBatch { drop_before: Some(1000), ..batch(255..=255, "a") };
        execute(&mut store, append(all)).await;
        assert!(left().await.is_empty());
        assert_eq!(last(&mut store).await, Some(id(255)));
        execute(&mut store, append(batch(256..=256, "a"))).await;
        assert_eq!(left().await, ["7-256"]);
    }

    fn admission(id: &str, intent: Intent) -> AdmissionRequest {
        let admission = Admission {
            command: LedgerKey { caller: None, command: CommandId::new(id).unwrap() },
            fingerprint: CommandFingerprint(1),
            intent,
        };
        AdmissionRequest { admission, token: DispatchToken::random() }
    }

    fn admit(admission: &AdmissionRequest) -> StoreRequest {
        request(None, StoreOperation::Admit(vec![admission.clone()]))
    }

    #[tokio::test]
    async fn a_dispatch_that_is_requested_twice_counts_once() {
        let server = RedisServer::start();
        let mut store = store(&server).await;
        let once = admission("once", Intent::Run { idempotent: false });
        let again = || admission("again", Intent::Run { idempotent: true });
        let (first, second, third) = (again(), again(), again());
        for _ in 0..3 {
            assert_eq!(execute(&mut store, admit(&once)).await, "Admitted([Proceed])");
            assert_eq!(execute(&mut store, admit(&first)).await, "Admitted([Proceed])");
        }
        for _ in 0..3 {
            assert_eq!(execute(&mut store, admit(&second)).await, "Admitted([Proceed])");
        }
        assert_eq!(execute(&mut store, admit(&third)).await, "Admitted([Poison])");
    }

    #[tokio::test]
    async fn a_dispatch_that_is_undone_twice_is_undone_once() {
        let server = RedisServer::start();
        let mut store = store(&server).await;
        let again = || admission("again", Intent::Run { idempotent: true });
        let (first, second, third, fourth) = (again(), again(), again(), again());
        execute(&mut store, admit(&first)).await;
        execute(&mut store, admit(&second)).await;
        let undo = |AdmissionRequest { admission, token }: &AdmissionRequest| {
            request(None, StoreOperation::UndoDispatch(vec![(admission.command.clone(), *token)]))
        };
        for _ in 0..3 {
            assert_eq!(execute(&mut store, undo(&second)).await, "Done");
            assert_eq!(execute(&mut store, undo(&first)).await, "Done");
        }
        assert_eq!(execute(&mut store, admit(&third)).await, "Admitted([Proceed])");
        assert_eq!(execute(&mut store, admit(&fourth)).await, "Admitted([Poison])");
    }

    #[tokio::test]
    async fn nothing_is_admitted_or_written_where_events_are_missing() {
        let server = RedisServer::start();
        let mut store = store(&server).await;
        let gap = format!("{:?}", StoreResponse::Gap { last: None });
        let once = admission("once", Intent::Run { idempotent: false });
        for operation in [
            StoreOperation::Admit(vec![once.clone()]),
            StoreOperation::UndoDispatch(vec![(once.admission.command.clone(), once.token)]),
            StoreOperation::PushPending(Vec::new()),
            StoreOperation::RemovePending(Vec::new()),
            StoreOperation::SetHead(vec![HeadField::Opened]),
        ] {
            assert_eq!(execute(&mut store, request(Some(id(1)), operation)).await, gap);
        }
        assert_eq!(last(&mut store).await, None);
        assert_eq!(execute(&mut store, admit(&once)).await, "Admitted([Proceed])");
    }
}
