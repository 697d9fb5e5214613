use serde_json::json;
use testkit::Reply;

use crate::support::{Options, World};

async fn world() -> World {
    World::with(Options { call_tdlib_methods: &["getMe", "getUser"], ..Options::default() }).await
}

#[tokio::test]
async fn a_method_on_the_list_is_called_and_its_object_given_as_it_is() {
    let world = world().await;
    let object = json!({"@type": "user", "id": 5, "big": "9223372036854775807", "x": [null]});
    world.tdlib.answer("getUser", Reply::object(object.clone()));
    let call = json!({"method": "getUser", "params": {"user_id": 5, "z": {"@type": "y"}}});
    assert_eq!(world.result("call_tdlib", &call).await, object);
    assert_eq!(world.sent("getUser"), [json!({"user_id": 5, "z": {"@type": "y"}})]);
    world.tdlib.answer("getMe", Reply::error(400, "ME_INVALID"));
    let payload = world.failure("call_tdlib", &json!({"method": "getMe"})).await;
    assert_eq!(payload["error"], "ME_INVALID");
}

#[tokio::test]
async fn anything_else_is_refused() {
    let world = world().await;
    let payload = world.failure("call_tdlib", &json!({"method": "logOut"})).await;
    assert_eq!(payload["error"], "logOut is not allowed");
    let info = json!({"code": "not_allowed", "source": "validation", "retriable": false});
    assert_eq!(payload["error_info"], info);
    let cases = [
        (json!({}), "method is required"),
        (json!({"method": 5}), "method must be a string"),
        (json!({"method": "getMe", "params": []}), "params must be an object"),
        (json!({"method": "getMe", "params": "{}"}), "params must be an object"),
        (json!({"method": "getMe", "params": {"@type": "logOut"}}), "unknown field: @type"),
        (json!({"method": "getMe", "params": {"@extra": 1}}), "unknown field: @extra"),
    ];
    for (fields, error) in cases {
        world.refused("call_tdlib", &fields, error).await;
    }
    assert_eq!(world.methods(), Vec::<String>::new());
}

#[tokio::test]
async fn without_a_list_nothing_is_allowed() {
    let world = World::ready().await;
    let payload = world.failure("call_tdlib", &json!({"method": "getMe"})).await;
    assert_eq!(payload["error_info"]["code"], "not_allowed");
}
