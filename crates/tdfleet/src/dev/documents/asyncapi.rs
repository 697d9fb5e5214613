//! The bus and the log as an AsyncAPI 3.0 document.

use contracts::Names;
use owner_worker::{catalog, event_schemas};
use serde_json::{Map, Value, json};

pub(super) fn document() -> Value {
    let names = Names::default();
    let commands: Vec<_> = catalog().map(|command| command.name).collect();
    let events = commands.iter().copied().chain(event_schemas().map(|(name, ..)| name));
    let events: Vec<_> = events.chain(["update", "error"]).collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "tdfleet",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Commands go to RabbitMQ; answers and live updates come back on Redis, in a stream and on a channel per account.",
            "license": {"name": "MIT OR Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "rabbitmq": {"host": "localhost:5672", "protocol": "amqp", "protocolVersion": "0.9.1"},
            "redis": {"host": "localhost:6379", "protocol": "redis"},
        },
        "channels": {
            "commands": commands_channel(&names, &commands),
            "live": {
                "address": "tdfleet:{account}:live",
                "title": "Live events of one account (Redis pub/sub)",
                "description": "At most once: read the stream after a lost connection, or if an event's prev is not the last id seen.",
                "servers": [{"$ref": "#/servers/redis"}],
                "parameters": account(),
                "messages": messages(&events, "event"),
            },
            "log": {
                "address": "tdfleet:{account}:log",
                "title": "Event log of one account (Redis stream)",
                "description": "An entry's id is the event's event_id; its field e is the event's JSON, its field t the event's occurred_at in Unix milliseconds.",
                "servers": [{"$ref": "#/servers/redis"}],
                "parameters": account(),
                "messages": messages(&events, "event"),
            },
        },
        "operations": {
            "runCommand": {
                "action": "receive",
                "summary": "A command is run by the one worker that owns the account.",
                "channel": {"$ref": "#/channels/commands"},
                "reply": {"channel": {"$ref": "#/channels/log"}},
            },
            "publishLive": {"action": "send", "summary": "Every event, as it is stored.", "channel": {"$ref": "#/channels/live"}},
            "appendToLog": {"action": "send", "summary": "Every event, before its command is acknowledged.", "channel": {"$ref": "#/channels/log"}},
        },
        "components": {
            "messages": all_messages(&commands, &events),
        },
    })
}

fn commands_channel(names: &Names, commands: &[&str]) -> Value {
    json!({
        "address": "{flow}.{shard}.acc.{userbot_id}.{command}",
        "title": "Commands (AMQP routing key)",
        "description": "Topic exchange; publish persistent, mandatory and with confirms. A message whose key matches no queue, or names another shard, is forwarded by the workers.",
        "servers": [{"$ref": "#/servers/rabbitmq"}],
        "parameters": {
            "flow": {"enum": ["cmd_hi", "cmd_lo"], "description": "cmd_hi: a person waits; cmd_lo: bulk."},
            "shard": {"description": "s and three digits: CRC-32 of the decimal userbot_id, modulo the shard count (64).", "examples": ["s055"]},
            "userbot_id": {"description": "The account.", "examples": ["1"]},
            "command": {"enum": commands, "description": "The command's name."},
        },
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {"name": names.commands_exchange(), "type": "topic", "durable": true, "autoDelete": false, "vhost": "/"},
                "bindingVersion": "0.3.0",
            },
        },
        "messages": messages(commands, "command"),
    })
}

fn account() -> Value {
    json!({"account": {"description": "The userbot_id in literal braces, as in tdfleet:{1}:log.", "examples": ["{1}"]}})
}

fn messages(names: &[&str], suffix: &str) -> Value {
    let reference = |name: &str| json!({"$ref": format!("#/components/messages/{name}_{suffix}")});
    names
        .iter()
        .map(|name| (format!("{name}_{suffix}"), reference(name)))
        .collect::<Map<_, _>>()
        .into()
}

fn all_messages(commands: &[&str], events: &[&str]) -> Value {
    let mut messages = Map::new();
    for (names, suffix, folder) in [(commands, "command", "commands"), (events, "event", "events")]
    {
        for name in names {
            let payload = json!({"$ref": format!("./{folder}/{name}.json")});
            let message =
                json!({"name": name, "contentType": "application/json", "payload": payload});
            messages.insert(format!("{name}_{suffix}"), message);
        }
    }
    messages.into()
}
