//! Two-step verification: the server side of SRP. Source: <https://core.telegram.org/api/srp>.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use num_bigint::BigUint;
use sha2::Sha512;

use crate::crypto::{PRIME_GENERATOR, prime_bytes, random, sha256};

/// Rounds of PBKDF2 in Telegram's algorithm.
const ROUNDS: u32 = 100_000;

/// What the server stores of a password; the password cannot be recovered from it.
#[derive(Clone)]
pub(crate) struct SrpPassword {
    pub(crate) salt1: Vec<u8>,
    pub(crate) salt2: Vec<u8>,
    pub(crate) hint: String,
    verifier: BigUint,
    challenge: SrpChallenge,
}

/// The server's secret of the current check.
#[derive(Clone)]
struct SrpChallenge {
    id: i64,
    secret: BigUint,
}

/// Why a password was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PasswordError {
    /// The proof belongs to another challenge.
    StaleChallenge,
    /// The password is wrong.
    Wrong,
}

impl fmt::Debug for SrpPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

impl SrpPassword {
    /// Hashes a password; deliberately slow.
    pub(crate) fn new(password: &str, hint: &str) -> Self {
        let (salt1, salt2) = (random::<16>().to_vec(), random::<16>().to_vec());
        let x = BigUint::from_bytes_be(&slow_hash(password.as_bytes(), &salt1, &salt2));
        let verifier = generator().modpow(&x, &prime());
        Self { salt1, salt2, hint: hint.to_owned(), verifier, challenge: SrpChallenge::new() }
    }

    /// Starts a check; returns its id and `srp_B`.
    pub(crate) fn challenge(&mut self) -> (i64, Vec<u8>) {
        self.challenge = SrpChallenge::new();
        (self.challenge.id, padded(&self.public()))
    }

    /// Checks the client's proof that it knows the password.
    pub(crate) fn check(&self, id: i64, a: &[u8], proof: &[u8]) -> Result<(), PasswordError> {
        if id != self.challenge.id {
            return Err(PasswordError::StaleChallenge);
        }
        let (p, client) = (prime(), BigUint::from_bytes_be(a));
        if client.modpow(&BigUint::from(1u8), &p) == BigUint::ZERO {
            return Err(PasswordError::Wrong);
        }
        let (a, b) = (padded(&client), padded(&self.public()));
        let u = BigUint::from_bytes_be(&sha256(&[&a, &b]));
        let shared = client * self.verifier.modpow(&u, &p) % &p;
        let key = sha256(&[&padded(&shared.modpow(&self.challenge.secret, &p))]);
        let (hash_p, hash_g) = (sha256(&[&padded(&p)]), sha256(&[&padded(&generator())]));
        let mixed: Vec<u8> = hash_p.iter().zip(hash_g).map(|(p, g)| p ^ g).collect();
        let salts = (sha256(&[&self.salt1]), sha256(&[&self.salt2]));
        let expected = sha256(&[&mixed, &salts.0, &salts.1, &a, &b, &key]);
        if proof == expected { Ok(()) } else { Err(PasswordError::Wrong) }
    }

    /// `k * v + g ^ b`, modulo the prime.
    fn public(&self) -> BigUint {
        let p = prime();
        let g = generator();
        let k = BigUint::from_bytes_be(&sha256(&[&padded(&p), &padded(&g)]));
        (k * &self.verifier + g.modpow(&self.challenge.secret, &p)) % p
    }
}

impl SrpChallenge {
    fn new() -> Self {
        let id = i64::from_le_bytes(random());
        Self { id, secret: BigUint::from_bytes_be(&random::<256>()) }
    }
}

fn prime() -> BigUint {
    BigUint::from_bytes_be(&prime_bytes())
}

fn generator() -> BigUint {
    BigUint::from(PRIME_GENERATOR.unsigned_abs())
}

/// Big endian, padded to the length of the prime.
fn padded(number: &BigUint) -> Vec<u8> {
    let bytes = number.to_bytes_be();
    let mut padded = vec![0; 256usize.saturating_sub(bytes.len())];
    padded.extend(bytes);
    padded
}

/// Telegram's hash of a password (`PH2`).
fn slow_hash(password: &[u8], salt1: &[u8], salt2: &[u8]) -> [u8; 32] {
    let salted = |data: &[u8], salt: &[u8]| sha256(&[salt, data, salt]);
    let first = salted(&salted(password, salt1), salt2);
    salted(&pbkdf2(&first, salt1), salt2)
}

/// PBKDF2 with HMAC-SHA-512 and one block of output.
fn pbkdf2(password: &[u8], salt: &[u8]) -> [u8; 64] {
    let Ok(keyed) = Hmac::<Sha512>::new_from_slice(password) else {
        unreachable!("a key of any length is taken")
    };
    let round = |data: &[&[u8]]| -> [u8; 64] {
        let mut mac = keyed.clone();
        for part in data {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    };
    let mut last = round(&[salt, &1u32.to_be_bytes()]);
    let mut output = last;
    for _ in 1..ROUNDS {
        last = round(&[&last]);
        output.iter_mut().zip(last).for_each(|(sum, byte)| *sum ^= byte);
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The client's half: `A` and `M1` for a challenge.
    #[expect(clippy::many_single_char_names, reason = "they are the protocol's")]
    fn prove(password: &SrpPassword, b: &[u8], typed: &str) -> (Vec<u8>, Vec<u8>) {
        let (p, g) = (prime(), generator());
        let secret = BigUint::from_bytes_be(&random::<256>());
        let a = padded(&g.modpow(&secret, &p));
        let hash = slow_hash(typed.as_bytes(), &password.salt1, &password.salt2);
        let x = BigUint::from_bytes_be(&hash);
        let k = BigUint::from_bytes_be(&sha256(&[&padded(&p), &padded(&g)]));
        let u = BigUint::from_bytes_be(&sha256(&[&a, b]));
        let base = (BigUint::from_bytes_be(b) + &p - k * g.modpow(&x, &p) % &p) % &p;
        let key = sha256(&[&padded(&base.modpow(&(secret + u * x), &p))]);
        let (hash_p, hash_g) = (sha256(&[&padded(&p)]), sha256(&[&padded(&g)]));
        let mixed: Vec<u8> = hash_p.iter().zip(hash_g).map(|(p, g)| p ^ g).collect();
        let salts = (sha256(&[&password.salt1]), sha256(&[&password.salt2]));
        let proof = sha256(&[&mixed, &salts.0, &salts.1, &a, b, &key]);
        (a, proof.to_vec())
    }

    #[test]
    fn the_password_is_accepted_and_another_is_not() {
        let mut password = SrpPassword::new("secret", "hint");
        let (id, b) = password.challenge();
        let (a, proof) = prove(&password, &b, "secret");
        assert_eq!(password.check(id, &a, &proof), Ok(()));
        assert_eq!(password.check(id + 1, &a, &proof), Err(PasswordError::StaleChallenge));
        let (a, proof) = prove(&password, &b, "guess");
        assert_eq!(password.check(id, &a, &proof), Err(PasswordError::Wrong));
        assert_eq!(password.check(id, &[0], &proof), Err(PasswordError::Wrong));
    }
}
