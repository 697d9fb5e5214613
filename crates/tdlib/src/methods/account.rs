use serde::Serialize;
use serde::de::IgnoredAny;

use super::{OkAnswer, method};
use crate::answers::TdVariant;
use crate::enums::OptionValue;
use crate::types::TestInt;

/// Closes the client. It is closed at `authorizationStateClosed`, not when this is answered.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Close;
method!(Close, "close", OkAnswer);

/// Logs the account out and deletes its database; also ends in `authorizationStateClosed`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LogOut;
method!(LogOut, "logOut", OkAnswer);

/// Makes TDLib fetch the application's configuration again; some options are derived from it.
///
/// The answer itself is not used.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetApplicationConfig;
method!(GetApplicationConfig, "getApplicationConfig", IgnoredAny);

/// Reads an option by name; an unknown one is `optionValueEmpty`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetOption<'a> {
    /// The option's name, such as `my_id`.
    pub name: &'a str,
}
method!(GetOption<'_>, "getOption", TdVariant<OptionValue>);

/// Sets an option; some can only be set before the parameters.
#[derive(Clone, Debug, Serialize)]
pub struct SetOption<'a> {
    /// The option's name, such as `online`.
    pub name: &'a str,
    /// Its new value; `Empty` resets it.
    pub value: OptionValue,
}
method!(SetOption<'_>, "setOption", OkAnswer);

/// Squares a number inside TDLib, without network or database: a health check.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TestSquareInt {
    /// The number.
    pub x: i32,
}
method!(TestSquareInt, "testSquareInt", TestInt);
