use schemars::JsonSchema;
use serde::Serialize;
use tdlib::answers::WebsiteLogins;
use tdlib::types::ConnectedWebsite;

use super::Id64;

/// Result of `get_connected_websites`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct WebsiteList {
    /// Websites that the account is logged in to.
    websites: Vec<WebsiteItem>,
}

/// One website.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Website")]
pub(crate) struct WebsiteItem {
    /// 64 bits, so a decimal string on the wire.
    id: Id64,
    /// Its domain.
    domain_name: String,
    /// The bot that belongs to it.
    bot_user_id: i64,
    /// Browser of the login.
    browser: String,
    /// Operating system of the browser.
    platform: String,
    /// Unix seconds.
    log_in_date: i32,
    /// Unix seconds.
    last_active_date: i32,
    /// IP address of the login.
    ip_address: String,
    /// Place that belongs to the IP address, in words.
    location: String,
}

impl From<WebsiteLogins> for WebsiteList {
    fn from(given: WebsiteLogins) -> Self {
        Self { websites: given.websites.into_iter().map(WebsiteItem::from).collect() }
    }
}

impl From<ConnectedWebsite> for WebsiteItem {
    fn from(given: ConnectedWebsite) -> Self {
        Self {
            id: Id64(given.id),
            domain_name: given.domain_name,
            bot_user_id: given.bot_user_id,
            browser: given.browser,
            platform: given.platform,
            log_in_date: given.log_in_date,
            last_active_date: given.last_active_date,
            ip_address: given.ip_address,
            location: given.location,
        }
    }
}
