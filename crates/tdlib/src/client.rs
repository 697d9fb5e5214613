use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use runtime::CancellationToken;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::error::{CallError, TdError};
use crate::methods::Method;
use crate::object::Update;
use crate::reader::Reader;
use crate::request;
use crate::routes::{Counters, HiddenWaits, Opened, Remarks, Waiting};
use crate::tdjson::Tdjson;

/// A running TDLib: its reader thread and the way to new clients. Clones share it.
///
/// There must be one per process: two readers would take each other's objects.
#[derive(Clone)]
pub struct Tdlib {
    library: Arc<dyn Tdjson>,
    reader: Arc<Reader>,
    requests: Arc<AtomicU64>,
}

impl Tdlib {
    /// Starts the reader thread, and takes TDLib's log into `tracing` (target `tdlib`, redacted).
    ///
    /// `failed` is cancelled when it ends without [`Tdlib::stop`].
    ///
    /// # Errors
    ///
    /// The operating system gave no thread.
    pub fn start(library: Arc<dyn Tdjson>, failed: CancellationToken) -> io::Result<Self> {
        let reader = Reader::start(Arc::clone(&library), failed)?;
        Ok(Self { library, reader, requests: Arc::default() })
    }

    /// Opens a client: one account's connection, silent until its first request.
    ///
    /// It ends by itself after `authorizationStateClosed`, which the methods `close` and `logOut`
    /// lead to. Dropping the handles does not close it.
    pub fn client(&self) -> (Client, Updates) {
        let id = self.library.create_client_id();
        let Opened { updates, waiting, remarks } = self.reader.routes.open(id);
        let client = Client {
            id,
            library: Arc::clone(&self.library),
            requests: Arc::clone(&self.requests),
            waiting,
            remarks,
        };
        (client, Updates { receiver: updates })
    }

    /// What the reader has seen since it started.
    pub fn counters(&self) -> Counters {
        self.reader.routes.counters()
    }

    /// Ends the reader, within half a second; what still waits gets [`CallError::Closed`].
    ///
    /// To be called when every client has been closed: what TDLib says later is not read.
    pub async fn stop(&self) {
        self.reader.stop.cancel();
        self.reader.ended.cancelled().await;
    }
}

/// One TDLib client: the way to send requests for one account. Clones share it.
#[derive(Clone)]
pub struct Client {
    id: i32,
    library: Arc<dyn Tdjson>,
    requests: Arc<AtomicU64>,
    waiting: Arc<Waiting>,
    remarks: Arc<Remarks>,
}

impl Client {
    /// TDLib's number for it, as in TDLib's log.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// How long TDLib has held this client's requests back without saying so; from its log.
    pub fn hidden_waits(&self) -> HiddenWaits {
        self.remarks.hidden_waits()
    }

    /// Why Telegram ended the session, such as `AUTH_KEY_DUPLICATED` or `USER_DEACTIVATED_BAN`.
    ///
    /// From TDLib's log; it is there before `authorizationStateLoggingOut` is.
    pub fn lost_authorization(&self) -> Option<&str> {
        self.remarks.lost_authorization.get().map(String::as_str)
    }

    /// Sends a request and waits for its answer.
    ///
    /// TDLib retries in silence for up to a minute; `deadline` should be longer than that unless
    /// the answer is local. After [`CallError::Deadline`] the effect may still come to be: a caller
    /// that must know uses [`Client::start`].
    pub async fn call<M: Method>(
        &self,
        method: M,
        deadline: Duration,
    ) -> Result<M::Answer, CallError> {
        self.start(method)?.wait(deadline).await
    }

    /// Sends a request; its answer is waited for on what is returned.
    ///
    /// The request has left when this returns: two calls in a row reach TDLib in their order.
    #[expect(clippy::needless_pass_by_value, reason = "a method is made to be called once")]
    pub fn start<M: Method>(&self, method: M) -> Result<Pending<M::Answer>, CallError> {
        let answer = self.send(M::NAME, &method)?;
        Ok(Pending { answer: Some(answer), decode: decode::<M> })
    }

    /// Sends any request by name, for methods without a type of their own, and waits.
    ///
    /// `params` is an object; keys that begin with `@` are refused.
    pub async fn raw(
        &self,
        method: &str,
        params: &RawValue,
        deadline: Duration,
    ) -> Result<Box<RawValue>, CallError> {
        self.start_raw(method, params)?.wait(deadline).await
    }

    /// Sends any request by name; the answer, a whole TDLib object, is waited for on what is
    /// returned.
    pub fn start_raw(
        &self,
        method: &str,
        params: &RawValue,
    ) -> Result<Pending<Box<RawValue>>, CallError> {
        request::check_raw(method, params)?;
        Ok(Pending { answer: Some(self.send(method, params)?), decode: decode_raw })
    }

    fn send<F: Serialize + ?Sized>(
        &self,
        method: &str,
        fields: &F,
    ) -> Result<oneshot::Receiver<Update>, CallError> {
        let extra = self.requests.fetch_add(1, Ordering::Relaxed);
        let request = request::encode(method, extra, fields)?;
        let answer = self.waiting.expect(extra).ok_or(CallError::Closed)?;
        self.library.send(self.id, &request);
        Ok(answer)
    }
}

/// A request that TDLib has; dropping it forgets the answer, not the request.
pub struct Pending<A> {
    /// `None` once it was taken.
    answer: Option<oneshot::Receiver<Update>>,
    decode: fn(&Update) -> Result<A, CallError>,
}

impl<A> Pending<A> {
    /// Waits for the answer, at most `deadline`.
    ///
    /// After [`CallError::Deadline`] the answer can still be waited for, by this or by
    /// [`Pending::late`]; after anything else there is no more to come ([`CallError::Closed`]).
    ///
    /// # Cancel safety
    ///
    /// Safe: an answer that came meanwhile is there for the next call.
    pub async fn wait(&mut self, deadline: Duration) -> Result<A, CallError> {
        let answer = self.answer.as_mut().ok_or(CallError::Closed)?;
        let answer = timeout(deadline, answer).await.map_err(|_| CallError::Deadline)?;
        self.answer = None;
        (self.decode)(&answer.map_err(|_| CallError::Closed)?)
    }

    /// Waits as long as it takes: until the answer, or until the client is closed.
    pub async fn late(self) -> Result<A, CallError> {
        let answer = self.answer.ok_or(CallError::Closed)?;
        (self.decode)(&answer.await.map_err(|_| CallError::Closed)?)
    }
}

/// What TDLib says for one client by itself, in TDLib's order.
pub struct Updates {
    receiver: mpsc::UnboundedReceiver<Update>,
}

impl Updates {
    /// Waits for updates and appends up to `limit` of those that are there; their number.
    ///
    /// 0 once the client is closed (its last update is `authorizationStateClosed`) or the reader
    /// has ended.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is taken before it returns.
    pub async fn recv_many(&mut self, updates: &mut Vec<Update>, limit: usize) -> usize {
        self.receiver.recv_many(updates, limit).await
    }

    /// How many updates wait to be taken.
    pub fn len(&self) -> usize {
        self.receiver.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }
}

fn decode<M: Method>(answer: &Update) -> Result<M::Answer, CallError> {
    decode_as(M::NAME, answer)
}

fn decode_raw(answer: &Update) -> Result<Box<RawValue>, CallError> {
    decode_as("a raw call", answer)
}

fn decode_as<A: DeserializeOwned>(method: &'static str, answer: &Update) -> Result<A, CallError> {
    if answer.kind() == "error" {
        let error = TdError::read(answer.json());
        return Err(match error {
            Some(error) if error.is_abort() => CallError::Closed,
            Some(error) => CallError::Td(error),
            None => CallError::Decode { method, column: 0 },
        });
    }
    // serde's own text may quote the value it stumbled over, so only the place is told.
    serde_json::from_str(answer.json())
        .map_err(|error| CallError::Decode { method, column: error.column() })
}
