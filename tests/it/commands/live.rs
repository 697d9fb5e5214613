use serde_json::json;

use super::Scene;

const CONNECTION: &str = "updateConnectionState";

/// Updates without a command.
#[tokio::test(flavor = "multi_thread")]
async fn changes_that_no_command_caused_are_reported() {
    let mut scene = Scene::logged_in().await;
    // Whether TDLib was connected before or after the login succeeded, and so reported, varies.
    scene.world.sandbox.refuse_connections().await;
    let updates = connection_is(&mut scene, 1, "connectionStateConnecting").await;
    scene.world.sandbox.admit_connections().await;
    connection_is(&mut scene, updates + 1, "connectionStateReady").await;

    // Telegram notifies the account's owner.
    assert!(scene.world.sandbox.push(1, &service_notification("Mind the gap")));
    let updates = scene.results("updateServiceNotification", 1).await;
    assert_eq!(updates[0]["type"], "GAP");
    assert_eq!(updates[0]["content"]["@type"], "messageText");
    assert_eq!(updates[0]["content"]["text"]["text"], "Mind the gap");

    // A frozen account may not do anything that others would see. TDLib reports it after it has
    // reloaded its configuration.
    scene.world.sandbox.freeze(1, true);
    let group = json!({"user_ids": [], "title": "Late", "message_auto_delete_time": 0});
    let call = json!({"method": "createNewBasicGroupChat", "params": group});
    scene.passed_on("call_tdlib", call, "FROZEN_METHOD_INVALID").await;
    scene.tdlib("getApplicationConfig", json!({})).await;
    let mut frozen = scene.results("updateFreezeState", 1).await.pop().unwrap();
    for date in ["freezing_date", "deletion_date"] {
        let date = frozen.as_object_mut().unwrap().remove(date);
        assert!(date.unwrap().as_i64().unwrap() > 1_700_000_000);
    }
    assert_eq!((&frozen["is_frozen"], frozen["appeal_link"].is_string()), (&json!(true), true));
    scene.end().await;
}

/// Waits until the last of at least `number` updates has a state that begins like this. Returns how
/// many updates there are then.
async fn connection_is(scene: &mut Scene, mut number: usize, state: &str) -> usize {
    loop {
        let updates = scene.results(CONNECTION, number).await;
        if updates.last().unwrap()["state"].as_str().unwrap().starts_with(state) {
            return updates.len();
        }
        number = updates.len() + 1;
    }
}

/// `updateShort` with an `updateServiceNotification`, as Telegram serialises them.
fn service_notification(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let int = |bytes: &mut Vec<u8>, value: u32| bytes.extend(value.to_le_bytes());
    let string = |bytes: &mut Vec<u8>, text: &str| {
        bytes.push(u8::try_from(text.len()).unwrap());
        bytes.extend(text.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    };
    int(&mut bytes, 0x78d4_dec1);
    int(&mut bytes, 0xebe4_6819);
    // Flags: a popup.
    int(&mut bytes, 1);
    string(&mut bytes, "GAP");
    string(&mut bytes, text);
    // No media, and an empty vector of entities.
    int(&mut bytes, 0x3ded_6320);
    int(&mut bytes, 0x1cb5_c415);
    int(&mut bytes, 0);
    // The date of the update.
    int(&mut bytes, 1_790_000_000);
    bytes
}
