use std::io;

/// Why a stream is not valid MTProto.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    #[error("cannot read from the client")]
    Read(#[source] io::Error),
    #[error("cannot write to the client")]
    Write(#[source] io::Error),
    #[error("the header names no supported transport: the client does not have the secret")]
    Header,
    #[error("an unsupported SOCKS5 request")]
    Socks,
    #[error("a frame of {0} bytes")]
    Length(usize),
}
