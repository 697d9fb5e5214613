//! Login as a bot.

use grammers_tl_types::functions;

use super::{CallContext, MethodEntry, MethodHandler, RpcError, login};

pub(super) const METHODS: &[MethodEntry] =
    &[MethodEntry::of::<functions::auth::ImportBotAuthorization>()];

impl MethodHandler for functions::auth::ImportBotAuthorization {
    const NEEDS_LOGIN: bool = false;

    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let user = ctx.world.bot_tokens.get(&self.bot_auth_token).copied();
        login::request_password_or_log_in(
            ctx,
            user.ok_or(RpcError::bad_request("ACCESS_TOKEN_INVALID"))?,
        )
    }
}
