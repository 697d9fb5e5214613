use serde_json::{Value, json};

/// One received request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The client that sent it.
    pub client_id: i32,
    /// Its method.
    pub method: String,
    /// Its fields, without `@type` and `@extra`.
    pub fields: Value,
    pub(super) extra: Value,
}

/// The answer to a request, and the updates around it.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) before: Vec<Value>,
    pub(super) object: Option<Value>,
    pub(super) after: Vec<Value>,
    pub(super) held: bool,
}

impl Reply {
    /// Answers with this object.
    pub fn object(object: Value) -> Self {
        Self { before: Vec::new(), object: Some(object), after: Vec::new(), held: false }
    }

    /// Answers `ok`.
    pub fn ok() -> Self {
        Self::object(json!({"@type": "ok"}))
    }

    /// Answers with a TDLib error.
    pub fn error(code: i32, message: &str) -> Self {
        Self::object(json!({"@type": "error", "code": code, "message": message}))
    }

    /// Never answers.
    pub fn silent() -> Self {
        Self { before: Vec::new(), object: None, after: Vec::new(), held: false }
    }

    /// Holds the answer and its updates back until [`crate::Scripted::release`].
    #[must_use]
    pub fn held(self) -> Self {
        Self { held: true, ..self }
    }

    /// Sends an update before the answer.
    #[must_use]
    pub fn after_update(mut self, update: Value) -> Self {
        self.before.push(update);
        self
    }

    /// Sends an update after the answer.
    #[must_use]
    pub fn then_update(mut self, update: Value) -> Self {
        self.after.push(update);
        self
    }
}
