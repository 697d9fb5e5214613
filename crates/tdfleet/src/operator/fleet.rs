use ownership::FleetClient;
use settings::Settings;

use crate::installation;

/// The fleet whose records are in the settings' Redis.
pub(super) fn fleet(settings: &Settings) -> anyhow::Result<FleetClient> {
    let publisher = &settings.publisher;
    Ok(FleetClient::new(&publisher.uri, publisher.timeout(), installation::names(settings))?)
}
