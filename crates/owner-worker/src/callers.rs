//! Who may send what.

use std::collections::HashMap;
use std::sync::Mutex;

use contracts::{AccountId, CallerName, ErrorCode, ErrorInfo, ErrorSource, Properties};
use jiff::Timestamp;
use settings::CallerSettings;

use crate::failure::Failure;

/// How many seconds' worth of a caller's rate may come at once.
const BURST_S: f64 = 10.0;
/// RabbitMQ's direct reply-to, which reaches only the channel that asked.
const DIRECT_REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// The settings `[[callers]]`: without any entry, everyone may send everything.
pub(crate) struct CallerRules(HashMap<String, CallerRule>);

struct CallerRule {
    settings: CallerSettings,
    budget: Mutex<CallerBudget>,
}

/// A token bucket.
struct CallerBudget {
    tokens: f64,
    at: Timestamp,
}

/// What a caller asks for.
pub(crate) struct CallerRequest<'a> {
    pub(crate) properties: &'a Properties,
    pub(crate) account: AccountId,
    /// `None` if the message does not say.
    pub(crate) command: Option<&'a str>,
    /// It may have counted before: its caller is not charged again.
    pub(crate) redelivered: bool,
}

impl CallerRules {
    pub(crate) fn new(callers: &[CallerSettings]) -> Self {
        let rule = |settings: &CallerSettings| {
            let tokens = f64::from(settings.rate.unwrap_or(0)) * BURST_S;
            let budget = Mutex::new(CallerBudget { tokens, at: Timestamp::MIN });
            (settings.user.clone(), CallerRule { settings: settings.clone(), budget })
        };
        Self(callers.iter().map(rule).collect())
    }

    /// Checks that the caller may send this command now.
    ///
    /// # Errors
    ///
    /// `not_allowed`; `busy` if it sends too many.
    pub(crate) fn check(&self, request: &CallerRequest<'_>, now: Timestamp) -> Result<(), Failure> {
        if self.0.is_empty() {
            return Ok(());
        }
        let Some(caller) = &request.properties.caller else {
            return Err(not_allowed("the message has no user_id"));
        };
        let rule = self.0.get(CallerName::as_str(caller));
        let Some(CallerRule { settings, budget }) = rule else {
            return Err(not_allowed("the caller is not known"));
        };
        if !u64::try_from(request.account.get()).is_ok_and(|id| settings.accounts.contains(id)) {
            return Err(not_allowed("the caller may not use this account"));
        }
        let command = request.command.unwrap_or_default();
        if !settings.commands.iter().any(|name| name == "*" || name == command) {
            return Err(not_allowed("the caller may not send this command"));
        }
        if !may_reply_to(request.properties.reply_to.as_deref(), settings) {
            return Err(not_allowed("the caller may not use this reply_to"));
        }
        match settings.rate {
            Some(rate) if !request.redelivered => {
                if runtime::lock(budget).take(f64::from(rate), now) {
                    Ok(())
                } else {
                    Err(too_many(rate))
                }
            }
            _ => Ok(()),
        }
    }
}

impl CallerBudget {
    /// Takes one token, if there is one.
    fn take(&mut self, rate: f64, now: Timestamp) -> bool {
        let passed = now.duration_since(self.at).as_secs_f64().max(0.0);
        self.at = self.at.max(now);
        self.tokens = passed.mul_add(rate, self.tokens).min(rate * BURST_S);
        let enough = 1.0 <= self.tokens;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

fn may_reply_to(queue: Option<&str>, settings: &CallerSettings) -> bool {
    match (queue, settings.reply_prefix.as_deref()) {
        (Some(queue), Some(prefix)) => {
            let direct = queue.strip_prefix(DIRECT_REPLY_TO);
            direct.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                || queue.starts_with(prefix)
        }
        _ => true,
    }
}

fn not_allowed(error: &'static str) -> Failure {
    Failure::new(error, ErrorCode::NotAllowed, ErrorSource::Validation, false)
}

fn too_many(rate: u32) -> Failure {
    let info = ErrorInfo {
        retry_after: Some(1),
        ..ErrorInfo::new(ErrorCode::Busy, ErrorSource::Validation, true)
    };
    let error = format!("the caller sends more than {rate} commands per second");
    Failure { error: error.into(), info: Box::new(info) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(toml: &[&str]) -> CallerRules {
        let callers: Vec<CallerSettings> =
            toml.iter().map(|json| serde_json::from_str(json).unwrap()).collect();
        CallerRules::new(&callers)
    }

    fn properties(caller: Option<&str>, reply_to: Option<&str>) -> Properties {
        Properties {
            caller: caller.and_then(CallerName::new),
            reply_to: reply_to.map(str::to_owned),
            ..Properties::default()
        }
    }

    fn check(
        rules: &CallerRules,
        properties: &Properties,
        account: i64,
        command: Option<&str>,
    ) -> Result<(), String> {
        let account = AccountId::new(account).unwrap();
        let request = CallerRequest { properties, account, command, redelivered: false };
        rules.check(&request, Timestamp::UNIX_EPOCH).map_err(|failure| failure.error.into_owned())
    }

    #[test]
    fn a_caller_may_do_what_its_entry_says_and_nothing_else() {
        let rules = rules(&[
            r#"{"user": "shop", "accounts": "1-3", "commands": "ping, get_me", "reply_prefix": "shop."}"#,
            r#"{"user": "admin", "accounts": "*", "commands": "*"}"#,
        ]);
        let shop = properties(Some("shop"), Some("shop.replies"));
        assert_eq!(check(&rules, &shop, 3, Some("ping")), Ok(()));
        let admin = properties(Some("admin"), Some("anything"));
        assert_eq!(check(&rules, &admin, 999, None), Ok(()));
        let direct = properties(Some("shop"), Some("amq.rabbitmq.reply-to.g1"));
        assert_eq!(check(&rules, &direct, 1, Some("get_me")), Ok(()));
        for (properties, account, command, error) in [
            (properties(None, None), 1, Some("ping"), "the message has no user_id"),
            (properties(Some("eve"), None), 1, Some("ping"), "the caller is not known"),
            (shop.clone(), 4, Some("ping"), "the caller may not use this account"),
            (shop.clone(), 1, Some("pin"), "the caller may not send this command"),
            (shop, 1, None, "the caller may not send this command"),
            (
                properties(Some("shop"), Some("bank.replies")),
                1,
                Some("ping"),
                "the caller may not use this reply_to",
            ),
        ] {
            assert_eq!(check(&rules, &properties, account, command), Err(error.to_owned()));
        }
    }

    #[test]
    fn without_an_entry_everyone_may_do_everything() {
        assert_eq!(check(&rules(&[]), &properties(None, None), 1, Some("ping")), Ok(()));
    }

    #[test]
    fn a_rate_lets_ten_seconds_worth_through_at_once() {
        let rules = rules(&[r#"{"user": "a", "accounts": "*", "commands": "*", "rate": 2}"#]);
        let properties = properties(Some("a"), None);
        let allowed = |redelivered, second| {
            let request = CallerRequest {
                properties: &properties,
                account: AccountId::new(1).unwrap(),
                command: Some("ping"),
                redelivered,
            };
            rules.check(&request, Timestamp::from_second(second).unwrap())
        };
        assert_eq!((0..30).filter(|_| allowed(false, 100).is_ok()).count(), 20);
        assert!(allowed(true, 100).is_ok(), "it was charged when it came first");
        let refused = allowed(false, 100).unwrap_err();
        assert_eq!((refused.info.code, refused.info.retry_after), (ErrorCode::Busy, Some(1)));
        assert_eq!((0..30).filter(|_| allowed(false, 103).is_ok()).count(), 6);
        // A clock that goes back takes nothing away.
        assert!(allowed(false, 50).is_err());
        assert_eq!((0..30).filter(|_| allowed(false, 104).is_ok()).count(), 2);
    }
}
