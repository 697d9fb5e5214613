//! The audit stream.

use contracts::Names;
use log_port::AccountLog;
use publisher::{AuditReader, AuditRecord};
use testkit::log_rules::steps::{account, completion, event};

use crate::redis::Cli;
use crate::support::{LogFixture, on_redis, store, until_connected, writer};

const AUDIT: &str = "tdfleet:audit";

/// The ids of the commands in the stream.
async fn audited(fixture: &LogFixture) -> Vec<String> {
    let mut reader = AuditReader::connect(&fixture.settings, &Names::default(), 0).await.unwrap();
    let mut ids = Vec::new();
    loop {
        let page = reader.next_page().await.unwrap();
        if page.is_empty() {
            return ids;
        }
        ids.extend(page.into_iter().map(|AuditRecord { entry, .. }| entry.command_id.into_owned()));
    }
}

/// Answers a command, and waits until that is stored.
async fn answer(log: &dyn AccountLog, id: &str) {
    let mut answer = event(log.token().account, 0);
    answer.meta.command_id = Some(completion(id, None).command.command);
    let (sender, stored) = tokio::sync::oneshot::channel();
    let on_stored = Box::new(move |outcome| sender.send(outcome).unwrap());
    log.append(answer, Some(completion(id, None)), Some(on_stored));
    stored.await.unwrap().unwrap();
}

#[tokio::test]
async fn every_answer_has_one_entry_and_other_events_have_none() {
    let (fixture, log, mut cli) = on_redis().await;
    for (number, id) in ["a", "b", "c"].into_iter().enumerate() {
        let one = writer(&log, account(i64::try_from(number).unwrap() % 2 + 1), 7).await;
        store(&one, number).await.unwrap();
        answer(&one, id).await;
    }
    assert_eq!(audited(&fixture).await, ["a", "b", "c"]);
    // What someone else has written is passed over.
    cli.send(&format!("XADD {AUDIT} * x y")).await;
    cli.send(&format!("XADD {AUDIT} * e nonsense")).await;
    answer(&writer(&log, account(1), 7).await, "d").await;
    assert_eq!(audited(&fixture).await, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn an_audit_stream_that_cannot_be_written_costs_no_answer() {
    let (fixture, log, mut cli) = on_redis().await;
    cli.send(&format!("SET {AUDIT} taken")).await;
    let one = writer(&log, account(1), 7).await;
    answer(&one, "a").await;
    cli.send(&format!("DEL {AUDIT}")).await;
    answer(&one, "b").await;
    assert_eq!(audited(&fixture).await, ["b"]);
}

#[tokio::test]
async fn without_the_setting_there_is_no_stream() {
    let mut fixture = LogFixture::on_redis();
    fixture.settings.audit_entries = 0;
    let log = fixture.open();
    until_connected(&log, true).await;
    answer(&writer(&log, account(1), 7).await, "a").await;
    let mut cli = Cli::to(fixture.server()).await;
    assert_eq!(cli.ask::<u64>(&format!("EXISTS {AUDIT}")).await, 0);
}
