use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use runtime::CancellationToken;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};

use crate::counters::ReaderCounters;
use crate::error::CallError;
use crate::log_remark::{ClientRemarks, HiddenWaits};
use crate::methods::Method;
use crate::object::Update;
use crate::pending_call::PendingCall;
use crate::pending_requests::PendingRequests;
use crate::reader::ReaderThread;
use crate::request;
use crate::route_table::ClientEnds;
use crate::tdjson::Tdjson;

/// A running TDLib: the reader thread, and the factory of clients. Clones share both.
///
/// Use one per process: two readers would receive each other's objects.
#[derive(Clone)]
pub struct Tdlib {
    library: Arc<dyn Tdjson>,
    reader: Arc<ReaderThread>,
    requests: Arc<AtomicU64>,
}

impl Tdlib {
    /// Starts the reader thread, and forwards TDLib's log to `tracing` (target `tdlib`, redacted).
    ///
    /// `failed` is cancelled when the thread ends without [`Tdlib::stop`].
    ///
    /// # Errors
    ///
    /// The thread cannot be created.
    pub fn start(library: Arc<dyn Tdjson>, failed: CancellationToken) -> io::Result<Self> {
        let reader = ReaderThread::start(Arc::clone(&library), failed)?;
        Ok(Self { library, reader, requests: Arc::default() })
    }

    /// Opens a client: one account's connection, silent until its first request.
    ///
    /// It ends after `authorizationStateClosed`, which the methods `close` and `logOut` lead to.
    /// Dropping the handles does not close it.
    pub fn client(&self) -> (Client, UpdateReceiver) {
        let id = self.library.create_client_id();
        let ClientEnds { updates, pending, remarks } = self.reader.routes.open(id);
        let client = Client {
            id,
            library: Arc::clone(&self.library),
            requests: Arc::clone(&self.requests),
            pending,
            remarks,
        };
        (client, UpdateReceiver { receiver: updates })
    }

    /// What the reader has seen since it started.
    pub fn counters(&self) -> ReaderCounters {
        self.reader.routes.counters()
    }

    /// Stops the reader within half a second; pending calls get [`CallError::Closed`].
    ///
    /// Call it when every client has been closed: nothing that TDLib sends later is read.
    pub async fn stop(&self) {
        self.reader.stop.cancel();
        self.reader.ended.cancelled().await;
    }
}

/// One TDLib client: sends the requests of one account. Clones share it.
#[derive(Clone)]
pub struct Client {
    id: i32,
    library: Arc<dyn Tdjson>,
    requests: Arc<AtomicU64>,
    pending: Arc<PendingRequests>,
    remarks: Arc<ClientRemarks>,
}

impl Client {
    /// TDLib's id of this client, as in TDLib's log.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// How long TDLib has delayed this client's requests without reporting it; from its log.
    pub fn hidden_waits(&self) -> HiddenWaits {
        self.remarks.hidden_waits()
    }

    /// Why Telegram ended the session, such as `AUTH_KEY_DUPLICATED` or `USER_DEACTIVATED_BAN`.
    ///
    /// From TDLib's log; known before `authorizationStateLoggingOut` arrives.
    pub fn lost_authorization(&self) -> Option<&str> {
        self.remarks.lost_authorization()
    }

    /// Sends a request and waits for its answer.
    ///
    /// TDLib retries silently for up to a minute; `deadline` should be longer than that unless the
    /// answer is local. After [`CallError::Deadline`] the request may still take effect: a caller
    /// that must know uses [`Client::start`].
    pub async fn call<M: Method>(
        &self,
        method: M,
        deadline: Duration,
    ) -> Result<M::Answer, CallError> {
        self.start(method)?.wait(deadline).await
    }

    /// Sends a request; await its answer on the returned [`PendingCall`].
    ///
    /// The request has been sent when this returns: consecutive calls reach TDLib in order.
    #[expect(clippy::needless_pass_by_value, reason = "a method value is used for one call")]
    pub fn start<M: Method>(&self, method: M) -> Result<PendingCall<M::Answer>, CallError> {
        let answer = self.send(M::NAME, &method)?;
        Ok(PendingCall::typed::<M>(answer))
    }

    /// Sends a request by method name, for methods without a type here, and waits for its answer.
    ///
    /// `params` is an object that [`crate::RawParams`] finds no fault in.
    pub async fn raw(
        &self,
        method: &str,
        params: &RawValue,
        deadline: Duration,
    ) -> Result<Box<RawValue>, CallError> {
        self.start_raw(method, params)?.wait(deadline).await
    }

    /// Sends a request by method name; await its answer, a whole TDLib object, on the returned
    /// [`PendingCall`].
    pub fn start_raw(
        &self,
        method: &str,
        params: &RawValue,
    ) -> Result<PendingCall<Box<RawValue>>, CallError> {
        request::check_raw(method, params)?;
        Ok(PendingCall::raw(self.send(method, params)?))
    }

    fn send<F: Serialize + ?Sized>(
        &self,
        method: &str,
        fields: &F,
    ) -> Result<oneshot::Receiver<Update>, CallError> {
        let extra = self.requests.fetch_add(1, Ordering::Relaxed);
        let request = request::encode(method, extra, fields)?;
        let text = request.as_c_str()?;
        let answer = self.pending.register(extra).ok_or(CallError::Closed)?;
        self.library.send(self.id, text);
        Ok(answer)
    }
}

/// The updates of one client, in TDLib's order.
pub struct UpdateReceiver {
    receiver: mpsc::UnboundedReceiver<Update>,
}

impl UpdateReceiver {
    /// Waits for updates, appends up to `limit` of them and returns their number.
    ///
    /// Returns 0 once the client is closed (its last update is `authorizationStateClosed`) or the
    /// reader has ended.
    ///
    /// # Cancel safety
    ///
    /// Safe: no update is lost.
    pub async fn recv_many(&mut self, updates: &mut Vec<Update>, limit: usize) -> usize {
        self.receiver.recv_many(updates, limit).await
    }

    /// The number of queued updates.
    pub fn len(&self) -> usize {
        self.receiver.len()
    }

    /// Whether no update is queued.
    pub fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }
}
