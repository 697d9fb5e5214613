//! The real libtdjson logs no warning when nothing is wrong. A separate process, since TDLib has
//! one log per process.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../real/support.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod support;

use std::io;
use std::sync::{Arc, Mutex};

use sandbox::{BlockList, Fault, Peer, SandboxOptions};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::Rig;

/// Collects the log lines.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

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
async fn a_client_that_logs_in_and_works_logs_no_warning() {
    let log = Log::default();
    // TDLib's warnings, level 2 of its log, are logged as `info`.
    let subscriber = tracing_subscriber::fmt().with_env_filter("tdlib=info").with_ansi(false);
    subscriber.with_writer(log.clone()).init();
    let rig = Rig::start(SandboxOptions::default()).await;
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
    let block = json!({"sender_id": &sender, "block_list": {"@type": "blockListMain"}});
    user.call("setMessageSenderBlockList", block).await.unwrap();
    rig.sandbox.wait_for_calls(Some(1), Some("contacts.block"), 1).await;
    assert_eq!(account.blocked(BlockList::Main), [Peer::User(contact)]);
    // TDLib calls these methods some time after a login; this is the last one.
    rig.sandbox.wait_for_calls(Some(1), Some("help.getTermsOfServiceUpdate"), 1).await;
    user.close().await;
    let mut again = rig.client("account-1").await;
    again.state("authorizationStateReady").await;
    rig.sandbox.wait_for_calls(Some(1), Some("account.getSavedMusicIds"), 1).await;
    let online = json!({"@type": "optionValueBoolean", "value": true});
    again.call("setOption", json!({"name": "online", "value": online})).await.unwrap();
    // The last of the many methods that TDLib calls when its user is online.
    let last = "account.getChannelRestrictedStatusEmojis";
    rig.sandbox.wait_for_calls(Some(1), Some(last), 1).await;
    // Its answer follows those of all earlier calls.
    again.call("getActiveSessions", json!({})).await.unwrap();
    assert!(log.text().is_empty(), "{}", log.text());
    assert!(rig.sandbox.unknown_methods().is_empty(), "{:?}", rig.sandbox.unknown_methods());
    assert!(rig.sandbox.hot_loops().is_empty(), "{:?}", rig.sandbox.hot_loops());
    // Shows that the log is not empty when something is wrong.
    rig.sandbox.inject(Fault::error(400, "PEER_ID_INVALID").method("contacts.unblock"));
    let unblock = json!({"sender_id": sender, "block_list": null});
    again.call("setMessageSenderBlockList", unblock).await.unwrap();
    while !log.text().contains("PEER_ID_INVALID") {
        again.call("getMe", json!({})).await.unwrap();
    }
    again.close().await;
    rig.stop().await;
}
