use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CheckState {
    Ok,
    Warning,
    Wrong,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct DoctorCheck {
    part: &'static str,
    pub(super) state: CheckState,
    pub(super) found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl DoctorCheck {
    pub(super) fn ok(part: &'static str, found: impl Into<String>) -> Self {
        Self { part, state: CheckState::Ok, found: found.into(), remedy: None }
    }

    pub(super) fn warning(part: &'static str, found: impl Into<String>, remedy: &str) -> Self {
        let remedy = Some(remedy.to_owned());
        Self { part, state: CheckState::Warning, found: found.into(), remedy }
    }

    pub(super) fn wrong(part: &'static str, found: impl Into<String>, remedy: &str) -> Self {
        Self { state: CheckState::Wrong, ..Self::warning(part, found, remedy) }
    }

    /// Ok if the condition holds, else wrong.
    pub(super) fn ok_if(
        condition: bool,
        part: &'static str,
        found: impl Into<String>,
        remedy: &str,
    ) -> Self {
        if condition { Self::ok(part, found) } else { Self::wrong(part, found, remedy) }
    }

    /// The result as one line for people.
    pub(super) fn line(&self) -> String {
        let Self { part, state, found, remedy } = self;
        let state = match state {
            CheckState::Ok => "ok",
            CheckState::Warning => "warning",
            CheckState::Wrong => "WRONG",
        };
        let remedy = remedy.as_ref().map(|remedy| format!(": {remedy}")).unwrap_or_default();
        format!("{state:8} {part:9} {found}{remedy}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_to_do() {
        let check = DoctorCheck::wrong("redis", "appendonly no", "set it");
        assert_eq!(check.line(), "WRONG    redis     appendonly no: set it");
        assert_eq!(DoctorCheck::ok("tdlib", "loads").line(), "ok       tdlib     loads");
    }
}
