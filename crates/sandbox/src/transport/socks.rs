use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::TransportError;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const NONE_ACCEPTABLE: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;
/// Granted, bound to 0.0.0.0:0; clients ignore the address.
const GRANTED: [u8; 10] = [VERSION, 0, 0, 1, 0, 0, 0, 0, 0, 0];

/// Handles the SOCKS5 greeting (RFC 1928, without authentication); every destination is the
/// sandbox.
pub(super) async fn greet(stream: &mut TcpStream) -> Result<(), TransportError> {
    let [version, count] = read::<2>(stream).await?;
    let mut methods = vec![0; usize::from(count)];
    stream.read_exact(&mut methods).await.map_err(TransportError::Read)?;
    if version != VERSION || !methods.contains(&NO_AUTHENTICATION) {
        write(stream, &[VERSION, NONE_ACCEPTABLE]).await?;
        return Err(TransportError::Socks);
    }
    write(stream, &[VERSION, NO_AUTHENTICATION]).await?;
    let [version, command, _, kind] = read::<4>(stream).await?;
    if (version, command) != (VERSION, CONNECT) {
        return Err(TransportError::Socks);
    }
    let length = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => usize::from(read::<1>(stream).await?[0]),
        _ => return Err(TransportError::Socks),
    };
    let mut address_and_port = vec![0; length + 2];
    stream.read_exact(&mut address_and_port).await.map_err(TransportError::Read)?;
    write(stream, &GRANTED).await
}

async fn read<const N: usize>(stream: &mut TcpStream) -> Result<[u8; N], TransportError> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.map_err(TransportError::Read)?;
    Ok(bytes)
}

async fn write(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), TransportError> {
    stream.write_all(bytes).await.map_err(TransportError::Write)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn check(greeting: &[u8], request: &[u8]) -> (bool, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        client.write_all(&[greeting, request].concat()).await.unwrap();
        let greeted = greet(&mut server).await.is_ok();
        drop(server);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.ok();
        (greeted, answer)
    }

    #[tokio::test]
    async fn a_client_is_granted_any_address() {
        let request = [5, 1, 0, 1, 149, 154, 175, 50, 1, 187];
        let (greeted, answer) = check(&[5, 1, 0], &request).await;
        assert!(greeted);
        assert_eq!(answer, [&[5, 0][..], &GRANTED].concat());
        let (greeted, _) = check(&[5, 2, 2, 0], &[5, 1, 0, 3, 2, b'd', b'c', 1, 187]).await;
        assert!(greeted);
    }

    #[tokio::test]
    async fn a_client_that_authenticates_or_does_not_connect_is_refused() {
        let (greeted, answer) = check(&[5, 1, 2], &[]).await;
        assert_eq!((greeted, answer), (false, vec![5, 0xff]));
        assert!(!check(&[5, 1, 0], &[5, 2, 0, 1]).await.0);
    }
}
