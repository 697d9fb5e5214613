use serde_json::{Value, json};
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

#[tokio::test]
async fn parameters_that_name_a_path_are_refused_wherever_it_is() {
    let methods = &["preliminaryUploadFile", "sendMessage", "getUser"];
    let world = World::with(Options { call_tdlib_methods: methods, ..Options::default() }).await;
    let file = |file: Value| json!({"method": "preliminaryUploadFile", "params": {"file": file}});
    let local = json!({"@type": "inputFileLocal", "path": "/etc/passwd"});
    let content = json!({"@type": "inputMessageDocument", "document": local});
    let message = json!({"chat_id": 5, "input_message_content": content});
    let cases = [
        (file(local), "inputFileLocal"),
        (file(json!({"path": "/etc/passwd"})), "path"),
        (file(json!({"@type": "inputFileGenerated", "conversion": "x"})), "inputFileGenerated"),
        (json!({"method": "sendMessage", "params": message}), "inputFileLocal"),
        (json!({"method": "getUser", "params": {"x": [{"directory": "/"}]}}), "directory"),
    ];
    for (call, field) in cases {
        let payload = world.failure("call_tdlib", &call).await;
        assert_eq!(payload["error"], "path is not allowed", "{call}");
        let info = json!({"code": "not_allowed", "source": "validation", "retriable": false,
            "details": {"field": field}});
        assert_eq!(payload["error_info"], info, "{call}");
    }
    assert_eq!(world.methods(), Vec::<String>::new());
    world.tdlib.answer("preliminaryUploadFile", Reply::object(json!({"@type": "file"})));
    world.result("call_tdlib", &file(json!({"@type": "inputFileId", "id": 5}))).await;
}

#[tokio::test]
async fn parameters_that_tdlib_might_not_parse_are_refused() {
    let world = world().await;
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let deep = "params is nested deeper than 32 levels";
    let cases = [
        (nested(32), deep),
        (nested(100_000), deep),
        (r#"{"@type": 5}"#.to_owned(), "params has an @type that is not a string"),
        (r#""\ud83d""#.to_owned(), "params has a string or number that TDLib can't read"),
    ];
    for (value, error) in cases {
        let body = format!(
            r#"{{"command": "call_tdlib", "userbot_id": 1, "method": "getMe", "params": {{"x": {value}}}}}"#
        );
        let payload = world.submit_bytes(body.as_bytes(), None, false).payload().await;
        assert_eq!(payload["error"], error);
    }
    assert_eq!(world.methods(), Vec::<String>::new());
    world.tdlib.answer("getMe", Reply::object(json!({"@type": "user"})));
    world.result("call_tdlib", &json!({"method": "getMe"})).await;
}

#[tokio::test]
async fn the_owners_own_methods_are_refused_though_they_are_on_the_list() {
    let methods = &["logOut", "disableProxy", "setLogVerbosityLevel", "setTdlibParameters"];
    let world = World::with(Options { call_tdlib_methods: methods, ..Options::default() }).await;
    for method in methods {
        let payload = world.failure("call_tdlib", &json!({"method": method})).await;
        assert_eq!(payload["error"], format!("{method} is not allowed"));
    }
    assert_eq!(world.methods(), Vec::<String>::new());
}
