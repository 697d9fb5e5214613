//! Sessions: the devices an account is logged in on.

use tdlib::methods::GetActiveSessions;

use super::args::arguments;
use super::{Command, CommandError, Context, Entry, Lane};
use crate::normalize::sessions::Sessions;

pub(super) const COMMANDS: &[Entry] = &[Entry::of::<ListActive>()];

arguments! {
    /// Lists the account's sessions. Source: TDLib 1.8.61, `getActiveSessions`.
    struct ListActive {}
}

impl Command for ListActive {
    const NAME: &'static str = "get_active_sessions";
    const LANE: Lane = Lane::Read;
    const IDEMPOTENT: bool = true;
    type Reply = Sessions;

    async fn run(self, ctx: &mut Context) -> Result<Sessions, CommandError> {
        Ok(ctx.ask(GetActiveSessions).await?.into())
    }
}
