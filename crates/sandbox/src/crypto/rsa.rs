use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grammers_tl_types::Serializable;
use num_bigint::BigUint;
use serde::{Deserialize, Serialize};

use super::{random, sha1, take};

/// 65537, as in Telegram's own keys, so that the PEM has the same length.
const EXPONENT: [u8; 3] = [1, 0, 1];
/// Rounds of Miller-Rabin: a composite of this size passes with a chance far under 2^-80.
const ROUNDS: usize = 8;
const SMALL_PRIMES: [u16; 29] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113,
];

/// The data centre's RSA key: generated for each run, unless the state is saved.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "RsaPrimes", into = "RsaPrimes")]
pub(crate) struct RsaKey {
    primes: RsaPrimes,
    modulus: BigUint,
    /// The private exponent, modulo each prime less one.
    exponents: [BigUint; 2],
    /// The second prime's inverse modulo the first.
    inverse: BigUint,
}

/// The primes of a key.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RsaPrimes {
    #[serde(with = "hex")]
    p: BigUint,
    #[serde(with = "hex")]
    q: BigUint,
}

impl From<RsaPrimes> for RsaKey {
    fn from(primes: RsaPrimes) -> Self {
        let one = BigUint::from(1u8);
        let exponent = BigUint::from_bytes_be(&EXPONENT);
        let inverse = |number: &BigUint, modulus: &BigUint| {
            // No inverse exists only if a prime is not prime, or is 1 more than a multiple of
            // 65537. Such a key decrypts nothing; `generate` never returns one.
            number.modinv(modulus).unwrap_or_default()
        };
        let RsaPrimes { p, q } = &primes;
        Self {
            modulus: p * q,
            exponents: [p, q].map(|prime| inverse(&exponent, &(prime - &one))),
            inverse: inverse(q, p),
            primes,
        }
    }
}

impl From<RsaKey> for RsaPrimes {
    fn from(key: RsaKey) -> Self {
        key.primes
    }
}

/// A big number as a hexadecimal string.
mod hex {
    use num_bigint::BigUint;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &BigUint, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&number.to_str_radix(16))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BigUint, D::Error> {
        let text = String::deserialize(from)?;
        BigUint::parse_bytes(text.as_bytes(), 16).ok_or_else(|| D::Error::custom("no number"))
    }
}

impl RsaKey {
    /// Generates a 2048-bit key, in a fraction of a second.
    pub(crate) fn generate() -> Self {
        loop {
            let key = Self::from(RsaPrimes { p: prime(), q: prime() });
            if key.modulus.bits() == 2048 && !key.exponents.contains(&BigUint::ZERO) {
                return key;
            }
        }
    }

    /// Raises `data` to the private exponent; 256 bytes, big endian.
    pub(crate) fn decrypt(&self, data: &[u8]) -> [u8; 256] {
        let (RsaPrimes { p, q }, data) = (&self.primes, BigUint::from_bytes_be(data));
        let [a, b] = [(p, &self.exponents[0]), (q, &self.exponents[1])]
            .map(|(prime, exponent)| (&data % prime).modpow(exponent, prime));
        // Garner: the result is b modulo q, and the multiple of q makes it a modulo p.
        let multiple = (a + p - &b % p) * &self.inverse % p;
        let padded = [vec![0; 256], (b + multiple * q).to_bytes_be()].concat();
        take(&padded, padded.len() - 256)
    }

    /// Encrypts with the public half, as a client does.
    #[cfg(test)]
    pub(crate) fn encrypt(&self, data: &[u8]) -> Vec<u8> {
        let exponent = BigUint::from_bytes_be(&EXPONENT);
        BigUint::from_bytes_be(data).modpow(&exponent, &self.modulus).to_bytes_be()
    }

    /// The fingerprint by which a client finds this key: the last 8 bytes of the SHA-1 of its bare
    /// TL form.
    pub(crate) fn fingerprint(&self) -> i64 {
        let mut tl = Vec::new();
        Serializable::serialize(&self.modulus.to_bytes_be(), &mut tl);
        Serializable::serialize(&EXPONENT.to_vec(), &mut tl);
        i64::from_le_bytes(take(&sha1(&[&tl]), 12))
    }

    /// The public half as a PKCS#1 PEM: lines of 64 columns, no line break after the last.
    pub(crate) fn public_pem(&self) -> String {
        let mut der = vec![0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00];
        der.extend(self.modulus.to_bytes_be());
        der.extend([0x02, 0x03]);
        der.extend(EXPONENT);
        let text = STANDARD.encode(der);
        let mut pem = String::from("-----BEGIN RSA PUBLIC KEY-----\n");
        let (lines, rest) = text.as_bytes().as_chunks::<64>();
        for line in lines.iter().map(<[u8; 64]>::as_slice).chain((!rest.is_empty()).then_some(rest))
        {
            pem.extend(line.iter().copied().map(char::from).chain(['\n']));
        }
        pem.push_str("-----END RSA PUBLIC KEY-----");
        pem
    }
}

/// A random prime of 1024 bits with its two highest bits set, so that two of them make 2048.
fn prime() -> BigUint {
    loop {
        let mut bytes = random::<128>();
        bytes[0] |= 0xc0;
        bytes[127] |= 1;
        let candidate = BigUint::from_bytes_be(&bytes);
        let divisible = SMALL_PRIMES.iter().any(|p| &candidate % *p == BigUint::ZERO);
        if !divisible && is_prime(&candidate) {
            return candidate;
        }
    }
}

/// Miller-Rabin with random bases.
fn is_prime(n: &BigUint) -> bool {
    let one = BigUint::from(1u8);
    let last = n - &one;
    let twos = last.trailing_zeros().unwrap_or(0);
    let odd = &last >> twos;
    (0..ROUNDS).all(|_| {
        let base = BigUint::from_bytes_be(&random::<64>()) + 2u8;
        let mut x = base.modpow(&odd, n);
        if x == one || x == last {
            return true;
        }
        (1..twos).any(|_| {
            x = &x * &x % n;
            x == last
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_decrypts_what_its_public_half_encrypted() {
        let key = RsaKey::generate();
        let mut plain = random::<256>();
        plain[0] = 0;
        assert_eq!(key.decrypt(&key.encrypt(&plain)), plain);
    }

    #[test]
    fn the_pem_is_as_long_as_the_one_in_the_library() {
        let pem = RsaKey::generate().public_pem();
        assert_eq!(pem.len(), 425);
        assert!(pem.lines().all(|line| line.len() <= 64));
    }

    #[test]
    fn miller_rabin_knows_a_prime_and_a_carmichael_number() {
        let mersenne = (BigUint::from(1u8) << 521u32) - 1u8;
        assert!(is_prime(&mersenne));
        assert!(!is_prime(&BigUint::from(294_409u32)));
    }
}
