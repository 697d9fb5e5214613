//! Login by phone number and code.
//!
//! The answer says which state the account is in now; what is asked of the user next also comes as
//! an event of its own (`code_required`, `authorized`), as the account's state changes.

use schemars::JsonSchema;
use serde::Serialize;
use settings::{ExposeSecret, SecretString};
use tdlib::methods::{
    CheckAuthenticationCode, GetAuthorizationState, SetAuthenticationPhoneNumber,
};

use super::args::arguments;
use super::command::{Access, AccountCommand, CommandEntry, Needs};
use super::context::Context;
use super::error::CommandError;
use crate::account_state::AccountState;

pub(super) const COMMANDS: &[CommandEntry] =
    &[CommandEntry::of::<StartLogin>(), CommandEntry::of::<SendCode>()];

/// Where the login stands.
#[derive(Serialize, JsonSchema)]
struct LoginState {
    /// The account's state.
    state: AccountState,
}

arguments! {
    /// Begins a login. Source: TDLib 1.8.61, `setAuthenticationPhoneNumber`.
    struct StartLogin {
        /// International phone number, with or without `+`.
        phone: SecretString,
    }
}

impl AccountCommand for StartLogin {
    const NAME: &'static str = "start";
    const ACCESS: Access = Access::Write;
    // Telegram sends another code.
    const IDEMPOTENT: bool = false;
    const NEEDS: Needs = Needs::LoginStart;
    const EXAMPLE: &'static str = r#"{"phone": "+15550100"}"#;
    type Reply = LoginState;

    async fn run(self, ctx: &Context) -> Result<LoginState, CommandError> {
        if state(ctx).await? != AccountState::Ready {
            let phone_number = self.phone.expose_secret();
            ctx.change(SetAuthenticationPhoneNumber { phone_number, settings: None }).await?;
        }
        Ok(LoginState { state: state(ctx).await? })
    }
}

arguments! {
    /// Sends the login code. Source: TDLib 1.8.61, `checkAuthenticationCode`.
    struct SendCode {
        /// The digits, as Telegram sent them.
        code: SecretString,
    }
}

impl AccountCommand for SendCode {
    const NAME: &'static str = "send_code";
    const ACCESS: Access = Access::Write;
    const IDEMPOTENT: bool = false;
    const NEEDS: Needs = Needs::Code;
    const EXAMPLE: &'static str = r#"{"code": "12345"}"#;
    type Reply = LoginState;

    async fn run(self, ctx: &Context) -> Result<LoginState, CommandError> {
        ctx.change(CheckAuthenticationCode { code: self.code.expose_secret() }).await?;
        Ok(LoginState { state: state(ctx).await? })
    }
}

async fn state(ctx: &Context) -> Result<AccountState, CommandError> {
    let state = ctx.ask(GetAuthorizationState).await?;
    AccountState::of(&state.name).ok_or(CommandError::Internal)
}
