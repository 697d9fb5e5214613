//! Which of what is on Redis this installation has written.

use bytes::Bytes;
use contracts::{AccountId, CallerName, Epoch, Properties};
use log_port::PendingCommand;
use runtime::MacKey;

/// Computes and verifies the codes of pending commands and of a head's fields. Anyone who can write to
/// Redis can write anything; only what has its code is believed.
pub(super) struct LogSeal(Option<MacKey>);

impl LogSeal {
    /// Without a key every code is empty, and none is valid: for readers.
    pub(super) fn new(key: Option<MacKey>) -> Self {
        Self(key)
    }

    /// The code of a head's epoch.
    pub(super) fn epoch(&self, account: AccountId, epoch: Epoch) -> String {
        self.field(account, "epoch", &epoch.to_string())
    }

    /// The code of a head's field.
    pub(super) fn field(&self, account: AccountId, name: &str, value: &str) -> String {
        let account = account.to_string();
        self.tag(&["head", &account, name, value].map(str::as_bytes))
    }

    /// Whether a field of a head has its code.
    pub(super) fn has_field(
        &self,
        account: AccountId,
        name: &str,
        value: &str,
        code: &str,
    ) -> bool {
        let account = account.to_string();
        self.verifies(code, &["head", &account, name, value].map(str::as_bytes))
    }

    /// The code of a pending command at its position.
    pub(super) fn pending(&self, account: AccountId, command: &PendingCommand) -> String {
        let parts = pending_parts(account, command);
        self.tag(&parts.iter().map(|part| &part[..]).collect::<Vec<_>>())
    }

    /// Whether an entry of a pending list has its code.
    pub(super) fn has_pending(
        &self,
        account: AccountId,
        command: &PendingCommand,
        code: &str,
    ) -> bool {
        let parts = pending_parts(account, command);
        self.verifies(code, &parts.iter().map(|part| &part[..]).collect::<Vec<_>>())
    }

    fn tag(&self, parts: &[&[u8]]) -> String {
        self.0.as_ref().map(|key| key.tag(parts.iter().copied())).unwrap_or_default()
    }

    fn verifies(&self, code: &str, parts: &[&[u8]]) -> bool {
        self.0.as_ref().is_some_and(|key| key.verifies(code, parts.iter().copied()))
    }
}

/// Everything that counts in a pending command.
fn pending_parts(account: AccountId, command: &PendingCommand) -> Vec<Bytes> {
    let PendingCommand { position, command: id, body, routing_key, properties } = command;
    let Properties { message_id, correlation_id, reply_to, traceparent, caller } = properties;
    let text = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let mut parts = vec![
        text("pending"),
        text(&account.to_string()),
        text(position.flow.as_str()),
        text(&position.id.to_string()),
        text(id.as_str()),
        text(routing_key),
        body.clone(),
    ];
    let caller = caller.as_ref().map(CallerName::as_str);
    let texts = [message_id, correlation_id, reply_to, traceparent].map(Option::as_deref);
    for value in texts.into_iter().chain([caller]) {
        // An absent value is no empty one.
        parts.push(text(if value.is_some() { "1" } else { "0" }));
        parts.push(text(value.unwrap_or_default()));
    }
    parts
}
