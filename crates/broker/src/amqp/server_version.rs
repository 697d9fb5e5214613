//! RabbitMQ's version, which lapin does not pass on.

use std::io;
use std::time::Duration;

use lapin::uri::AMQPUri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest greeting that is read; RabbitMQ's has about 500 bytes.
const MAX_GREETING: u32 = 1 << 16;
/// The name and the type of the server property in the greeting's table.
const VERSION: &[u8] = b"\x07versionS";

/// Reads the version from the server's greeting, before any login; `None` if it has none.
pub(crate) async fn server_version(uri: &AMQPUri, within: Duration) -> Option<String> {
    let greeting = timeout(within, greeting(uri)).await.ok()?.ok()?;
    let at = greeting.windows(VERSION.len()).position(|window| window == VERSION)?;
    let (length, rest) = greeting.get(at + VERSION.len()..)?.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    String::from_utf8(rest.get(..length)?.to_vec()).ok()
}

async fn greeting(uri: &AMQPUri) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((&*uri.authority.host, uri.authority.port)).await?;
    stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
    let mut header = [0; 7];
    stream.read_exact(&mut header).await?;
    let [_, _, _, length @ ..] = header;
    let length = u32::from_be_bytes(length);
    if MAX_GREETING < length {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut greeting = vec![0; length as usize];
    stream.read_exact(&mut greeting).await?;
    Ok(greeting)
}
