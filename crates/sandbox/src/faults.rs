//! Fault injection: what goes wrong, for whom, and how often.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use grammers_tl_types::Serializable as _;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::rpc::RpcError;
use crate::sync::lock;

/// A fault in the calls of clients.
///
/// By default it affects every call of every account until it is removed; each builder narrows it:
///
/// ```
/// use sandbox::Fault;
/// let flood = Fault::flood_wait(31).account(1).method("messages.sendMessage").times(1);
/// ```
///
/// Over HTTP the same is
/// `{"account": 1, "method": "messages.sendMessage", "times": 1, "effect": {"flood_wait": 31}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The default account it affects; every client if absent.
    #[serde(default)]
    pub account: Option<u32>,
    /// The method it affects, by Telegram's name, such as `messages.sendMessage`; all if absent.
    #[serde(default)]
    pub method: Option<String>,
    /// Number of calls that pass before it takes effect. Default: 0.
    #[serde(default)]
    pub skip: u32,
    /// Number of calls it affects; unlimited if absent.
    #[serde(default)]
    pub times: Option<u32>,
    /// Its duration in milliseconds; unlimited if absent.
    #[serde(default)]
    pub lasts_ms: Option<u64>,
    /// The effect.
    pub effect: FaultEffect,
}

/// The effect of a fault on a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultEffect {
    /// The method is not run; the answer is this error.
    Error {
        /// Telegram's code, such as 400.
        code: i32,
        /// Telegram's message, such as `CHAT_ID_INVALID`.
        message: String,
    },
    /// The method is not run; the answer is 420 `FLOOD_WAIT_<seconds>`.
    FloodWait(u32),
    /// The method is not run; the answer claims success (`boolTrue`, for methods that return it).
    Pretend,
    /// The method is run; its answer is delayed by this many milliseconds.
    DelayMs(u64),
    /// No answer is sent; the connection stays open.
    NoAnswer {
        /// Whether the method is run. Default: false.
        #[serde(default)]
        runs: bool,
    },
    /// The connection is closed instead of an answer.
    Disconnect {
        /// Whether the method is run first. Default: false.
        #[serde(default)]
        runs: bool,
    },
}

impl Fault {
    /// A fault with this effect on all calls.
    pub fn new(effect: FaultEffect) -> Self {
        Self { account: None, method: None, skip: 0, times: None, lasts_ms: None, effect }
    }

    /// The answer is this error.
    pub fn error(code: i32, message: &str) -> Self {
        Self::new(FaultEffect::Error { code, message: message.to_owned() })
    }

    /// The answer is a flood wait of `seconds`. TDLib waits out short ones by itself.
    pub fn flood_wait(seconds: u32) -> Self {
        Self::new(FaultEffect::FloodWait(seconds))
    }

    /// The answer claims success, but the method is not run.
    pub fn pretend() -> Self {
        Self::new(FaultEffect::Pretend)
    }

    /// The answer is delayed.
    pub fn delay(delay: Duration) -> Self {
        Self::new(FaultEffect::DelayMs(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The method is neither run nor answered.
    pub fn no_answer() -> Self {
        Self::new(FaultEffect::NoAnswer { runs: false })
    }

    /// The method is not run, and the connection is closed.
    pub fn disconnect() -> Self {
        Self::new(FaultEffect::Disconnect { runs: false })
    }

    /// Only for this default account.
    #[must_use]
    pub fn account(self, account: u32) -> Self {
        Self { account: Some(account), ..self }
    }

    /// Only for this method, such as `messages.sendMessage`.
    #[must_use]
    pub fn method(self, method: &str) -> Self {
        Self { method: Some(method.to_owned()), ..self }
    }

    /// Lets `calls` calls pass first.
    #[must_use]
    pub fn skip(self, calls: u32) -> Self {
        Self { skip: calls, ..self }
    }

    /// Ends after `calls` calls.
    #[must_use]
    pub fn times(self, calls: u32) -> Self {
        Self { times: Some(calls), ..self }
    }

    /// Ends after `time`.
    #[must_use]
    pub fn lasts(self, time: Duration) -> Self {
        Self { lasts_ms: Some(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)), ..self }
    }

    fn matches(&self, account: Option<u32>, method: &str) -> bool {
        (self.account.is_none() || self.account == account)
            && self.method.as_deref().is_none_or(|wanted| wanted == method)
    }
}

impl FaultEffect {
    /// Whether the method is run.
    pub(crate) fn runs(&self) -> bool {
        match self {
            Self::Error { .. } | Self::FloodWait(_) | Self::Pretend => false,
            Self::DelayMs(_) => true,
            Self::NoAnswer { runs } | Self::Disconnect { runs } => *runs,
        }
    }

    /// The answer that replaces the method's.
    pub(crate) fn answer(&self) -> Option<Result<Vec<u8>, RpcError>> {
        match self {
            Self::Error { code, message } => {
                Some(Err(RpcError { code: *code, message: message.clone().into() }))
            }
            Self::FloodWait(seconds) => {
                Some(Err(RpcError { code: 420, message: format!("FLOOD_WAIT_{seconds}").into() }))
            }
            Self::Pretend => Some(Ok(true.to_bytes())),
            Self::DelayMs(_) | Self::NoAnswer { .. } | Self::Disconnect { .. } => None,
        }
    }
}

/// Id of an injected fault, to remove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultId(pub u64);

struct ActiveFault {
    id: FaultId,
    fault: Fault,
    since: Instant,
    seen: u32,
}

impl ActiveFault {
    fn has_ended(&self) -> bool {
        let late =
            self.fault.lasts_ms.is_some_and(|ms| Duration::from_millis(ms) < self.since.elapsed());
        let used = self.seen.saturating_sub(self.fault.skip);
        late || self.fault.times.is_some_and(|times| times <= used)
    }
}

/// All active faults.
#[derive(Default)]
pub(crate) struct FaultInjector {
    active: Mutex<Vec<ActiveFault>>,
    last: AtomicU64,
}

impl FaultInjector {
    pub(crate) fn add(&self, fault: Fault) -> FaultId {
        let id = FaultId(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        lock(&self.active).push(ActiveFault { id, fault, since: Instant::now(), seen: 0 });
        id
    }

    /// Removes a fault; `false` when it has already ended.
    pub(crate) fn remove(&self, id: FaultId) -> bool {
        let mut active = lock(&self.active);
        active.retain(|active| !active.has_ended());
        let before = active.len();
        active.retain(|active| active.id != id);
        active.len() < before
    }

    pub(crate) fn clear(&self) {
        lock(&self.active).clear();
    }

    pub(crate) fn all(&self) -> Vec<(FaultId, Fault)> {
        let active = lock(&self.active);
        let live = active.iter().filter(|active| !active.has_ended());
        live.map(|active| (active.id, active.fault.clone())).collect()
    }

    /// The effect on this call: that of the oldest fault that matches.
    pub(crate) fn effect_for(&self, account: Option<u32>, method: &str) -> Option<FaultEffect> {
        let mut active = lock(&self.active);
        active.retain(|active| !active.has_ended());
        active.iter_mut().filter(|active| active.fault.matches(account, method)).find_map(
            |active| {
                active.seen += 1;
                (active.fault.skip < active.seen).then(|| active.fault.effect.clone())
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEND: &str = "messages.sendMessage";

    fn check(fault: Fault, calls: &[(Option<u32>, &str)]) -> Vec<bool> {
        let faults = FaultInjector::default();
        faults.add(fault);
        calls
            .iter()
            .map(|(account, method)| faults.effect_for(*account, method).is_some())
            .collect()
    }

    #[test]
    fn a_fault_affects_only_the_calls_it_names() {
        let fault = Fault::flood_wait(30).account(2).method(SEND);
        let calls = [(Some(1), SEND), (Some(2), "help.getConfig"), (None, SEND), (Some(2), SEND)];
        assert_eq!(check(fault, &calls), [false, false, false, true]);
    }

    #[test]
    fn it_skips_some_calls_affects_some_and_ends() {
        let fault = Fault::error(400, "X").skip(1).times(2);
        assert_eq!(check(fault, &[(None, SEND); 5]), [false, true, true, false, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_after_its_duration() {
        let faults = FaultInjector::default();
        let id = faults.add(Fault::no_answer().lasts(Duration::from_secs(1)));
        assert!(faults.effect_for(None, SEND).is_some());
        tokio::time::advance(Duration::from_millis(1001)).await;
        assert!(faults.effect_for(None, SEND).is_none());
        assert!(faults.all().is_empty() && !faults.remove(id));
    }

    #[test]
    fn the_older_of_two_faults_wins_until_it_is_removed() {
        let faults = FaultInjector::default();
        let first = faults.add(Fault::flood_wait(1));
        faults.add(Fault::flood_wait(2));
        assert_eq!(faults.effect_for(None, SEND), Some(FaultEffect::FloodWait(1)));
        assert!(faults.remove(first));
        assert_eq!(faults.effect_for(None, SEND), Some(FaultEffect::FloodWait(2)));
        faults.clear();
        assert!(faults.effect_for(None, SEND).is_none());
    }
}
