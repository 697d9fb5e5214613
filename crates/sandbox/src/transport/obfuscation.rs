use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{Array, KeyIvInit, StreamCipher};

use crate::crypto::{sha256, take};

/// The 16 secret bytes of an MTProto proxy.
pub(crate) type ProxySecret = [u8; 16];

/// Length of the header that a client sends first.
pub(super) const HEADER: usize = 64;

/// The stream cipher of one direction.
pub(super) type DirectionCipher = Ctr128BE<Aes256>;

const INTERMEDIATE: [u8; 4] = [0xee; 4];
const PADDED: [u8; 4] = [0xdd; 4];

/// The content of a header.
pub(super) struct StreamKeys {
    pub(super) from_client: DirectionCipher,
    pub(super) to_client: DirectionCipher,
    pub(super) padded: bool,
    pub(super) dc: i16,
}

/// Derives both ciphers from a header; `None` when the decrypted header names no known framing.
pub(super) fn open(header: [u8; HEADER], secret: Option<&ProxySecret>) -> Option<StreamKeys> {
    let mut reversed = header;
    reversed.reverse();
    let mut from_client = cipher(&header, secret);
    let to_client = cipher(&reversed, secret);
    let mut plain = header;
    from_client.apply_keystream(&mut plain);
    let padded = match take(&plain, 56) {
        PADDED => true,
        INTERMEDIATE => false,
        _ => return None,
    };
    Some(StreamKeys { from_client, to_client, padded, dc: i16::from_le_bytes(take(&plain, 60)) })
}

fn cipher(header: &[u8; HEADER], secret: Option<&ProxySecret>) -> DirectionCipher {
    let key = match secret {
        Some(secret) => sha256(&[&header[8..40], secret]),
        None => take(header, 8),
    };
    DirectionCipher::new(&Array(key), &Array(take(header, 40)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random;

    /// A header as a client makes it.
    fn header(secret: Option<&ProxySecret>, tag: [u8; 4], dc: i16) -> [u8; HEADER] {
        let mut header = random::<HEADER>();
        let mut plain = header;
        plain[56..60].copy_from_slice(&tag);
        plain[60..62].copy_from_slice(&dc.to_le_bytes());
        cipher(&header, secret).apply_keystream(&mut plain);
        header[56..].copy_from_slice(&plain[56..]);
        header
    }

    #[test]
    fn a_header_names_its_data_centre_and_framing() {
        let secret = random();
        let keys = open(header(Some(&secret), PADDED, 10_002), Some(&secret)).unwrap();
        assert!(keys.padded);
        assert_eq!(keys.dc, 10_002);
        assert!(!open(header(None, INTERMEDIATE, 1), None).unwrap().padded);
    }

    #[test]
    fn a_client_with_another_secret_is_refused() {
        assert!(open(header(Some(&random()), PADDED, 1), Some(&random())).is_none());
    }
}
