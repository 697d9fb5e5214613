use serde::Serialize;
use serde::de::IgnoredAny;

use super::{Done, method};
use crate::enums::OptionValue;
use crate::types::TestInt;

/// Closes the client; its end is `authorizationStateClosed`, not this method's answer.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Close;
method!(Close, "close", Done);

/// Logs the account out and removes its database; ends in `authorizationStateClosed` too.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LogOut;
method!(LogOut, "logOut", Done);

/// Has TDLib read the application's configuration from Telegram anew; some options come of it.
///
/// Nobody needs the answer itself.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetApplicationConfig;
method!(GetApplicationConfig, "getApplicationConfig", IgnoredAny);

/// Reads an option by name; an unknown one is `optionValueEmpty`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetOption<'a> {
    /// The option's name, such as `my_id`.
    pub name: &'a str,
}
method!(GetOption<'_>, "getOption", OptionValue);

/// Sets an option; some can only be set before the parameters.
#[derive(Clone, Debug, Serialize)]
pub struct SetOption<'a> {
    /// The option's name, such as `online`.
    pub name: &'a str,
    /// Its new value; `Empty` resets it.
    pub value: OptionValue,
}
method!(SetOption<'_>, "setOption", Done);

/// Squares a number inside TDLib, without network or database; shows that it is alive.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TestSquareInt {
    /// The number.
    pub x: i32,
}
method!(TestSquareInt, "testSquareInt", TestInt);
