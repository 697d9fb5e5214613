//! Login by phone number and code.
//!
//! The answer says which state the account is in now; what is asked of the user next also comes as
//! an event of its own (`code_required`, `authorized`), as the account's state changes.

use serde::Serialize;
use settings::{ExposeSecret, SecretString};
use tdlib::methods::{
    CheckAuthenticationCode, GetAuthorizationState, SetAuthenticationPhoneNumber,
};

use super::args::arguments;
use super::{Command, CommandError, Context, Entry, Lane, Needs};
use crate::account::state::AccountState;

pub(super) const COMMANDS: &[Entry] = &[Entry::of::<Start>(), Entry::of::<SendCode>()];

/// Where the login stands.
#[derive(Serialize)]
struct LoginState {
    state: AccountState,
}

arguments! {
    /// Begins a login. Source: TDLib 1.8.61, `setAuthenticationPhoneNumber`.
    struct Start {
        /// International phone number, with or without `+`.
        phone: SecretString,
    }
}

impl Command for Start {
    const NAME: &'static str = "start";
    const LANE: Lane = Lane::Write;
    // Telegram sends another code.
    const IDEMPOTENT: bool = false;
    const NEEDS: Needs = Needs::LoginStart;
    type Reply = LoginState;

    async fn run(self, ctx: &mut Context) -> Result<LoginState, CommandError> {
        if state(ctx).await? != AccountState::Ready {
            let phone_number = self.phone.expose_secret();
            ctx.ask(SetAuthenticationPhoneNumber { phone_number, settings: None }).await?;
        }
        Ok(LoginState { state: state(ctx).await? })
    }
}

arguments! {
    /// Gives the login code. Source: TDLib 1.8.61, `checkAuthenticationCode`.
    struct SendCode {
        /// The digits, as Telegram sent them.
        code: SecretString,
    }
}

impl Command for SendCode {
    const NAME: &'static str = "send_code";
    const LANE: Lane = Lane::Write;
    const IDEMPOTENT: bool = false;
    const NEEDS: Needs = Needs::Code;
    type Reply = LoginState;

    async fn run(self, ctx: &mut Context) -> Result<LoginState, CommandError> {
        ctx.ask(CheckAuthenticationCode { code: self.code.expose_secret() }).await?;
        Ok(LoginState { state: state(ctx).await? })
    }
}

async fn state(ctx: &mut Context) -> Result<AccountState, CommandError> {
    let state = ctx.ask(GetAuthorizationState).await?;
    Ok(AccountState::of(&state))
}
