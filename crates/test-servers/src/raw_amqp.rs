//! A publisher that writes AMQP frames by hand, for messages that no client library can make.

#![expect(clippy::expect_used, reason = "a test may panic")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longest wait for an answer of RabbitMQ.
const PATIENCE: Duration = Duration::from_secs(30);

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
const FRAME_END: u8 = 0xce;
/// What RabbitMQ proposes and this client accepts.
const FRAME_MAX: usize = 131_072;

/// AMQP properties as they go over the wire, whatever their bytes.
#[derive(Clone, Debug, Default)]
pub struct RawProperties {
    flags: u16,
    values: Vec<(u16, Vec<u8>)>,
}

impl RawProperties {
    /// The header table's content, without its length.
    #[must_use]
    pub fn headers(self, entries: &[u8]) -> Self {
        self.with(13, sized(entries))
    }

    /// `correlation_id`.
    #[must_use]
    pub fn correlation_id(self, bytes: &[u8]) -> Self {
        self.with(10, short(bytes))
    }

    /// `reply_to`.
    #[must_use]
    pub fn reply_to(self, bytes: &[u8]) -> Self {
        self.with(9, short(bytes))
    }

    /// `message_id`.
    #[must_use]
    pub fn message_id(self, bytes: &[u8]) -> Self {
        self.with(7, short(bytes))
    }

    /// `app_id`.
    #[must_use]
    pub fn app_id(self, bytes: &[u8]) -> Self {
        self.with(3, short(bytes))
    }

    fn with(mut self, bit: u16, value: Vec<u8>) -> Self {
        self.flags |= 1 << bit;
        self.values.push((bit, value));
        self
    }

    fn encode(mut self) -> Vec<u8> {
        self.values.sort_by_key(|(bit, _)| u16::MAX - bit);
        let values = self.values.into_iter().flat_map(|(_, value)| value);
        self.flags.to_be_bytes().into_iter().chain(values).collect()
    }
}

/// One entry of a table: arrays inside arrays, this many levels deep.
pub fn nested_arrays(levels: usize) -> Vec<u8> {
    let mut entry = short(b"nested");
    for level in 0..levels {
        entry.push(b'A');
        entry.extend(be_u32((levels - level - 1) * 5));
    }
    entry
}

/// One entry of a table: a long string under any name.
pub fn text_header(name: &[u8], text: &[u8]) -> Vec<u8> {
    let mut entry = short(name);
    entry.push(b'S');
    entry.extend(sized(text));
    entry
}

/// A connection with one channel that confirms what is published.
#[derive(Debug)]
pub struct RawPublisher(TcpStream);

impl RawPublisher {
    /// Connects to `amqp://user:password@host:port/%2f`.
    ///
    /// # Panics
    ///
    /// RabbitMQ refuses a step.
    pub fn connect(uri: &str) -> Self {
        let authority = uri.trim_start_matches("amqp://").split('/').next().unwrap_or_default();
        let (login, address) = authority.rsplit_once('@').unwrap_or(("guest:guest", authority));
        let plain = format!("\0{}", login.replacen(':', "\0", 1));
        let stream = TcpStream::connect(address);
        let mut client = Self(stream.expect("a connection to RabbitMQ"));
        client.0.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        client.write(b"AMQP\0\0\x09\x01");
        client.expect(10, 10);
        let start_ok = [&[0; 4][..], &short(b"PLAIN"), &sized(plain.as_bytes()), &short(b"en_US")];
        client.method(0, 10, 11, &start_ok.concat());
        client.expect(10, 30);
        let limits = [&2047_u16.to_be_bytes()[..], &be_u32(FRAME_MAX), &[0; 2]];
        client.method(0, 10, 31, &limits.concat());
        client.method(0, 10, 40, &[&short(b"/")[..], &[0, 0]].concat());
        client.expect(10, 41);
        client.method(1, 20, 10, &[0]);
        client.expect(20, 11);
        client.method(1, 85, 10, &[0]);
        client.expect(85, 11);
        client
    }

    /// Publishes a message and waits for its confirm.
    ///
    /// # Panics
    ///
    /// RabbitMQ does not confirm it.
    pub fn publish(&mut self, exchange: &str, key: &[u8], properties: RawProperties, body: &[u8]) {
        let publish = [&[0; 2][..], &short(exchange.as_bytes()), &short(key), &[0]].concat();
        self.method(1, 60, 40, &publish);
        let size = (body.len() as u64).to_be_bytes();
        let header = [&[0, 60, 0, 0], &size[..], &properties.encode()].concat();
        self.frame(HEADER, 1, &header);
        for chunk in body.chunks(FRAME_MAX - 8) {
            self.frame(BODY, 1, chunk);
        }
        self.expect(60, 80);
    }

    fn method(&mut self, channel: u16, class: u16, method: u16, arguments: &[u8]) {
        let ids = [class.to_be_bytes(), method.to_be_bytes()].concat();
        self.frame(METHOD, channel, &[&ids, arguments].concat());
    }

    fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let head = [&[kind], &channel.to_be_bytes()[..], &be_u32(payload.len())].concat();
        self.write(&[&head, payload, &[FRAME_END]].concat());
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("a connection that takes frames");
    }

    /// Reads up to this method.
    fn expect(&mut self, class: u16, method: u16) {
        let wanted = [class.to_be_bytes(), method.to_be_bytes()].concat();
        loop {
            let mut head = [0; 7];
            self.0.read_exact(&mut head).expect("a frame of RabbitMQ");
            let [kind, _, _, size @ ..] = head;
            let size = usize::try_from(u32::from_be_bytes(size)).unwrap_or_default();
            let mut payload = vec![0; size + 1];
            self.0.read_exact(&mut payload).expect("a whole frame");
            if kind == HEARTBEAT {
                continue;
            }
            assert!(payload.starts_with(&wanted), "{}", payload.escape_ascii());
            return;
        }
    }
}

fn short(bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).expect("at most 255 bytes");
    [&[length], bytes].concat()
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&be_u32(bytes.len()), bytes].concat()
}

fn be_u32(number: usize) -> Vec<u8> {
    u32::try_from(number).expect("a length of 32 bits").to_be_bytes().to_vec()
}
