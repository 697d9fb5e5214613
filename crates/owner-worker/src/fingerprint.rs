use contracts::Field;
use log_port::CommandFingerprint;
use runtime::MacKey;

/// Bytes of a message that count when it is not a command.
const MAX_UNREAD: usize = 256 << 10;

/// Computes [`CommandFingerprint`]s, with a key derived from the master key: they are kept on Redis,
/// and a login code could be guessed from a plain hash.
pub(crate) struct Fingerprinter(MacKey);

impl Fingerprinter {
    pub(crate) fn new(master: &str) -> Self {
        Self(MacKey::derive(master, "tdfleet ledger"))
    }

    /// The fingerprint of a command: of its name, and of its fields as they are in the body.
    pub(crate) fn of_command(&self, name: &str, fields: &[Field<'_>]) -> CommandFingerprint {
        let fields = fields.iter().flat_map(|field| [&*field.name, field.value.get()]);
        self.of(std::iter::once(name).chain(fields).map(str::as_bytes))
    }

    /// The fingerprint of a message that is not a command: of its first bytes, as it may have any size.
    pub(crate) fn of_bytes(&self, body: &[u8]) -> CommandFingerprint {
        let body = &body[..body.len().min(MAX_UNREAD)];
        self.of([b"".as_slice(), body].into_iter())
    }

    fn of<'a>(&self, parts: impl Iterator<Item = &'a [u8]>) -> CommandFingerprint {
        let first = self.0.code(parts).first_chunk().copied().unwrap_or_default();
        CommandFingerprint(u64::from_be_bytes(first))
    }
}

#[cfg(test)]
mod tests {
    use contracts::{Command, Properties};

    use super::*;

    fn fingerprint(master: &str, body: &str) -> CommandFingerprint {
        let command = Command::read(body.as_bytes(), &Properties::default(), None).unwrap();
        Fingerprinter::new(master).of_command(&command.name, &command.fields)
    }

    #[test]
    fn it_depends_on_name_and_fields_and_nothing_else() {
        let of = |body| fingerprint("key", body);
        let first = of(r#"{"command": "x", "userbot_id": 1, "a": "b"}"#);
        let meta = r#"{"_meta": {"trace_id": "t"}, "action": "x", "userbot_id": 1, "a": "b"}"#;
        assert_eq!(first, of(meta));
        assert_ne!(first, of(r#"{"command": "y", "userbot_id": 1, "a": "b"}"#));
        assert_ne!(first, of(r#"{"command": "x", "userbot_id": 1, "a": "c"}"#));
        assert_ne!(first, of(r#"{"command": "x", "userbot_id": 1, "b": "b"}"#));
        assert_ne!(first, of(r#"{"command": "x", "userbot_id": 1, "a": "b", "c": 1}"#));
    }

    #[test]
    fn it_cannot_be_computed_without_the_key() {
        let body = r#"{"command": "send_code", "userbot_id": 1, "code": "12345"}"#;
        assert_eq!(fingerprint("key", body), fingerprint("key", body));
        assert_ne!(fingerprint("key", body), fingerprint("another key", body));
    }
}
