use bytes::{Buf, BytesMut};
use ctr::cipher::StreamCipher;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::TransportError;
use super::obfuscation::DirectionCipher;
use crate::crypto::random;

/// Maximum length of a client's frame.
const MAX_FRAME: usize = 1 << 22;
/// Flag in a frame's length: the client requests a quick acknowledgement.
const QUICK_ACK: u32 = 1 << 31;

/// One message of the transport.
pub(crate) struct Frame {
    /// Its bytes; with padded framing, up to 15 random bytes follow the message.
    pub(crate) payload: BytesMut,
    /// Whether the client requests a quick acknowledgement.
    pub(crate) quick_ack: bool,
}

/// The client's side of a stream.
pub(crate) struct FrameReader {
    stream: OwnedReadHalf,
    cipher: DirectionCipher,
    plain: BytesMut,
}

impl FrameReader {
    pub(super) fn new(stream: OwnedReadHalf, cipher: DirectionCipher) -> Self {
        Self { stream, cipher, plain: BytesMut::new() }
    }

    /// The next frame; `None` when the client has closed the stream.
    ///
    /// # Cancel safety
    ///
    /// Safe: what was read stays in the reader.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, TransportError> {
        loop {
            if let Some(frame) = self.take_frame()? {
                return Ok(Some(frame));
            }
            let known = self.plain.len();
            let read = self.stream.read_buf(&mut self.plain).await.map_err(TransportError::Read)?;
            if read == 0 {
                return Ok(None);
            }
            self.cipher.apply_keystream(&mut self.plain[known..]);
        }
    }

    fn take_frame(&mut self) -> Result<Option<Frame>, TransportError> {
        let Some(head) = self.plain.first_chunk::<4>() else { return Ok(None) };
        let head = u32::from_le_bytes(*head);
        let length = (head & !QUICK_ACK) as usize;
        if length > MAX_FRAME {
            return Err(TransportError::Length(length));
        }
        if self.plain.len() < 4 + length {
            return Ok(None);
        }
        self.plain.advance(4);
        let payload = self.plain.split_to(length);
        Ok(Some(Frame { payload, quick_ack: head & QUICK_ACK != 0 }))
    }
}

/// The server's side of a stream.
pub(crate) struct FrameWriter {
    stream: OwnedWriteHalf,
    cipher: DirectionCipher,
    padded: bool,
}

impl FrameWriter {
    pub(super) fn new(stream: OwnedWriteHalf, cipher: DirectionCipher, padded: bool) -> Self {
        Self { stream, cipher, padded }
    }

    /// Sends one message as a frame.
    pub(crate) async fn send(&mut self, payload: &[u8]) -> Result<(), TransportError> {
        let noise: [u8; 16] = random();
        let padding = if self.padded { &noise[..usize::from(noise[15] % 16)] } else { &[] };
        let length = payload.len() + padding.len();
        let head = u32::try_from(length).map_err(|_| TransportError::Length(length))?;
        self.write([&head.to_le_bytes(), payload, padding].concat()).await
    }

    /// Sends a quick acknowledgement: four bytes without a length.
    pub(crate) async fn send_quick_ack(&mut self, token: [u8; 4]) -> Result<(), TransportError> {
        self.write(token.to_vec()).await
    }

    async fn write(&mut self, mut bytes: Vec<u8>) -> Result<(), TransportError> {
        self.cipher.apply_keystream(&mut bytes);
        self.stream.write_all(&bytes).await.map_err(TransportError::Write)
    }
}
