//! All ways to log in, and what prevents a login.

use sandbox::{Sandbox, SandboxOptions};
use serde_json::{Value, json};

use crate::support::{Rig, User};

async fn send_phone(user: &mut User, phone: &str) {
    user.state("authorizationStateWaitPhoneNumber").await;
    let phone = json!({"phone_number": phone});
    user.call("setAuthenticationPhoneNumber", phone).await.unwrap();
}

async fn send_code(user: &User, code: &str) -> Result<Value, (i32, String)> {
    user.call("checkAuthenticationCode", json!({"code": code})).await
}

async fn send_password(user: &User, password: &str) -> Result<Value, (i32, String)> {
    user.call("checkAuthenticationPassword", json!({"password": password})).await
}

fn protect(sandbox: &Sandbox, password: &str) {
    let account = sandbox.account(&sandbox.phone(1)).unwrap();
    account.set_password(Some((password, "the usual")));
}

fn refused(code: i32, message: &str) -> Result<Value, (i32, String)> {
    Err((code, message.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_must_follow_the_code() {
    let rig = Rig::start(SandboxOptions::default()).await;
    protect(&rig.sandbox, "correct horse");
    let account = rig.sandbox.account(&rig.sandbox.phone(1)).unwrap();
    let mut user = rig.client("one").await;
    send_phone(&mut user, &rig.sandbox.phone(1)).await;
    user.state("authorizationStateWaitCode").await;
    send_code(&user, &rig.sandbox.code(1)).await.unwrap();
    let waiting = user.update(|update| {
        update["authorization_state"]["@type"] == "authorizationStateWaitPassword"
    });
    assert_eq!(waiting.await["authorization_state"]["password_hint"], "the usual");
    assert!(account.sessions()[1].is_password_pending);
    assert_eq!(send_password(&user, "guess").await, refused(400, "PASSWORD_HASH_INVALID"));
    send_password(&user, "correct horse").await.unwrap();
    user.state("authorizationStateReady").await;
    assert!(!account.sessions()[1].is_password_pending);
    let state = user.call("getPasswordState", json!({})).await.unwrap();
    assert_eq!(
        (&state["has_password"], &state["password_hint"]),
        (&json!(true), &json!("the usual"))
    );
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_sent_again_another_way_and_expires() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let mut user = rig.client("one").await;
    send_phone(&mut user, &rig.sandbox.phone(1)).await;
    let way = |update: &Value| update["authorization_state"]["code_info"]["type"]["@type"].clone();
    let first = user.update(|update| !way(update).is_null()).await;
    assert_eq!(way(&first), "authenticationCodeTypeTelegramMessage");
    let reason = json!({"reason": {"@type": "resendCodeReasonUserRequest"}});
    user.call("resendAuthenticationCode", reason.clone()).await.unwrap();
    let second = user.update(|update| !way(update).is_null()).await;
    assert_eq!(way(&second), "authenticationCodeTypeSms");
    assert!(rig.sandbox.expire_code(&rig.sandbox.phone(1)));
    let late = send_code(&user, &rig.sandbox.code(1)).await;
    assert_eq!(late, refused(400, "PHONE_CODE_EXPIRED"));
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_number_registers_and_is_an_account_from_then_on() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let phone = "+15559990001";
    assert!(rig.sandbox.account(phone).is_none());
    let mut user = rig.client("new").await;
    send_phone(&mut user, phone).await;
    user.state("authorizationStateWaitCode").await;
    assert_eq!(send_code(&user, "00000").await, refused(400, "PHONE_CODE_INVALID"));
    send_code(&user, &rig.sandbox.code_of_new(phone)).await.unwrap();
    user.state("authorizationStateWaitRegistration").await;
    let name = json!({"first_name": "Nora", "last_name": "New"});
    user.call("registerUser", name).await.unwrap();
    user.state("authorizationStateReady").await;
    let me = user.call("getMe", json!({})).await.unwrap();
    let account = rig.sandbox.account(phone).unwrap();
    assert_eq!((&me["id"], &me["first_name"]), (&json!(account.user().0), &json!("Nora")));
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_phone_number_is_refused() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let mut user = rig.client("one").await;
    user.state("authorizationStateWaitPhoneNumber").await;
    let phone = json!({"phone_number": "12"});
    let answer = user.call("setAuthenticationPhoneNumber", phone).await;
    assert_eq!(answer, refused(400, "PHONE_NUMBER_INVALID"));
    user.close().await;
    rig.stop().await;
}

async fn show_qr(user: &mut User) -> String {
    user.state("authorizationStateWaitPhoneNumber").await;
    user.call("requestQrCodeAuthentication", json!({"other_user_ids": []})).await.unwrap();
    link(user).await
}

/// The next QR code link.
async fn link(user: &mut User) -> String {
    let link = |update: &Value| update["authorization_state"]["link"].as_str().map(str::to_owned);
    link(&user.update(|update| link(update).is_some()).await).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_qr_code_is_scanned_by_another_session_of_the_account() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let phone = rig.log_in(1).await;
    let mut desktop = rig.client("desktop").await;
    let shown = show_qr(&mut desktop).await;
    phone.call("confirmQrCodeAuthentication", json!({"link": shown})).await.unwrap();
    desktop.state("authorizationStateReady").await;
    let account = rig.sandbox.account(&rig.sandbox.phone(1)).unwrap();
    assert_eq!(account.sessions().len(), 3);
    phone.close().await;
    desktop.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_qr_code_of_a_protected_account_still_requires_the_password() {
    let rig = Rig::start(SandboxOptions::default()).await;
    protect(&rig.sandbox, "correct horse");
    let mut desktop = rig.client("desktop").await;
    let shown = show_qr(&mut desktop).await;
    let account = rig.sandbox.account(&rig.sandbox.phone(1)).unwrap();
    assert!(!account.accept_login("tg://login?token=bm90IG9uZQ"));
    assert!(account.accept_login(&shown));
    desktop.state("authorizationStateWaitPassword").await;
    send_password(&desktop, "correct horse").await.unwrap();
    desktop.state("authorizationStateReady").await;
    desktop.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_logs_in_by_its_token() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let token = rig.sandbox.add_bot("helper_bot");
    let mut bot = rig.client("bot").await;
    bot.state("authorizationStateWaitPhoneNumber").await;
    let wrong = bot.call("checkAuthenticationBotToken", json!({"token": "1:wrong"})).await;
    assert_eq!(wrong, refused(400, "ACCESS_TOKEN_INVALID"));
    bot.call("checkAuthenticationBotToken", json!({"token": token})).await.unwrap();
    bot.state("authorizationStateReady").await;
    let me = bot.call("getMe", json!({})).await.unwrap();
    assert_eq!(me["type"]["@type"], "userTypeBot");
    bot.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_revoked_by_telegram_ends_at_once() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let mut user = rig.log_in(1).await;
    let account = rig.sandbox.account(&rig.sandbox.phone(1)).unwrap();
    assert!(account.revoke(account.sessions()[1].hash));
    user.state("authorizationStateLoggingOut").await;
    user.state("authorizationStateClosed").await;
    assert_eq!(account.sessions().len(), 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_a_seed_file_is_as_the_file_says() {
    let seed = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/seed.toml").into();
    let rig = Rig::start(SandboxOptions { seed: Some(seed), ..SandboxOptions::default() }).await;
    let mut user = rig.client("seven").await;
    send_phone(&mut user, &rig.sandbox.phone(7)).await;
    user.state("authorizationStateWaitCode").await;
    send_code(&user, "77777").await.unwrap();
    user.state("authorizationStateWaitPassword").await;
    send_password(&user, "correct horse").await.unwrap();
    user.state("authorizationStateReady").await;
    let friends = user.call("getCloseFriends", json!({})).await.unwrap();
    assert_eq!(friends["total_count"], 1);
    let found = user.call("searchPublicChat", json!({"username": "eve"})).await.unwrap();
    let full = json!({"user_id": found["id"]});
    let eve = user.call("getUserFullInfo", full).await.unwrap();
    assert_eq!(eve["block_list"]["@type"], "blockListMain");
    user.close().await;
    rig.stop().await;
}
