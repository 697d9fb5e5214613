//! What RabbitMQ sends, made safe to parse.
//!
//! lapin ends the connection on a short string that is not UTF-8, and calls itself for every level of
//! a header table: one message could stop every queue of the process, or the process. So the bytes
//! pass through here first. A routing key or properties that lapin could not handle are replaced, with
//! a mark for [`crate::amqp::codec`]; everything else passes unchanged, in one pass, and bodies are
//! not looked at.

mod byte_reader;
mod content_header;
mod field_table;
mod message_method;
mod unreadable_properties;

pub(super) use content_header::MARK;
pub(super) use unreadable_properties::UnreadableProperties;

use std::io;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
/// First byte of what RabbitMQ sends instead of frames to a client of another protocol.
const PROTOCOL_HEADER: u8 = b'A';

/// Type, channel and size of a frame, before its payload.
const FRAME_START: usize = 7;
/// The byte after the payload.
const FRAME_END: u8 = 0xce;
/// Largest frame that is held until it is complete. RabbitMQ accepts frames of 128 KiB by default,
/// and adds a little to the headers of what it delivers.
const MAX_HELD: usize = 16 << 20;

/// Filters the frames of one connection.
#[derive(Debug, Default)]
pub(super) struct FrameFilter {
    /// The beginning of a frame, until there is enough of it.
    held: Vec<u8>,
    /// Bytes of the current frame that are still to pass unchanged.
    passing: usize,
}

/// What is to be done with what is held.
enum NextStep {
    /// More bytes are needed.
    Wait,
    /// Pass this many bytes, whether they are there yet or not.
    Pass(usize),
    /// A whole frame of this size is to be looked at.
    Inspect(usize),
}

impl FrameFilter {
    /// Takes bytes as they arrive, cut anywhere, and appends those that can be passed on.
    ///
    /// # Errors
    ///
    /// A frame is too large to be held.
    pub(super) fn filter(&mut self, input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let (passed, rest) = input.split_at(self.passing.min(input.len()));
        out.extend_from_slice(passed);
        self.passing -= passed.len();
        self.held.extend_from_slice(rest);
        let mut done = 0;
        loop {
            let held = &self.held[done..];
            match next_step(held)? {
                NextStep::Wait => break,
                NextStep::Inspect(size) => {
                    write_inspected(&held[..size], out);
                    done += size;
                }
                NextStep::Pass(size) => {
                    let here = size.min(held.len());
                    out.extend_from_slice(&held[..here]);
                    self.passing = size - here;
                    done += here;
                }
            }
        }
        self.held.drain(..done);
        Ok(())
    }
}

fn next_step(held: &[u8]) -> io::Result<NextStep> {
    let Some((start, payload)) = held.split_first_chunk::<FRAME_START>() else {
        let foreign = held.first() == Some(&PROTOCOL_HEADER);
        return Ok(if foreign { NextStep::Pass(usize::MAX) } else { NextStep::Wait });
    };
    let [kind, _, _, size @ ..] = *start;
    let size = usize::try_from(u32::from_be_bytes(size)).unwrap_or(usize::MAX);
    let size = size.saturating_add(FRAME_START + 1);
    let looks = match kind {
        PROTOCOL_HEADER => return Ok(NextStep::Pass(usize::MAX)),
        HEADER => true,
        METHOD if payload.len() < message_method::IDS && held.len() < size => {
            return Ok(NextStep::Wait);
        }
        METHOD => message_method::brings_message(payload),
        _ => false,
    };
    if !looks {
        return Ok(NextStep::Pass(size));
    }
    if MAX_HELD < size {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is too large"));
    }
    Ok(if held.len() < size { NextStep::Wait } else { NextStep::Inspect(size) })
}

/// Writes a whole frame, with its payload replaced if need be.
fn write_inspected(frame: &[u8], out: &mut Vec<u8>) {
    let payload = &frame[FRAME_START..frame.len() - 1];
    let replacement = match frame[0] {
        HEADER => content_header::replacement(payload),
        _ => message_method::replacement(payload),
    };
    let Some(payload) = replacement else { return out.extend_from_slice(frame) };
    out.extend_from_slice(&frame[..FRAME_START - 4]);
    out.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&payload);
    out.push(FRAME_END);
}

#[cfg(test)]
mod tests;
