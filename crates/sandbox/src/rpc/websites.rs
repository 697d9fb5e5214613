//! Websites that an account has logged in to.

use grammers_tl_types::{enums, functions, types};

use super::{CallContext, MethodEntry, MethodHandler, RpcError};
use crate::model::Website;

pub(super) const METHODS: &[MethodEntry] = &[
    MethodEntry::of::<functions::account::GetWebAuthorizations>(),
    MethodEntry::of::<functions::account::ResetWebAuthorization>(),
    MethodEntry::of::<functions::account::ResetWebAuthorizations>(),
];

impl MethodHandler for functions::account::GetWebAuthorizations {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let websites = ctx.account()?.websites.clone();
        let users = ctx.view()?.users(websites.iter().map(|site| site.bot));
        let authorizations = websites.into_iter().map(describe).collect();
        let all = types::account::WebAuthorizations { authorizations, users };
        Ok(enums::account::WebAuthorizations::Authorizations(all))
    }
}

impl MethodHandler for functions::account::ResetWebAuthorization {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let websites = &mut ctx.account()?.websites;
        match websites.iter().position(|site| site.hash == self.hash) {
            None => Err(RpcError::bad_request("HASH_INVALID")),
            Some(place) => {
                websites.remove(place);
                Ok(true)
            }
        }
    }
}

impl MethodHandler for functions::account::ResetWebAuthorizations {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        ctx.account()?.websites.clear();
        Ok(true)
    }
}

fn describe(site: Website) -> enums::WebAuthorization {
    enums::WebAuthorization::Authorization(types::WebAuthorization {
        hash: site.hash,
        bot_id: site.bot.0,
        domain: site.domain,
        browser: site.browser,
        platform: site.platform,
        date_created: site.created,
        date_active: site.active,
        ip: site.ip,
        region: site.region,
    })
}
