//! Sessions of MTProto: what was sent to a client, what came from it, and where to reach it now.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc::UnboundedSender;

use crate::clock::{Clock, MessageKind};
use crate::envelope::{Message, seal};
use crate::keys::{AuthKey, KeyId};
use crate::sync::lock;

/// Messages of a client that are remembered, to know a repetition.
const REMEMBERED: usize = 4096;

/// A session as packets name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionId {
    /// The key its packets are encrypted with, temporary or not.
    pub(crate) key: KeyId,
    pub(crate) session: i64,
}

/// A packet on its way to a client.
pub(crate) type PacketSender = UnboundedSender<Vec<u8>>;

/// One connection of this data centre, by a number that is never used again.
pub(crate) type ConnectionId = u64;

/// How far a message of the client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestProgress {
    /// It was taken; nothing answers it yet, or nothing ever will.
    Taken,
    /// The message with this id answers it.
    Answered(i64),
}

struct ProtocolSession {
    key: Arc<AuthKey>,
    number: i64,
    contents: i32,
    link: Option<(ConnectionId, PacketSender)>,
    greeted: bool,
    /// What the client has not acknowledged, by message id.
    unacked: BTreeMap<i64, Message>,
    taken: HashMap<i64, RequestProgress>,
    order: VecDeque<i64>,
    /// Whose updates are sent here: the key that the accounts know the client by. `None` for
    /// sessions that only load files.
    updates: Option<KeyId>,
    /// The client has asked here what is new: only its main session does.
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

    /// Sends `body`; what is content is kept until the client acknowledges it.
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
            // A connection that has just ended: the message stays unacknowledged.
            outbox.send(seal(&self.key, salt, self.number, message)).ok();
        }
    }
}

/// All sessions of the data centres.
#[derive(Default)]
pub(crate) struct SessionTable {
    all: Mutex<HashMap<SessionId, ProtocolSession>>,
}

impl SessionTable {
    /// Notes that packets of `id` now come and go on `connection`; what an earlier connection lost
    /// is sent again there.
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

    /// Whether the client is yet to be told that this session is new; told once.
    pub(crate) fn greet(&self, id: SessionId) -> bool {
        let mut all = lock(&self.all);
        all.get_mut(&id).is_some_and(|session| !std::mem::replace(&mut session.greeted, true))
    }

    /// Forgets a connection that has ended.
    pub(crate) fn detach(&self, connection: ConnectionId) {
        for session in lock(&self.all).values_mut() {
            session.link.take_if(|(known, _)| *known == connection);
        }
    }

    /// Sends a message that belongs to no request.
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

    /// Takes the client's message `request`; `false` when it had come before: its answer, if the
    /// client has not got it, is then sent again.
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

    /// Has never seen the client's message `request`.
    pub(crate) fn forget(&self, id: SessionId, request: i64) {
        if let Some(session) = lock(&self.all).get_mut(&id) {
            session.taken.remove(&request);
        }
    }

    /// What became of the client's messages, in their order; answers not acknowledged go out again.
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

    /// Sends messages of the server again, if the client has not acknowledged them.
    pub(crate) fn resend(&self, id: SessionId, clock: &Clock, messages: &[i64]) {
        if let Some(session) = lock(&self.all).get(&id) {
            let lost = messages.iter().filter_map(|message| session.unacked.get(message));
            lost.for_each(|message| session.write(clock, message));
        }
    }

    /// The client has these messages of the server.
    pub(crate) fn acknowledge(&self, id: SessionId, messages: &[i64]) {
        if let Some(session) = lock(&self.all).get_mut(&id) {
            session.unacked.retain(|id, _| !messages.contains(id));
        }
    }

    /// Forgets a session; whether it was known.
    pub(crate) fn destroy(&self, id: SessionId) -> bool {
        lock(&self.all).remove(&id).is_some()
    }

    /// Forgets all sessions.
    pub(crate) fn clear(&self) {
        lock(&self.all).clear();
    }

    /// Sends the updates of the client that is known by `principal` to this session from now on.
    pub(crate) fn subscribe(&self, id: SessionId, principal: KeyId) {
        if let Some(session) = lock(&self.all).get_mut(&id) {
            session.updates = Some(principal);
        }
    }

    /// Notes that `id` is its client's main session, and finds other such sessions that are
    /// connected now and whose key `same` accepts: another client has the key too.
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

    /// Whether a connection carries this session now.
    pub(crate) fn is_connected(&self, id: SessionId) -> bool {
        lock(&self.all).get(&id).is_some_and(|session| session.link.is_some())
    }

    /// Sends `body` to every connected session that gets the updates of a client `wanted` accepts.
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
