use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, RwLock};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};

use crate::log::{self, Remark};
use crate::object::{Routed, Update};

/// What the reader has seen since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Updates handed to an account.
    pub updates: u64,
    /// Answers handed to a caller.
    pub answers: u64,
    /// Answers that nobody waited for any more.
    pub late: u64,
    /// Objects for a client that is closed or was never ours.
    pub unroutable: u64,
    /// What was no TDLib object at all.
    pub not_understood: u64,
    /// Objects of an unexpected shape, which had to be parsed to find out whom they are for.
    pub reshaped: u64,
}

#[derive(Default)]
struct Counts {
    updates: AtomicU64,
    answers: AtomicU64,
    late: AtomicU64,
    unroutable: AtomicU64,
    not_understood: AtomicU64,
    reshaped: AtomicU64,
}

/// The requests of one client that wait for their answers.
///
/// `None` once the client is closed: no answer will come any more.
pub(crate) struct Waiting(Mutex<Option<HashMap<u64, oneshot::Sender<Update>>>>);

impl Waiting {
    fn new() -> Self {
        Self(Mutex::new(Some(HashMap::new())))
    }

    /// Expects the answer to request `extra`; `None` when the client is closed.
    pub(crate) fn expect(&self, extra: u64) -> Option<oneshot::Receiver<Update>> {
        let (sender, receiver) = oneshot::channel();
        self.lock().as_mut()?.insert(extra, sender);
        Some(receiver)
    }

    fn take(&self, extra: u64) -> Option<oneshot::Sender<Update>> {
        self.lock().as_mut()?.remove(&extra)
    }

    fn close(&self) {
        self.lock().take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<Update>>>> {
        runtime::lock(&self.0)
    }
}

/// What TDLib's log has told of one client.
#[derive(Default)]
pub(crate) struct Remarks {
    delays: AtomicU64,
    delayed_ms: AtomicU64,
    pub(crate) lost_authorization: OnceLock<String>,
}

/// How often, and for how long, TDLib has held requests of one client back without saying so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HiddenWaits {
    /// Number of waits, flood limits and repeated server errors alike.
    pub count: u64,
    /// Their sum.
    pub total: Duration,
}

impl Remarks {
    fn note(&self, remark: &Remark<'_>) {
        match remark {
            Remark::Delay(time) => {
                let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                self.delays.fetch_add(1, Ordering::Relaxed);
                self.delayed_ms.fetch_add(ms, Ordering::Relaxed);
            }
            Remark::LostAuthorization(reason) => {
                self.lost_authorization.get_or_init(|| (*reason).to_owned());
            }
        }
    }

    pub(crate) fn hidden_waits(&self) -> HiddenWaits {
        HiddenWaits {
            count: self.delays.load(Ordering::Relaxed),
            total: Duration::from_millis(self.delayed_ms.load(Ordering::Relaxed)),
        }
    }
}

struct Route {
    updates: mpsc::UnboundedSender<Update>,
    waiting: Arc<Waiting>,
    remarks: Arc<Remarks>,
}

/// A new client's ends of its route.
pub(crate) struct Opened {
    pub(crate) updates: mpsc::UnboundedReceiver<Update>,
    pub(crate) waiting: Arc<Waiting>,
    pub(crate) remarks: Arc<Remarks>,
}

/// Where the objects of each client go.
///
/// The channels are unbounded on purpose: the thread that fills them also delivers TDLib's
/// answers, and waiting for one slow account would stall them all, that account's own requests
/// included. Their depth is for the account to watch (`Updates::len`).
pub(crate) struct Routes {
    /// `None` once the reader has ended. Written only when a client opens or closes, so that the
    /// reader's lock is free practically always.
    table: RwLock<Option<HashMap<i32, Route>>>,
    counts: Counts,
}

impl Routes {
    pub(crate) fn new() -> Self {
        Self { table: RwLock::new(Some(HashMap::new())), counts: Counts::default() }
    }

    /// Opens the route of a new client.
    pub(crate) fn open(&self, client_id: i32) -> Opened {
        let (updates, receiver) = mpsc::unbounded_channel();
        let waiting = Arc::new(Waiting::new());
        let remarks = Arc::new(Remarks::default());
        let route = Route { updates, waiting: Arc::clone(&waiting), remarks: Arc::clone(&remarks) };
        match runtime::write_lock(&self.table).as_mut() {
            Some(table) => drop(table.insert(client_id, route)),
            None => waiting.close(),
        }
        Opened { updates: receiver, waiting, remarks }
    }

    /// Takes one line of TDLib's log; runs in TDLib's threads.
    pub(crate) fn log(&self, level: i32, line: &str) {
        log::on_line(level, line);
        if let Some((client_id, remark)) = Remark::read(line) {
            let table = runtime::read_lock(&self.table);
            if let Some(route) = table.as_ref().and_then(|table| table.get(&client_id)) {
                route.remarks.note(&remark);
            }
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counters {
            updates: read(&self.counts.updates),
            answers: read(&self.counts.answers),
            late: read(&self.counts.late),
            unroutable: read(&self.counts.unroutable),
            not_understood: read(&self.counts.not_understood),
            reshaped: read(&self.counts.reshaped),
        }
    }

    /// Hands one object to whom it is for; never waits.
    pub(crate) fn deliver(&self, bytes: Vec<u8>) {
        let len = bytes.len();
        let Some(Routed { client_id, extra, object, reshaped }) = Routed::read(bytes) else {
            count(&self.counts.not_understood);
            warn!(bytes = len, "tdlib sent what is no object of its own");
            return;
        };
        if reshaped {
            count(&self.counts.reshaped);
        }
        let closed = extra.is_none() && is_closed(&object);
        if !self.hand_over(client_id, extra, object) {
            count(&self.counts.unroutable);
            debug!(client.id = client_id, "tdlib sent an object for a client that is not open");
        }
        if closed {
            self.close(client_id);
        }
    }

    /// `false` when there is no such client.
    fn hand_over(&self, client_id: i32, extra: Option<u64>, object: Update) -> bool {
        let table = runtime::read_lock(&self.table);
        let Some(route) = table.as_ref().and_then(|table| table.get(&client_id)) else {
            return false;
        };
        let Some(extra) = extra else {
            // Nobody listens any more: the account is closing, its last updates are of no use.
            let _unheard = route.updates.send(object);
            count(&self.counts.updates);
            return true;
        };
        let heard = route.waiting.take(extra).is_some_and(|caller| caller.send(object).is_ok());
        count(if heard { &self.counts.answers } else { &self.counts.late });
        true
    }

    /// Ends the client's updates and all requests that wait.
    fn close(&self, client_id: i32) {
        let mut table = runtime::write_lock(&self.table);
        if let Some(route) = table.as_mut().and_then(|table| table.remove(&client_id)) {
            route.waiting.close();
        }
    }

    pub(crate) fn close_all(&self) {
        let table = runtime::write_lock(&self.table).take();
        for route in table.into_iter().flat_map(HashMap::into_values) {
            route.waiting.close();
        }
    }
}

/// Whether the object is a client's last: after it TDLib has nothing to say for this client.
fn is_closed(object: &Update) -> bool {
    #[derive(Deserialize)]
    struct State<'a> {
        #[serde(rename = "@type")]
        kind: &'a str,
    }
    #[derive(Deserialize)]
    struct Changed<'a> {
        #[serde(borrow)]
        authorization_state: State<'a>,
    }

    object.kind() == "updateAuthorizationState"
        && serde_json::from_str::<Changed<'_>>(object.json())
            .is_ok_and(|update| update.authorization_state.kind == "authorizationStateClosed")
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
