//! Every command of the reference: the published request, its effect at Telegram, the updates in the
//! account's other session, and each error string, provoked by a bad request.
//!
//! Where a command does more than TDLib's method of the same name, `call_tdlib` shows what TDLib
//! does on its own, and the command next to it what is answered instead.

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

use lapin::BasicProperties;
use sandbox::AccountHandle;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{Backend, PATIENCE, Worker, World, routing_key};

/// How long TDLib may be silent, in seconds: the shortest that the settings allow.
const TDLIB_TIMEOUT_S: &str = "70";

/// The methods that `call_tdlib` may call in these tests.
const METHODS: &str = "createNewBasicGroupChat, createPrivateChat, getApplicationConfig, \
    getContacts, getMe, getUserFullInfo, getUserPrivacySettingRules, loadChats, \
    searchPublicChat, setArchiveChatListSettings, setMessageSenderBlockList, \
    setReadDatePrivacySettings, setUserPrivacySettingRules";

/// A worker whose account 1 receives the commands, while account 2 watches.
struct Scene {
    world: World,
    /// Account 1 as Telegram has it.
    account: AccountHandle,
    /// Receives account 1's events.
    mine: Backend,
    /// Receives account 2's events.
    other: Backend,
    worker: Worker,
    /// Number of commands sent to account 1.
    sent: usize,
}

impl Scene {
    /// Starts with accounts that are not logged in.
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

    /// Starts with account 1 logged in.
    async fn logged_in() -> Self {
        let mut scene = Self::start(2).await;
        scene.world.log_in(&mut scene.mine, 1).await;
        scene.sent += 2;
        scene
    }

    /// Starts with both logged in as the same Telegram user: account 2 is the other session.
    async fn two_sessions() -> Self {
        let mut scene = Self::logged_in().await;
        scene.log_in_other().await;
        scene
    }

    async fn log_in_other(&mut self) {
        self.world.log_in_as(&mut self.other, 2, 1).await;
    }

    /// Makes TDLib load contacts and groups in both sessions: it refuses ids that it has not seen.
    async fn load_peers(&mut self) {
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

    /// Kills the worker, as a power cut would, and starts the next one.
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

    /// Publishes a command in the bulk flow, which runs concurrently with the other one.
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

    /// Sends requests that are refused by validation, each with its error.
    async fn refused(&mut self, command: &str, cases: &[(Value, &str)]) {
        for (fields, error) in cases {
            let (found, info) = self.failure(command, fields.clone()).await;
            assert_eq!(found, *error, "{command} {fields}");
            assert_eq!(info["code"], "invalid_request", "{command} {fields}");
            assert_eq!(info["source"], "validation", "{command} {fields}");
            assert_eq!(info["retriable"], false, "{command} {fields}");
        }
    }

    /// Sends a command that fails with Telegram's own error; its `error_info`.
    async fn passed_on(&mut self, command: &str, fields: Value, error: &str) -> Value {
        let (found, info) = self.failure(command, fields).await;
        assert_eq!(found, error, "{command}");
        assert_eq!((&info["code"], &info["source"]), (&json!("tdlib_error"), &json!("tdlib")));
        info
    }

    /// Calls a TDLib method directly; its result.
    async fn tdlib(&mut self, method: &str, params: Value) -> Value {
        self.result("call_tdlib", json!({"method": method, "params": params})).await
    }

    /// The same in the other session.
    async fn other_tdlib(&mut self, method: &str, params: Value) -> Value {
        let call = json!({"method": method, "params": params});
        self.other.call(2, "call_tdlib", call).await["payload"]["result"].clone()
    }

    /// Waits for `number` events of a type in account 1's log; their results.
    async fn results(&mut self, kind: &str, number: usize) -> Vec<Value> {
        let payloads = self.payloads(kind, number).await;
        payloads.into_iter().map(|payload| payload["result"].clone()).collect()
    }

    /// Waits for `number` events of a type in account 1's log; their payloads.
    async fn payloads(&mut self, kind: &str, number: usize) -> Vec<Value> {
        let of_kind = |event: &Value| event["payload"]["type"] == kind;
        let events = self.mine.logged(1, number, of_kind).await.into_iter();
        events.map(|mut event| event["payload"].take()).collect()
    }

    /// The result of the next live event of a type in the other session; skips all others.
    async fn next_in_other(&mut self, kind: &str) -> Value {
        let event = self.other.live_event(|event| event["payload"]["type"] == kind).await;
        event["payload"]["result"].clone()
    }

    /// Waits until the other session is lost. Skips all earlier states: that it is ready may be
    /// reported after the answer that says so.
    async fn lost_in_other(&mut self) {
        let lost = |event: &Value| event["payload"]["result"]["state"] == "session_lost";
        self.other.live_event(lost).await;
    }

    /// How often account 1 has called a method of Telegram's API, from all sessions.
    fn calls(&self, method: &str) -> usize {
        self.world.sandbox.count_calls(Some(1), Some(method))
    }

    /// Waits until account 1 has called a method of Telegram's API `times` times.
    async fn wait_for_calls(&self, method: &str, times: usize) {
        let calls = self.world.sandbox.wait_for_calls(Some(1), Some(method), times);
        timeout(PATIENCE, calls).await.expect("the method is called");
    }

    /// Ends the test: every command has exactly one answer.
    async fn end(mut self) {
        let answers = self.mine.answers(1, self.sent).await;
        assert_eq!(answers.len(), self.sent, "one answer to each command");
        assert!(self.world.sandbox.duplicates().is_empty(), "no session was opened twice");
    }
}

fn spawn(world: &World) -> Worker {
    let settings = [
        ("TDFLEET__WORKER__CALL_TDLIB_METHODS", METHODS),
        ("TDFLEET__TDLIB__TIMEOUT_S", TDLIB_TIMEOUT_S),
    ];
    world.tdfleet(&["worker"], &settings)
}

/// A privacy rule in TDLib's form, such as `AllowAll`.
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
