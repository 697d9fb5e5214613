//! The methods that bring a message, with the routing key that its publisher chose.

use crate::amqp::frame_filter::byte_reader::{ByteReader, write_short};
use crate::amqp::frame_filter::unreadable_properties::UnreadableProperties;

const BASIC: u16 = 60;
const RETURN: u16 = 50;
const DELIVER: u16 = 60;
const GET_OK: u16 = 71;

/// Stands before a key's escaped bytes; no command's key begins like this.
const NOT_UTF8: &str = "not UTF-8: ";

/// Whether a method's payload, of which this is the beginning, may need a replacement.
pub(super) fn brings_message(start: &[u8]) -> bool {
    ids(start)
        .is_ok_and(|(class, method)| class == BASIC && matches!(method, RETURN | DELIVER | GET_OK))
}

/// Bytes of a payload that [`brings_message`] needs.
pub(super) const IDS: usize = 4;

fn ids(start: &[u8]) -> Result<(u16, u16), UnreadableProperties> {
    let mut rest = ByteReader(start);
    Ok((rest.u16()?, rest.u16()?))
}

/// The same payload with exchange and routing key as text; `None` if they are.
pub(super) fn replacement(payload: &[u8]) -> Option<Vec<u8>> {
    let MethodParts { before, exchange, key, after } = MethodParts::read(payload).ok()?;
    if [exchange, key].into_iter().all(|text| std::str::from_utf8(text).is_ok()) {
        return None;
    }
    let mut replaced = before.to_vec();
    for text in [exchange, key] {
        write_short(&mut replaced, &readable(text));
    }
    replaced.extend_from_slice(after);
    Some(replaced)
}

struct MethodParts<'a> {
    before: &'a [u8],
    exchange: &'a [u8],
    key: &'a [u8],
    after: &'a [u8],
}

impl<'a> MethodParts<'a> {
    fn read(payload: &'a [u8]) -> Result<Self, UnreadableProperties> {
        let (_, method) = ids(payload)?;
        let mut rest = ByteReader(payload);
        rest.take(IDS)?;
        match method {
            RETURN => {
                rest.take(2)?;
                rest.short()?;
            }
            DELIVER => {
                rest.short()?;
                rest.take(9)?;
            }
            _ => drop(rest.take(9)?),
        }
        let before = &payload[..payload.len() - rest.0.len()];
        let (exchange, key) = (rest.short()?, rest.short()?);
        Ok(Self { before, exchange, key, after: rest.0 })
    }
}

fn readable(text: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(text) {
        Ok(text) => text.as_bytes().to_vec(),
        Err(_) => format!("{NOT_UTF8}{}", text.escape_ascii()).into_bytes(),
    }
}
