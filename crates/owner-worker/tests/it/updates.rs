//! Live updates: what is told, and in which form.

use serde_json::{Value, json};
use testkit::Reply;

use crate::support::objects::{rule, rules};
use crate::support::{World, request};

const PRIVACY: &str = "updateUserPrivacySettingRules";

fn update(list: &[Value]) -> Value {
    json!({"@type": PRIVACY, "setting": {"@type": "userPrivacySettingShowBio"}, "rules": rules(list)})
}

/// The client of account 1, whichever account opened first.
async fn client_of(world: &World) -> i32 {
    world.tdlib.answer("confirmSession", Reply::ok());
    world.result("confirm_session", &json!({"session_id": 5})).await;
    world.tdlib.seen("confirmSession").await.client_id
}

fn marker() -> Value {
    json!({"@type": "updateFreezeState", "is_frozen": false, "freezing_date": 0, "deletion_date": 0,
        "appeal_link": ""})
}

fn told(world: &World) -> Vec<Value> {
    let events = world.log.events(1).into_iter();
    events.filter(|event| event["type"] == PRIVACY).map(|event| event["result"].clone()).collect()
}

#[tokio::test]
async fn a_change_of_privacy_carries_the_setting_and_a_first_read_tells_nothing() {
    let world = World::ready().await;
    let client = client_of(&world).await;
    let (all, nobody) = ([rule("AllowAll")], []);
    let read = json!({"setting": "show_bio"});
    let answer = Reply::object(rules(&all)).then_update(update(&all));
    world.tdlib.answer("getUserPrivacySettingRules", answer);
    world.result("get_privacy_setting", &read).await;
    for list in [&nobody[..], &all] {
        world.tdlib.update(client, &update(list));
    }
    world.tdlib.update(client, &marker());
    world.log.next(1, "updateFreezeState", |_| true).await;
    let told = told(&world);
    let modes: Vec<_> = told.iter().map(|result| result["summary"]["mode"].clone()).collect();
    assert_eq!(modes, ["nobody", "all"]);
    assert_eq!(told[0]["setting_key"], "show_bio");
    assert_eq!(told[0].get("@type"), None);
}

#[tokio::test]
async fn an_update_before_the_answer_of_a_first_read_is_none_either() {
    let world = World::ready().await;
    let client = client_of(&world).await;
    let all = [rule("AllowAll")];
    let answer = Reply::object(rules(&all)).after_update(update(&all));
    world.tdlib.answer("getUserPrivacySettingRules", answer);
    world.result("get_privacy_setting", &json!({"setting": "show_bio"})).await;
    world.tdlib.update(client, &marker());
    world.log.next(1, "updateFreezeState", |_| true).await;
    assert_eq!(told(&world), Vec::<Value>::new());
}

#[tokio::test]
async fn our_own_change_is_told_once_even_where_tdlib_does_not_tell_it() {
    let world = World::ready().await;
    let client = client_of(&world).await;
    let all = [rule("AllowAll")];
    let set = Reply::ok();
    world
        .tdlib
        .answers("setUserPrivacySettingRules", vec![set.clone().after_update(update(&all)), set]);
    world.tdlib.answers(
        "getUserPrivacySettingRules",
        vec![Reply::object(rules(&all)), Reply::object(rules(&[]))],
    );
    for (setting, mode) in [("show_bio", "all"), ("allow_calls", "nobody")] {
        let fields = json!({"setting": setting, "mode": mode});
        world.submit(&request("set_privacy_setting", &fields)).payload().await;
    }
    world.tdlib.update(client, &marker());
    world.log.next(1, "updateFreezeState", |_| true).await;
    let told = told(&world);
    let told: Vec<_> =
        told.iter().map(|one| (&one["setting_key"], &one["summary"]["mode"])).collect();
    assert_eq!(
        told,
        [(&json!("show_bio"), &json!("all")), (&json!("allow_calls"), &json!("nobody"))]
    );
}

#[tokio::test]
async fn updates_keep_their_order_and_unknown_ones_pass_as_they_are() {
    let world = World::ready().await;
    let client = client_of(&world).await;
    let future = json!({"@type": "updateFromTheFuture", "n": 1.50, "big": "9223372036854775807",
        "deep": {"@type": "x", "list": [null, true]}});
    world.tdlib.update(
        client,
        &json!({"@type": "updateOption", "name": "x", "value": {"@type": "optionValueEmpty"}}),
    );
    world.tdlib.update(client, &future);
    world.tdlib.update(client, &json!({"@type": "updateChatBlockList", "chat_id": -5, "block_list": {"@type": "blockListMain"}}));
    world.tdlib.update(client, &json!({"@type": "updateChatBlockList", "chat_id": "broken"}));
    world.tdlib.update(client, &marker());
    world.log.next(1, "updateFreezeState", |_| true).await;
    let events: Vec<_> = world
        .log
        .events(1)
        .into_iter()
        .skip_while(|event| event["type"] != "confirm_session")
        .skip(1)
        .collect();
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["updateFromTheFuture", "updateChatBlockList", "updateChatBlockList", "updateFreezeState"]
    );
    assert_eq!(events[0]["result"], future);
    assert_eq!(events[1]["result"], json!({"chat_id": -5, "block_list": "blockListMain"}));
    assert_eq!(
        events[2]["result"]["chat_id"], "broken",
        "what cannot be read is told all the same"
    );
}
