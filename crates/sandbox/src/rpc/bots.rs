//! Logging in as a bot.

use grammers_tl_types::functions;

use super::{Ctx, Entry, Handle, RpcError, login};

pub(super) const METHODS: &[Entry] = &[Entry::of::<functions::auth::ImportBotAuthorization>()];

impl Handle for functions::auth::ImportBotAuthorization {
    const NEEDS_LOGIN: bool = false;

    fn handle(self, ctx: &mut Ctx<'_>) -> Result<Self::Return, RpcError> {
        let user = ctx.world.bot_tokens.get(&self.bot_auth_token).copied();
        login::admit(ctx, user.ok_or(RpcError::bad_request("ACCESS_TOKEN_INVALID"))?)
    }
}
