//! Calls as the scripts want them: `head.lua`, `log.lua` and `ledger.lua` say what stands where.

use contracts::{AccountId, EventId, Flow, Names};
use deadpool_redis::redis::{Cmd, cmd};
use log_port::{HeadField, Intent, MAX_DISPATCHES, PendingCommand};
use settings::PublisherSettings;

use crate::redis::script::{Script, Shas};
use crate::store::{Act, Asked, Block, Call};

/// Turns calls into commands.
pub(super) struct Speller {
    pub names: Names,
    pub settings: PublisherSettings,
}

impl Speller {
    pub(super) fn command(&self, shas: &Shas, call: &Call) -> Cmd {
        let script = Script::of(&call.act);
        let keys = self.keys(script, call);
        let mut command = cmd("EVALSHA");
        command.arg(shas.of(script)).arg(keys.len()).arg(keys);
        let expiry = self.expiry(call);
        command.arg(name(&call.act)).arg(call.epoch.0).arg(expiry).arg(text(call.last));
        match &call.act {
            Act::Claim { pending } => {
                command.arg(i32::from(*pending));
            }
            Act::Append(block) | Act::Restore(block) => self.add_block(&mut command, call, block),
            Act::Admit(asked) => add_begins(&mut command, asked),
            Act::UndoDispatch(left) => {
                command.arg(left.iter().map(|(_, token)| token.to_string()).collect::<Vec<_>>());
            }
            Act::PushPending(parked) => {
                parked
                    .iter()
                    .flat_map(|all| all.iter())
                    .for_each(|one| add_parked(&mut command, one));
            }
            Act::RemovePending(places) => places.iter().for_each(|place| {
                command.arg(list(place.flow)).arg(place.id.to_string());
            }),
            Act::SetHead(notes) => {
                notes.iter().for_each(|note| add_note(&mut command, call, *note))
            }
        }
        command
    }

    fn keys(&self, script: Script, call: &Call) -> Vec<String> {
        let (names, account) = (&self.names, call.account);
        let mut keys = vec![names.head_key(account), names.log_key(account)];
        match script {
            Script::Log => keys.push(names.live_channel(account)),
            Script::Ledger => keys.extend(LISTS.map(|flow| names.pending_key(account, flow))),
        }
        let ledger = |command| names.ledger_key(account, command);
        match &call.act {
            Act::Claim { .. } | Act::RemovePending(_) | Act::SetHead(_) => {}
            Act::Append(block) | Act::Restore(block) => self.add_settled(&mut keys, account, block),
            Act::Admit(asked) => {
                keys.extend(asked.iter().map(|asked| ledger(&asked.begin.command)));
            }
            Act::UndoDispatch(left) => keys.extend(left.iter().map(|(command, _)| ledger(command))),
            Act::PushPending(parked) => {
                let parked = parked.iter().flat_map(|all| all.iter());
                keys.extend(parked.map(|one| ledger(&one.command)));
            }
        }
        keys
    }

    fn add_settled(&self, keys: &mut Vec<String>, account: AccountId, block: &Block) {
        for completion in block.entries.iter().filter_map(|entry| entry.completion.as_ref()) {
            keys.push(self.names.ledger_key(account, &completion.command));
            keys.extend(
                completion.pending.map(|place| self.names.pending_key(account, place.flow)),
            );
        }
    }

    fn expiry(&self, call: &Call) -> u64 {
        if call.served { self.settings.idle_expiry_s } else { self.settings.unknown_expiry_s }
    }

    fn add_block(&self, command: &mut Cmd, call: &Call, block: &Block) {
        let drop_before = block.drop_before.map(|time| time.to_string()).unwrap_or_default();
        command
            .arg(format!("{:x}", block.digest))
            .arg(self.settings.max_events)
            .arg(self.expiry(call).min(self.settings.max_age_s))
            .arg(drop_before)
            .arg(block.entries.len());
        for entry in &block.entries {
            command.arg(entry.event.id.to_string()).arg(&entry.event.json[..]).arg(entry.at);
        }
        for entry in &block.entries {
            let Some(completion) = &entry.completion else { continue };
            command
                .arg(format!("d {} {}", completion.fingerprint, entry.event.id))
                .arg(u64::try_from(completion.keep.as_millis()).unwrap_or(u64::MAX))
                .arg(text(completion.pending.map(|place| place.id)));
        }
    }
}

/// The pending lists, in the order of their keys.
pub(super) const LISTS: [Flow; 2] = Flow::ALL;

fn name(act: &Act) -> &'static str {
    match act {
        Act::Claim { .. } => "claim",
        Act::Append(_) => "append",
        Act::Restore(_) => "restore",
        Act::Admit(_) => "begin",
        Act::UndoDispatch(_) => "leave",
        Act::PushPending(_) => "park",
        Act::RemovePending(_) => "unpark",
        Act::SetHead(_) => "note",
    }
}

/// Number of a pending list's key.
fn list(flow: Flow) -> u8 {
    match flow {
        Flow::Hi => 3,
        Flow::Lo => 4,
    }
}

fn add_begins(command: &mut Cmd, asked: &[Asked]) {
    command.arg(MAX_DISPATCHES);
    for Asked { begin, token } in asked {
        let intent = match begin.intent {
            Intent::Run { idempotent: true } => "again",
            Intent::Run { idempotent: false } => "once",
            Intent::Refuse => "refuse",
        };
        command.arg(begin.fingerprint.to_string()).arg(token.to_string()).arg(intent);
    }
}

/// What an entry of a pending list holds; `answer` reads it.
fn add_parked(command: &mut Cmd, parked: &PendingCommand) {
    let properties = &parked.properties;
    let optional = [
        ("m", &properties.message_id),
        ("c", &properties.correlation_id),
        ("r", &properties.reply_to),
        ("t", &properties.traceparent),
    ];
    let optional = optional.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    let words = 6 + 2 * optional.clone().count();
    command.arg(list(parked.position.flow)).arg(parked.position.id.to_string()).arg(words);
    command.arg("i").arg(parked.command.as_str()).arg("k").arg(&parked.routing_key);
    command.arg("b").arg(&parked.body[..]);
    for (name, value) in optional {
        command.arg(name).arg(value);
    }
}

fn add_note(command: &mut Cmd, call: &Call, note: HeadField) {
    match note {
        HeadField::Opened => command.arg("opened").arg(call.epoch.0),
        HeadField::LoggedIn(now) => command.arg("logged_in").arg(i32::from(now)),
    };
}

fn text(id: Option<EventId>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}
