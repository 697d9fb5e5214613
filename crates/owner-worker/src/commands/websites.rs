//! Websites that the account is logged in to with Telegram.

use schemars::JsonSchema;
use serde::Serialize;
use tdlib::methods::{DisconnectAllWebsites, DisconnectWebsite, GetConnectedWebsites};

use super::args::{Int64, arguments};
use super::{Command, CommandError, Context, Entry, Lane};
use crate::normalize::Id64;
use crate::normalize::websites::Websites;

pub(super) const COMMANDS: &[Entry] =
    &[Entry::of::<GetConnected>(), Entry::of::<Disconnect>(), Entry::of::<DisconnectAll>()];

arguments! {
    /// Lists the websites that the account is logged in to.
    /// Source: TDLib 1.8.61, `getConnectedWebsites`.
    struct GetConnected {}
}

impl Command for GetConnected {
    const NAME: &'static str = "get_connected_websites";
    const LANE: Lane = Lane::Read;
    const IDEMPOTENT: bool = true;
    type Reply = Websites;

    async fn run(self, ctx: &Context) -> Result<Websites, CommandError> {
        Ok(ctx.ask(GetConnectedWebsites).await?.into())
    }
}

arguments! {
    /// Logs the account out of a website. Source: TDLib 1.8.61, `disconnectWebsite`.
    struct Disconnect {
        /// The website, as `get_connected_websites` lists it.
        website_id: Int64,
    }
}

/// What `disconnect_website` has done.
#[derive(Serialize, JsonSchema)]
struct Disconnected {
    /// The website.
    website_id: Id64,
    /// Always true.
    disconnected: bool,
}

impl Command for Disconnect {
    const NAME: &'static str = "disconnect_website";
    const LANE: Lane = Lane::Write;
    const IDEMPOTENT: bool = true;
    const EXAMPLE: &'static str = r#"{"website_id": "987654321"}"#;
    type Reply = Disconnected;

    async fn run(self, ctx: &Context) -> Result<Disconnected, CommandError> {
        let Int64(website_id) = self.website_id;
        ctx.change(DisconnectWebsite { website_id }).await?;
        Ok(Disconnected { website_id: Id64(website_id), disconnected: true })
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

impl Command for DisconnectAll {
    const NAME: &'static str = "disconnect_all_websites";
    const LANE: Lane = Lane::Write;
    // A website that was connected in between would be disconnected too.
    const IDEMPOTENT: bool = false;
    type Reply = AllDisconnected;

    async fn run(self, ctx: &Context) -> Result<AllDisconnected, CommandError> {
        ctx.change(DisconnectAllWebsites).await?;
        Ok(AllDisconnected { disconnected: true })
    }
}
