use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::error::{CallError, TdError};
use crate::methods::Method;
use crate::object::Update;

/// A request that TDLib has received. Dropping it discards the answer; the request still runs.
pub struct PendingCall<A> {
    /// `None` once it has been returned.
    answer: Option<oneshot::Receiver<Update>>,
    decode: fn(&Update) -> Result<A, CallError>,
}

impl PendingCall<Box<RawValue>> {
    /// A call without a typed method; the answer stays JSON.
    pub(crate) fn raw(answer: oneshot::Receiver<Update>) -> Self {
        Self { answer: Some(answer), decode: |answer| decode("a raw call", answer) }
    }
}

impl<A> PendingCall<A> {
    /// A call of method `M`; the answer is decoded into its type.
    pub(crate) fn typed<M: Method<Answer = A>>(answer: oneshot::Receiver<Update>) -> Self
    where
        A: DeserializeOwned,
    {
        Self { answer: Some(answer), decode: |answer| decode(M::NAME, answer) }
    }

    /// Waits for the answer, at most `deadline`.
    ///
    /// After [`CallError::Deadline`] the answer can still be awaited, with this method or with
    /// [`PendingCall::wait_without_deadline`]; after any other result nothing follows
    /// ([`CallError::Closed`]).
    ///
    /// # Cancel safety
    ///
    /// Safe: an answer that arrived meanwhile is returned by the next call.
    pub async fn wait(&mut self, deadline: Duration) -> Result<A, CallError> {
        let answer = self.answer.as_mut().ok_or(CallError::Closed)?;
        let answer = timeout(deadline, answer).await.map_err(|_| CallError::Deadline)?;
        self.answer = None;
        (self.decode)(&answer.map_err(|_| CallError::Closed)?)
    }

    /// Waits until the answer arrives or the client is closed.
    pub async fn wait_without_deadline(self) -> Result<A, CallError> {
        let answer = self.answer.ok_or(CallError::Closed)?;
        (self.decode)(&answer.await.map_err(|_| CallError::Closed)?)
    }
}

fn decode<A: DeserializeOwned>(method: &'static str, answer: &Update) -> Result<A, CallError> {
    if answer.kind() == "error" {
        let error = TdError::read(answer.json());
        return Err(match error {
            Some(error) if error.is_abort() => CallError::Closed,
            Some(error) => CallError::Td(error),
            None => CallError::Decode { method, column: 0 },
        });
    }
    // serde's message may quote the offending value, so only the position is kept.
    serde_json::from_str(answer.json())
        .map_err(|error| CallError::Decode { method, column: error.column() })
}
