use serde::Serialize;

use super::{OkAnswer, bytes, method};
use crate::answers::ObjectType;
use crate::enums::ResendCodeReason;
use crate::types::{PhoneNumberAuthenticationSettings, Proxy};

/// The first request of an account; may take as long as its database needs to open.
///
/// Holds the API hash and the database key, hence no `Debug`.
#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "TDLib's own fields")]
pub struct SetTdlibParameters<'a> {
    /// Telegram's test servers instead of the real ones.
    pub use_test_dc: bool,
    /// Directory of the databases.
    pub database_directory: &'a str,
    /// Directory of downloaded files.
    pub files_directory: &'a str,
    /// The key the databases are encrypted with; empty means none.
    #[serde(serialize_with = "bytes")]
    pub database_encryption_key: &'a [u8],
    /// Keeps file metadata across restarts.
    pub use_file_database: bool,
    /// Keeps users and chats across restarts; needs the file database.
    pub use_chat_info_database: bool,
    /// Keeps messages across restarts, and unloads old ones from memory; needs the chat database.
    pub use_message_database: bool,
    /// Enables secret chats.
    pub use_secret_chats: bool,
    /// The application's id, from my.telegram.org.
    pub api_id: i32,
    /// The application's hash, from my.telegram.org.
    pub api_hash: &'a str,
    /// IETF tag, such as `en`; must not be empty.
    pub system_language_code: &'a str,
    /// Shown in the list of sessions; must not be empty.
    pub device_model: &'a str,
    /// Shown in the list of sessions; empty lets TDLib detect it.
    pub system_version: &'a str,
    /// Shown in the list of sessions; must not be empty.
    pub application_version: &'a str,
}
method!(SetTdlibParameters<'_>, "setTdlibParameters", OkAnswer);

/// Adds a proxy and stores it in the database; TDLib answers only once its parameters are set.
///
/// Send it before awaiting `setTdlibParameters`, so that no connection bypasses it.
#[derive(Serialize)]
pub struct AddProxy {
    /// The proxy, with its secret or password.
    pub proxy: Proxy,
    /// Whether to use it from now on.
    pub enable: bool,
}
method!(AddProxy, "addProxy", ObjectType);

/// The current authorization state.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetAuthorizationState;
method!(GetAuthorizationState, "getAuthorizationState", ObjectType);

/// Starts the login by phone number; Telegram sends a code.
#[derive(Serialize)]
pub struct SetAuthenticationPhoneNumber<'a> {
    /// In international form; secret.
    pub phone_number: &'a str,
    /// How the code may be sent; `None` for the default ways.
    pub settings: Option<PhoneNumberAuthenticationSettings>,
}
method!(SetAuthenticationPhoneNumber<'_>, "setAuthenticationPhoneNumber", OkAnswer);

/// Submits the code that Telegram sent.
#[derive(Serialize)]
pub struct CheckAuthenticationCode<'a> {
    /// The code; secret.
    pub code: &'a str,
}
method!(CheckAuthenticationCode<'_>, "checkAuthenticationCode", OkAnswer);

/// Requests the code again, by the next way, once its timeout has passed.
#[derive(Clone, Debug, Serialize)]
pub struct ResendAuthenticationCode {
    /// The reason.
    pub reason: Option<ResendCodeReason>,
}
method!(ResendAuthenticationCode, "resendAuthenticationCode", OkAnswer);

/// Submits the password of two-step verification.
#[derive(Serialize)]
pub struct CheckAuthenticationPassword<'a> {
    /// The password; secret.
    pub password: &'a str,
}
method!(CheckAuthenticationPassword<'_>, "checkAuthenticationPassword", OkAnswer);
