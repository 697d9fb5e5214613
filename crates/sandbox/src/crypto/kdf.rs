use super::{AuthKeyBytes, sha1, sha256, take};

/// A key and an initialization vector for AES-256 in IGE mode.
#[derive(Clone)]
pub(crate) struct AesKey {
    pub(crate) key: [u8; 32],
    pub(crate) iv: [u8; 32],
}

/// Direction of a message: each direction derives its own keys from the authorization key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    FromClient,
    FromServer,
}

impl Direction {
    /// The `x` of the MTProto documents.
    fn offset(self) -> usize {
        match self {
            Self::FromClient => 0,
            Self::FromServer => 8,
        }
    }
}

/// The `msg_key` of MTProto 2.0 for a padded plaintext.
pub(crate) fn message_key(key: &AuthKeyBytes, from: Direction, padded: &[u8]) -> [u8; 16] {
    let x = from.offset();
    take(&sha256(&[&key[88 + x..120 + x], padded]), 8)
}

/// The AES key of one MTProto 2.0 message.
pub(crate) fn message_keys(key: &AuthKeyBytes, from: Direction, msg_key: &[u8; 16]) -> AesKey {
    let x = from.offset();
    let a = sha256(&[msg_key, &key[x..x + 36]]);
    let b = sha256(&[&key[40 + x..76 + x], msg_key]);
    AesKey { key: join(&[&a[..8], &b[8..24], &a[24..]]), iv: join(&[&b[..8], &a[8..24], &b[24..]]) }
}

/// The AES key of one MTProto 1.0 message from the client: `auth.bindTempAuthKey` still uses it.
pub(crate) fn message_key_v1(key: &AuthKeyBytes, msg_key: &[u8; 16]) -> AesKey {
    let a = sha1(&[msg_key, &key[..32]]);
    let b = sha1(&[&key[32..48], msg_key, &key[48..64]]);
    let c = sha1(&[&key[64..96], msg_key]);
    let d = sha1(&[msg_key, &key[96..128]]);
    AesKey {
        key: join(&[&a[..8], &b[8..], &c[4..16]]),
        iv: join(&[&a[8..], &b[..8], &c[16..], &d[..8]]),
    }
}

/// The AES key of the key exchange, from the nonces that only the two sides know.
pub(crate) fn handshake_key(new_nonce: &[u8; 32], server_nonce: &[u8; 16]) -> AesKey {
    let a = sha1(&[new_nonce, server_nonce]);
    let b = sha1(&[server_nonce, new_nonce]);
    let c = sha1(&[new_nonce, new_nonce]);
    AesKey { key: join(&[&a, &b[..12]]), iv: join(&[&b[12..], &c, &new_nonce[..4]]) }
}

fn join(parts: &[&[u8]]) -> [u8; 32] {
    take(&parts.concat(), 0)
}
