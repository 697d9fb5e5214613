use contracts::{Names, ShardCount};
use lapin::types::ShortString;
use runtime::Stage;
use settings::BrokerSettings;

use crate::amqp::link::{Keeper, Purpose};
use crate::amqp::outlet::{Outcome, Outlet};
use crate::amqp::topology::Topology;
use crate::amqp::wire;
use crate::calls::Calls;
use crate::error::Error;
use crate::message::Message;

/// Where a publisher's commands go.
#[derive(Clone)]
pub(crate) struct Commands {
    exchange: ShortString,
    outlet: Outlet,
}

impl Commands {
    pub(crate) fn start(
        stage: &Stage,
        settings: &BrokerSettings,
        names: Names,
        count: ShardCount,
    ) -> Result<Self, Error> {
        let (timeout, queue_type) = (settings.timeout(), settings.queue_type);
        let exchange = names.commands_exchange().into();
        let topology = Topology { names, count, queue_type, timeout };
        let keeper = Keeper::new(settings, Purpose::Publish, topology)?;
        Ok(Self { exchange, outlet: Outlet::start(stage, keeper, timeout, stage.stopping()) })
    }

    pub(crate) fn calls(&self) -> &Calls {
        self.outlet.calls()
    }

    /// Publishes; the outcomes in order.
    pub(crate) async fn publish(&self, messages: Vec<Message>) -> Vec<Outcome> {
        let command = |message| wire::command(self.exchange.clone(), message);
        self.outlet.publish(messages.into_iter().map(command).collect()).await
    }
}
