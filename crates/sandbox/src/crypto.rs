//! The cryptography of MTProto, from the server's side.

mod dh;
mod ige;
mod kdf;
mod rsa;

use sha1::Sha1;
use sha2::{Digest, Sha256};

pub(crate) use dh::{DhSecret, PRIME_GENERATOR, prime_bytes};
pub(crate) use ige::{decrypt_ige, encrypt_ige};
pub(crate) use kdf::{AesKey, Direction, handshake_key, message_key, message_key_v1, message_keys};
pub(crate) use rsa::RsaKey;

/// An authorization key: 2048 bits that the client and the server share.
pub(crate) type AuthKeyBytes = [u8; 256];

/// SHA-1 of the concatenated `parts`.
pub(crate) fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// SHA-256 of the concatenated `parts`.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// `N` bytes from the operating system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(
        clippy::expect_used,
        reason = "a machine without randomness cannot run anything here"
    )]
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A copy of `source[from..from + N]`.
///
/// # Panics
///
/// `source` is too short; the callers slice digests and keys of a fixed size.
pub(crate) fn take<const N: usize>(source: &[u8], from: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&source[from..from + N]);
    bytes
}
