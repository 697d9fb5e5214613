//! Reads what a command's answer says.

use serde::Deserialize;

#[derive(Deserialize)]
struct AnswerEnvelope {
    payload: AnswerPayload,
}

#[derive(Deserialize)]
struct AnswerPayload {
    error: Option<String>,
}

/// Whether an answer is a failure: it has an `error` instead of a result, or cannot be read.
pub(crate) fn is_failure(event: &[u8]) -> bool {
    let envelope: Result<AnswerEnvelope, _> = serde_json::from_slice(event);
    envelope.map_or(true, |envelope| envelope.payload.error.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_an_error_is_a_failure() {
        assert!(!is_failure(br#"{"payload": {"result": {}}}"#));
        assert!(is_failure(br#"{"payload": {"error": "no"}}"#));
        assert!(is_failure(b"?"));
    }
}
