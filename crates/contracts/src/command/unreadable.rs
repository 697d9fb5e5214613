use std::borrow::Cow;

use crate::ids::{AccountId, CommandId};

/// Why a message is not a command, with whatever could be read of it, to address the answer.
#[derive(Clone, Debug)]
pub struct UnreadableCommand {
    /// The error string of the answer.
    pub error: Cow<'static, str>,
    /// The name, if it could be read.
    pub name: Option<String>,
    /// The account, if it could be read.
    pub account: Option<AccountId>,
    /// The command id, if it could be read.
    pub id: Option<CommandId>,
    /// The body is not a JSON object: it is kept as a dead letter for the operator.
    pub garbled: bool,
}
