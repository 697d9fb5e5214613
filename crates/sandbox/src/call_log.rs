//! A log of all calls: for assertions, for reading, and to detect clients that loop.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::keys::KeyId;
use crate::rpc;
use crate::sync::lock;

/// Time window in which calls are counted to detect a loop.
const WINDOW: Duration = Duration::from_secs(5);

/// One call of a method.
#[derive(Clone, Debug, Serialize)]
pub struct RecordedCall {
    /// Unix time of arrival, in milliseconds.
    pub at_ms: u64,
    /// The default account that called; absent before login, and for other users.
    pub account: Option<u32>,
    /// The method, as Telegram names it, such as `messages.sendMessage`.
    pub method: &'static str,
    /// Its decoded arguments, in Rust's debug format; empty for a method unknown to the sandbox.
    pub arguments: String,
    /// Its result: `ok`, an error such as `420 FLOOD_WAIT_31`, or `no answer`.
    pub outcome: String,
}

/// A method that one client called far too often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HotLoop {
    /// The default account that called, if it is one.
    pub account: Option<u32>,
    /// The method.
    pub method: &'static str,
    /// The highest number of calls within five seconds.
    pub calls: u32,
}

/// A logged call; decoded only when it is read.
pub(crate) struct CallEntry {
    pub(crate) key: KeyId,
    pub(crate) account: Option<u32>,
    pub(crate) method: u32,
    pub(crate) body: Vec<u8>,
    pub(crate) outcome: String,
}

#[derive(Default)]
struct CallWindow {
    times: VecDeque<Instant>,
    most: u32,
    account: Option<u32>,
}

/// The log of the last calls.
pub(crate) struct CallLog {
    calls: Mutex<VecDeque<(u64, CallEntry)>>,
    windows: Mutex<HashMap<(KeyId, u32), CallWindow>>,
    unknown: Mutex<BTreeMap<&'static str, u64>>,
    total: watch::Sender<u64>,
    limit: usize,
    hot: u32,
}

impl CallLog {
    /// A log of the last `limit` calls that treats `hot` calls within five seconds as a loop.
    pub(crate) fn new(limit: usize, hot: u32) -> Self {
        Self {
            calls: Mutex::default(),
            windows: Mutex::default(),
            unknown: Mutex::default(),
            total: watch::Sender::new(0),
            limit,
            hot,
        }
    }

    pub(crate) fn add(&self, entry: CallEntry) {
        self.watch_rate(&entry);
        let mut calls = lock(&self.calls);
        calls.push_back((Clock::unix_ms(), entry));
        if self.limit < calls.len() {
            calls.pop_front();
        }
        drop(calls);
        self.total.send_modify(|total| *total += 1);
    }

    pub(crate) fn count_unknown(&self, method: u32) {
        *lock(&self.unknown).entry(rpc::name(method)).or_default() += 1;
    }

    pub(crate) fn unknown(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.unknown).clone()
    }

    fn watch_rate(&self, entry: &CallEntry) {
        let mut windows = lock(&self.windows);
        let window = windows.entry((entry.key, entry.method)).or_default();
        let now = Instant::now();
        window.account = entry.account;
        window.times.push_back(now);
        while window.times.front().is_some_and(|time| WINDOW < now.duration_since(*time)) {
            window.times.pop_front();
        }
        let calls = u32::try_from(window.times.len()).unwrap_or(u32::MAX);
        if window.most < self.hot && self.hot <= calls {
            tracing::warn!(
                account = entry.account,
                method = rpc::name(entry.method),
                calls,
                "a client calls a method in a loop"
            );
        }
        window.most = window.most.max(calls);
    }

    pub(crate) fn hot_loops(&self) -> Vec<HotLoop> {
        let windows = lock(&self.windows);
        let hot = windows.iter().filter(|(_, window)| self.hot <= window.most);
        hot.map(|((_, method), window)| HotLoop {
            account: window.account,
            method: rpc::name(*method),
            calls: window.most,
        })
        .collect()
    }

    /// The calls of one account or all, of one method or all, oldest first.
    pub(crate) fn calls(&self, account: Option<u32>, method: Option<&str>) -> Vec<RecordedCall> {
        let calls = lock(&self.calls);
        let chosen = calls.iter().filter(|(_, entry)| matches(entry, account, method));
        chosen
            .map(|(at_ms, entry)| RecordedCall {
                at_ms: *at_ms,
                account: entry.account,
                method: rpc::name(entry.method),
                arguments: rpc::find(entry.method)
                    .map_or_else(String::new, |method| method.describe(&entry.body)),
                outcome: entry.outcome.clone(),
            })
            .collect()
    }

    /// The number of calls that [`CallLog::calls`] would return.
    pub(crate) fn count(&self, account: Option<u32>, method: Option<&str>) -> usize {
        lock(&self.calls).iter().filter(|(_, entry)| matches(entry, account, method)).count()
    }

    /// Changes whenever a call is added.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.total.subscribe()
    }
}

fn matches(entry: &CallEntry, account: Option<u32>, method: Option<&str>) -> bool {
    (account.is_none() || entry.account == account)
        && method.is_none_or(|method| rpc::name(entry.method) == method)
}

#[cfg(test)]
mod tests {
    use grammers_tl_types::{Identifiable as _, Serializable as _, functions};

    use super::*;

    fn config(account: u32) -> CallEntry {
        CallEntry {
            key: KeyId(u64::from(account)),
            account: Some(account),
            method: functions::help::GetConfig::CONSTRUCTOR_ID,
            body: functions::help::GetConfig {}.to_bytes(),
            outcome: "ok".to_owned(),
        }
    }

    #[test]
    fn the_last_calls_are_kept_and_found_by_account_and_method() {
        let record = CallLog::new(2, 100);
        for account in [1, 2, 2] {
            record.add(config(account));
        }
        assert_eq!(record.count(None, None), 2);
        assert_eq!(record.count(Some(1), None), 0);
        let calls = record.calls(Some(2), Some("help.getConfig"));
        assert_eq!(calls.len(), 2);
        assert_eq!(calls[0].arguments, "GetConfig");
        assert_eq!(record.count(None, Some("help.getAppConfig")), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_is_detected_and_steady_calling_is_not() {
        let record = CallLog::new(100, 10);
        for _ in 0..30 {
            record.add(config(1));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert!(record.hot_loops().is_empty());
        (0..10).for_each(|_| record.add(config(2)));
        let found = HotLoop { account: Some(2), method: "help.getConfig", calls: 10 };
        assert_eq!(record.hot_loops(), [found]);
    }
}
