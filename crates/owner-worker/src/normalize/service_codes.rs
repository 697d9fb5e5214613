//! Login codes that arrive as messages.

use serde_json::{Map, Value};

/// Telegram's own chat, in which it sends login codes.
const SERVICE_CHAT: i64 = 777_000;
/// Shortest run of digits that counts as a code.
const CODE: usize = 5;
/// Stands for each digit of a code; like a digit, it is one unit of UTF-16, so that the offsets of
/// entities stay right.
const MASK: char = '•';

/// The JSON of a TDLib object with the codes in it masked: those in what belongs to the service
/// chat. `None` if there is nothing to mask.
pub(crate) fn mask_service_chat(json: &str) -> Option<String> {
    if !json.contains("777000") {
        return None;
    }
    rewrite(json, mask_within)
}

/// The same for an object that is Telegram's own word as a whole.
pub(crate) fn mask_all(json: &str) -> Option<String> {
    rewrite(json, mask)
}

fn rewrite(json: &str, change: impl Fn(&mut Value) -> bool) -> Option<String> {
    let mut value = serde_json::from_str(json).ok()?;
    change(&mut value).then(|| serde_json::to_string(&value).ok()).flatten()
}

/// Masks the objects within that name the chat; whether anything changed.
fn mask_within(value: &mut Value) -> bool {
    match value {
        Value::Object(members) if is_of_service_chat(members) => mask_members(members),
        Value::Object(members) => {
            members.values_mut().fold(false, |changed, member| changed | mask_within(member))
        }
        Value::Array(items) => {
            items.iter_mut().fold(false, |changed, item| changed | mask_within(item))
        }
        _ => false,
    }
}

fn is_of_service_chat(members: &Map<String, Value>) -> bool {
    let number = |name: &str| members.get(name).and_then(Value::as_i64);
    let is_chat = members.get("@type").is_some_and(|kind| kind == "chat");
    number("chat_id") == Some(SERVICE_CHAT) || is_chat && number("id") == Some(SERVICE_CHAT)
}

/// Masks every string but ids and file data; whether anything changed.
fn mask(value: &mut Value) -> bool {
    match value {
        Value::Object(members) => mask_members(members),
        Value::Array(items) => items.iter_mut().fold(false, |changed, item| changed | mask(item)),
        Value::String(text) => match masked(text) {
            Some(masked) => {
                *text = masked;
                true
            }
            None => false,
        },
        _ => false,
    }
}

fn mask_members(members: &mut Map<String, Value>) -> bool {
    let holds_text = |name: &str| {
        name != "id" && !name.ends_with("_id") && !matches!(name, "@type" | "data" | "order")
    };
    let members = members.iter_mut().filter(|(name, _)| holds_text(name));
    members.fold(false, |changed, (_, member)| changed | mask(member))
}

/// The text with its codes masked, if it has any.
fn masked(text: &str) -> Option<String> {
    let mut masked = String::with_capacity(text.len());
    let (mut run, mut found) = (String::new(), false);
    for c in text.chars().chain(['\0']) {
        if c.is_numeric() {
            run.push(c);
            continue;
        }
        let digits = run.chars().count();
        if CODE <= digits {
            found = true;
            masked.extend(std::iter::repeat_n(MASK, digits));
        } else {
            masked.push_str(&run);
        }
        run.clear();
        masked.push(c);
    }
    masked.pop();
    found.then_some(masked)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(chat: i64, text: &str) -> Value {
        json!({
            "@type": "message", "id": 123_456_789, "chat_id": chat,
            "content": {"@type": "messageText", "text": {
                "@type": "formattedText", "text": text,
                "entities": [{"@type": "textEntity", "offset": 12, "length": 5, "type": {
                    "@type": "textEntityTypeTextUrl", "url": "https://t.me/login/54321"}}],
            }},
            "media_album_id": "1234567890123",
        })
    }

    fn check(masks: fn(&str) -> Option<String>, object: &Value, expected: Option<&Value>) {
        let masked = masks(&object.to_string());
        let masked: Option<Value> = masked.map(|json| serde_json::from_str(&json).unwrap());
        assert_eq!(masked.as_ref(), expected);
    }

    #[test]
    fn codes_of_the_service_chat_are_masked_wherever_they_stand() {
        let secret = message(777_000, "Login code: 54321. Not 1234, but 123456!");
        let mut hidden = message(777_000, "Login code: •••••. Not 1234, but ••••••!");
        hidden["content"]["text"]["entities"][0]["type"]["url"] = "https://t.me/login/•••••".into();
        let update = |message: &Value| json!({"@type": "updateNewMessage", "message": message});
        check(mask_service_chat, &update(&secret), Some(&update(&hidden)));
        let list =
            |message: &Value| json!({"messages": [{"chat_id": 5, "text": "98765"}, message]});
        check(mask_service_chat, &list(&secret), Some(&list(&hidden)));
        let content = |text: &str| {
            json!({"@type": "updateMessageContent", "chat_id": 777_000, "message_id": 99_999,
                "new_content": {"text": {"text": text}}})
        };
        check(mask_service_chat, &content("54321"), Some(&content("•••••")));
        let chat = |title: &str| json!({"@type": "chat", "id": 777_000, "title": title});
        check(mask_service_chat, &chat("code 54321"), Some(&chat("code •••••")));
    }

    #[test]
    fn everything_else_passes_as_it_is() {
        for object in [
            message(5, "Login code: 54321"),
            message(777_001, "54321"),
            json!({"user_id": 777_000, "text": "54321"}),
            json!({"chat_id": 777_000, "text": "1234 and 12 345"}),
        ] {
            check(mask_service_chat, &object, None);
        }
        assert_eq!(mask_service_chat("777000 and no JSON"), None);
    }

    #[test]
    fn a_service_notification_is_masked_as_a_whole() {
        let notification =
            |text: &str| json!({"type": "AUTH", "content": {"text": {"text": text}}});
        check(mask_all, &notification("code 54321"), Some(&notification("code •••••")));
        check(mask_all, &notification("new login"), None);
    }
}
