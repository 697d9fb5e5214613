//! Settings of an account, except for privacy.

use grammers_tl_types::{enums, functions, types};

use super::{CallContext, MethodEntry, MethodHandler, RpcError, notify};
use crate::model::AccountChange;

pub(super) const METHODS: &[MethodEntry] = &[
    MethodEntry::of::<functions::account::GetAccountTtl>(),
    MethodEntry::of::<functions::account::SetAccountTtl>(),
    MethodEntry::of::<functions::account::UpdateProfile>(),
    MethodEntry::of::<functions::messages::GetDefaultHistoryTtl>(),
    MethodEntry::of::<functions::messages::SetDefaultHistoryTtl>(),
];

/// Minimum and maximum days that an account may be without a session.
const ACCOUNT_TTL_DAYS: (i32, i32) = (30, 730);
/// Maximum length of a bio in characters, without Premium.
const MAX_ABOUT: usize = 70;
/// Maximum time in seconds until messages are deleted.
const MAX_HISTORY_TTL_S: i32 = 31_536_000;

impl MethodHandler for functions::account::GetAccountTtl {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let days = ctx.account()?.ttl_days;
        Ok(enums::AccountDaysTtl::Ttl(types::AccountDaysTtl { days }))
    }
}

impl MethodHandler for functions::account::SetAccountTtl {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let enums::AccountDaysTtl::Ttl(ttl) = self.ttl;
        if !(ACCOUNT_TTL_DAYS.0..=ACCOUNT_TTL_DAYS.1).contains(&ttl.days) {
            return Err(RpcError::bad_request("TTL_DAYS_INVALID"));
        }
        ctx.account()?.ttl_days = ttl.days;
        Ok(true)
    }
}

impl MethodHandler for functions::account::UpdateProfile {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        if self.first_name.as_ref().is_some_and(String::is_empty) {
            return Err(RpcError::bad_request("FIRSTNAME_INVALID"));
        }
        if self.about.as_ref().is_some_and(|about| MAX_ABOUT < about.chars().count()) {
            return Err(RpcError::bad_request("ABOUT_TOO_LONG"));
        }
        let me = ctx.me()?;
        if let Some(person) = ctx.world.user_mut(me) {
            let keep = |old: &mut String, new: Option<String>| {
                *old = new.unwrap_or_else(|| std::mem::take(old));
            };
            keep(&mut person.first_name, self.first_name);
            keep(&mut person.last_name, self.last_name);
            keep(&mut person.about, self.about);
        }
        notify::record_change(ctx, AccountChange::User(me))?;
        Ok(ctx.view()?.user(me))
    }
}

impl MethodHandler for functions::messages::GetDefaultHistoryTtl {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let period = ctx.account()?.history_ttl_s;
        Ok(enums::DefaultHistoryTtl::Ttl(types::DefaultHistoryTtl { period }))
    }
}

impl MethodHandler for functions::messages::SetDefaultHistoryTtl {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        if !(0..=MAX_HISTORY_TTL_S).contains(&self.period) {
            return Err(RpcError::bad_request("TTL_PERIOD_INVALID"));
        }
        ctx.account()?.history_ttl_s = self.period;
        Ok(true)
    }
}
