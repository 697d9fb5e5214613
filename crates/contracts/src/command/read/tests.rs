use jiff::Timestamp;

use super::*;

fn read(body: &str) -> Result<Command<'_>, UnreadableCommand> {
    Command::read(body.as_bytes(), &Properties::default(), None)
}

fn refused(body: &str) -> String {
    read(body).unwrap_err().error.into_owned()
}

#[test]
fn the_shortest_request_is_a_command() {
    let command = read(r#"{"action": "get_active_sessions", "userbot_id": 1}"#).unwrap();
    assert_eq!((&*command.name, command.account.get()), ("get_active_sessions", 1));
    assert!(command.id.is_none() && command.fields.is_empty());
}

#[test]
fn fields_keep_the_order_of_the_body_and_stay_unread() {
    let command = read(
        r#"{"z": [1, {"a": null}], "command": "x", "userbot_id": 5, "b": "\u0041", "command_id": "c",
            "_meta": {"correlation_id": "k", "deadline": "2026-11-21T20:23:00Z", "expected_owner_epoch": 42, "x": 1}}"#,
    )
    .unwrap();
    let fields: Vec<_> = command.fields.iter().map(|f| (&*f.name, f.value.get())).collect();
    assert_eq!(fields, [("z", r#"[1, {"a": null}]"#), ("b", r#""\u0041""#)]);
    assert_eq!(command.id.unwrap().as_str(), "c");
    assert_eq!(command.meta.correlation_id.as_deref(), Some("k"));
    assert_eq!(command.meta.deadline.unwrap().as_second(), 1_795_292_580);
    assert_eq!(command.meta.expected_owner_epoch, Some(42));
}

#[test]
fn each_mistake_has_its_own_error_string() {
    let cases = [
        (r#"{"userbot_id": 1}"#, "command is required"),
        (r#"{"command": 7, "userbot_id": 1}"#, "command must be a string"),
        (r#"{"command": "a", "action": "b", "userbot_id": 1}"#, "command and action disagree"),
        (r#"{"command": "a"}"#, "userbot_id is required"),
        (r#"{"command": "a", "userbot_id": "1"}"#, "userbot_id must be an integer"),
        (r#"{"command": "a", "userbot_id": 1.0}"#, "userbot_id must be an integer"),
        (r#"{"command": "a", "userbot_id": 0}"#, "userbot_id must be at least 1"),
        (r#"{"command": "a", "userbot_id": 1, "command_id": 5}"#, "command_id must be a string"),
        (r#"{"command": "a", "userbot_id": 1, "x": 1, "x": 2}"#, "duplicate field: x"),
        (r#"{"command": null, "userbot_id": 1}"#, "command is required"),
        (r#"{"command": "a", "userbot_id": null}"#, "userbot_id is required"),
        (r#"{"command": "a", "userbot_id": 1, "_meta": 1}"#, "_meta must be an object"),
        (
            r#"{"command": "a", "userbot_id": 1, "_meta": {"deadline": "soon"}}"#,
            "_meta.deadline must be an RFC 3339 time",
        ),
        ("[1]", "command must be a JSON object"),
        ("{\"command\": \"a\",\n nope}", "command is not valid JSON at line 2 column 2"),
    ];
    for (body, error) in cases {
        assert_eq!(refused(body), error, "{body}");
    }
}

#[test]
fn null_is_absent_everywhere_in_the_envelope() {
    let meta = r#"{"correlation_id": null, "trace_id": null, "deadline": null}"#;
    for meta in ["null", meta] {
        let body = format!(
            r#"{{"command": "x", "action": null, "userbot_id": 1, "command_id": null, "_meta": {meta}}}"#
        );
        let command = read(&body).unwrap();
        assert!(command.id.is_none() && command.fields.is_empty(), "{body}");
        assert!(command.meta.deadline.is_none() && command.meta.correlation_id.is_none());
    }
}

#[test]
fn no_error_repeats_a_long_name_nor_a_long_id() {
    let name = "n".repeat(1000);
    let error =
        refused(&format!(r#"{{"command": "x", "userbot_id": 1, "{name}": 1, "{name}": 1}}"#));
    assert_eq!(error, format!("duplicate field: {}", "n".repeat(64)));
    for member in ["correlation_id", "trace_id"] {
        let meta = format!(r#"{{"{member}": "{}"}}"#, "k".repeat(256));
        let body = format!(r#"{{"command": "x", "userbot_id": 1, "_meta": {meta}}}"#);
        assert_eq!(refused(&body), format!("_meta.{member} must be at most 255 bytes"));
    }
}

#[test]
fn a_deadline_that_no_clock_reaches_is_a_time_all_the_same() {
    for (deadline, expected) in [
        ("9999-12-31T23:59:59Z", Timestamp::MAX),
        ("9999-12-31T23:59:59+00:00", Timestamp::MAX),
        ("-009999-01-01T00:00:00Z", Timestamp::MIN),
    ] {
        let body = format!(
            r#"{{"command": "x", "userbot_id": 1, "_meta": {{"deadline": "{deadline}"}}}}"#
        );
        assert_eq!(read(&body).unwrap().meta.deadline, Some(expected), "{deadline}");
    }
}

#[test]
fn the_routing_key_addresses_the_answer_to_garbage() {
    let key: RoutingKey = "cmd_hi.s055.acc.1.send_code".parse().unwrap();
    let properties = Properties { message_id: Some("m".to_owned()), ..Properties::default() };
    let refusal = Command::read(b"\xff{\"code\": 12345}", &properties, Some(&key)).unwrap_err();
    assert!(refusal.garbled);
    assert_eq!(refusal.name.as_deref(), Some("send_code"));
    assert_eq!(refusal.account, AccountId::new(1));
    assert_eq!(refusal.id, CommandId::new("m"));
    assert!(!refusal.error.contains("12345"));
}

#[test]
fn body_properties_and_routing_key_must_agree() {
    let key: RoutingKey = "cmd_hi.s055.acc.1.x".parse().unwrap();
    let properties = Properties {
        message_id: Some("m".to_owned()),
        correlation_id: Some("k".to_owned()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        ..Properties::default()
    };
    let read = |body: &'static str| Command::read(body.as_bytes(), &properties, Some(&key));
    let command = read(r#"{"command": "x", "userbot_id": 1}"#).unwrap();
    assert_eq!(command.id.unwrap().as_str(), "m");
    assert_eq!(command.meta.correlation_id.as_deref(), Some("k"));
    assert_eq!(command.meta.trace_id.as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
    let error = |body| read(body).unwrap_err().error;
    assert_eq!(
        error(r#"{"command": "x", "userbot_id": 2}"#),
        "userbot_id does not match the routing key"
    );
    assert_eq!(
        error(r#"{"command": "y", "userbot_id": 1}"#),
        "command does not match the routing key"
    );
    assert_eq!(
        error(r#"{"command": "x", "userbot_id": 1, "command_id": "other"}"#),
        "command_id does not match the AMQP message_id"
    );
    assert_eq!(
        error(r#"{"command": "x", "userbot_id": 1, "_meta": {"correlation_id": "other"}}"#),
        "_meta.correlation_id does not match the AMQP correlation_id"
    );
}
