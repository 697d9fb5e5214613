//! Reading AMQP's types out of bytes, with every length checked.

use crate::amqp::frame_filter::unreadable_properties::UnreadableProperties;

/// What is left to read.
#[derive(Clone, Copy)]
pub(super) struct ByteReader<'a>(pub(super) &'a [u8]);

/// Bytes that end too early break AMQP's grammar.
const TRUNCATED: UnreadableProperties = UnreadableProperties::Malformed;

impl<'a> ByteReader<'a> {
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], UnreadableProperties> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(TRUNCATED)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], UnreadableProperties> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(TRUNCATED)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, UnreadableProperties> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, UnreadableProperties> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, UnreadableProperties> {
        self.array().map(u32::from_be_bytes)
    }

    /// A length of 32 bits, and this many bytes.
    pub(super) fn long(&mut self) -> Result<&'a [u8], UnreadableProperties> {
        let length = self.u32()?;
        self.take(usize::try_from(length).map_err(|_| TRUNCATED)?)
    }

    /// A short string: a length of 8 bits, and this many bytes.
    pub(super) fn short(&mut self) -> Result<&'a [u8], UnreadableProperties> {
        let length = self.u8()?;
        self.take(length.into())
    }
}

/// Appends a short string, cut to what one can hold.
pub(super) fn write_short(out: &mut Vec<u8>, text: &[u8]) {
    let cut = &text[..text.len().min(u8::MAX.into())];
    out.push(u8::try_from(cut.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(cut);
}
