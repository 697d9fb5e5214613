use schemars::JsonSchema;
use serde::Serialize;

/// What an account is doing; each change is an `account_state` event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccountState {
    /// Not open.
    Cold,
    /// Being opened.
    Starting,
    /// Waits for `start`.
    WaitPhone,
    /// Waits for `send_code`.
    WaitCode,
    /// Waits for the password of the two-step verification.
    WaitPassword,
    /// Waits for an email address, or for the code sent to it.
    WaitEmail,
    /// Waits for a QR code to be scanned on another device.
    WaitQr,
    /// The number has no account yet.
    WaitRegistration,
    /// Logged in.
    Ready,
    /// Being closed.
    Closing,
    /// Telegram has ended the session, or another device has; the database is deleted. Never
    /// retried automatically: `start` begins a new login.
    SessionLost,
    /// It could not be opened, or TDLib closed it; needs an operator. Once the cause is gone, `start`
    /// opens it again.
    Failed,
    /// Telegram has banned or deleted the Telegram account; the database is deleted. Never retried
    /// automatically: `start` begins a new login, which Telegram refuses as long as the ban lasts.
    Banned,
}

impl AccountState {
    /// The state that corresponds to TDLib's authorization state of that type; `None` for a type
    /// that this build does not know.
    pub(crate) fn of(authorization: &str) -> Option<Self> {
        Some(match authorization {
            "authorizationStateWaitTdlibParameters" => Self::Starting,
            "authorizationStateWaitPhoneNumber" => Self::WaitPhone,
            "authorizationStateWaitCode" => Self::WaitCode,
            "authorizationStateWaitPassword" => Self::WaitPassword,
            "authorizationStateWaitEmailAddress" | "authorizationStateWaitEmailCode" => {
                Self::WaitEmail
            }
            "authorizationStateWaitOtherDeviceConfirmation" => Self::WaitQr,
            "authorizationStateWaitRegistration" | "authorizationStateWaitPremiumPurchase" => {
                Self::WaitRegistration
            }
            "authorizationStateReady" => Self::Ready,
            "authorizationStateLoggingOut" => Self::SessionLost,
            "authorizationStateClosing" => Self::Closing,
            "authorizationStateClosed" => Self::Cold,
            _ => return None,
        })
    }

    /// The state after Telegram has ended the session, by the reason it gave.
    pub(crate) fn of_lost_session(reason: Option<&str>) -> Self {
        match reason {
            Some("USER_DEACTIVATED" | "USER_DEACTIVATED_BAN") => Self::Banned,
            _ => Self::SessionLost,
        }
    }

    /// Its name on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Starting => "starting",
            Self::WaitPhone => "wait_phone",
            Self::WaitCode => "wait_code",
            Self::WaitPassword => "wait_password",
            Self::WaitEmail => "wait_email",
            Self::WaitQr => "wait_qr",
            Self::WaitRegistration => "wait_registration",
            Self::Ready => "ready",
            Self::Closing => "closing",
            Self::SessionLost => "session_lost",
            Self::Failed => "failed",
            Self::Banned => "banned",
        }
    }

    /// Whether it will soon change by itself; commands wait for that.
    pub(crate) fn is_transitional(self) -> bool {
        matches!(self, Self::Cold | Self::Starting | Self::Closing)
    }

    /// Whether the account stays in it, without a TDLib client, until `start` opens it again.
    pub(crate) fn is_latched(self) -> bool {
        matches!(self, Self::SessionLost | Self::Banned | Self::Failed)
    }

    /// Whether a login is in progress.
    pub(crate) fn is_logging_in(self) -> bool {
        matches!(
            self,
            Self::WaitPhone
                | Self::WaitCode
                | Self::WaitPassword
                | Self::WaitEmail
                | Self::WaitQr
                | Self::WaitRegistration
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_authorization_state_of_tdlib_has_a_state_here() {
        let api = testkit::TdApi::load();
        let of_tdlib = api.types().iter().filter(|one| one.class == "AuthorizationState");
        let names: Vec<_> = of_tdlib.map(|one| one.name.as_str()).collect();
        assert_eq!(names.len(), 13);
        for name in names {
            assert!(AccountState::of(name).is_some(), "{name}");
        }
        assert_eq!(AccountState::of("authorizationStateFromTheFuture"), None);
    }

    #[test]
    fn a_state_is_called_the_same_everywhere() {
        for state in [AccountState::Cold, AccountState::WaitPhone, AccountState::SessionLost] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
