//! A backend's connection to RabbitMQ, with confirms; reconnects after every fault.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind,
};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

/// Longest wait for a connection or a confirm.
const PATIENCE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(200);
/// Channels; each account always uses the same one, so that its commands stay in order.
const CHANNELS: usize = 8;
const EXCHANGE: &str = "tdfleet.commands";

struct BusConnection {
    _connection: Connection,
    channels: Vec<Channel>,
}

/// Publishes commands, on a connection that is replaced when it breaks.
pub(crate) struct CommandBus {
    uri: String,
    link: Mutex<Option<Arc<BusConnection>>>,
}

impl CommandBus {
    pub(crate) fn new(uri: String) -> Self {
        Self { uri, link: Mutex::default() }
    }

    /// Publishes a command once, and returns whether RabbitMQ has confirmed it.
    pub(crate) async fn publish(&self, account: u32, key: &str, body: &[u8], id: &str) -> bool {
        let Some(link) = self.link().await else {
            sleep(RETRY).await;
            return false;
        };
        let channel = &link.channels[account as usize % CHANNELS];
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties =
            BasicProperties::default().with_delivery_mode(2).with_message_id(id.into());
        let publish = async {
            let confirm =
                channel.basic_publish(EXCHANGE.into(), key.into(), options, body, properties);
            confirm.await?.await
        };
        let confirmed = matches!(timeout(PATIENCE, publish).await, Ok(Ok(Confirmation::Ack(None))));
        if !confirmed {
            self.link.lock().await.take_if(|current| Arc::ptr_eq(current, &link));
            sleep(RETRY).await;
        }
        confirmed
    }

    /// Waits until a worker has declared the exchange.
    pub(crate) async fn wait_until_declared(&self) {
        let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        loop {
            if let Some(link) = self.link().await {
                let (name, kind) = (EXCHANGE.into(), ExchangeKind::Topic);
                let channel = &link.channels[0];
                if channel
                    .exchange_declare(name, kind, options, FieldTable::default())
                    .await
                    .is_ok()
                {
                    return;
                }
                // RabbitMQ has closed the channel because the exchange does not exist.
                self.link.lock().await.take();
            }
            sleep(RETRY).await;
        }
    }

    /// Declares a queue.
    pub(crate) async fn declare(&self, queue: &str) {
        let link = self.link().await.expect("RabbitMQ answers");
        let options = QueueDeclareOptions::default();
        link.channels[0].queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
    }

    async fn link(&self) -> Option<Arc<BusConnection>> {
        let mut link = self.link.lock().await;
        if link.is_none() {
            *link = timeout(PATIENCE, connect(&self.uri)).await.ok()?.ok().map(Arc::new);
        }
        link.clone()
    }
}

async fn connect(uri: &str) -> Result<BusConnection, lapin::Error> {
    let connection = Connection::connect(uri, ConnectionProperties::default()).await?;
    let mut channels = Vec::new();
    for _ in 0..CHANNELS {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        channels.push(channel);
    }
    Ok(BusConnection { _connection: connection, channels })
}
