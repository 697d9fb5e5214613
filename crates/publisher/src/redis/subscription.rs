//! A live subscription: a separate connection, as Redis requires.

use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use deadpool_redis::redis::aio::{PubSubSink, PubSubStream};
use deadpool_redis::redis::{Msg, RedisError};
use futures_util::StreamExt;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tracing::debug;

use crate::redis::client::RedisClient;
use crate::stored::StoredEvent;

/// How often the connection is checked.
const PING_EVERY: Duration = Duration::from_secs(5);
/// Channels in one SUBSCRIBE.
const CHANNELS_AT_ONCE: usize = 512;

pub(crate) struct RedisSubscription {
    sink: PubSubSink,
    stream: PubSubStream,
    ping: Interval,
    timeout: Duration,
}

impl RedisSubscription {
    pub(super) async fn subscribe(
        client: &RedisClient,
        channels: Vec<String>,
    ) -> Result<Self, RedisError> {
        let attempt = async {
            let (mut sink, stream) = client.client.get_async_pubsub().await?.split();
            for channels in channels.chunks(CHANNELS_AT_ONCE) {
                sink.subscribe(channels).await?;
            }
            Ok::<_, RedisError>((sink, stream))
        };
        let (sink, stream) = timeout(client.timeout, attempt)
            .await
            .map_err(|_| RedisError::from(io::Error::from(io::ErrorKind::TimedOut)))??;
        let mut ping = interval(PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { sink, stream, ping, timeout: client.timeout })
    }

    /// The next event; `None` when the subscription is lost.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing that was received is lost.
    pub(crate) async fn next(&mut self) -> Option<StoredEvent> {
        loop {
            let message = tokio::select! {
                biased;
                message = self.stream.next() => message?,
                _ = self.ping.tick() => {
                    self.check_connection().await?;
                    continue;
                }
            };
            if let Some(event) = read_event(&message) {
                return Some(event);
            }
        }
    }

    async fn check_connection(&mut self) -> Option<()> {
        let answer = pin!(self.sink.ping::<deadpool_redis::redis::Value>());
        timeout(self.timeout, answer).await.ok()?.ok().map(drop)
    }
}

fn read_event(message: &Msg) -> Option<StoredEvent> {
    let event = StoredEvent::read(Bytes::copy_from_slice(message.get_payload_bytes()));
    if event.is_none() {
        debug!(channel = message.get_channel_name(), "a live message is not an event");
    }
    event
}
