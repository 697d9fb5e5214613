//! The encrypted envelope of MTProto 2.0: packets to messages, and messages to packets.

use std::io::Read as _;

use flate2::read::{GzDecoder, ZlibDecoder};
use grammers_tl_types::{Cursor, Deserializable};

use crate::crypto::{
    Direction, decrypt_ige, encrypt_ige, message_key, message_keys, random, sha256, take,
};
use crate::keys::{AuthKey, KeyId};

pub(crate) const MSG_CONTAINER: u32 = 0x73f1_f8dc;
pub(crate) const GZIP_PACKED: u32 = 0x3072_cfa1;
/// Salt, session id, message id, sequence number and length.
const HEADER: usize = 32;
/// Largest message after unpacking.
const MAX_UNPACKED: u64 = 1 << 24;

/// Why a packet could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvelopeError {
    #[error("the packet was not encrypted with its key")]
    MessageKey,
    #[error("the packet is truncated or malformed")]
    Malformed,
}

/// A decrypted packet.
pub(crate) struct Packet {
    pub(crate) salt: i64,
    pub(crate) session: i64,
    pub(crate) message: Message,
    /// Its quick acknowledgement.
    pub(crate) quick_ack: [u8; 4],
}

/// One message of a packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) id: i64,
    pub(crate) seq: i32,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// The constructor id of its body; 0 when it is too short.
    pub(crate) fn constructor(&self) -> u32 {
        constructor(&self.body)
    }
}

/// The constructor id `body` begins with; 0 when it is too short.
pub(crate) fn constructor(body: &[u8]) -> u32 {
    body.first_chunk().map_or(0, |id| u32::from_le_bytes(*id))
}

/// The key id of a packet, `0` for an unencrypted one.
pub(crate) fn key_id(packet: &[u8]) -> Option<KeyId> {
    packet.first_chunk().map(|id| KeyId(u64::from_le_bytes(*id)))
}

/// Decrypts a packet with `key`; random bytes may follow it.
pub(crate) fn open(key: &AuthKey, packet: &[u8]) -> Result<Packet, EnvelopeError> {
    let (head, encrypted) = packet.split_first_chunk::<24>().ok_or(EnvelopeError::Malformed)?;
    let msg_key = take(head, 8);
    let mut data = encrypted[..encrypted.len() / 16 * 16].to_vec();
    decrypt_ige(&mut data, &message_keys(&key.bytes, Direction::FromClient, &msg_key));
    if message_key(&key.bytes, Direction::FromClient, &data) != msg_key {
        return Err(EnvelopeError::MessageKey);
    }
    let (head, rest) = data.split_first_chunk::<HEADER>().ok_or(EnvelopeError::Malformed)?;
    let length = u32::from_le_bytes(take(head, 28)) as usize;
    let body = rest.get(..length).ok_or(EnvelopeError::Malformed)?.to_vec();
    let mut quick_ack = take::<4>(&sha256(&[&key.bytes[88..120], &data]), 0);
    quick_ack[3] |= 0x80;
    Ok(Packet {
        salt: i64::from_le_bytes(take(head, 0)),
        session: i64::from_le_bytes(take(head, 8)),
        message: Message {
            id: i64::from_le_bytes(take(head, 16)),
            seq: i32::from_le_bytes(take(head, 24)),
            body,
        },
        quick_ack,
    })
}

/// Encrypts one server message.
pub(crate) fn seal(key: &AuthKey, salt: i64, session: i64, message: &Message) -> Vec<u8> {
    let body = &message.body;
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut data = [
        &salt.to_le_bytes()[..],
        &session.to_le_bytes(),
        &message.id.to_le_bytes(),
        &message.seq.to_le_bytes(),
        &length.to_le_bytes(),
        body,
    ]
    .concat();
    let padded = (data.len() + 12).next_multiple_of(16);
    data.extend_from_slice(&random::<32>()[..padded - data.len()]);
    let msg_key = message_key(&key.bytes, Direction::FromServer, &data);
    encrypt_ige(&mut data, &message_keys(&key.bytes, Direction::FromServer, &msg_key));
    [&key.id.0.to_le_bytes()[..], &msg_key, &data].concat()
}

/// The messages in `message`: itself, or those of a container; gzipped ones are unpacked.
pub(crate) fn flatten(message: Message) -> Result<Vec<Message>, EnvelopeError> {
    let message = unpack(message)?;
    if message.constructor() != MSG_CONTAINER {
        return Ok(vec![message]);
    }
    let mut rest = message.body.get(8..).ok_or(EnvelopeError::Malformed)?;
    let mut messages = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk::<16>() {
        let length = u32::from_le_bytes(take(head, 12)) as usize;
        let body = tail.get(..length).ok_or(EnvelopeError::Malformed)?.to_vec();
        rest = &tail[length..];
        let id = i64::from_le_bytes(take(head, 0));
        messages.push(unpack(Message { id, seq: i32::from_le_bytes(take(head, 8)), body })?);
    }
    Ok(messages)
}

fn unpack(message: Message) -> Result<Message, EnvelopeError> {
    match message.constructor() {
        GZIP_PACKED => Ok(Message { body: gunzip(&message.body)?, ..message }),
        _ => Ok(message),
    }
}

/// The content of a `gzip_packed`. TDLib's is framed as zlib, other clients' as gzip.
pub(crate) fn gunzip(body: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    let packed = body.get(4..).ok_or(EnvelopeError::Malformed)?;
    let packed = Vec::<u8>::deserialize(&mut Cursor::from_slice(packed))
        .map_err(|_| EnvelopeError::Malformed)?;
    let mut plain = Vec::new();
    let read = match packed.as_slice() {
        [0x1f, 0x8b, ..] => GzDecoder::new(&packed[..]).take(MAX_UNPACKED).read_to_end(&mut plain),
        _ => ZlibDecoder::new(&packed[..]).take(MAX_UNPACKED).read_to_end(&mut plain),
    };
    read.map_err(|_| EnvelopeError::Malformed)?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use grammers_tl_types::Serializable as _;

    use super::*;
    use crate::handshake::NewKey;

    fn packed(body: &[u8], zlib: bool) -> Vec<u8> {
        let level = flate2::Compression::default();
        let bytes = if zlib {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        } else {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        };
        let mut out = GZIP_PACKED.to_le_bytes().to_vec();
        bytes.serialize(&mut out);
        out
    }

    #[test]
    fn a_container_gives_its_messages_unpacked_in_order() {
        let bodies = [b"ping".to_vec(), packed(b"zlib", true), packed(b"gzip", false)];
        let mut body = MSG_CONTAINER.to_le_bytes().to_vec();
        body.extend(3i32.to_le_bytes());
        for (id, inner) in (1i64..).zip(&bodies) {
            body.extend(id.to_le_bytes());
            body.extend(1i32.to_le_bytes());
            body.extend(u32::try_from(inner.len()).unwrap().to_le_bytes());
            body.extend(inner);
        }
        let messages = flatten(Message { id: 9, seq: 0, body: body.clone() }).unwrap();
        let expected = [(1, "ping"), (2, "zlib"), (3, "gzip")].map(|(id, text)| Message {
            id,
            seq: 1,
            body: text.as_bytes().to_vec(),
        });
        assert_eq!(messages, expected);
        body.pop();
        assert!(flatten(Message { id: 9, seq: 0, body }).is_err());
    }

    #[test]
    fn a_packet_of_another_key_is_refused() {
        let key =
            |byte| AuthKey::new(&NewKey { bytes: [byte; 256], salt: 0, expires_in: None }, 1, 0);
        let message = Message { id: 5, seq: 1, body: b"body".to_vec() };
        let packet = seal(&key(1), 2, 3, &message);
        assert!(matches!(open(&key(2), &packet), Err(EnvelopeError::MessageKey)));
        assert_eq!(key_id(&packet), Some(key(1).id));
    }
}
