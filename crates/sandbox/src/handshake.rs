//! The key exchange: unencrypted messages in, an authorization key out.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use grammers_tl_types::{
    Cursor, Deserializable, Identifiable, Serializable, enums, functions, types,
};

use crate::crypto::{
    AesKey, AuthKeyBytes, DhSecret, PRIME_GENERATOR, RsaKey, decrypt_ige, encrypt_ige,
    handshake_key, prime_bytes, random, sha1, sha256, take,
};
use crate::sync::lock;

/// Product of two 32-bit primes, which the client has to factorize; any will do.
const PQ: u64 = 0x17ED_4894_1A08_F981;

/// Why a key exchange failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("an unencrypted message that is not part of a key exchange: {0:08x}")]
    Method(u32),
    #[error("the message is truncated or malformed")]
    Malformed,
    #[error("a step of an unknown exchange")]
    Order,
    #[error("the data is not encrypted with this data centre's key")]
    Encryption,
    #[error("the client's half of the key is out of range")]
    Range,
}

impl From<grammers_tl_types::deserialize::Error> for HandshakeError {
    fn from(_: grammers_tl_types::deserialize::Error) -> Self {
        Self::Malformed
    }
}

/// A key that both sides have derived.
pub(crate) struct NewKey {
    pub(crate) bytes: AuthKeyBytes,
    /// The salt the client starts with.
    pub(crate) salt: i64,
    /// Lifetime in seconds of a temporary key.
    pub(crate) expires_in: Option<i32>,
}

/// How long an unfinished exchange is kept.
const PATIENCE: Duration = Duration::from_mins(10);

/// All exchanges in progress, by the client's nonce.
///
/// They are not bound to a connection: a client may continue an exchange on a new connection, and
/// may repeat any step.
#[derive(Default)]
pub(crate) struct PendingExchanges(Mutex<HashMap<[u8; 16], (Instant, KeyExchange)>>);

impl PendingExchanges {
    /// The exchange that `body` continues, if any.
    pub(crate) fn find(&self, body: &[u8]) -> Option<KeyExchange> {
        // In every step, the nonce follows the constructor.
        let nonce = body.get(4..)?.first_chunk()?;
        lock(&self.0).get(nonce).map(|(_, exchange)| exchange.clone())
    }

    /// Stores the current state of an exchange.
    pub(crate) fn keep(&self, exchange: KeyExchange) {
        let mut all = lock(&self.0);
        all.retain(|_, (since, _)| since.elapsed() < PATIENCE);
        all.insert(exchange.nonce, (Instant::now(), exchange));
    }
}

/// One key exchange, from the server's side.
#[derive(Clone)]
pub(crate) struct KeyExchange {
    nonce: [u8; 16],
    server_nonce: [u8; 16],
    new_nonce: [u8; 32],
    secret: DhSecret,
    expires_in: Option<i32>,
}

/// The result of one step of an exchange.
pub(crate) struct ExchangeStep {
    pub(crate) answer: Vec<u8>,
    /// The new state of the exchange, if the step changed it.
    pub(crate) exchange: Option<KeyExchange>,
    pub(crate) key: Option<NewKey>,
}

/// Answers one unencrypted message. It takes milliseconds of CPU time: run it on a blocking thread.
pub(crate) fn step(
    exchange: Option<KeyExchange>,
    rsa: &RsaKey,
    now: i32,
    body: &[u8],
) -> Result<ExchangeStep, HandshakeError> {
    let (id, arguments) = body.split_first_chunk::<4>().ok_or(HandshakeError::Malformed)?;
    let mut cursor = Cursor::from_slice(arguments);
    match u32::from_le_bytes(*id) {
        functions::ReqPqMulti::CONSTRUCTOR_ID => {
            let request = functions::ReqPqMulti::deserialize(&mut cursor)?;
            Ok(begin(exchange.unwrap_or_else(|| KeyExchange::new(request.nonce)), rsa))
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

fn begin(exchange: KeyExchange, rsa: &RsaKey) -> ExchangeStep {
    let answer = enums::ResPq::Pq(types::ResPq {
        nonce: exchange.nonce,
        server_nonce: exchange.server_nonce,
        pq: PQ.to_be_bytes().to_vec(),
        server_public_key_fingerprints: vec![rsa.fingerprint()],
    });
    ExchangeStep { answer: answer.to_bytes(), exchange: Some(exchange), key: None }
}

fn offer(
    mut exchange: KeyExchange,
    rsa: &RsaKey,
    now: i32,
    request: &functions::ReqDhParams,
) -> Result<ExchangeStep, HandshakeError> {
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
    Ok(ExchangeStep { answer: answer.to_bytes(), exchange: Some(exchange), key: None })
}

fn finish(
    exchange: &KeyExchange,
    request: functions::SetClientDhParams,
) -> Result<ExchangeStep, HandshakeError> {
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
    Ok(ExchangeStep { answer: answer.to_bytes(), exchange: None, key: Some(key) })
}

impl KeyExchange {
    fn new(nonce: [u8; 16]) -> Self {
        Self {
            nonce,
            server_nonce: random(),
            new_nonce: [0; 32],
            secret: DhSecret::generate(),
            expires_in: None,
        }
    }

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

/// Reverses `RSA_PAD`: 32 bytes of a masked AES key, then 192 bytes of reversed data and their
/// hash.
fn unpad(block: &[u8; 256]) -> Option<Vec<u8>> {
    let mut key = sha256(&[&block[32..]]);
    key.iter_mut().zip(block).for_each(|(key, mask)| *key ^= mask);
    let mut data = block[32..].to_vec();
    decrypt_ige(&mut data, &AesKey { key, iv: [0; 32] });
    let (padded, hash) = data.split_at_mut(192);
    padded.reverse();
    (sha256(&[&key, padded]) == *hash).then(|| padded.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: [u8; 16] = [7; 16];
    const NEW_NONCE: [u8; 32] = [9; 32];

    /// `RSA_PAD`, as a client does it.
    fn pad(data: &[u8]) -> Vec<u8> {
        let mut padded = data.to_vec();
        padded.resize(192, 0);
        let reversed: Vec<u8> = padded.iter().rev().copied().collect();
        let block = |byte| {
            let key = [byte; 32];
            let mut data = [&reversed[..], &sha256(&[&key, &padded])].concat();
            encrypt_ige(&mut data, &AesKey { key, iv: [0; 32] });
            let mut masked = sha256(&[&data]);
            for mask in &mut masked {
                *mask ^= byte;
            }
            [&masked[..], &data].concat()
        };
        // It has to be less than the modulus, whose highest bit is set.
        (0..=255).map(block).find(|block| block[0] < 0x80).unwrap()
    }

    /// Takes one step, as a connection does.
    fn take_step(exchanges: &PendingExchanges, rsa: &RsaKey, body: &[u8]) -> ExchangeStep {
        let taken = step(exchanges.find(body), rsa, 5, body).unwrap();
        if let Some(exchange) = &taken.exchange {
            exchanges.keep(exchange.clone());
        }
        taken
    }

    #[test]
    fn a_client_may_repeat_every_step_on_another_connection() {
        let (rsa, exchanges) = (RsaKey::generate(), PendingExchanges::default());
        let begin = functions::ReqPqMulti { nonce: NONCE }.to_bytes();
        let first = take_step(&exchanges, &rsa, &begin).answer;
        assert_eq!(take_step(&exchanges, &rsa, &begin).answer, first);
        let enums::ResPq::Pq(pq) = enums::ResPq::from_bytes(&first).unwrap();
        let inner = enums::PQInnerData::TempDc(types::PQInnerDataTempDc {
            pq: pq.pq,
            p: Vec::new(),
            q: Vec::new(),
            nonce: NONCE,
            server_nonce: pq.server_nonce,
            new_nonce: NEW_NONCE,
            dc: 1,
            expires_in: 60,
        });
        let offer = functions::ReqDhParams {
            nonce: NONCE,
            server_nonce: pq.server_nonce,
            p: Vec::new(),
            q: Vec::new(),
            public_key_fingerprint: rsa.fingerprint(),
            encrypted_data: rsa.encrypt(&pad(&inner.to_bytes())),
        };
        let offers = [(); 2].map(|()| take_step(&exchanges, &rsa, &offer.to_bytes()).answer);
        assert_eq!(offers[0], offers[1]);
        let ours = DhSecret::generate();
        let inner = enums::ClientDhInnerData::Data(types::ClientDhInnerData {
            nonce: NONCE,
            server_nonce: pq.server_nonce,
            retry_id: 0,
            g_b: ours.public(),
        });
        let mut data = [&sha1(&[&inner.to_bytes()])[..], &inner.to_bytes()].concat();
        data.resize(data.len().next_multiple_of(16), 0);
        encrypt_ige(&mut data, &handshake_key(&NEW_NONCE, &pq.server_nonce));
        let finish = functions::SetClientDhParams {
            nonce: NONCE,
            server_nonce: pq.server_nonce,
            encrypted_data: data,
        };
        let keys = [(); 2].map(|()| take_step(&exchanges, &rsa, &finish.to_bytes()).key.unwrap());
        assert_eq!(keys[0].bytes, keys[1].bytes);
        assert_eq!(keys[0].expires_in, Some(60));
    }

    #[test]
    fn a_step_of_an_unknown_exchange_is_refused() {
        let rsa = RsaKey::generate();
        let finish = functions::SetClientDhParams {
            nonce: NONCE,
            server_nonce: NONCE,
            encrypted_data: Vec::new(),
        };
        let refused = step(None, &rsa, 5, &finish.to_bytes());
        assert!(matches!(refused, Err(HandshakeError::Order)));
        let other = functions::help::GetConfig {}.to_bytes();
        assert!(matches!(step(None, &rsa, 5, &other), Err(HandshakeError::Method(_))));
    }
}
