//! A client of our own, for what libtdjson does too seldom: it breaks the rules on purpose.

use std::time::Duration;

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{Array, KeyIvInit as _, StreamCipher as _};
use grammers_tl_types::{
    Cursor, Deserializable as _, Identifiable as _, Serializable as _, enums, functions, types,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{BAD_ID, BAD_SALT, BEHIND, RPC_RESULT, UNKNOWN_KEY};
use crate::crypto::{
    Direction, decrypt_ige, encrypt_ige, message_key, message_keys, random, sha256, take,
};
use crate::handshake::NewKey;
use crate::keys::AuthKey;
use crate::{Sandbox, SandboxOptions};

const QUICK_ACK: u32 = 1 << 31;

struct Client {
    stream: TcpStream,
    to_server: Ctr128BE<Aes256>,
    from_server: Ctr128BE<Aes256>,
    key: [u8; 256],
    key_id: u64,
    session: i64,
    salt: i64,
    last_id: i64,
}

/// A message of the server: its id and body.
type Received = (i64, Vec<u8>);

impl Client {
    /// A client whose key the sandbox knows.
    async fn new(sandbox: &Sandbox) -> Self {
        let (key, salt) = (random::<256>(), 42);
        let now = sandbox.core().clock.now();
        let known = AuthKey::new(&NewKey { bytes: key, salt, expires_in: None }, 1, now);
        let key_id = known.id.0;
        sandbox.core().keys.add(known);
        let (stream, to_server, from_server) = connect(sandbox).await;
        let session = i64::from_le_bytes(random());
        Self { stream, to_server, from_server, key, key_id, session, salt, last_id: 0 }
    }

    async fn reconnect(&mut self, sandbox: &Sandbox) {
        (self.stream, self.to_server, self.from_server) = connect(sandbox).await;
    }

    fn next_id(&mut self, sandbox: &Sandbox) -> i64 {
        let now = i64::from(sandbox.core().clock.now()) << 32;
        self.last_id = now.max(self.last_id + 4);
        self.last_id
    }

    async fn send(&mut self, sandbox: &Sandbox, body: &[u8]) -> i64 {
        let id = self.next_id(sandbox);
        self.send_as(id, body, 0).await;
        id
    }

    /// Sends a message; the token that quickly acknowledges it.
    async fn send_as(&mut self, id: i64, body: &[u8], flags: u32) -> [u8; 4] {
        let mut data = [
            &self.salt.to_le_bytes()[..],
            &self.session.to_le_bytes(),
            &id.to_le_bytes(),
            &1i32.to_le_bytes(),
            &u32::try_from(body.len()).unwrap().to_le_bytes(),
            body,
        ]
        .concat();
        data.resize((data.len() + 12).next_multiple_of(16), 7);
        let mut token = take::<4>(&sha256(&[&self.key[88..120], &data]), 0);
        token[3] |= 0x80;
        let msg_key = message_key(&self.key, Direction::FromClient, &data);
        encrypt_ige(&mut data, &message_keys(&self.key, Direction::FromClient, &msg_key));
        let packet = [&self.key_id.to_le_bytes()[..], &msg_key, &data].concat();
        let length = u32::try_from(packet.len()).unwrap() | flags;
        let mut frame = [&length.to_le_bytes()[..], &packet].concat();
        self.to_server.apply_keystream(&mut frame);
        self.stream.write_all(&frame).await.unwrap();
        token
    }

    async fn read(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).await.unwrap();
        self.from_server.apply_keystream(&mut bytes);
        bytes
    }

    async fn frame(&mut self) -> Vec<u8> {
        let head = self.read(4).await;
        self.read(u32::from_le_bytes(take(&head, 0)) as usize).await
    }

    async fn receive(&mut self) -> Received {
        let frame = self.frame().await;
        let msg_key = take(&frame, 8);
        let mut data = frame[24..].to_vec();
        decrypt_ige(&mut data, &message_keys(&self.key, Direction::FromServer, &msg_key));
        assert_eq!(message_key(&self.key, Direction::FromServer, &data), msg_key);
        let length = u32::from_le_bytes(take(&data, 28)) as usize;
        (i64::from_le_bytes(take(&data, 16)), data[32..32 + length].to_vec())
    }

    /// The next answer to a call: its message, what it answers, the result.
    async fn result(&mut self) -> (i64, i64, Vec<u8>) {
        loop {
            let (id, body) = self.receive().await;
            if body[..4] == RPC_RESULT.to_le_bytes() {
                return (id, i64::from_le_bytes(take(&body, 4)), body[12..].to_vec());
            }
        }
    }
}

async fn connect(sandbox: &Sandbox) -> (TcpStream, Ctr128BE<Aes256>, Ctr128BE<Aes256>) {
    let secret = sandbox.core().secret;
    let header = random::<64>();
    let mut reversed = header;
    reversed.reverse();
    let cipher = |header: &[u8; 64]| {
        let key = sha256(&[&header[8..40], &secret]);
        Ctr128BE::<Aes256>::new(&Array(key), &Array(take(header, 40)))
    };
    let (mut to_server, from_server) = (cipher(&header), cipher(&reversed));
    let mut plain = header;
    plain[56..60].copy_from_slice(&[0xee; 4]);
    plain[60..62].copy_from_slice(&1i16.to_le_bytes());
    to_server.apply_keystream(&mut plain);
    let mut stream = TcpStream::connect(sandbox.address()).await.unwrap();
    stream.write_all(&[&header[..56], &plain[56..]].concat()).await.unwrap();
    (stream, to_server, from_server)
}

async fn start() -> Sandbox {
    crate::start::start(SandboxOptions::default()).await.unwrap()
}

fn get_config() -> Vec<u8> {
    functions::help::GetConfig {}.to_bytes()
}

fn refusal(body: &[u8]) -> enums::BadMsgNotification {
    enums::BadMsgNotification::from_bytes(body).unwrap()
}

#[tokio::test]
async fn a_new_session_is_announced_once_and_its_call_is_answered() {
    let sandbox = start().await;
    let mut client = Client::new(&sandbox).await;
    let call = client.send(&sandbox, &get_config()).await;
    let (_, created) = client.receive().await;
    assert_eq!(created[..4], types::NewSessionCreated::CONSTRUCTOR_ID.to_le_bytes());
    let (_, answered, result) = client.result().await;
    assert_eq!(answered, call);
    assert!(enums::Config::from_bytes(&result).is_ok());
    let again = client.send(&sandbox, &get_config()).await;
    let (_, body) = client.receive().await;
    assert_eq!(body[4..12], again.to_le_bytes());
    sandbox.stop().await;
}

#[tokio::test]
async fn a_bad_salt_is_refused_with_a_valid_one() {
    let sandbox = start().await;
    let mut client = Client::new(&sandbox).await;
    client.salt = 43;
    let call = client.send(&sandbox, &get_config()).await;
    let enums::BadMsgNotification::BadServerSalt(refused) = refusal(&client.receive().await.1)
    else {
        panic!("no bad salt");
    };
    assert_eq!((refused.bad_msg_id, refused.error_code), (call, BAD_SALT));
    client.salt = refused.new_server_salt;
    let call = client.send(&sandbox, &get_config()).await;
    assert_eq!(client.result().await.1, call);
    sandbox.stop().await;
}

#[tokio::test]
async fn a_message_id_of_another_time_or_kind_is_refused() {
    let sandbox = start().await;
    let mut client = Client::new(&sandbox).await;
    let id = client.next_id(&sandbox);
    for (id, code) in [(id | 1, BAD_ID), (id - (400 << 32), BEHIND.1), (id + (40 << 32), 17)] {
        client.send_as(id, &get_config(), 0).await;
        let enums::BadMsgNotification::Notification(refused) = refusal(&client.receive().await.1)
        else {
            panic!("no notification");
        };
        assert_eq!((refused.bad_msg_id, refused.error_code), (id, code));
    }
    sandbox.stop().await;
}

#[tokio::test]
async fn a_message_that_comes_twice_is_run_once_and_answered_twice() {
    let sandbox = start().await;
    let mut client = Client::new(&sandbox).await;
    let id = client.next_id(&sandbox);
    client.send_as(id, &get_config(), 0).await;
    let first = client.result().await;
    client.send_as(id, &get_config(), 0).await;
    assert_eq!(client.result().await, first);
    assert_eq!(sandbox.count_calls(None, Some("help.getConfig")), 1);
    sandbox.stop().await;
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_on_the_next_connection() {
    let sandbox = start().await;
    let mut client = Client::new(&sandbox).await;
    client.send(&sandbox, &get_config()).await;
    let first = client.result().await;
    client.reconnect(&sandbox).await;
    let ping = functions::Ping { ping_id: 1 }.to_bytes();
    client.send(&sandbox, &ping).await;
    assert_eq!(client.result().await, first);
    let ack = enums::MsgsAck::Ack(types::MsgsAck { msg_ids: vec![first.0] }).to_bytes();
    client.send(&sandbox, &ack).await;
    client.reconnect(&sandbox).await;
    let state = types::MsgsStateReq { msg_ids: vec![first.1, 8] };
    client.send(&sandbox, &enums::MsgsStateReq::Req(state).to_bytes()).await;
    let info = loop {
        let (_, body) = client.receive().await;
        assert_ne!(body[..4], RPC_RESULT.to_le_bytes(), "an answer that was acknowledged");
        if let Ok(enums::MsgsStateInfo::Info(info)) = enums::MsgsStateInfo::from_bytes(&body) {
            break info.info;
        }
    };
    assert_eq!(info, [4 | 64, 1]);
    sandbox.stop().await;
}

#[tokio::test]
async fn a_quick_acknowledgement_comes_before_the_answer() {
    let sandbox = start().await;
    let mut client = Client::new(&sandbox).await;
    let id = client.next_id(&sandbox);
    let token = client.send_as(id, &get_config(), QUICK_ACK).await;
    assert_eq!(client.read(4).await, token);
    assert_eq!(client.result().await.1, id);
    sandbox.stop().await;
}

#[tokio::test]
async fn an_unknown_key_is_answered_with_an_error_number() {
    let sandbox = start().await;
    let mut client = Client::new(&sandbox).await;
    client.key_id ^= 1;
    client.send(&sandbox, &get_config()).await;
    assert_eq!(client.frame().await, UNKNOWN_KEY.to_le_bytes());
    sandbox.stop().await;
}

#[tokio::test]
async fn future_salts_become_valid_at_their_time() {
    let sandbox = start().await;
    let mut client = Client::new(&sandbox).await;
    client.send(&sandbox, &functions::GetFutureSalts { num: 3 }.to_bytes()).await;
    let body = loop {
        let (_, body) = client.receive().await;
        if body[..4] == types::FutureSalts::CONSTRUCTOR_ID.to_le_bytes() {
            break body;
        }
    };
    // After the constructor: the request, the time, the count, then 16 bytes for each salt.
    let mut third = Cursor::from_slice(&body[20 + 2 * 16..]);
    let salt = types::FutureSalt::deserialize(&mut third).unwrap();
    sandbox.shift_clock(i64::from(salt.valid_since - sandbox.core().clock.now()) + 1);
    client.salt = salt.salt;
    let call = client.send(&sandbox, &get_config()).await;
    let answered = tokio::time::timeout(Duration::from_secs(5), client.result()).await.unwrap();
    assert_eq!(answered.1, call);
    sandbox.stop().await;
}
