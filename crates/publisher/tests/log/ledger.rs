//! What `testkit::log_rules` cannot ask of every ledger: a limit on the log's length, and its end.

use log_port::{AccountLog, AdmissionVerdict, NotStored};
use testkit::log_rules::steps::{
    ONCE, SOON, account, admission, admit, all, append_all, completion, owner, push,
};
use tokio::time::timeout;

use crate::support::{LogFixture, answer, store, writer};

pub(crate) async fn a_done_command_returns_its_answer_as_long_as_the_log_has_it(
    mut fixture: LogFixture,
) {
    fixture.settings.max_events = 100;
    let log = writer(&fixture.open(), account(1), 7).await;
    answer(&log, 0, completion("a", None)).await.unwrap();
    all(append_all(&log, 1..1000)).await;
    assert_eq!(admit(&log, "a", ONCE).await, Ok(AdmissionVerdict::Done(None)));
}

pub(crate) async fn a_stopped_ledger_answers_that_it_is_closed(fixture: LogFixture) {
    let log = fixture.open();
    let writer = writer(&log, account(1), 7).await;
    store(&writer, 0).await.unwrap();
    let queued = writer.admit(admission("a", 1, ONCE));
    assert!(fixture.stage.drain(SOON).await);
    assert_eq!(timeout(SOON, queued).await.unwrap(), Ok(AdmissionVerdict::Proceed));
    assert_eq!(admit(&writer, "b", ONCE).await, Err(NotStored::Closed));
    assert_eq!(push(&writer, Vec::new()).await, Err(NotStored::Closed));
    assert_eq!(log.claim(owner(account(1), 7)).await.err(), Some(NotStored::Closed));
}
