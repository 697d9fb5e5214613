use grammers_tl_types::{enums, functions, types};

use super::{Ctx, Entry, Handle, RpcError};
use crate::keys::KeyId;
use crate::model::LoginSession;

pub(super) const METHODS: &[Entry] = &[
    Entry::of::<functions::account::GetAuthorizations>(),
    Entry::of::<functions::account::ResetAuthorization>(),
];

impl Handle for functions::account::GetAuthorizations {
    fn handle(self, ctx: &mut Ctx<'_>) -> Result<Self::Return, RpcError> {
        let key = ctx.caller.key;
        let account = ctx.account()?;
        let authorizations = account.sessions.iter().map(|session| describe(session, key));
        let authorizations = types::account::Authorizations {
            authorization_ttl_days: account.session_ttl_days,
            authorizations: authorizations.collect(),
        };
        Ok(enums::account::Authorizations::Authorizations(authorizations))
    }
}

impl Handle for functions::account::ResetAuthorization {
    fn handle(self, ctx: &mut Ctx<'_>) -> Result<Self::Return, RpcError> {
        match ctx.world.revoke(ctx.caller.key, |session| session.hash == self.hash) {
            0 => Err(RpcError::bad_request("HASH_INVALID")),
            _ => Ok(true),
        }
    }
}

fn describe(session: &LoginSession, caller: KeyId) -> enums::Authorization {
    let device = session.device.clone();
    let current = session.key == Some(caller);
    enums::Authorization::Authorization(types::Authorization {
        current,
        official_app: false,
        password_pending: false,
        encrypted_requests_disabled: false,
        call_requests_disabled: false,
        unconfirmed: false,
        // A client knows its own session by this number.
        hash: if current { 0 } else { session.hash },
        device_model: device.model,
        platform: device.platform,
        system_version: device.system_version,
        api_id: device.api_id,
        app_name: device.app_name,
        app_version: device.app_version,
        date_created: session.created,
        date_active: session.active,
        ip: device.ip,
        country: device.country,
        region: String::new(),
    })
}
