//! Secrets of MTProto proxies, as TDLib reads them.

use base64::Engine;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};

/// Longest domain in a secret for connections that look like TLS.
const MAX_DOMAIN: usize = 182;

/// Whether TDLib takes this secret: hexadecimal or base64 of 16 bytes, of `dd` and 16 bytes, or of
/// `ee`, 16 bytes and a domain. Source: TDLib 1.8.61, `ProxySecret::from_link`.
pub(crate) fn is_valid(secret: &str) -> bool {
    let decoded =
        hex(secret).or_else(|| base64(secret, &URL_SAFE)).or_else(|| base64(secret, &STANDARD));
    decoded.is_some_and(|bytes| match (bytes.len(), bytes.first()) {
        (16, _) | (17, Some(0xdd)) => true,
        (length, Some(0xee)) => (18..=17 + MAX_DOMAIN).contains(&length),
        _ => false,
    })
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.chars().map(|digit| digit.to_digit(16)).collect::<Option<Vec<_>>>()?;
    if digits.len() % 2 == 1 {
        return None;
    }
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect()
}

fn base64(text: &str, alphabet: &Alphabet) -> Option<Vec<u8>> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config).decode(text).ok()
}
