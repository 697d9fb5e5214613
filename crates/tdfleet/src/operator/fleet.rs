use ownership::Fleet;
use settings::Settings;

use crate::installation;

/// The fleet whose records are in the settings' Redis.
pub(super) fn fleet(settings: &Settings) -> anyhow::Result<Fleet> {
    let publisher = &settings.publisher;
    Ok(Fleet::new(&publisher.uri, publisher.timeout(), installation::names(settings))?)
}
