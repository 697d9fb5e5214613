use sandbox::{BlockList, Fault, Peer};
use serde_json::{Value, json};

use super::Scene;

fn ids(ids: &[i64]) -> Value {
    json!({"user_ids": ids})
}

fn friend(user_id: i64, name: &str) -> Value {
    json!({"user_id": user_id, "profile": {"first_name": name, "last_name": "of 1",
        "full_name": format!("{name} of 1"), "username": format!("{}_1", name.to_lowercase())}})
}

#[tokio::test(flavor = "multi_thread")]
async fn close_friends_are_replaced_in_both_sessions() {
    const EDIT: &str = "contacts.editCloseFriends";
    let mut scene = Scene::two_sessions().await;
    let contacts = scene.account.contacts();
    let [anna, boris, _] = contacts[..] else { panic!("three contacts") };
    scene.load_peers().await;
    let stranger = scene.tdlib("searchPublicChat", json!({"username": "stranger_1"})).await;
    let stranger = stranger["id"].as_i64().unwrap();

    let none = json!({"user_ids": [], "users": []});
    assert_eq!(scene.result("get_close_friends", json!({})).await, none);
    let not_a_contact = format!("user {stranger} is not a contact");
    let cases = [
        (json!({}), "user_ids is required"),
        (json!({"user_ids": 5}), "user_ids must be a list of integers"),
        (json!({"user_ids": ["5"]}), "user_ids must be a list of integers"),
        (json!({"user_ids": [anna.0], "users": []}), "unknown field: users"),
        (ids(&[anna.0, stranger]), &not_a_contact),
        (ids(&[987_654_321, stranger]), "user 987654321 is not a contact"),
    ];
    scene.refused("set_close_friends", &cases).await;
    assert_eq!(scene.calls(EDIT), 0, "nothing was changed");

    let set = scene.result("set_close_friends", ids(&[boris.0, anna.0])).await;
    let mut found: Vec<i64> = serde_json::from_value(set["user_ids"].clone()).unwrap();
    found.sort_unstable();
    assert_eq!(found, [anna.0, boris.0]);
    for friend in [friend(anna.0, "Anna"), friend(boris.0, "Boris")] {
        assert!(set["users"].as_array().unwrap().contains(&friend), "{set}");
    }
    assert_eq!(scene.account.close_friends(), [anna, boris]);
    assert_eq!(scene.result("get_close_friends", json!({})).await, set);
    let mut close = Vec::new();
    while close.len() < 2 {
        let found = scene.next_in_other("updateUser").await;
        if found["is_close_friend"] == true {
            close.push(found["user_id"].as_i64().unwrap());
        }
    }
    close.sort_unstable();
    assert_eq!(close, [anna.0, boris.0]);

    scene.world.sandbox.inject(Fault::error(400, "SOMETHING_INVALID").method(EDIT).times(1));
    scene.passed_on("set_close_friends", ids(&[anna.0]), "SOMETHING_INVALID").await;
    assert_eq!(scene.account.close_friends(), [anna, boris]);
    assert_eq!(scene.result("set_close_friends", ids(&[])).await, none);
    assert!(scene.account.close_friends().is_empty());
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_a_user_can_be_written_to_is_answered_per_user() {
    const ASK: &str = "users.getRequirementsToContact";
    let mut scene = Scene::start(7).await;
    scene.world.log_in(&mut scene.mine, 1).await;
    scene.sent += 2;
    // Account 2 requires Premium of anyone who writes to it, the others require Stars.
    let mut strangers = Vec::new();
    for account in 2..=7 {
        scene.other.listen(account).await;
        scene.world.log_in(&mut scene.other, account).await;
        let fields = json!({"setting": "new_chats",
            "allow_new_chats_from_unknown_users": account != 2,
            "incoming_paid_message_star_count": if account == 2 { 0 } else { account }});
        let set = scene.other.call(account, "set_privacy_setting", fields).await;
        assert!(set["payload"]["result"].is_object(), "{set}");
        // TDLib must have seen a user before it can ask about them.
        let username = json!({"username": format!("account_{account}")});
        let found = scene.tdlib("searchPublicChat", username).await;
        strangers.push(found["id"].as_i64().unwrap());
    }
    let anna = scene.account.contacts()[0].0;
    scene.tdlib("getContacts", json!({})).await;

    let range = "user_ids must be between 1 and 100";
    let cases = [
        (json!({}), "user_ids is required"),
        (json!({"user_ids": {}}), "user_ids must be a list of integers"),
        (ids(&[]), range),
        (ids(&[1; 101]), range),
    ];
    scene.refused("can_send_messages_to_users", &cases).await;

    // A user without an answer does not fail the others.
    let mut asked = vec![anna, 987_654_321];
    asked.extend(&strangers);
    let mut expected = vec![
        json!({"user_id": anna, "can_send": true, "reason": "ok"}),
        json!({"user_id": 987_654_321, "can_send": false, "reason": "deleted_or_unknown"}),
        json!({"user_id": strangers[0], "can_send": false, "reason": "restricts_new_chats"}),
        json!({"user_id": strangers[1], "can_send": null, "reason": null,
            "error": "SOMETHING_INVALID"}),
    ];
    let paid = |place: usize| {
        json!({"user_id": strangers[place], "can_send": true, "reason": "paid_messages",
            "outgoing_paid_message_star_count": place + 2})
    };
    expected.extend((2..6).map(paid));
    let fault = Fault::error(400, "SOMETHING_INVALID").account(1).method(ASK).times(1);
    scene.world.sandbox.inject(fault);
    let answer = scene.result("can_send_messages_to_users", ids(&asked)).await;
    assert_eq!(answer, json!({"results": expected}));
    // TDLib has three requests in flight; the users that are added meanwhile share one.
    let calls = scene.calls(ASK);
    assert!((4..=5).contains(&calls), "{calls}");

    expected[3] = paid(1);
    let answer = scene.result("can_send_messages_to_users", ids(&asked)).await;
    assert_eq!(answer, json!({"results": expected}));
    assert_eq!(scene.calls(ASK), calls + 1, "the others it remembers");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_known_right_after_a_login() {
    // Each of the commands comes first in an opening of its own.
    let mut scene = Scene::logged_in().await;
    let [anna, boris, clara] = scene.account.contacts()[..] else { panic!("three contacts") };
    let blocked = scene.result("block_user", json!({"user_id": anna.0})).await;
    assert_eq!(blocked["confirmed"], true, "{blocked}");
    assert_eq!(scene.account.blocked(BlockList::Main), [Peer::User(anna)]);
    assert_eq!(scene.calls("contacts.getContacts"), 1);
    scene.result("block_user", json!({"user_id": boris.0})).await;
    let nobody = json!({"user_id": 987_654_321});
    scene.passed_on("block_user", nobody, "Unknown user identifier specified").await;
    assert_eq!(scene.calls("contacts.getContacts"), 1, "once per opening");
    scene.end().await;

    let mut scene = Scene::logged_in().await;
    let ok = json!({"user_id": clara.0, "can_send": true, "reason": "ok"});
    let answer = scene.result("can_send_messages_to_users", ids(&[clara.0])).await;
    assert_eq!(answer, json!({"results": [ok]}));
    scene.end().await;

    let mut scene = Scene::logged_in().await;
    let friends = scene.result("set_close_friends", ids(&[anna.0])).await;
    assert_eq!(friends["user_ids"], json!([anna.0]));
    scene.end().await;

    let mut scene = Scene::logged_in().await;
    let fields = json!({"setting": "show_bio", "mode": "nobody", "allow_user_ids": [anna.0]});
    let set = scene.result("set_privacy_setting", fields).await;
    assert_eq!(set["summary"]["allow_user_ids"], json!([anna.0]));
    scene.end().await;
}
