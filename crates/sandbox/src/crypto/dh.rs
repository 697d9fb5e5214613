use std::sync::LazyLock;

use num_bigint::BigUint;

use super::{AuthKeyBytes, random, take};

/// The generator for the prime.
pub(crate) const PRIME_GENERATOR: i32 = 3;

/// Telegram's published 2048-bit prime: clients know that it is safe and do not test it.
const PRIME: &str = "\
    c71caeb9c6b1c9048e6c522f70f13f73980d40238e3e21c14934d037563d930f\
    48198a0aa7c14058229493d22530f4dbfa336f6e0ac925139543aed44cce7c37\
    20fd51f69458705ac68cd4fe6b6b13abdc9746512969328454f18faf8c595f64\
    2477fe96bb2a941d5bcd1d4ac8cc49880708fa9b378e3c4f3a9060bee67cf9a4\
    a4a695811051907e162753b56b0f6b410dba74d8a84b2a14b3144e0ef1284754\
    fd17ed950d5965b4b9dd46582db1178d169c6bc465b0d6ff9ca3928fef5b9ae4\
    e418fc15e83ebea0f87fa9ff5eed70050ded2849f47bf959d956850ce929851f\
    0d8115f635b105ee2e4e15d04b2454bf6f4fadf034b10403119cd8e3b92fcc5b";

static MODULUS: LazyLock<BigUint> =
    LazyLock::new(|| BigUint::parse_bytes(PRIME.as_bytes(), 16).unwrap_or_default());

/// The prime of the key exchange, big endian.
pub(crate) fn prime_bytes() -> Vec<u8> {
    MODULUS.to_bytes_be()
}

/// The server's half of one Diffie-Hellman exchange.
#[derive(Clone)]
pub(crate) struct DhSecret(BigUint);

impl DhSecret {
    /// A new random exponent. It is short, which is fast with many clients; nothing here is secret.
    pub(crate) fn generate() -> Self {
        Self(BigUint::from_bytes_be(&random::<32>()))
    }

    /// `g^a`, to be sent to the client.
    pub(crate) fn public(&self) -> Vec<u8> {
        BigUint::from(PRIME_GENERATOR.unsigned_abs()).modpow(&self.0, &MODULUS).to_bytes_be()
    }

    /// The shared authorization key, from the client's `g^b`; `None` when `g_b` is not between 1
    /// and the prime minus 1.
    pub(crate) fn shared(&self, g_b: &[u8]) -> Option<AuthKeyBytes> {
        let g_b = BigUint::from_bytes_be(g_b);
        let one = BigUint::from(1u8);
        (one.clone() < g_b && g_b < &*MODULUS - one).then(|| {
            let mut padded = vec![0; 256];
            padded.extend(g_b.modpow(&self.0, &MODULUS).to_bytes_be());
            take(&padded, padded.len() - 256)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_derive_the_same_key() {
        let (ours, theirs) = (DhSecret::generate(), DhSecret::generate());
        assert_eq!(ours.shared(&theirs.public()), theirs.shared(&ours.public()));
        assert_eq!(prime_bytes().len(), 256);
    }

    #[test]
    fn a_trivial_public_half_is_refused() {
        assert!(DhSecret::generate().shared(&[1]).is_none());
        assert!(DhSecret::generate().shared(&[0xff; 257]).is_none());
    }
}
