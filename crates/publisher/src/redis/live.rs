//! A live subscription: a connection of its own, as Redis demands.

use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use deadpool_redis::redis::aio::{PubSubSink, PubSubStream};
use deadpool_redis::redis::{Msg, RedisError};
use futures_util::StreamExt;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tracing::debug;

use crate::redis::Server;
use crate::stored::Stored;

/// How often a silent subscription is asked whether it still stands.
const PING_EVERY: Duration = Duration::from_secs(5);
/// Channels named in one SUBSCRIBE.
const CHANNELS_AT_ONCE: usize = 512;

pub(crate) struct RedisLive {
    sink: PubSubSink,
    stream: PubSubStream,
    ping: Interval,
    timeout: Duration,
}

impl RedisLive {
    pub(super) async fn subscribe(
        server: &Server,
        channels: Vec<String>,
    ) -> Result<Self, RedisError> {
        let attempt = async {
            let (mut sink, stream) = server.client.get_async_pubsub().await?.split();
            for channels in channels.chunks(CHANNELS_AT_ONCE) {
                sink.subscribe(channels).await?;
            }
            Ok::<_, RedisError>((sink, stream))
        };
        let (sink, stream) = timeout(server.timeout, attempt)
            .await
            .map_err(|_| RedisError::from(io::Error::from(io::ErrorKind::TimedOut)))??;
        let mut ping = interval(PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { sink, stream, ping, timeout: server.timeout })
    }

    /// The next event; `None` when the subscription is lost.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing that was received is lost.
    pub(crate) async fn next(&mut self) -> Option<Stored> {
        loop {
            let message = tokio::select! {
                biased;
                message = self.stream.next() => message?,
                _ = self.ping.tick() => {
                    self.check().await?;
                    continue;
                }
            };
            if let Some(event) = read(&message) {
                return Some(event);
            }
        }
    }

    async fn check(&mut self) -> Option<()> {
        let answer = pin!(self.sink.ping::<deadpool_redis::redis::Value>());
        timeout(self.timeout, answer).await.ok()?.ok().map(drop)
    }
}

fn read(message: &Msg) -> Option<Stored> {
    let event = Stored::read(Bytes::copy_from_slice(message.get_payload_bytes()));
    if event.is_none() {
        debug!(channel = message.get_channel_name(), "a live message is not an event");
    }
    event
}
