//! Every command of the reference: from the published request to what Telegram's side holds after
//! it, what the account's other session hears of it, and each error string, by a bad request.
//!
//! Where a command is more than TDLib's method of that name, `call_tdlib` shows what TDLib does by
//! itself, and the command next to it what is answered instead.

mod block_list;
mod contacts;
mod each;
mod live;
mod new_chats;
mod privacy_mode;
mod privacy_read;
mod privacy_rules;
mod raw;
mod sessions;
mod silence;
mod websites;

use std::time::Duration;

use lapin::BasicProperties;
use sandbox::AccountHandle;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::support::{Backend, Worker, World, routing_key};

/// Longest wait for anything that TDLib does or tells; it may be silent for [`SILENCE_S`].
const PATIENCE: Duration = Duration::from_mins(2);

/// How long TDLib may be silent, in seconds: the least that the settings take.
const SILENCE_S: &str = "70";

/// What the tests' `call_tdlib` may call.
const METHODS: &str = "createNewBasicGroupChat, createPrivateChat, getApplicationConfig, \
    getContacts, getMe, getUserFullInfo, getUserPrivacySettingRules, loadChats, \
    searchPublicChat, setArchiveChatListSettings, setMessageSenderBlockList, \
    setReadDatePrivacySettings, setUserPrivacySettingRules";

/// A worker whose account 1 gets the commands, and account 2 looks on.
struct Scene {
    world: World,
    /// Account 1 as Telegram has it.
    account: AccountHandle,
    /// Hears of account 1.
    mine: Backend,
    /// Hears of account 2.
    other: Backend,
    worker: Worker,
    /// Commands that account 1 was sent.
    sent: usize,
}

impl Scene {
    /// Accounts that nobody is logged in to.
    async fn start(accounts: u32) -> Self {
        let world = World::start(accounts).await;
        let worker = spawn(&world);
        let mut mine = world.backend_when_declared().await;
        let mut other = world.backend().await;
        mine.listen(1).await;
        other.listen(2).await;
        let account = world.sandbox.account(&world.sandbox.phone(1)).unwrap();
        Self { world, account, mine, other, worker, sent: 0 }
    }

    /// Account 1 is logged in.
    async fn logged_in() -> Self {
        let mut scene = Self::start(2).await;
        scene.world.log_in(&mut scene.mine, 1).await;
        scene.sent += 2;
        scene
    }

    /// Both are logged in to the same account of Telegram's: account 2 is its other session.
    async fn two_sessions() -> Self {
        let mut scene = Self::logged_in().await;
        scene.log_in_other().await;
        scene
    }

    async fn log_in_other(&mut self) {
        self.world.log_in_as(&mut self.other, 2, 1).await;
    }

    /// TDLib has the contacts and the groups in both sessions: ids alone it does not take.
    async fn know_everybody(&mut self) {
        for (account, backend) in [(1, &mut self.mine), (2, &mut self.other)] {
            for method in ["getContacts", "loadChats"] {
                let params = if method == "loadChats" { json!({"limit": 20}) } else { json!({}) };
                let call = json!({"method": method, "params": params});
                let answer = backend.call(account, "call_tdlib", call).await;
                assert!(answer["payload"]["result"].is_object(), "{answer}");
            }
        }
        self.sent += 2;
    }

    /// Ends the worker as a power cut would, and starts the next one.
    async fn restart(&mut self) {
        self.worker.kill9();
        self.worker.ended().await;
        self.worker = spawn(&self.world);
    }

    /// The payload of a command's answer.
    async fn answer(&mut self, command: &str, fields: Value) -> Value {
        self.sent += 1;
        let event = self.mine.call(1, command, fields).await;
        assert_eq!((&event["type"], &event["userbot_id"]), (&json!("chat_update"), &json!(1)));
        event["payload"].clone()
    }

    /// Publishes a command by the flow for bulk, whose lane runs beside the other one.
    async fn send_low(&mut self, command: &str, fields: Value) {
        self.sent += 1;
        let key = routing_key(1, command).replace("cmd_hi", "cmd_lo");
        let mut body = json!({"action": command, "userbot_id": 1});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let body = body.to_string();
        self.mine.publish(&key, body.as_bytes(), BasicProperties::default()).await;
    }

    /// The result of a command that succeeds.
    async fn result(&mut self, command: &str, fields: Value) -> Value {
        let payload = self.answer(command, fields).await;
        assert_eq!(payload["type"], command, "{payload}");
        assert!(payload.get("error").is_none(), "{payload}");
        payload["result"].clone()
    }

    /// The error string and `error_info` of a command that fails.
    async fn failure(&mut self, command: &str, fields: Value) -> (String, Value) {
        let payload = self.answer(command, fields).await;
        assert_eq!(payload["type"], format!("{command}_error"), "{payload}");
        assert!(payload.get("result").is_none(), "{payload}");
        (payload["error"].as_str().unwrap().to_owned(), payload["error_info"].clone())
    }

    /// Requests that are refused, each with its error, and that ask Telegram for nothing but reads.
    async fn refused(&mut self, command: &str, cases: &[(Value, &str)]) {
        for (fields, error) in cases {
            let (told, info) = self.failure(command, fields.clone()).await;
            assert_eq!(told, *error, "{command} {fields}");
            assert_eq!(info["code"], "invalid_request", "{command} {fields}");
            assert_eq!(info["source"], "validation", "{command} {fields}");
            assert_eq!(info["retriable"], false, "{command} {fields}");
        }
    }

    /// A command that fails with Telegram's own error, passed on.
    async fn passed_on(&mut self, command: &str, fields: Value, error: &str) -> Value {
        let (told, info) = self.failure(command, fields).await;
        assert_eq!(told, error, "{command}");
        assert_eq!((&info["code"], &info["source"]), (&json!("tdlib_error"), &json!("tdlib")));
        info
    }

    /// What TDLib answers by itself.
    async fn tdlib(&mut self, method: &str, params: Value) -> Value {
        self.result("call_tdlib", json!({"method": method, "params": params})).await
    }

    /// What TDLib answers in the other session.
    async fn other_tdlib(&mut self, method: &str, params: Value) -> Value {
        let call = json!({"method": method, "params": params});
        self.other.call(2, "call_tdlib", call).await["payload"]["result"].clone()
    }

    /// The results of the updates of that type in account 1's log, once there are so many.
    async fn told(&mut self, kind: &str, number: usize) -> Vec<Value> {
        let told = self.payloads(kind, number).await;
        told.into_iter().map(|payload| payload["result"].clone()).collect()
    }

    /// The payloads of the events of that type in account 1's log, once there are so many.
    async fn payloads(&mut self, kind: &str, number: usize) -> Vec<Value> {
        let search = async {
            loop {
                let log = self.mine.log(1).await.into_iter().map(|(_, event)| event);
                let told = log.filter(|event| event["payload"]["type"] == kind);
                let told: Vec<_> = told.map(|event| event["payload"].clone()).collect();
                if told.len() >= number {
                    return told;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, search).await.expect("the update comes")
    }

    /// The next live update of that type in the other session; it passes over what came before.
    async fn other_hears(&mut self, kind: &str) -> Value {
        let event = self.other.live_event(|event| event["payload"]["type"] == kind).await;
        event["payload"]["result"].clone()
    }

    /// How often account 1 of the sandbox has called a method of Telegram's, from all sessions.
    fn calls(&self, method: &str) -> usize {
        self.world.sandbox.count_calls(Some(1), Some(method))
    }

    /// Waits until account 1 of the sandbox has called a method so often.
    async fn called(&self, method: &str, times: usize) {
        let called = self.world.sandbox.wait_for_calls(Some(1), Some(method), times);
        timeout(PATIENCE, called).await.expect("the method is called");
    }

    /// Exactly one answer came to each command.
    async fn end(mut self) {
        let answers = self.mine.answers(1, self.sent).await;
        assert_eq!(answers.len(), self.sent, "one answer to each command");
        assert!(self.world.sandbox.duplicates().is_empty(), "no session was run twice");
    }
}

fn spawn(world: &World) -> Worker {
    let settings = [
        ("TDFLEET__WORKER__CALL_TDLIB_METHODS", METHODS),
        ("TDFLEET__TDLIB__TIMEOUT_S", SILENCE_S),
    ];
    world.tdfleet(&["worker"], &settings)
}

/// A rule as TDLib has it, such as `AllowAll`.
fn rule(name: &str) -> Value {
    json!({"@type": format!("userPrivacySettingRule{name}")})
}

/// A rule with ids, such as `AllowUsers`.
fn rule_of(name: &str, field: &str, ids: &[i64]) -> Value {
    json!({"@type": format!("userPrivacySettingRule{name}"), field: ids})
}

/// The parameters of TDLib's `setUserPrivacySettingRules`.
fn set_rules(setting: &str, rules: &[Value]) -> Value {
    json!({"setting": {"@type": setting},
        "rules": {"@type": "userPrivacySettingRules", "rules": rules}})
}
