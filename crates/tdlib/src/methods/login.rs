use serde::Serialize;

use super::{Done, bytes, method};
use crate::enums::{AuthorizationState, ResendCodeReason};
use crate::types::{AddedProxy, PhoneNumberAuthenticationSettings, Proxy};

/// The first request of an account; may take as long as its database needs to open.
///
/// Holds the API hash and the database key, hence no `Debug`.
#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "TDLib's own fields")]
pub struct SetTdlibParameters<'a> {
    /// Telegram's test servers instead of the real ones.
    pub use_test_dc: bool,
    /// Where the databases are.
    pub database_directory: &'a str,
    /// Where downloaded files go.
    pub files_directory: &'a str,
    /// The key the databases are encrypted with; empty means none.
    #[serde(serialize_with = "bytes")]
    pub database_encryption_key: &'a [u8],
    /// Keeps what is known of files over a restart.
    pub use_file_database: bool,
    /// Keeps users and chats over a restart; needs the file database.
    pub use_chat_info_database: bool,
    /// Keeps messages over a restart, and lets old ones leave memory; needs the chat database.
    pub use_message_database: bool,
    /// Takes part in secret chats.
    pub use_secret_chats: bool,
    /// The application's id, from my.telegram.org.
    pub api_id: i32,
    /// The application's hash, from my.telegram.org.
    pub api_hash: &'a str,
    /// IETF tag, such as `en`; must not be empty.
    pub system_language_code: &'a str,
    /// Shown in the list of sessions; must not be empty.
    pub device_model: &'a str,
    /// Shown in the list of sessions; empty lets TDLib find out.
    pub system_version: &'a str,
    /// Shown in the list of sessions; must not be empty.
    pub application_version: &'a str,
}
method!(SetTdlibParameters<'_>, "setTdlibParameters", Done);

/// Adds a proxy, kept in the database; TDLib answers only once its parameters are set.
///
/// To be sent before `setTdlibParameters` is awaited, so that no connection goes around it.
#[derive(Serialize)]
pub struct AddProxy {
    /// The proxy, with its secret or password.
    pub proxy: Proxy,
    /// Uses it from now on.
    pub enable: bool,
}
method!(AddProxy, "addProxy", AddedProxy);

/// Where the account stands in logging in.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetAuthorizationState;
method!(GetAuthorizationState, "getAuthorizationState", AuthorizationState);

/// Begins the login by phone number; Telegram sends a code.
#[derive(Serialize)]
pub struct SetAuthenticationPhoneNumber<'a> {
    /// In international form; secret.
    pub phone_number: &'a str,
    /// How the code may be sent; `None` for the usual ways.
    pub settings: Option<PhoneNumberAuthenticationSettings>,
}
method!(SetAuthenticationPhoneNumber<'_>, "setAuthenticationPhoneNumber", Done);

/// Answers with the code that Telegram sent.
#[derive(Serialize)]
pub struct CheckAuthenticationCode<'a> {
    /// The code; secret.
    pub code: &'a str,
}
method!(CheckAuthenticationCode<'_>, "checkAuthenticationCode", Done);

/// Has the code sent again, by the next way, when its time is over.
#[derive(Clone, Debug, Serialize)]
pub struct ResendAuthenticationCode {
    /// Why.
    pub reason: Option<ResendCodeReason>,
}
method!(ResendAuthenticationCode, "resendAuthenticationCode", Done);

/// Answers with the password of two-step verification.
#[derive(Serialize)]
pub struct CheckAuthenticationPassword<'a> {
    /// The password; secret.
    pub password: &'a str,
}
method!(CheckAuthenticationPassword<'_>, "checkAuthenticationPassword", Done);
