//! The frame with a message's size and properties.

use crate::amqp::frame_filter::byte_reader::{ByteReader, write_short};
use crate::amqp::frame_filter::field_table::{check_table, check_text};
use crate::amqp::frame_filter::unreadable_properties::UnreadableProperties;

/// Largest properties that are passed on, in bytes.
const MAX_SIZE: usize = 16 << 10;
/// Class, weight and body size, before the properties.
const FIXED: usize = 12;

const HEADERS: u16 = 1 << 13;
const DELIVERY_MODE: u16 = 1 << 12;
const PRIORITY: u16 = 1 << 11;
const CORRELATION_ID: u16 = 1 << 10;
const REPLY_TO: u16 = 1 << 9;
const MESSAGE_ID: u16 = 1 << 7;
const TIMESTAMP: u16 = 1 << 6;
/// Not a property: more flags follow, which no client sends.
const CONTINUED: u16 = 1;
/// Flags that stand for nothing.
const UNUSED: u16 = 1 << 1;

/// Header that stands for properties that were not passed on; its value is their fault's code.
pub(in crate::amqp) const MARK: &str = "x-tdfleet-unreadable";
const PERSISTENT: u8 = 2;

/// The same payload with properties that are safe to read; `None` if they are.
pub(super) fn replacement(payload: &[u8]) -> Option<Vec<u8>> {
    let (fixed, properties) = payload.split_at_checked(FIXED)?;
    let fault = check_properties(properties).err()?;
    Some([fixed, &marked_properties(properties, fault)].concat())
}

fn check_properties(properties: &[u8]) -> Result<(), UnreadableProperties> {
    if MAX_SIZE < properties.len() {
        return Err(UnreadableProperties::TooLarge);
    }
    let mut rest = ByteReader(properties);
    let flags = rest.u16()?;
    if flags & (CONTINUED | UNUSED) != 0 {
        return Err(UnreadableProperties::Malformed);
    }
    for flag in flags_of(flags) {
        match read_property(flag, &mut rest)? {
            Property::Headers(table) => check_table(table)?,
            Property::Text(text) => check_text(text)?,
            Property::Number => {}
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(UnreadableProperties::Malformed) }
}

enum Property<'a> {
    Headers(&'a [u8]),
    Text(&'a [u8]),
    Number,
}

/// The flags that are set, in the order of their properties.
fn flags_of(flags: u16) -> impl Iterator<Item = u16> {
    (2..16).rev().map(|bit| 1 << bit).filter(move |flag| flags & flag != 0)
}

fn read_property<'a>(
    flag: u16,
    rest: &mut ByteReader<'a>,
) -> Result<Property<'a>, UnreadableProperties> {
    Ok(match flag {
        HEADERS => Property::Headers(rest.long()?),
        DELIVERY_MODE | PRIORITY => rest.take(1).map(|_| Property::Number)?,
        TIMESTAMP => rest.take(8).map(|_| Property::Number)?,
        _ => Property::Text(rest.short()?),
    })
}

/// Properties with the mark, and with the ids and the reply address as far as they can be read.
fn marked_properties(properties: &[u8], fault: UnreadableProperties) -> Vec<u8> {
    let mut flags = HEADERS | DELIVERY_MODE;
    let mut texts = Vec::new();
    let mut rest = ByteReader(properties);
    for flag in flags_of(rest.u16().unwrap_or_default()) {
        let Ok(property) = read_property(flag, &mut rest) else { break };
        if let (CORRELATION_ID | REPLY_TO | MESSAGE_ID, Property::Text(text)) = (flag, property)
            && check_text(text).is_ok()
        {
            flags |= flag;
            write_short(&mut texts, text);
        }
    }
    let mut table = Vec::new();
    write_short(&mut table, MARK.as_bytes());
    table.extend([b'B', fault.code()]);
    let length = u32::try_from(table.len()).unwrap_or_default().to_be_bytes();
    [&flags.to_be_bytes()[..], &length, &table, &[PERSISTENT], &texts].concat()
}
