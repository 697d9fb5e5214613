//! MTProto sessions: what was sent to a client, what it sent, and its current connection.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc::UnboundedSender;

use crate::clock::{Clock, MessageKind};
use crate::envelope::{Message, seal};
use crate::keys::{AuthKey, KeyId};
use crate::sync::lock;

/// Number of client messages remembered to detect repetitions.
const REMEMBERED: usize = 4096;

/// The id of a session in packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionId {
    /// The key that encrypts its packets, temporary or permanent.
    pub(crate) key: KeyId,
    pub(crate) session: i64,
}

/// Queue of packets to a client.
pub(crate) type PacketSender = UnboundedSender<Vec<u8>>;

/// Number of a connection; never reused.
pub(crate) type ConnectionId = u64;

/// Progress of a client message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestProgress {
    /// Received; not answered, yet or ever.
    Taken,
    /// Answered by the message with this id.
    Answered(i64),
}

struct ProtocolSession {
    key: Arc<AuthKey>,
    number: i64,
    contents: i32,
    link: Option<(ConnectionId, PacketSender)>,
    greeted: bool,
    /// Messages that the client has not acknowledged, by id.
    unacked: BTreeMap<i64, Message>,
    taken: HashMap<i64, RequestProgress>,
    order: VecDeque<i64>,
    /// The principal key of the client whose updates are sent here. `None` for sessions that only
    /// load files.
    updates: Option<KeyId>,
    /// Whether the client has requested updates here: only its main session does.
    main: bool,
}

impl ProtocolSession {
    fn new(key: Arc<AuthKey>, number: i64) -> Self {
        Self {
            key,
            number,
            contents: 0,
            link: None,
            greeted: false,
            unacked: BTreeMap::new(),
            taken: HashMap::new(),
            order: VecDeque::new(),
            updates: None,
            main: false,
        }
    }

    /// Sends `body`; a content message is kept until the client acknowledges it.
    fn send(&mut self, clock: &Clock, kind: MessageKind, content: bool, body: Vec<u8>) -> i64 {
        let message = Message {
            id: clock.message_id(kind),
            seq: self.contents * 2 + i32::from(content),
            body,
        };
        self.contents += i32::from(content);
        let id = message.id;
        self.write(clock, &message);
        if content {
            self.unacked.insert(id, message);
        }
        id
    }

    fn write(&self, clock: &Clock, message: &Message) {
        if let Some((_, outbox)) = &self.link {
            let salt = self.key.current_salt(clock.now());
            // If the connection has just ended, the message stays unacknowledged.
            outbox.send(seal(&self.key, salt, self.number, message)).ok();
        }
    }
}

/// All sessions.
#[derive(Default)]
pub(crate) struct SessionTable {
    all: Mutex<HashMap<SessionId, ProtocolSession>>,
}

impl SessionTable {
    /// Moves session `id` to `connection`, and resends there what is not acknowledged.
    pub(crate) fn attach(
        &self,
        id: SessionId,
        key: &Arc<AuthKey>,
        (connection, outbox): (ConnectionId, &PacketSender),
        clock: &Clock,
    ) {
        let mut all = lock(&self.all);
        let session =
            all.entry(id).or_insert_with(|| ProtocolSession::new(Arc::clone(key), id.session));
        if session.link.as_ref().is_none_or(|(known, _)| *known != connection) {
            session.link = Some((connection, outbox.clone()));
            session.unacked.values().for_each(|message| session.write(clock, message));
        }
    }

    /// Returns `true` once per session: the client must then be notified that it is new.
    pub(crate) fn greet(&self, id: SessionId) -> bool {
        let mut all = lock(&self.all);
        all.get_mut(&id).is_some_and(|session| !std::mem::replace(&mut session.greeted, true))
    }

    /// Removes a connection that has ended.
    pub(crate) fn detach(&self, connection: ConnectionId) {
        for session in lock(&self.all).values_mut() {
            session.link.take_if(|(known, _)| *known == connection);
        }
    }

    /// Sends a message that does not answer a request.
    pub(crate) fn send(&self, id: SessionId, clock: &Clock, content: bool, body: Vec<u8>) {
        if let Some(session) = lock(&self.all).get_mut(&id) {
            session.send(clock, MessageKind::Push, content, body);
        }
    }

    /// Sends the answer to the client's message `request`.
    pub(crate) fn answer(
        &self,
        id: SessionId,
        clock: &Clock,
        request: i64,
        (content, body): (bool, Vec<u8>),
    ) {
        if let Some(session) = lock(&self.all).get_mut(&id) {
            let answer = session.send(clock, MessageKind::Answer, content, body);
            if let Some(progress) = session.taken.get_mut(&request) {
                *progress = RequestProgress::Answered(answer);
            }
        }
    }

    /// Registers the client's message `request`; `false` when it is a repetition: its answer is
    /// then resent unless acknowledged.
    pub(crate) fn take(&self, id: SessionId, clock: &Clock, request: i64) -> bool {
        let mut all = lock(&self.all);
        let Some(session) = all.get_mut(&id) else { return false };
        if session.taken.contains_key(&request) {
            resend(session, clock, request);
            return false;
        }
        session.taken.insert(request, RequestProgress::Taken);
        session.order.push_back(request);
        if session.order.len() > REMEMBERED
            && let Some(oldest) = session.order.pop_front()
        {
            session.taken.remove(&oldest);
        }
        true
    }

    /// Forgets the client's message `request`, so that a repetition is handled as new.
    pub(crate) fn forget(&self, id: SessionId, request: i64) {
        if let Some(session) = lock(&self.all).get_mut(&id) {
            session.taken.remove(&request);
        }
    }

    /// The progress of client messages, in order; answers that are not acknowledged are resent.
    pub(crate) fn progress(
        &self,
        id: SessionId,
        clock: &Clock,
        requests: &[i64],
    ) -> Vec<Option<RequestProgress>> {
        let all = lock(&self.all);
        let Some(session) = all.get(&id) else { return vec![None; requests.len()] };
        requests
            .iter()
            .map(|request| {
                resend(session, clock, *request);
                session.taken.get(request).copied()
            })
            .collect()
    }

    /// Resends server messages that the client has not acknowledged.
    pub(crate) fn resend(&self, id: SessionId, clock: &Clock, messages: &[i64]) {
        if let Some(session) = lock(&self.all).get(&id) {
            let lost = messages.iter().filter_map(|message| session.unacked.get(message));
            lost.for_each(|message| session.write(clock, message));
        }
    }

    /// Removes server messages that the client has acknowledged.
    pub(crate) fn acknowledge(&self, id: SessionId, messages: &[i64]) {
        if let Some(session) = lock(&self.all).get_mut(&id) {
            session.unacked.retain(|id, _| !messages.contains(id));
        }
    }

    /// Forgets a session; `false` when it is unknown.
    pub(crate) fn destroy(&self, id: SessionId) -> bool {
        lock(&self.all).remove(&id).is_some()
    }

    /// Forgets all sessions.
    pub(crate) fn clear(&self) {
        lock(&self.all).clear();
    }

    /// Sends the updates of the client with key `principal` to this session from now on.
    pub(crate) fn subscribe(&self, id: SessionId, principal: KeyId) {
        if let Some(session) = lock(&self.all).get_mut(&id) {
            session.updates = Some(principal);
        }
    }

    /// Marks `id` as a main session, and returns the other connected main sessions whose key `same`
    /// accepts: those belong to another client with the same key.
    pub(crate) fn other_main_sessions(
        &self,
        id: SessionId,
        same: impl Fn(KeyId) -> bool,
    ) -> Vec<SessionId> {
        let mut all = lock(&self.all);
        if let Some(session) = all.get_mut(&id) {
            session.main = true;
        }
        let others = all.iter().filter(|(other, _)| other.session != id.session && same(other.key));
        let live = others.filter(|(_, session)| session.main && session.link.is_some());
        live.map(|(other, _)| *other).collect()
    }

    /// Whether the session is connected.
    pub(crate) fn is_connected(&self, id: SessionId) -> bool {
        lock(&self.all).get(&id).is_some_and(|session| session.link.is_some())
    }

    /// Sends `body` to every connected session that receives the updates of a key accepted by
    /// `wanted`.
    pub(crate) fn push(&self, clock: &Clock, body: &[u8], wanted: impl Fn(KeyId) -> bool) {
        for session in lock(&self.all).values_mut() {
            if session.link.is_some() && session.updates.is_some_and(&wanted) {
                session.send(clock, MessageKind::Push, true, body.to_vec());
            }
        }
    }
}

fn resend(session: &ProtocolSession, clock: &Clock, request: i64) {
    if let Some(RequestProgress::Answered(answer)) = session.taken.get(&request)
        && let Some(message) = session.unacked.get(answer)
    {
        session.write(clock, message);
    }
}
