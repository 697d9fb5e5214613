//! The messages, each of which once stopped a worker or reached another account.

use std::path::PathBuf;

use contracts::Flow;
use serde_json::{Value, json};
use test_servers::raw_amqp::{RawProperties, nested_arrays, text_header};

use super::super::fleet::TestFleet;
use super::{INBOX, routing_key};

/// Fields of one command.
const FIELDS: usize = 60_000;
/// Levels of JSON.
const LEVELS: usize = 100_000;
/// Levels of a header table: as many as fit into a frame.
const HEADER_LEVELS: [usize; 3] = [9, 300, 26_000];
/// Bytes of an id or a name.
const GIANT: usize = 60_000;
/// A body that is far too large, in bytes.
const OVERSIZE: usize = 20 << 20;
/// Numbers from here on are set by no command of the load.
const FIRST_NUMBER: u32 = 666_000_000;

/// Whom the producer attacks, and what it may publish for.
#[derive(Clone)]
pub(super) struct AttackTarget {
    /// The one account that it may publish for.
    pub(super) account: u32,
    /// The accounts that it must not touch.
    pub(super) others: Vec<u32>,
    /// An account that is not in the installation.
    pub(super) nobody: u32,
    /// A file of the host that must not leave it.
    pub(super) file: PathBuf,
}

/// One message.
pub(super) struct Attack {
    pub(super) key: Vec<u8>,
    pub(super) properties: RawProperties,
    pub(super) body: Vec<u8>,
}

impl AttackTarget {
    fn key(&self, flow: Flow, command: &str) -> Vec<u8> {
        routing_key(flow, self.account, command)
    }

    /// A read of the account's own, with these properties.
    fn read_with(&self, flow: Flow, properties: RawProperties) -> Attack {
        let body = json!({"command": "get_active_sessions", "userbot_id": self.account});
        let key = self.key(flow, "get_active_sessions");
        Attack { key, properties, body: text(&body) }
    }

    /// The same with these members in the body.
    fn read_of(&self, flow: Flow, members: Value) -> Attack {
        let mut attack = self.read_with(flow, plain());
        let mut body = json!({"command": "get_active_sessions", "userbot_id": self.account});
        if let (Some(body), Value::Object(members)) = (body.as_object_mut(), members) {
            body.extend(members);
        }
        attack.body = text(&body);
        attack
    }

    /// `call_tdlib` with these parameters, as text.
    fn call(&self, flow: Flow, method: &str, params: &str) -> Attack {
        let account = self.account;
        let body = format!(
            r#"{{"command":"call_tdlib","userbot_id":{account},"method":"{method}","params":{params}}}"#
        );
        Attack { key: self.key(flow, "call_tdlib"), properties: plain(), body: body.into_bytes() }
    }
}

fn plain() -> RawProperties {
    RawProperties::default()
}

fn text(body: &Value) -> Vec<u8> {
    body.to_string().into_bytes()
}

/// Every attack that is one message.
pub(super) fn every(target: &AttackTarget, flow: Flow, round: u32) -> Vec<Attack> {
    let mut attacks = properties(target, flow);
    attacks.extend(foreign_accounts(target, flow, round));
    attacks.extend(foreign_queues(target, flow));
    attacks.extend(bodies(target, flow, round));
    attacks.extend(members(target, flow));
    attacks.extend(calls(target, flow));
    attacks
}

/// Properties that a client library cannot parse, or must not believe.
fn properties(target: &AttackTarget, flow: Flow) -> Vec<Attack> {
    let invalid: &[u8] = b"\xff\xfe";
    let mut attacks = vec![
        target.read_with(flow, plain().message_id(invalid)),
        target.read_with(flow, plain().correlation_id(invalid)),
        target.read_with(flow, plain().reply_to(invalid)),
        target.read_with(flow, plain().app_id(invalid)),
        target.read_with(flow, plain().headers(&text_header(invalid, b"x"))),
        target.read_with(flow, plain().headers(&text_header(b"x", &[b'x'; 100_000]))),
        target.read_with(flow, plain().headers(&flag(b"x-tdfleet-expired"))),
        target.read_with(flow, plain().headers(&flag(b"x-tdfleet-forwarded"))),
    ];
    let deep = HEADER_LEVELS.map(nested_arrays);
    attacks.extend(deep.map(|table| target.read_with(flow, plain().headers(&table))));
    let mut key = target.key(flow, "");
    key.extend(invalid);
    attacks.push(Attack { key, ..target.read_with(flow, plain()) });
    attacks
}

/// One entry of a table: true.
fn flag(name: &[u8]) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
    [&[length], name, b"t\x01"].concat()
}

/// Keys that RabbitMQ lets pass, with bodies for accounts that the producer may not command.
fn foreign_accounts(target: &AttackTarget, flow: Flow, round: u32) -> Vec<Attack> {
    let mut attacks = Vec::new();
    for other in &target.others {
        let number = FIRST_NUMBER + round * 1_000 + other;
        let body = text(&json!({
            "command": "call_tdlib", "userbot_id": other, "method": "setBio",
            "params": {"bio": number.to_string()},
        }));
        for command in ["call_tdlib", "call_tdlib.x", "call_tdlib.", "", "."] {
            let (key, properties) = (target.key(flow, command), plain());
            attacks.push(Attack { key, properties, body: body.clone() });
        }
    }
    let body = json!({"command": "get_active_sessions", "userbot_id": target.nobody});
    let key = routing_key(flow, target.nobody, "get_active_sessions");
    attacks.push(Attack { key, properties: plain(), body: text(&body) });
    attacks
}

/// Replies to queues that are not the producer's.
fn foreign_queues(target: &AttackTarget, flow: Flow) -> Vec<Attack> {
    let other = TestFleet::shard_of(target.others.first().copied().unwrap_or(1));
    let shard_queue = format!("tdfleet.{flow}.{other}.of{}", TestFleet::shards().get());
    let queues = [
        INBOX,
        &shard_queue,
        "tdfleet.dead-letters",
        "tdfleet.unrouted",
        "tdfleet.expired",
        "amq.rabbitmq.reply-to.x",
    ];
    let reply_to = |queue: &str| plain().reply_to(queue.as_bytes());
    queues.iter().map(|queue| target.read_with(flow, reply_to(queue))).collect()
}

/// Bodies that cost much to read.
fn bodies(target: &AttackTarget, flow: Flow, round: u32) -> Vec<Attack> {
    let fields = (0..FIELDS).map(|number| (format!("f{number}"), json!(0))).collect();
    let deep = format!(
        r#"{{"command":"get_active_sessions","userbot_id":{},"x":{}"#,
        target.account,
        "[".repeat(LEVELS)
    );
    let mut nested = target.read_with(flow, plain());
    nested.body = deep.into_bytes();
    // The largest takes RabbitMQ itself seconds.
    let size = if round == 0 { OVERSIZE } else { OVERSIZE / 100 };
    vec![
        target.read_of(flow, Value::Object(fields)),
        target.read_of(flow, json!({"x": "x".repeat(size)})),
        nested,
        Attack { body: Vec::new(), ..target.read_with(flow, plain()) },
        Attack { body: vec![0xff; 1_000], ..target.read_with(flow, plain()) },
    ]
}

/// Ids, names and times without measure.
fn members(target: &AttackTarget, flow: Flow) -> Vec<Attack> {
    let giant = "x".repeat(GIANT);
    vec![
        target.read_of(flow, json!({"command_id": giant})),
        target.read_of(flow, json!({"_meta": {"correlation_id": giant, "trace_id": giant}})),
        target.read_of(flow, json!({ giant.as_str(): 1 })),
        target.read_of(flow, json!({"\u{1b}[2J": 1})),
        target.read_of(flow, json!({"_meta": {"deadline": "9999-12-31T23:59:59Z"}})),
        target.read_of(flow, json!({"_meta": {"deadline": "-009999-01-01T00:00:00Z"}})),
        target.read_of(flow, json!({"_meta": {"expected_owner_epoch": u64::MAX}})),
        target.read_of(flow, json!({"command": giant})),
    ]
}

/// Calls of allowed methods with parameters that TDLib cannot read, or that name a file.
fn calls(target: &AttackTarget, flow: Flow) -> Vec<Attack> {
    let (open, close) = ("[".repeat(LEVELS), "]".repeat(LEVELS));
    let file = json!({
        "chat_id": 1,
        "input_message_content": {
            "@type": "inputMessageDocument",
            "document": {"@type": "inputFileLocal", "path": target.file},
        },
    });
    vec![
        target.call(flow, "setBio", &format!(r#"{{"bio":{open}{close}}}"#)),
        target.call(
            flow,
            "setBio",
            &format!(r#"{{"bio":"x","x":{}1{}}}"#, r#"{"a":"#.repeat(33), "}".repeat(33)),
        ),
        target.call(flow, "setBio", r#"{"@extra":{"a":1},"@type":"close","bio":"x"}"#),
        target.call(flow, "sendMessage", &file.to_string()),
    ]
}

/// A read with a body as large as is allowed.
pub(super) fn large_read(target: &AttackTarget) -> Attack {
    target.read_of(Flow::Hi, json!({"_meta": {"x": "x".repeat(GIANT)}}))
}

/// One of many identical reads.
pub(super) fn read(target: &AttackTarget) -> Attack {
    target.read_with(Flow::Hi, plain())
}
