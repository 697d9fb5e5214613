//! The key exchange: unencrypted messages in, an authorization key out.

use grammers_tl_types::{
    Cursor, Deserializable, Identifiable, Serializable, enums, functions, types,
};

use crate::crypto::{
    AesKey, AuthKeyBytes, DhSecret, PRIME_GENERATOR, RsaKey, decrypt_ige, encrypt_ige,
    handshake_key, prime_bytes, random, sha1, sha256, take,
};

/// Product of two 32-bit primes, which the client has to find: any will do.
const PQ: u64 = 0x17ED_4894_1A08_F981;

/// Why an exchange went no further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("an unencrypted message that is no part of a key exchange: {0:08x}")]
    Method(u32),
    #[error("the message is cut short or malformed")]
    Malformed,
    #[error("a step of an exchange that was not begun")]
    Order,
    #[error("the data was not encrypted to this data centre's key")]
    Encryption,
    #[error("the client's half of the key is out of range")]
    Range,
}

impl From<grammers_tl_types::deserialize::Error> for HandshakeError {
    fn from(_: grammers_tl_types::deserialize::Error) -> Self {
        Self::Malformed
    }
}

/// A key both sides have.
pub(crate) struct NewKey {
    pub(crate) bytes: AuthKeyBytes,
    /// The salt the client starts with.
    pub(crate) salt: i64,
    /// Seconds it is good for, when it is a temporary key.
    pub(crate) expires_in: Option<i32>,
}

/// One key exchange, from the server's side.
pub(crate) struct Exchange {
    nonce: [u8; 16],
    server_nonce: [u8; 16],
    new_nonce: [u8; 32],
    secret: DhSecret,
    expires_in: Option<i32>,
}

/// What a step of the exchange gives back.
pub(crate) struct Step {
    pub(crate) answer: Vec<u8>,
    pub(crate) exchange: Option<Exchange>,
    pub(crate) key: Option<NewKey>,
}

/// Answers one unencrypted message. It takes milliseconds of a core: run it where that is allowed.
pub(crate) fn step(
    exchange: Option<Exchange>,
    rsa: &RsaKey,
    now: i32,
    body: &[u8],
) -> Result<Step, HandshakeError> {
    let (id, arguments) = body.split_first_chunk::<4>().ok_or(HandshakeError::Malformed)?;
    let mut cursor = Cursor::from_slice(arguments);
    match u32::from_le_bytes(*id) {
        functions::ReqPqMulti::CONSTRUCTOR_ID => {
            Ok(begin(functions::ReqPqMulti::deserialize(&mut cursor)?.nonce, rsa))
        }
        functions::ReqDhParams::CONSTRUCTOR_ID => {
            let request = functions::ReqDhParams::deserialize(&mut cursor)?;
            offer(exchange.ok_or(HandshakeError::Order)?, rsa, now, &request)
        }
        functions::SetClientDhParams::CONSTRUCTOR_ID => {
            let request = functions::SetClientDhParams::deserialize(&mut cursor)?;
            finish(&exchange.ok_or(HandshakeError::Order)?, request)
        }
        other => Err(HandshakeError::Method(other)),
    }
}

fn begin(nonce: [u8; 16], rsa: &RsaKey) -> Step {
    let server_nonce = random();
    let answer = enums::ResPq::Pq(types::ResPq {
        nonce,
        server_nonce,
        pq: PQ.to_be_bytes().to_vec(),
        server_public_key_fingerprints: vec![rsa.fingerprint()],
    });
    let exchange = Exchange {
        nonce,
        server_nonce,
        new_nonce: [0; 32],
        secret: DhSecret::generate(),
        expires_in: None,
    };
    Step { answer: answer.to_bytes(), exchange: Some(exchange), key: None }
}

fn offer(
    mut exchange: Exchange,
    rsa: &RsaKey,
    now: i32,
    request: &functions::ReqDhParams,
) -> Result<Step, HandshakeError> {
    exchange.check(&request.nonce, &request.server_nonce)?;
    let inner = unpad(&rsa.decrypt(&request.encrypted_data)).ok_or(HandshakeError::Encryption)?;
    let inner = enums::PQInnerData::deserialize(&mut Cursor::from_slice(&inner))?;
    exchange.new_nonce = inner.new_nonce();
    exchange.expires_in = match inner {
        enums::PQInnerData::Data(_) | enums::PQInnerData::Dc(_) => None,
        enums::PQInnerData::Temp(inner) => Some(inner.expires_in),
        enums::PQInnerData::TempDc(inner) => Some(inner.expires_in),
    };
    let inner = enums::ServerDhInnerData::Data(types::ServerDhInnerData {
        nonce: exchange.nonce,
        server_nonce: exchange.server_nonce,
        g: PRIME_GENERATOR,
        dh_prime: prime_bytes(),
        g_a: exchange.secret.public(),
        server_time: now,
    })
    .to_bytes();
    let mut encrypted_answer = [&sha1(&[&inner])[..], &inner].concat();
    encrypted_answer.resize(encrypted_answer.len().next_multiple_of(16), 0);
    encrypt_ige(&mut encrypted_answer, &exchange.aes_key());
    let answer = enums::ServerDhParams::Ok(types::ServerDhParamsOk {
        nonce: exchange.nonce,
        server_nonce: exchange.server_nonce,
        encrypted_answer,
    });
    Ok(Step { answer: answer.to_bytes(), exchange: Some(exchange), key: None })
}

fn finish(
    exchange: &Exchange,
    request: functions::SetClientDhParams,
) -> Result<Step, HandshakeError> {
    exchange.check(&request.nonce, &request.server_nonce)?;
    let mut data = request.encrypted_data;
    decrypt_ige(&mut data, &exchange.aes_key());
    let (hash, inner) = data.split_first_chunk::<20>().ok_or(HandshakeError::Malformed)?;
    let inner = enums::ClientDhInnerData::deserialize(&mut Cursor::from_slice(inner))?;
    if sha1(&[&inner.to_bytes()]) != *hash {
        return Err(HandshakeError::Encryption);
    }
    let enums::ClientDhInnerData::Data(inner) = inner;
    let bytes = exchange.secret.shared(&inner.g_b).ok_or(HandshakeError::Range)?;
    let answer = enums::SetClientDhParamsAnswer::DhGenOk(types::DhGenOk {
        nonce: exchange.nonce,
        server_nonce: exchange.server_nonce,
        new_nonce_hash1: take(&sha1(&[&exchange.new_nonce, &[1], &sha1(&[&bytes])[..8]]), 4),
    });
    let key = NewKey { bytes, salt: exchange.first_salt(), expires_in: exchange.expires_in };
    Ok(Step { answer: answer.to_bytes(), exchange: None, key: Some(key) })
}

impl Exchange {
    fn check(&self, nonce: &[u8; 16], server_nonce: &[u8; 16]) -> Result<(), HandshakeError> {
        let ours = self.nonce == *nonce && self.server_nonce == *server_nonce;
        ours.then_some(()).ok_or(HandshakeError::Order)
    }

    fn aes_key(&self) -> AesKey {
        handshake_key(&self.new_nonce, &self.server_nonce)
    }

    fn first_salt(&self) -> i64 {
        let ours = i64::from_le_bytes(take(&self.server_nonce, 0));
        i64::from_le_bytes(take(&self.new_nonce, 0)) ^ ours
    }
}

/// Undoes `RSA_PAD`: 32 bytes of a masked AES key, then 192 bytes of reversed data and their hash.
fn unpad(block: &[u8; 256]) -> Option<Vec<u8>> {
    let mut key = sha256(&[&block[32..]]);
    key.iter_mut().zip(block).for_each(|(key, mask)| *key ^= mask);
    let mut data = block[32..].to_vec();
    decrypt_ige(&mut data, &AesKey { key, iv: [0; 32] });
    let (padded, hash) = data.split_at_mut(192);
    padded.reverse();
    (sha256(&[&key, padded]) == *hash).then(|| padded.to_vec())
}
