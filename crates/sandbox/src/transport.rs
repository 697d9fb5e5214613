//! From a TCP stream to frames: obfuscated2 with the intermediate or padded intermediate framing,
//! as TDLib speaks it to an MTProto proxy.

mod error;
mod frame;
mod obfuscation;
mod socks;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

pub(crate) use error::TransportError;
pub(crate) use frame::{Frame, FrameReader, FrameWriter};
pub(crate) use obfuscation::ProxySecret;

use obfuscation::HEADER;

/// A stream whose header has been read.
pub(crate) struct AcceptedStream {
    pub(crate) reader: FrameReader,
    pub(crate) writer: FrameWriter,
    /// The data centre the client asks for: 1 to 5, 10,000 more for a test one, negative for media.
    pub(crate) dc: i16,
}

/// The kind of proxy that a listener offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListenerKind {
    /// An MTProto proxy with this secret.
    Proxy(ProxySecret),
    /// A SOCKS5 server in front of the data centre.
    Socks,
}

/// Accepts a client and reads its obfuscation header; a client without the secret is refused.
pub(crate) async fn accept(
    mut stream: TcpStream,
    entry: ListenerKind,
) -> Result<AcceptedStream, TransportError> {
    stream.set_nodelay(true).map_err(TransportError::Read)?;
    let secret = match entry {
        ListenerKind::Proxy(secret) => Some(secret),
        ListenerKind::Socks => {
            socks::greet(&mut stream).await?;
            None
        }
    };
    let mut header = [0; HEADER];
    stream.read_exact(&mut header).await.map_err(TransportError::Read)?;
    let keys = obfuscation::open(header, secret.as_ref()).ok_or(TransportError::Header)?;
    let (read, write) = stream.into_split();
    Ok(AcceptedStream {
        reader: FrameReader::new(read, keys.from_client),
        writer: FrameWriter::new(write, keys.to_client, keys.padded),
        dc: keys.dc,
    })
}
