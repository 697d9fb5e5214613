//! The writer's side of Redis: one connection, two scripts, one pipeline per batch.

use contracts::Names;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Pipeline, Value, cmd};
use settings::PublisherSettings;

use crate::redis::Server;
use crate::redis::answer::{is_no_script, verdict};
use crate::redis::command::Speller;
use crate::redis::script::Shas;
use crate::store::{Call, Outage, Store, Verdict};

pub(crate) struct RedisStore {
    server: Server,
    speller: Speller,
    link: Option<Link>,
}

struct Link {
    connection: MultiplexedConnection,
    scripts: Shas,
}

impl RedisStore {
    pub(crate) fn new(server: Server, settings: PublisherSettings, names: Names) -> Self {
        Self { server, speller: Speller { names, settings }, link: None }
    }

    fn pipeline(&self, scripts: &Shas, calls: &[Call]) -> Pipeline {
        let mut pipeline = Pipeline::with_capacity(calls.len());
        for call in calls {
            pipeline.add_command(self.speller.command(scripts, call));
        }
        pipeline
    }

    async fn ask(&mut self, calls: &[Call]) -> Result<Vec<Value>, Outage> {
        let Some(mut link) = self.link.take() else {
            return Err(Outage::Refusing("not connected".to_owned()));
        };
        let mut pipeline = self.pipeline(&link.scripts, calls);
        let mut answers = link.connection.send_packed_commands(&pipeline, 0, calls.len()).await;
        if answers.as_ref().is_ok_and(|answers| answers.iter().any(is_no_script)) {
            // Somebody flushed the scripts. What did run changes nothing more the second time.
            link.scripts = Shas::load(&mut link.connection).await.map_err(Outage::Answer)?;
            pipeline = self.pipeline(&link.scripts, calls);
            answers = link.connection.send_packed_commands(&pipeline, 0, calls.len()).await;
        }
        let answers = answers.map_err(Outage::Answer)?;
        self.link = Some(link);
        Ok(answers)
    }
}

impl Store for RedisStore {
    fn place(&self) -> &str {
        &self.server.place
    }

    async fn connect(&mut self) -> Result<(), Outage> {
        self.link = None;
        let mut connection = self.server.connect().await.map_err(Outage::Connect)?;
        let scripts = Shas::load(&mut connection).await.map_err(Outage::Answer)?;
        self.link = Some(Link { connection, scripts });
        Ok(())
    }

    async fn ping(&mut self) -> Result<(), Outage> {
        let Some(link) = &mut self.link else {
            return Err(Outage::Refusing("not connected".to_owned()));
        };
        cmd("PING").exec_async(&mut link.connection).await.map_err(Outage::Answer)
    }

    async fn run(&mut self, calls: &[Call]) -> Result<Vec<Verdict>, Outage> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let answers = self.ask(calls).await?;
        let calls = calls.iter().map(|call| call.account);
        calls.zip(answers).map(|(account, answer)| verdict(account, answer)).collect()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use contracts::{AccountId, CommandId, Epoch, EventId};
    use deadpool_redis::redis::Client;
    use futures_util::StreamExt;
    use log_port::{Admission, CommandFingerprint, Intent};
    use test_servers::redis::RedisServer;

    use settings::SecretString;

    use super::*;
    use crate::store::{Act, Asked, Block, Entry, Token};
    use crate::stored::Stored;

    fn id(n: u64) -> EventId {
        EventId { epoch: Epoch(7), n }
    }

    fn call(last: Option<EventId>, act: Act) -> Call {
        Call { account: AccountId::new(1).unwrap(), epoch: Epoch(7), served: true, last, act }
    }

    fn before(n: u64) -> Option<EventId> {
        (n > 1).then(|| id(n - 1))
    }

    /// Events `numbers` with `text` in them, which happened at that many milliseconds.
    fn block(numbers: std::ops::RangeInclusive<u64>, text: &str) -> Block {
        let entry = |n: u64| Entry {
            event: Stored {
                account: AccountId::new(1).unwrap(),
                id: id(n),
                prev: before(n),
                json: Bytes::from(format!("{n} {text}")),
            },
            at: i64::try_from(n).unwrap(),
            completion: None,
        };
        Block::new(numbers.map(entry).collect())
    }

    fn append(block: Block) -> Call {
        call(block.entries[0].event.prev, Act::Append(block))
    }

    async fn store(server: &RedisServer) -> RedisStore {
        let settings =
            PublisherSettings { uri: server.uri().into(), ..PublisherSettings::default() };
        let server = Server::new(&settings.uri, settings.timeout()).unwrap();
        let mut store = RedisStore::new(server, settings, Names::default());
        store.connect().await.unwrap();
        store
    }

    async fn run(store: &mut RedisStore, call: Call) -> String {
        format!("{:?}", store.run(&[call]).await.unwrap().remove(0))
    }

    async fn last(store: &mut RedisStore) -> Option<EventId> {
        let claim = call(None, Act::Claim { pending: false });
        match store.run(&[claim]).await.unwrap().remove(0) {
            Verdict::Claimed(head) => head.last,
            other => panic!("a claim, not {other:?}"),
        }
    }

    #[tokio::test]
    async fn the_same_block_twice_is_stored_and_published_once() {
        let server = RedisServer::start();
        let mut store = store(&server).await;
        let client = Client::open(server.uri()).unwrap();
        let mut live = client.get_async_pubsub().await.unwrap();
        live.subscribe("tdfleet:{1}:live").await.unwrap();
        let again = || append(block(1..=2, "a"));
        assert_eq!(run(&mut store, again()).await, "Stored { unheard: 0 }");
        assert_eq!(run(&mut store, again()).await, "Already");
        let gap = |n| format!("{:?}", Verdict::Gap { last: Some(id(n)) });
        assert_eq!(run(&mut store, append(block(1..=2, "b"))).await, gap(2));
        assert_eq!(run(&mut store, append(block(3..=3, "c"))).await, "Stored { unheard: 0 }");
        assert_eq!(run(&mut store, again()).await, gap(3));
        let live: Vec<String> =
            live.on_message().take(3).map(|message| message.get_payload().unwrap()).collect().await;
        assert_eq!(live, ["1 a", "2 a", "3 c"]);
    }

    #[tokio::test]
    async fn a_restore_stores_what_is_lacking_and_may_leave_a_gap() {
        let server = RedisServer::start();
        let mut store = store(&server).await;
        run(&mut store, append(block(1..=2, "a"))).await;
        let restore = || call(Some(id(1)), Act::Restore(block(2..=4, "a")));
        assert_eq!(run(&mut store, restore()).await, "Stored { unheard: 2 }");
        assert_eq!(run(&mut store, restore()).await, "Stored { unheard: 0 }");
        assert_eq!(last(&mut store).await, Some(id(4)));
        let far = call(Some(id(8)), Act::Restore(block(9..=9, "a")));
        assert_eq!(run(&mut store, far).await, "Stored { unheard: 1 }");
        let nothing = call(Some(id(20)), Act::Restore(Block::new(Vec::new())));
        assert_eq!(run(&mut store, nothing).await, "Stored { unheard: 0 }");
        assert_eq!(last(&mut store).await, Some(id(20)));
    }

    #[tokio::test]
    async fn a_head_that_was_evicted_is_read_off_the_log() {
        let server = RedisServer::start();
        let mut store = store(&server).await;
        run(&mut store, append(block(1..=2, "a"))).await;
        let client = Client::open(server.uri()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        cmd("DEL").arg("tdfleet:{1}:head").exec_async(&mut connection).await.unwrap();
        assert_eq!(last(&mut store).await, Some(id(2)));
    }

    #[tokio::test]
    async fn events_that_are_too_old_are_dropped_from_the_front() {
        let server = RedisServer::start();
        let mut store = store(&server).await;
        let client = Client::open(server.uri()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut left = async || -> Vec<String> {
            let entries: Vec<(String, Value)> = cmd("XRANGE")
                .arg(&["tdfleet:{1}:log", "-", "+"])
                .query_async(&mut connection)
                .await
                .unwrap();
            entries.into_iter().map(|(id, _)| id).collect()
        };
        run(&mut store, append(block(1..=250, "a"))).await;
        let mut late = block(251..=253, "a");
        // The second of these happened long before the first.
        late.entries[1].at = 0;
        run(&mut store, append(Block { drop_before: Some(241), ..late })).await;
        assert_eq!(left().await.len(), 13);
        assert_eq!(left().await[0], "7-241");
        let end = Block { drop_before: Some(251), ..block(254..=254, "a") };
        run(&mut store, append(end)).await;
        assert_eq!(left().await, ["7-251", "7-252", "7-253", "7-254"]);
        let all = Block { drop_before: Some(1000), ..block(255..=255, "a") };
        run(&mut store, append(all)).await;
        assert!(left().await.is_empty());
        assert_eq!(last(&mut store).await, Some(id(255)));
        run(&mut store, append(block(256..=256, "a"))).await;
        assert_eq!(left().await, ["7-256"]);
    }

    fn asked(id: &str, intent: Intent) -> Asked {
        let begin = Admission {
            command: CommandId::new(id).unwrap(),
            fingerprint: CommandFingerprint(1),
            intent,
        };
        Asked { begin, token: Token::random() }
    }

    fn begin(asked: &Asked) -> Call {
        call(None, Act::Admit(vec![asked.clone()]))
    }

    #[tokio::test]
    async fn a_hand_over_that_is_said_twice_counts_once() {
        let server = RedisServer::start();
        let mut store = store(&server).await;
        let once = asked("once", Intent::Run { idempotent: false });
        let again = || asked("again", Intent::Run { idempotent: true });
        let (first, second, third) = (again(), again(), again());
        for _ in 0..3 {
            assert_eq!(run(&mut store, begin(&once)).await, "Begun([Go])");
            assert_eq!(run(&mut store, begin(&first)).await, "Begun([Go])");
        }
        for _ in 0..3 {
            assert_eq!(run(&mut store, begin(&second)).await, "Begun([Go])");
        }
        assert_eq!(run(&mut store, begin(&third)).await, "Begun([Poison])");
    }

    #[tokio::test]
    async fn a_hand_over_that_is_taken_back_twice_is_taken_back_once() {
        let server = RedisServer::start();
        let mut store = store(&server).await;
        let again = || asked("again", Intent::Run { idempotent: true });
        let (first, second, third, fourth) = (again(), again(), again(), again());
        run(&mut store, begin(&first)).await;
        run(&mut store, begin(&second)).await;
        let leave = |asked: &Asked| {
            call(None, Act::UndoDispatch(vec![(asked.begin.command.clone(), asked.token)]))
        };
        for _ in 0..3 {
            assert_eq!(run(&mut store, leave(&second)).await, "Done");
            assert_eq!(run(&mut store, leave(&first)).await, "Done");
        }
        assert_eq!(run(&mut store, begin(&third)).await, "Begun([Go])");
        assert_eq!(run(&mut store, begin(&fourth)).await, "Begun([Poison])");
    }

    #[tokio::test]
    async fn nothing_is_begun_or_written_down_where_events_are_lacking() {
        let server = RedisServer::start();
        let mut store = store(&server).await;
        let gap = format!("{:?}", Verdict::Gap { last: None });
        let once = asked("once", Intent::Run { idempotent: false });
        for act in [
            Act::Admit(vec![once.clone()]),
            Act::UndoDispatch(vec![(once.begin.command.clone(), once.token)]),
            Act::PushPending(Vec::new()),
            Act::RemovePending(Vec::new()),
            Act::SetHead(vec![contracts::HeadField::Opened]),
        ] {
            assert_eq!(run(&mut store, call(Some(id(1)), act)).await, gap);
        }
        assert_eq!(last(&mut store).await, None);
        assert_eq!(run(&mut store, begin(&once)).await, "Begun([Go])");
    }

    #[test]
    fn a_password_never_shows() {
        let uri = SecretString::from("redis://user:hunter2@redis.example:7000/0");
        let server = Server::new(&uri, std::time::Duration::from_secs(1)).unwrap();
        assert_eq!(server.place, "redis.example:7000");
        let error = Server::new(&"redis://user:hunter2@:x".into(), server.timeout).err().unwrap();
        assert!(!runtime::error_chain(&error).contains("hunter2"));
    }
}
