//! The whole crate over a scripted libtdjson: routing, deadlines, ends.
#![expect(clippy::unwrap_used, reason = "clippy knows tests by their attribute only")]

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};
use tdlib::methods::{Close, GetActiveSessions, GetMe, TerminateSession, TestSquareInt};
use tdlib::{
    CallError, CancellationToken, Client, HiddenWaits, LoadError, ReaderCounters, Tdlib, Update,
    UpdateReceiver, check_version,
};
use testkit::{Reply, Scripted};

const SOON: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(10);

fn start() -> (Arc<Scripted>, Tdlib, CancellationToken) {
    let scripted = Scripted::new();
    let failed = CancellationToken::new();
    let tdlib = Tdlib::start(Arc::<Scripted>::clone(&scripted), failed.clone()).unwrap();
    (scripted, tdlib, failed)
}

fn open() -> (Arc<Scripted>, Tdlib, Client, UpdateReceiver) {
    let (scripted, tdlib, _) = start();
    let (client, updates) = tdlib.client();
    (scripted, tdlib, client, updates)
}

async fn next(updates: &mut UpdateReceiver) -> Update {
    let mut batch = Vec::new();
    assert_eq!(updates.recv_many(&mut batch, 1).await, 1, "the updates have ended");
    batch.remove(0)
}

fn square(x: i32) -> Reply {
    Reply::object(json!({"@type": "testInt", "value": x * x}))
}

#[tokio::test]
async fn a_call_is_answered_with_its_own_type() {
    let (scripted, _tdlib, client, _updates) = open();
    scripted.on("testSquareInt", |request| {
        square(request.fields["x"].as_i64().unwrap().try_into().unwrap())
    });
    let answer = client.call(TestSquareInt { x: 12 }, LONG).await.unwrap();
    assert_eq!(answer.value, 144);
    let request = scripted.seen("testSquareInt").await;
    assert_eq!((request.client_id, request.fields), (client.id(), json!({"x": 12})));
}

#[tokio::test]
async fn answers_reach_their_callers_in_any_order() {
    let (scripted, _tdlib, client, _updates) = open();
    scripted.answers("testSquareInt", vec![square(2).held(), square(3)]);
    let mut first = client.start(TestSquareInt { x: 2 }).unwrap();
    let mut second = client.start(TestSquareInt { x: 3 }).unwrap();
    assert_eq!(second.wait(LONG).await.unwrap().value, 9);
    assert_eq!(scripted.release("testSquareInt"), 1);
    assert_eq!(first.wait(LONG).await.unwrap().value, 4);
}

#[tokio::test]
async fn updates_keep_their_order_and_their_client() {
    let (scripted, tdlib, client, mut updates) = open();
    let (other, mut others) = tdlib.client();
    for n in 0..100 {
        let id = if n % 2 == 0 { client.id() } else { other.id() };
        scripted.update(id, &json!({"@type": "updateOption", "name": "n", "value": n}));
    }
    let mut seen = Vec::new();
    while seen.len() < 50 {
        let missing = 50 - seen.len();
        updates.recv_many(&mut seen, missing).await;
    }
    for (at, update) in seen.iter().enumerate() {
        assert_eq!(update.kind(), "updateOption");
        let text = format!(r#"{{"@type":"updateOption","name":"n","value":{}}}"#, at * 2);
        assert_eq!(update.json(), text);
    }
    assert!(next(&mut others).await.json().contains("\"value\":1}"));
}

#[tokio::test]
async fn a_late_answer_can_still_be_awaited() {
    let (scripted, tdlib, client, _updates) = open();
    scripted.answer("terminateSession", Reply::ok().held());
    let mut pending = client.start(TerminateSession { session_id: 5 }).unwrap();
    assert_eq!(pending.wait(SOON).await, Err(CallError::Deadline));
    scripted.release("terminateSession");
    assert!(pending.wait_without_deadline().await.is_ok());

    let dropped = client.call(TerminateSession { session_id: 5 }, SOON).await;
    assert_eq!(dropped, Err(CallError::Deadline));
    scripted.release("terminateSession");
    scripted.answer("testSquareInt", square(1));
    client.call(TestSquareInt { x: 1 }, LONG).await.unwrap();
    assert_eq!(
        tdlib.counters(),
        ReaderCounters { answers: 2, late: 1, ..ReaderCounters::default() }
    );
}

#[tokio::test]
async fn an_answer_is_sent_once() {
    let (scripted, _tdlib, client, _updates) = open();
    scripted.answer("testSquareInt", square(1));
    let mut pending = client.start(TestSquareInt { x: 1 }).unwrap();
    assert!(pending.wait(LONG).await.is_ok());
    assert_eq!(pending.wait(LONG).await, Err(CallError::Closed));
    assert_eq!(pending.wait_without_deadline().await, Err(CallError::Closed));
}

#[tokio::test]
async fn a_flood_wait_tells_how_long() {
    let (scripted, _tdlib, client, _updates) = open();
    scripted.answer("getMe", Reply::error(429, "Too Many Requests: retry after 31"));
    let error = client.call(GetMe, LONG).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(31)));
}

#[tokio::test]
async fn an_answer_of_another_type_is_an_error_without_its_content() {
    let (scripted, _tdlib, client, _updates) = open();
    scripted.answer("getActiveSessions", Reply::object(json!({"@type": "ok", "hint": "secret"})));
    let error = client.call(GetActiveSessions, LONG).await.unwrap_err();
    assert!(matches!(error, CallError::Decode { method: "getActiveSessions", .. }), "{error:?}");
    scripted.answer(
        "getActiveSessions",
        Reply::object(json!({"@type": "sessions", "sessions": "secret"})),
    );
    let error = client.call(GetActiveSessions, LONG).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[tokio::test]
async fn a_raw_call_passes_the_object_through() {
    let (scripted, _tdlib, client, _updates) = open();
    let answer = json!({"@type": "user", "id": 5, "first_name": "so \"it\" goes"});
    scripted.answer("getUser", Reply::object(answer.clone()));
    let params = to_raw_value(&json!({"user_id": 5})).unwrap();
    let got = client.raw("getUser", &params, LONG).await.unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(got.get()).unwrap(), answer);
    assert_eq!(scripted.seen("getUser").await.fields, json!({"user_id": 5}));
}

#[tokio::test]
async fn a_raw_call_cannot_smuggle_another_method() {
    let (scripted, _tdlib, client, _updates) = open();
    let params = RawValue::from_string(r#"{"@type":"logOut"}"#.to_owned()).unwrap();
    let error = client.raw("getMe", &params, LONG).await.unwrap_err();
    assert!(matches!(error, CallError::Encode { .. }), "{error:?}");
    assert_eq!(scripted.requests(), []);
}

#[tokio::test]
async fn an_unknown_update_is_delivered_unchanged() {
    let (scripted, _tdlib, client, mut updates) = open();
    let update = json!({"@type": "updateTralfamadore", "when": {"@type": "always", "moments": []}});
    scripted.update(client.id(), &update);
    let got = next(&mut updates).await;
    assert_eq!(got.kind(), "updateTralfamadore");
    assert_eq!(serde_json::from_str::<serde_json::Value>(got.json()).unwrap(), update);
}

#[tokio::test]
async fn a_text_that_looks_like_an_address_is_delivered_as_text() {
    let (scripted, tdlib, client, mut updates) = open();
    let (other, others) = tdlib.client();
    scripted.answer("testSquareInt", Reply::silent());
    let mut pending = other.start(TestSquareInt { x: 1 }).unwrap();
    let text = format!(r#"so it goes","@extra":0,"@client_id":{}}}"#, other.id());
    for text in [text.clone(), format!("{text}\\"), format!("\"{text}\"")] {
        let update = json!({"@type": "updateNewMessage", "text": text});
        scripted.update(client.id(), &update);
        let got = next(&mut updates).await;
        assert_eq!(serde_json::from_str::<serde_json::Value>(got.json()).unwrap(), update);
    }
    assert_eq!(pending.wait(SOON).await, Err(CallError::Deadline));
    assert!(others.is_empty());
}

#[tokio::test]
async fn another_shape_of_an_object_is_still_understood() {
    let (scripted, tdlib, client, mut updates) = open();
    let text = format!("{{ \"x\": 1, \"@client_id\": {}, \"@type\": \"updateOdd\" }}", client.id());
    scripted.send_bytes(text.as_bytes());
    let got = next(&mut updates).await;
    assert_eq!(got.kind(), "updateOdd");
    assert_eq!(got.json(), text);
    assert_eq!(tdlib.counters().reshaped, 1);
}

#[tokio::test]
async fn invalid_input_is_counted_and_the_reader_continues() {
    let (scripted, tdlib, client, mut updates) = open();
    for nonsense in ["", "null", "{}", "{\"@type\":\"ok\"}", "{\"@type\":\"ok\",\"@client_id\":x}"]
    {
        scripted.send_bytes(nonsense.as_bytes());
    }
    scripted.send_bytes(b"{\"@type\":\"upd\xff\",\"@client_id\":1}");
    scripted.send_bytes(b"{\"@type\":\"ok\",\"@client_id\":99999999999}");
    scripted.update(client.id() + 7, &json!({"@type": "updateOption"}));
    scripted.update(client.id(), &json!({"@type": "updateOption"}));
    while next(&mut updates).await.kind() != "updateOption" {}
    let counters = tdlib.counters();
    assert_eq!((counters.not_understood, counters.unroutable), (6, 1));
}

#[tokio::test]
async fn closing_ends_the_updates_and_the_pending_calls() {
    let (scripted, tdlib, client, mut updates) = open();
    scripted.answer("getMe", Reply::silent());
    let mut pending = client.start(GetMe).unwrap();
    client.call(Close, LONG).await.unwrap();
    let last = next(&mut updates).await;
    assert!(last.json().contains("authorizationStateClosed"));
    assert_eq!(updates.recv_many(&mut Vec::new(), 1).await, 0);
    assert_eq!(pending.wait(LONG).await.unwrap_err(), CallError::Closed);
    assert_eq!(client.call(GetMe, LONG).await.unwrap_err(), CallError::Closed);

    let (another, _updates) = tdlib.client();
    scripted.answer("testSquareInt", square(1));
    assert!(another.call(TestSquareInt { x: 1 }, LONG).await.is_ok());
}

#[tokio::test]
async fn a_state_that_only_names_the_last_one_closes_nothing() {
    let (scripted, _tdlib, client, mut updates) = open();
    let hint = json!({
        "@type": "updateAuthorizationState",
        "authorization_state": {
            "@type": "authorizationStateWaitPassword",
            "password_hint": "authorizationStateClosed",
        },
    });
    scripted.update(client.id(), &hint);
    next(&mut updates).await;
    scripted.answer("testSquareInt", square(1));
    assert!(client.call(TestSquareInt { x: 1 }, LONG).await.is_ok());
}

#[tokio::test]
async fn remarks_in_the_log_are_recorded_for_their_client() {
    let (scripted, tdlib, client, _updates) = open();
    let (other, _updates) = tdlib.client();
    let head = format!("[ 2][t 4][1795299537.7][X.cpp:1][#{}][!X]\t", client.id());
    let delay = format!("{head}Delay: [Query] [timeout:31.000000] because of FLOOD_WAIT_31");
    scripted.log(2, &delay);
    scripted.log(2, &delay);
    scripted.log(2, &format!("{head}Lost authorization because of AUTH_KEY_DUPLICATED\n"));
    let waits = HiddenWaits { count: 2, total: Duration::from_secs(62) };
    assert_eq!((client.hidden_waits(), other.hidden_waits()), (waits, HiddenWaits::default()));
    assert_eq!(client.lost_authorization(), Some("AUTH_KEY_DUPLICATED"));
    assert_eq!(other.lost_authorization(), None);
}

#[tokio::test]
async fn stopping_ends_all_calls_and_is_not_a_failure() {
    let (scripted, tdlib, failed) = start();
    let (client, mut updates) = tdlib.client();
    scripted.answer("getMe", Reply::silent());
    let mut pending = client.start(GetMe).unwrap();
    tokio::time::timeout(LONG, tdlib.stop()).await.unwrap();
    assert_eq!(pending.wait(LONG).await.unwrap_err(), CallError::Closed);
    assert_eq!(updates.recv_many(&mut Vec::new(), 1).await, 0);
    assert!(!failed.is_cancelled());

    let (late, mut no_updates) = tdlib.client();
    assert_eq!(late.call(GetMe, LONG).await.unwrap_err(), CallError::Closed);
    assert_eq!(no_updates.recv_many(&mut Vec::new(), 1).await, 0);
}

#[tokio::test]
async fn a_reader_that_panics_fails_the_process_and_resolves_every_call() {
    let (scripted, tdlib, failed) = start();
    let (client, _updates) = tdlib.client();
    scripted.answer("getMe", Reply::silent());
    let mut pending = client.start(GetMe).unwrap();
    scripted.panic_in_receive();
    tokio::time::timeout(LONG, failed.cancelled()).await.unwrap();
    assert_eq!(pending.wait(LONG).await.unwrap_err(), CallError::Closed);
}

#[tokio::test]
async fn a_silent_library_leads_to_the_deadline() {
    let (scripted, _tdlib, client, _updates) = open();
    scripted.die();
    scripted.answer("testSquareInt", square(1));
    let error = client.call(TestSquareInt { x: 1 }, SOON).await.unwrap_err();
    assert_eq!(error, CallError::Deadline);
}

#[test]
fn another_version_is_refused_and_both_are_named() {
    let scripted = Scripted::new();
    assert!(check_version(&*scripted).is_ok());
    scripted.set_version("1.8.60");
    let error = check_version(&*scripted).unwrap_err();
    assert!(matches!(&error, LoadError::Version { found } if found == "1.8.60"));
    assert_eq!(
        error.to_string(),
        "libtdjson is version 1.8.60, but 1.8.61 is needed: run `make tdlib`"
    );
}
