//! Messages to be published, and how they are confirmed.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use lapin::options::BasicPublishOptions;
use lapin::protocol::AMQPSoftError;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation, PublisherConfirm};
use tokio::sync::oneshot;

use crate::amqp::withdrawable::Withdrawable;
use crate::error::{AmqpError, PublishError};

pub(crate) type PublishResult = Result<(), PublishError>;

/// One message to be published.
pub(crate) struct Publication {
    pub(crate) exchange: ShortString,
    pub(crate) key: ShortString,
    pub(crate) body: Bytes,
    pub(crate) properties: BasicProperties,
}

/// What one caller wants published, in order.
pub(crate) struct PublishJob {
    /// Taken by the publish task when it sends them, or withdrawn by the caller on timeout.
    pub(crate) publications: Withdrawable<Vec<Publication>>,
    pub(crate) done: oneshot::Sender<Vec<PublishResult>>,
}

impl Publication {
    /// Starts to publish it, at the first poll.
    pub(crate) fn publish(
        &self,
        channel: &Channel,
        mandatory: bool,
    ) -> impl Future<Output = lapin::Result<PublisherConfirm>> {
        let options = BasicPublishOptions { mandatory, ..BasicPublishOptions::default() };
        let (exchange, key) = (self.exchange.clone(), self.key.clone());
        channel.basic_publish(exchange, key, options, &self.body, self.properties.clone())
    }
}

/// Sends all of them, then waits for their confirms together.
pub(crate) async fn publish_batch(
    channel: &Channel,
    batch: &[&Publication],
    timeout: Duration,
) -> Vec<PublishResult> {
    let confirmed = async {
        let sent = join_all(batch.iter().map(|message| message.publish(channel, true))).await;
        join_all(sent.into_iter().map(|confirm| async { confirm?.await })).await
    };
    match tokio::time::timeout(timeout, confirmed).await {
        Ok(confirmations) => results(batch, confirmations),
        Err(_) => vec![Err(PublishError::Unconfirmed); batch.len()],
    }
}

/// RabbitMQ closes the channel over a message that it may not take. Of several messages nobody knows
/// which one that was.
fn unconfirmed(error: lapin::Error, alone: bool) -> PublishError {
    let error = AmqpError::from(error);
    let refusals = [AMQPSoftError::ACCESSREFUSED, AMQPSoftError::NOTFOUND];
    if alone && refusals.iter().any(|refusal| error.is(refusal)) {
        PublishError::Refused
    } else {
        PublishError::Unconfirmed
    }
}

/// lapin attaches a returned message to whichever confirm comes next; only its id says which
/// message it was.
fn results(
    batch: &[&Publication],
    confirmations: Vec<lapin::Result<Confirmation>>,
) -> Vec<PublishResult> {
    let alone = batch.len() == 1;
    let mut returned = HashSet::new();
    let mut results: Vec<_> = confirmations
        .into_iter()
        .map(|confirmation| {
            let confirmation = confirmation.map_err(|error| unconfirmed(error, alone))?;
            let acknowledged = confirmation.is_ack();
            let message = confirmation.take_message();
            returned.extend(message.map(|message| message.properties.message_id().clone()));
            if acknowledged { Ok(()) } else { Err(PublishError::Refused) }
        })
        .collect();
    for (result, message) in results.iter_mut().zip(batch) {
        if returned.contains(message.properties.message_id()) {
            *result = Err(PublishError::Unroutable);
        }
    }
    results
}
