use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use serde::Deserialize;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use crate::counters::{AtomicCounters, ReaderCounters, increment};
use crate::log;
use crate::log_remark::{ClientRemarks, LogRemark};
use crate::object::{RoutedObject, Update};
use crate::pending_requests::PendingRequests;

struct ClientRoute {
    updates: mpsc::UnboundedSender<Update>,
    pending: Arc<PendingRequests>,
    remarks: Arc<ClientRemarks>,
}

/// The client's ends of a new route.
pub(crate) struct ClientEnds {
    pub(crate) updates: mpsc::UnboundedReceiver<Update>,
    pub(crate) pending: Arc<PendingRequests>,
    pub(crate) remarks: Arc<ClientRemarks>,
}

/// Where each client's objects go.
///
/// The channels are unbounded on purpose: the thread that fills them also delivers TDLib's
/// answers, so waiting for one slow account would block all of them, including that account's own
/// requests. Each account should watch its own queue length (`UpdateReceiver::len`).
pub(crate) struct RouteTable {
    /// `None` once the reader has ended. Written only when a client opens or closes, so the reader
    /// almost never waits for the lock.
    table: RwLock<Option<HashMap<i32, ClientRoute>>>,
    counters: AtomicCounters,
}

impl RouteTable {
    pub(crate) fn new() -> Self {
        Self { table: RwLock::new(Some(HashMap::new())), counters: AtomicCounters::default() }
    }

    /// Opens the route of a new client.
    pub(crate) fn open(&self, client_id: i32) -> ClientEnds {
        let (updates, receiver) = mpsc::unbounded_channel();
        let pending = Arc::new(PendingRequests::new());
        let remarks = Arc::new(ClientRemarks::default());
        let route =
            ClientRoute { updates, pending: Arc::clone(&pending), remarks: Arc::clone(&remarks) };
        match runtime::write_lock(&self.table).as_mut() {
            Some(table) => drop(table.insert(client_id, route)),
            None => pending.close(),
        }
        ClientEnds { updates: receiver, pending, remarks }
    }

    /// Processes one line of TDLib's log; runs on TDLib's threads.
    pub(crate) fn log(&self, level: i32, line: &str) {
        log::log_line(level, line);
        if let Some((client_id, remark)) = LogRemark::read(line) {
            let table = runtime::read_lock(&self.table);
            if let Some(route) = table.as_ref().and_then(|table| table.get(&client_id)) {
                route.remarks.record(&remark);
            }
        }
    }

    pub(crate) fn counters(&self) -> ReaderCounters {
        self.counters.read()
    }

    /// Delivers one object to its client; never blocks.
    pub(crate) fn deliver(&self, bytes: Vec<u8>) {
        let len = bytes.len();
        let Some(RoutedObject { client_id, extra, object, reshaped }) = RoutedObject::read(bytes)
        else {
            increment(&self.counters.not_understood);
            warn!(bytes = len, "tdlib sent something that is not a TDLib object");
            return;
        };
        if reshaped {
            increment(&self.counters.reshaped);
        }
        let closed = extra.is_none() && is_closed(&object);
        if !self.route(client_id, extra, object) {
            increment(&self.counters.unroutable);
            debug!(client.id = client_id, "tdlib sent an object for a client that is not open");
        }
        if closed {
            self.close(client_id);
        }
    }

    /// Returns `false` when there is no such client.
    fn route(&self, client_id: i32, extra: Option<u64>, object: Update) -> bool {
        let table = runtime::read_lock(&self.table);
        let Some(route) = table.as_ref().and_then(|table| table.get(&client_id)) else {
            return false;
        };
        let Some(extra) = extra else {
            if !object.kind().starts_with("update") {
                increment(&self.counters.unmatched);
                let kind = object.kind();
                warn!(
                    client.id = client_id,
                    kind, "tdlib sent an answer that belongs to no request"
                );
                return true;
            }
            // The receiver is dropped while the account closes; its last updates are not needed.
            let _dropped = route.updates.send(object);
            increment(&self.counters.updates);
            return true;
        };
        let received =
            route.pending.remove(extra).is_some_and(|caller| caller.send(object).is_ok());
        increment(if received { &self.counters.answers } else { &self.counters.late });
        true
    }

    /// Ends the client's updates and all its pending requests.
    fn close(&self, client_id: i32) {
        let mut table = runtime::write_lock(&self.table);
        if let Some(route) = table.as_mut().and_then(|table| table.remove(&client_id)) {
            route.pending.close();
        }
    }

    pub(crate) fn close_all(&self) {
        let table = runtime::write_lock(&self.table).take();
        for route in table.into_iter().flat_map(HashMap::into_values) {
            route.pending.close();
        }
    }
}

/// Whether the object is the client's last: TDLib sends nothing for this client afterwards.
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
