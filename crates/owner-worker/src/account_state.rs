use schemars::JsonSchema;
use serde::Serialize;
use tdlib::enums::AuthorizationState;

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
    /// It could not be opened, or TDLib closed it; needs an operator.
    Failed,
}

impl AccountState {
    /// The state that corresponds to TDLib's.
    pub(crate) fn of(state: &AuthorizationState) -> Self {
        match state {
            AuthorizationState::WaitTdlibParameters => Self::Starting,
            AuthorizationState::WaitPhoneNumber => Self::WaitPhone,
            AuthorizationState::WaitCode(_) => Self::WaitCode,
            AuthorizationState::WaitPassword(_) => Self::WaitPassword,
            AuthorizationState::WaitEmailAddress(_) | AuthorizationState::WaitEmailCode(_) => {
                Self::WaitEmail
            }
            AuthorizationState::WaitOtherDeviceConfirmation(_) => Self::WaitQr,
            AuthorizationState::WaitRegistration(_)
            | AuthorizationState::WaitPremiumPurchase(_) => Self::WaitRegistration,
            AuthorizationState::Ready => Self::Ready,
            AuthorizationState::LoggingOut => Self::SessionLost,
            AuthorizationState::Closing => Self::Closing,
            AuthorizationState::Closed => Self::Cold,
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
        }
    }

    /// Whether it will soon change by itself; commands wait for that.
    pub(crate) fn is_transitional(self) -> bool {
        matches!(self, Self::Cold | Self::Starting | Self::Closing)
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
    fn a_state_is_called_the_same_everywhere() {
        for state in [AccountState::Cold, AccountState::WaitPhone, AccountState::SessionLost] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
