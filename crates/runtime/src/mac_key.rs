use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of a code in a header or a key: 128 bits.
const TAG: usize = 16;

/// Computes message authentication codes (HMAC-SHA-256) under a key that is derived from the master
/// key (HKDF-SHA-256): anyone who can write to RabbitMQ or Redis, and does not have the master key,
/// cannot compute one.
#[derive(Clone)]
pub struct MacKey(Hmac<Sha256>);

impl MacKey {
    /// The key for one purpose, such as `tdfleet bus`; keys of different purposes are unrelated.
    pub fn derive(master: &str, purpose: &str) -> Self {
        let mut key = [0; 64];
        let derived =
            Hkdf::<Sha256>::new(None, master.as_bytes()).expand(purpose.as_bytes(), &mut key);
        debug_assert!(derived.is_ok(), "HKDF-SHA-256 derives up to 8160 bytes");
        Self(Hmac::new(&key.into()))
    }

    /// The code of these parts; each counts with its length.
    pub fn code<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
        self.of(parts).finalize().into_bytes().into()
    }

    /// The code's first 128 bits, as 32 hexadecimal digits.
    pub fn tag<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> String {
        let code = self.code(parts);
        let digits = code[..TAG].iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
    }

    /// Whether `tag` is the tag of these parts; takes the same time whatever is wrong with it.
    pub fn verifies<'a>(&self, tag: &str, parts: impl IntoIterator<Item = &'a [u8]>) -> bool {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let digits: Option<Vec<u8>> = tag.as_bytes().iter().map(digit).collect();
        let Some(digits) = digits.filter(|digits| digits.len() == 2 * TAG) else { return false };
        let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        self.of(parts).verify_truncated_left(&bytes).is_ok()
    }

    fn of<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_belongs_to_one_key_and_one_list_of_parts() {
        let (key, other) = (MacKey::derive("master", "bus"), MacKey::derive("master", "log"));
        let parts: [&[u8]; 2] = [b"ab", b"c"];
        let tag = key.tag(parts);
        assert_eq!(tag.len(), 32);
        assert!(key.verifies(&tag, parts));
        assert!(!other.verifies(&tag, parts));
        assert!(!MacKey::derive("another", "bus").verifies(&tag, parts));
        assert!(!key.verifies(&tag, [b"a".as_slice(), b"bc"]));
        assert!(!key.verifies(&tag, [b"abc".as_slice()]));
        for wrong in ["", &tag[..30], &format!("{tag}00"), &"zz".repeat(16), &"é".repeat(16)] {
            assert!(!key.verifies(wrong, parts), "{wrong}");
        }
    }
}
