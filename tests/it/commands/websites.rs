use serde_json::{Value, json};

use super::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn websites_are_listed_and_disconnected() {
    let mut scene = Scene::logged_in().await;
    let id = scene.account.websites()[0];
    let listed = scene.result("get_connected_websites", json!({})).await;
    let [website] = listed["websites"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    let mut website = website.clone();
    for date in ["log_in_date", "last_active_date"] {
        let date = website.as_object_mut().unwrap().remove(date);
        assert!(date.unwrap().as_i64().unwrap() > 1_700_000_000);
    }
    let expected = json!({
        "id": id.to_string(), "domain_name": "site.example", "bot_user_id": 90_000_001,
        "browser": "Firefox", "platform": "Linux", "ip_address": "203.0.113.8",
        "location": "Reykjavik, Iceland",
    });
    assert_eq!(website, expected);

    let wrong = |id: Value| json!({"website_id": id});
    let range =
        "website_id must be between -9223372036854775808 and 9223372036854775807".to_owned();
    let cases = [
        (json!({}), "website_id is required"),
        (wrong(json!("seven")), "website_id must be an integer"),
        (wrong(json!("9223372036854775808")), &range),
        (json!({"website": id}), "unknown field: website"),
    ];
    scene.refused("disconnect_website", &cases).await;
    scene
        .refused("disconnect_all_websites", &[(wrong(json!(id)), "unknown field: website_id")])
        .await;
    scene.passed_on("disconnect_website", wrong(json!(99)), "HASH_INVALID").await;
    assert_eq!(scene.account.websites(), [id]);

    let done = scene.result("disconnect_website", wrong(json!(id.to_string()))).await;
    assert_eq!(done, json!({"website_id": id.to_string(), "disconnected": true}));
    assert!(scene.account.websites().is_empty());
    let listed = scene.result("get_connected_websites", json!({})).await;
    assert_eq!(listed, json!({"websites": []}));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_websites_are_disconnected_at_once() {
    let mut scene = Scene::logged_in().await;
    assert_eq!(scene.account.websites().len(), 1);
    let done = scene.result("disconnect_all_websites", json!({})).await;
    assert_eq!(done, json!({"disconnected": true}));
    assert!(scene.account.websites().is_empty());
    scene.end().await;
}
