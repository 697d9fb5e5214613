//! Evidence in which one thing is wrong at a time.

use std::collections::BTreeMap;

use contracts::Flow;

use super::suite::checker::check;
use super::suite::evidence::{
    AccountEvidence, CommandKind, Effect, Event, Evidence, Id, PublishedCommand, SeenEvent,
};

/// Three commands that succeeded, and a message.
fn good() -> AccountEvidence {
    let kinds = [CommandKind::NotIdempotent, CommandKind::Idempotent, CommandKind::NotIdempotent];
    let mut account = AccountEvidence::default();
    for (number, kind) in (1..).zip(kinds) {
        let id = format!("c-1-{number}");
        let event = Event {
            id: Id { epoch: 7, n: number },
            prev: (1 < number).then(|| Id { epoch: 7, n: number - 1 }),
            command: Some(id.clone()),
            json: id.clone().into_bytes(),
            ..blank()
        };
        append(&mut account, event);
        let number = u32::try_from(number).unwrap();
        account.ledger.insert(id.clone(), format!("d 0123456789abcdef 7-{number}"));
        account.effects.push(Effect { at: 15, kind, number });
        let (flow, attempts, confirmed) = (Flow::Hi, vec![10], Some(11));
        account.published.push(PublishedCommand { id, kind, number, flow, attempts, confirmed });
    }
    let (prev, text) = (Some(Id { epoch: 7, n: 3 }), Some("m-1-1".to_owned()));
    append(&mut account, Event { id: Id { epoch: 8, n: 1 }, prev, text, ..blank() });
    account.messages.push(("m-1-1".to_owned(), 10));
    account
}

fn blank() -> Event {
    Event {
        id: Id { epoch: 7, n: 1 },
        prev: None,
        kind: "get_me".to_owned(),
        command: None,
        code: None,
        text: None,
        state: None,
        json: Vec::new(),
    }
}

fn append(account: &mut AccountEvidence, event: Event) {
    account.log.push(event.clone());
    account.seen.insert(event.id, SeenEvent { event, at: 20, live: true });
}

fn violations(account: AccountEvidence) -> Vec<String> {
    check(&Evidence { accounts: BTreeMap::from([(1, account)]), ..Evidence::default() })
}

/// Removes every trace of the command with this number, except that it was published.
fn remove_answer(account: &mut AccountEvidence, number: u64) {
    let id = Id { epoch: 7, n: number };
    let seen = account.seen.values_mut().map(|seen| &mut seen.event);
    for event in account.log.iter_mut().chain(seen).filter(|event| event.id == id) {
        event.command = None;
    }
    account.ledger.remove(&format!("c-1-{number}"));
}

fn fail(account: &mut AccountEvidence, number: u64, code: &str) {
    for event in account.log.iter_mut().filter(|event| event.id.n == number) {
        event.code = Some(code.to_owned());
    }
}

#[test]
fn kept_promises_are_not_violations() {
    assert_eq!(violations(good()), Vec::<String>::new());
}

#[test]
fn each_broken_promise_is_reported() {
    type Forgery = fn(&mut AccountEvidence);
    let cases: [(Forgery, &str); 14] = [
        (|one| remove_answer(one, 2), "command c-1-2 has no answer"),
        (|one| one.log.remove(1).id.n = 0, "is not in the log"),
        (|one| one.log[1].json.clear(), "event 7-2 (c-1-2) was another"),
        (|one| one.log.swap(0, 1), "event 7-1 stands after 7-2"),
        (|one| one.log[2].prev = Some(Id { epoch: 7, n: 1 }), "names 7-1 as the one before it"),
        (
            |one| {
                let command = Some("c-1-1".to_owned());
                let (id, prev) = (Id { epoch: 8, n: 2 }, Some(Id { epoch: 8, n: 1 }));
                append(one, Event { id, prev, command, ..blank() });
            },
            "command c-1-1 is answered by the events 7-1, 8-2",
        ),
        (|one| one.effects.push(one.effects[2].clone()), "command c-1-3 took effect 2 times"),
        (|one| one.effects.swap(0, 1), "command c-1-1 took effect after c-1-2"),
        (|one| one.effects.truncate(2), "command c-1-3 is answered as done by 7-3 and is not"),
        (|one| fail(one, 3, "expired"), "command c-1-3 took effect and is answered `expired`"),
        (
            |one| one.ledger.extend([("c-1-1".to_owned(), "h 0123456789abcdef 1".to_owned())]),
            "the ledger still has command c-1-1 as `h 0123456789abcdef 1`",
        ),
        (|one| one.messages.push(("m-1-2".to_owned(), 15)), "message m-1-2 has no event"),
        (
            |one| {
                let (id, prev) = (Id { epoch: 8, n: 2 }, Some(Id { epoch: 8, n: 1 }));
                append(one, Event { id, prev, state: Some("failed".to_owned()), ..blank() });
            },
            "it is `failed` by event 8-2",
        ),
        (|one| one.pending = 1, "1 commands are still in the pending lists"),
    ];
    for (forge, expected) in cases {
        let mut account = good();
        forge(&mut account);
        let violations = violations(account);
        let found = violations.iter().any(|violation| violation.contains(expected));
        assert!(found, "`{expected}` is not among {violations:#?}");
    }
}

#[test]
fn remaining_messages_and_a_key_with_two_owners_are_reported() {
    let queues = vec![("tdfleet.cmd_hi.s001.of12".to_owned(), 3)];
    let evidence = Evidence { queues, duplicates: vec![Some(4)], ..Evidence::default() };
    assert_eq!(
        check(&evidence),
        [
            "queue tdfleet.cmd_hi.s001.of12 still has 3",
            "account 4: one key was used by two owners at once"
        ]
    );
}
