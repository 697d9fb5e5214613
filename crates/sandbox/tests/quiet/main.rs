//! What the real libtdjson has to complain about when nothing is wrong: nothing. It has a process
//! of its own, since a process has one log.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../real/support.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod support;

use std::io;
use std::sync::{Arc, Mutex};

use sandbox::{BlockList, Options, Peer};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::Rig;

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_logs_in_and_works_has_nothing_to_complain_about() {
    let log = Log::default();
    // TDLib's warnings, level 2 of its log, come as `info`.
    let subscriber = tracing_subscriber::fmt().with_env_filter("tdlib=info").with_ansi(false);
    subscriber.with_writer(log.clone()).init();
    let rig = Rig::start(Options::default()).await;
    let mut user = rig.log_in(1).await;
    let account = rig.sandbox.account(&rig.sandbox.phone(1)).unwrap();
    while user.call("loadChats", json!({"limit": 20})).await.is_ok() {}
    user.call("getContacts", json!({})).await.unwrap();
    let contact = account.contacts()[0];
    user.call("getUserFullInfo", json!({"user_id": contact.0})).await.unwrap();
    for group in account.groups() {
        account.receive(contact, group, "to the group");
        user.update(|update| update["@type"] == "updateNewMessage").await;
    }
    account.receive(contact, Peer::User(account.user()), "to the account");
    user.update(|update| update["@type"] == "updateNewMessage").await;
    let sender = json!({"@type": "messageSenderUser", "user_id": contact.0});
    let block = json!({"sender_id": sender, "block_list": {"@type": "blockListMain"}});
    user.call("setMessageSenderBlockList", block).await.unwrap();
    rig.sandbox.wait_for_calls(Some(1), Some("contacts.block"), 1).await;
    assert_eq!(account.blocked(BlockList::Main), [Peer::User(contact)]);
    // TDLib asks for these by itself, some time after a login; this is the last one.
    rig.sandbox.wait_for_calls(Some(1), Some("help.getTermsOfServiceUpdate"), 1).await;
    user.close().await;
    let mut again = rig.client("account-1").await;
    again.state("authorizationStateReady").await;
    rig.sandbox.wait_for_calls(Some(1), Some("account.getSavedMusicIds"), 1).await;
    again.close().await;
    assert!(rig.sandbox.unknown_methods().is_empty(), "{:?}", rig.sandbox.unknown_methods());
    assert!(rig.sandbox.hot_loops().is_empty(), "{:?}", rig.sandbox.hot_loops());
    rig.stop().await;
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.is_empty(), "{log}");
}
