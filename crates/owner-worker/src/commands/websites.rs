//! Websites that the account is logged in to with Telegram.

use schemars::JsonSchema;
use serde::Serialize;
use tdlib::methods::{DisconnectAllWebsites, DisconnectWebsite, GetConnectedWebsites};

use super::args::{Int64, arguments};
use super::command::{Access, AccountCommand, CommandEntry};
use super::context::Context;
use super::error::CommandError;
use crate::normalize::Id64;
use crate::normalize::websites::WebsiteList;

pub(super) const COMMANDS: &[CommandEntry] = &[
    CommandEntry::of::<GetConnected>(),
    CommandEntry::of::<DisconnectOne>(),
    CommandEntry::of::<DisconnectAll>(),
];

arguments! {
    /// Lists the websites that the account is logged in to.
    /// Source: TDLib 1.8.61, `getConnectedWebsites`.
    struct GetConnected {}
}

impl AccountCommand for GetConnected {
    const NAME: &'static str = "get_connected_websites";
    const ACCESS: Access = Access::Read;
    const IDEMPOTENT: bool = true;
    type Reply = WebsiteList;

    async fn run(self, ctx: &Context) -> Result<WebsiteList, CommandError> {
        Ok(ctx.ask(GetConnectedWebsites).await?.into())
    }
}

arguments! {
    /// Logs the account out of a website. Source: TDLib 1.8.61, `disconnectWebsite`.
    struct DisconnectOne {
        /// The website, as `get_connected_websites` lists it.
        website_id: Int64,
    }
}

/// What `disconnect_website` has done.
#[derive(Serialize, JsonSchema)]
struct DisconnectedWebsite {
    /// The website.
    website_id: Id64,
    /// Always true.
    disconnected: bool,
}

impl AccountCommand for DisconnectOne {
    const NAME: &'static str = "disconnect_website";
    const ACCESS: Access = Access::Write;
    const IDEMPOTENT: bool = true;
    const EXAMPLE: &'static str = r#"{"website_id": "987654321"}"#;
    type Reply = DisconnectedWebsite;

    async fn run(self, ctx: &Context) -> Result<DisconnectedWebsite, CommandError> {
        let Int64(website_id) = self.website_id;
        ctx.change(DisconnectWebsite { website_id }).await?;
        Ok(DisconnectedWebsite { website_id: Id64(website_id), disconnected: true })
    }
}

arguments! {
    /// Logs the account out of all websites. Source: TDLib 1.8.61, `disconnectAllWebsites`.
    struct DisconnectAll {}
}

/// What `disconnect_all_websites` has done.
#[derive(Serialize, JsonSchema)]
struct AllDisconnected {
    /// Always true.
    disconnected: bool,
}

impl AccountCommand for DisconnectAll {
    const NAME: &'static str = "disconnect_all_websites";
    const ACCESS: Access = Access::Write;
    // A website that was connected in between would be disconnected too.
    const IDEMPOTENT: bool = false;
    type Reply = AllDisconnected;

    async fn run(self, ctx: &Context) -> Result<AllDisconnected, CommandError> {
        ctx.change(DisconnectAllWebsites).await?;
        Ok(AllDisconnected { disconnected: true })
    }
}
