//! One client connection, from its first byte to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use grammers_tl_types::{Serializable, enums, types};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::debug;

use crate::call::CallOrigin;
use crate::core::SandboxCore;
use crate::dispatch::{self, CallReply};
use crate::envelope::{self, EnvelopeError, Message, Packet};
use crate::handshake::{self, HandshakeError};
use crate::keys::{AuthKey, KeyId};
use crate::service::{self, MessageSource};
use crate::session::{ConnectionId, SessionId};
use crate::transport::{
    self, AcceptedStream, Frame, FrameReader, FrameWriter, ListenerKind, TransportError,
};

const RPC_RESULT: u32 = 0xf35c_6d01;
/// Sent instead of a packet: unknown key.
const UNKNOWN_KEY: i32 = -404;
/// The salt of a message is not valid.
const BAD_SALT: i32 = 48;
/// The two lowest bits of a message id are not those of a client.
const BAD_ID: i32 = 18;
/// How far a message id may be behind or ahead of the clock, in seconds, and the error codes.
const BEHIND: (i64, i32) = (300, 16);
const AHEAD: (i64, i32) = (30, 17);

/// Why the sandbox closed a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error("the transport failed")]
    Transport(#[from] TransportError),
    #[error("the key exchange failed")]
    Handshake(#[from] HandshakeError),
    #[error("a packet cannot be read")]
    Envelope(#[from] EnvelopeError),
    #[error("the key exchange was interrupted")]
    Interrupted,
    #[error("an injected fault")]
    Dropped,
}

struct Connection {
    core: Arc<SandboxCore>,
    id: ConnectionId,
    peer: SocketAddr,
    dc: i16,
    outbox: UnboundedSender<Vec<u8>>,
}

/// Serves `stream` until the client disconnects, violates the protocol, or the sandbox stops.
pub(crate) async fn serve(
    core: Arc<SandboxCore>,
    entry: ListenerKind,
    stream: TcpStream,
    peer: SocketAddr,
) {
    let id = core.connections_made.fetch_add(1, Ordering::Relaxed);
    let close = core.connections.add(id, &core.stop);
    let ended = tokio::select! {
        biased;
        () = close.cancelled() => Ok(()),
        ended = talk(Arc::clone(&core), id, entry, (stream, peer)) => ended,
    };
    core.sessions.detach(id);
    core.connections.remove(id);
    if let Err(error) = ended {
        debug!(connection = id, error = %error, "connection ended");
    }
}

async fn talk(
    core: Arc<SandboxCore>,
    id: ConnectionId,
    entry: ListenerKind,
    (stream, peer): (TcpStream, SocketAddr),
) -> Result<(), ConnectionError> {
    let AcceptedStream { reader, mut writer, dc } = transport::accept(stream, entry).await?;
    let (outbox, packets) = unbounded_channel();
    let mut connection = Connection { core, id, peer, dc, outbox };
    connection.run(reader, &mut writer, packets).await
}

impl Connection {
    async fn run(
        &mut self,
        mut reader: FrameReader,
        writer: &mut FrameWriter,
        mut packets: UnboundedReceiver<Vec<u8>>,
    ) -> Result<(), ConnectionError> {
        loop {
            // Not biased: a stream of updates must not starve acknowledgements.
            tokio::select! {
                Some(packet) = packets.recv() => writer.send(&packet).await?,
                frame = reader.next() => match frame? {
                    Some(frame) => self.handle(frame, writer).await?,
                    None => return Ok(()),
                },
            }
        }
    }

    async fn handle(
        &mut self,
        frame: Frame,
        writer: &mut FrameWriter,
    ) -> Result<(), ConnectionError> {
        let key_id = envelope::key_id(&frame.payload).ok_or(EnvelopeError::Malformed)?;
        if key_id == KeyId(0) {
            let answer = self.exchange_keys(&frame.payload).await?;
            return Ok(writer.send(&answer).await?);
        }
        let Some(key) = self.core.keys.get(key_id, self.dc, self.core.clock.now()) else {
            return Ok(writer.send(&UNKNOWN_KEY.to_le_bytes()).await?);
        };
        let packet = envelope::open(&key, &frame.payload)?;
        self.core.connections.identify(self.id, key_id);
        if frame.quick_ack {
            writer.send_quick_ack(packet.quick_ack).await?;
        }
        self.receive(&key, packet)
    }

    /// One unencrypted message of a key exchange: `0:int64 id:int64 length:int32 body`.
    async fn exchange_keys(&self, payload: &[u8]) -> Result<Vec<u8>, ConnectionError> {
        let (head, rest) = payload.split_first_chunk::<20>().ok_or(EnvelopeError::Malformed)?;
        let length = u32::from_le_bytes(crate::crypto::take(head, 16)) as usize;
        let body = rest.get(..length).ok_or(EnvelopeError::Malformed)?.to_vec();
        let (core, exchange) = (Arc::clone(&self.core), self.core.exchanges.find(&body));
        let now = core.clock.now();
        let step =
            tokio::task::spawn_blocking(move || handshake::step(exchange, &core.rsa, now, &body));
        let step = step.await.map_err(|_| ConnectionError::Interrupted)??;
        if let Some(exchange) = step.exchange {
            self.core.exchanges.keep(exchange);
        }
        if let Some(key) = step.key {
            self.core.keys.add(AuthKey::new(&key, self.dc, now));
            self.core.changed.notify_one();
        }
        let id = self.core.clock.message_id(crate::clock::MessageKind::Answer);
        let length = u32::try_from(step.answer.len()).unwrap_or(u32::MAX);
        let head = [&0u64.to_le_bytes()[..], &id.to_le_bytes(), &length.to_le_bytes()].concat();
        Ok([head, step.answer].concat())
    }

    fn receive(&self, key: &Arc<AuthKey>, packet: Packet) -> Result<(), ConnectionError> {
        let core = &self.core;
        let session = SessionId { key: key.id, session: packet.session };
        let link = (self.id, &self.outbox);
        core.sessions.attach(session, key, link, &core.clock);
        let now = core.clock.now();
        if let Some(refusal) = refusal(key, &packet, now) {
            core.sessions.send(session, &core.clock, false, refusal);
            return Ok(());
        }
        if core.sessions.greet(session) {
            let created = types::NewSessionCreated {
                first_msg_id: packet.message.id,
                unique_id: packet.session,
                server_salt: key.current_salt(now),
            };
            let created = enums::NewSession::Created(created).to_bytes();
            core.sessions.send(session, &core.clock, true, created);
        }
        let from = MessageSource { core, key, session };
        for message in envelope::flatten(packet.message)? {
            self.take(&from, &message)?;
        }
        Ok(())
    }

    fn take(&self, from: &MessageSource<'_>, message: &Message) -> Result<(), ConnectionError> {
        let core = &self.core;
        if !core.sessions.take(from.session, &core.clock, message.id)
            || service::handle(from, message)?
        {
            return Ok(());
        }
        let origin = CallOrigin {
            key: core.keys.principal(from.key.id),
            message: message.id,
            session: from.session,
            dc: self.dc,
            address: self.peer.ip(),
        };
        let outcome = dispatch::call(core, &origin, &message.body);
        match outcome.reply {
            CallReply::Now(body) => answer(core, from.session, message.id, &body),
            CallReply::Later(delay, body) => {
                let (core, session, id) = (Arc::clone(core), from.session, message.id);
                self.core.tasks.spawn(async move {
                    let stop = core.stop.clone();
                    let waited = stop.run_until_cancelled(tokio::time::sleep(delay)).await;
                    if waited.is_some() {
                        answer(&core, session, id, &body);
                    }
                });
            }
            CallReply::Never => {}
            CallReply::Disconnect(done) => {
                match done {
                    Some(body) => answer(core, from.session, message.id, &body),
                    None => core.sessions.forget(from.session, message.id),
                }
                dispatch::publish(core, outcome.pushes);
                return Err(ConnectionError::Dropped);
            }
        }
        dispatch::publish(core, outcome.pushes);
        Ok(())
    }
}

fn answer(core: &SandboxCore, session: SessionId, request: i64, body: &[u8]) {
    let result = [&RPC_RESULT.to_le_bytes()[..], &request.to_le_bytes(), body].concat();
    core.sessions.answer(session, &core.clock, request, (true, result));
}

/// The error that answers an invalid packet; `None` for a valid one.
fn refusal(key: &AuthKey, packet: &Packet, now: i32) -> Option<Vec<u8>> {
    let Message { id, seq, .. } = packet.message;
    let ahead = (id >> 32) - i64::from(now);
    let error_code = match () {
        () if id & 3 != 0 => BAD_ID,
        () if ahead < -BEHIND.0 => BEHIND.1,
        () if ahead > AHEAD.0 => AHEAD.1,
        () if !key.accepts(packet.salt, now) => {
            let salt = types::BadServerSalt {
                bad_msg_id: id,
                bad_msg_seqno: seq,
                error_code: BAD_SALT,
                new_server_salt: key.current_salt(now),
            };
            return Some(enums::BadMsgNotification::BadServerSalt(salt).to_bytes());
        }
        () => return None,
    };
    let notice = types::BadMsgNotification { bad_msg_id: id, bad_msg_seqno: seq, error_code };
    Some(enums::BadMsgNotification::Notification(notice).to_bytes())
}

#[cfg(test)]
mod tests;
