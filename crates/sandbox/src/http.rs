//! The control API over HTTP: what [`Sandbox`] offers to tests in Rust, for other programs.
//!
//! It listens on loopback only and has no authentication: every user of this machine can control
//! the sandbox, but no web page can. `docs/sandbox.md` lists the requests.

mod caller;
mod json;

use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use axum::{Json, Router, middleware};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::net::TcpListener;

use crate::call_log::RecordedCall;
use crate::faults::{Fault, FaultId};
use crate::model::Peer;
use crate::sandbox::Sandbox;
use json::{
    AccountLogin, CallFilter, ClockShiftRequest, ClosedConnections, HomeRequest, NumberedFault,
    PushRequest, RestartRequest, SandboxSummary, SentMessages, StreamRequest, TextRequest,
};

/// Maximum number of calls in one response.
const MAX_CALLS: usize = 10_000;

/// Serves the control API until the sandbox stops.
pub(crate) async fn serve(sandbox: Sandbox, listener: TcpListener) {
    let stop = sandbox.core().stop.clone();
    let served =
        axum::serve(listener, router(sandbox)).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = served.await {
        tracing::warn!(%error, "the control api has ended");
    }
}

fn router(sandbox: Sandbox) -> Router {
    Router::new()
        .route("/", get(state))
        .route("/accounts", get(accounts))
        .route("/accounts/{account}/home", post(set_home))
        .route("/accounts/{account}/ban", post(ban).delete(unban))
        .route("/accounts/{account}/freeze", post(freeze).delete(thaw))
        .route("/accounts/{account}/messages", post(receive))
        .route("/accounts/{account}/push", post(push))
        .route("/accounts/{account}/sessions", delete(revoke))
        .route("/accounts/{account}/stream", post(stream))
        .route("/calls", get(calls))
        .route("/clock", post(shift_clock))
        .route("/connections", delete(drop_connections))
        .route("/connections/admit", post(admit))
        .route("/connections/refuse", post(refuse))
        .route("/faults", get(faults).post(inject).delete(clear_faults))
        .route("/faults/{id}", delete(remove_fault))
        .route("/keys", delete(lose_keys))
        .route("/restart", post(restart))
        .layer(middleware::from_fn(caller::refuse_web_pages))
        .with_state(sandbox)
}

async fn state(State(sandbox): State<Sandbox>) -> Json<SandboxSummary> {
    Json(SandboxSummary {
        address: sandbox.address().to_string(),
        socks_address: sandbox.socks_address().map(|address| address.to_string()),
        secret: sandbox.secret().to_owned(),
        accounts: sandbox.accounts(),
        connections: sandbox.connections(),
        duplicates: sandbox.duplicates(),
        hot_loops: sandbox.hot_loops(),
        unknown_methods: sandbox.unknown_methods(),
    })
}

async fn accounts(State(sandbox): State<Sandbox>) -> Json<Vec<AccountLogin>> {
    let login = |account| AccountLogin {
        account,
        phone: sandbox.phone(account),
        code: sandbox.code(account),
    };
    Json((1..=sandbox.accounts()).map(login).collect())
}

async fn calls(
    State(sandbox): State<Sandbox>,
    Query(which): Query<CallFilter>,
) -> Json<Vec<RecordedCall>> {
    let mut calls = sandbox.calls(which.account, which.method.as_deref());
    Json(calls.split_off(calls.len().saturating_sub(MAX_CALLS)))
}

async fn faults(State(sandbox): State<Sandbox>) -> Json<Vec<NumberedFault>> {
    let faults = sandbox.faults().into_iter();
    Json(faults.map(|(id, fault)| NumberedFault { id, fault }).collect())
}

async fn inject(State(sandbox): State<Sandbox>, Json(fault): Json<Fault>) -> Json<NumberedFault> {
    let id = sandbox.inject(fault.clone());
    Json(NumberedFault { id, fault })
}

async fn clear_faults(State(sandbox): State<Sandbox>) -> StatusCode {
    sandbox.clear_faults();
    StatusCode::NO_CONTENT
}

async fn remove_fault(State(sandbox): State<Sandbox>, Path(id): Path<u64>) -> StatusCode {
    found(sandbox.remove_fault(FaultId(id)))
}

async fn drop_connections(
    State(sandbox): State<Sandbox>,
    Query(which): Query<CallFilter>,
) -> Json<ClosedConnections> {
    Json(ClosedConnections { closed: sandbox.drop_connections(which.account) })
}

async fn refuse(State(sandbox): State<Sandbox>) -> StatusCode {
    sandbox.refuse_connections().await;
    StatusCode::NO_CONTENT
}

async fn admit(State(sandbox): State<Sandbox>) -> StatusCode {
    sandbox.admit_connections().await;
    StatusCode::NO_CONTENT
}

async fn restart(
    State(sandbox): State<Sandbox>,
    Json(restart): Json<RestartRequest>,
) -> StatusCode {
    sandbox.restart(Duration::from_millis(restart.away_ms)).await;
    StatusCode::NO_CONTENT
}

async fn lose_keys(State(sandbox): State<Sandbox>, Query(which): Query<CallFilter>) -> StatusCode {
    sandbox.lose_keys(which.account);
    StatusCode::NO_CONTENT
}

async fn shift_clock(
    State(sandbox): State<Sandbox>,
    Json(shift): Json<ClockShiftRequest>,
) -> StatusCode {
    sandbox.shift_clock(shift.seconds);
    StatusCode::NO_CONTENT
}

async fn set_home(
    State(sandbox): State<Sandbox>,
    Path(account): Path<u32>,
    Json(home): Json<HomeRequest>,
) -> StatusCode {
    sandbox.set_home(account, home.data_centre);
    StatusCode::NO_CONTENT
}

async fn ban(State(sandbox): State<Sandbox>, Path(account): Path<u32>) -> StatusCode {
    sandbox.ban(account, true);
    StatusCode::NO_CONTENT
}

async fn unban(State(sandbox): State<Sandbox>, Path(account): Path<u32>) -> StatusCode {
    sandbox.ban(account, false);
    StatusCode::NO_CONTENT
}

async fn freeze(State(sandbox): State<Sandbox>, Path(account): Path<u32>) -> StatusCode {
    sandbox.freeze(account, true);
    StatusCode::NO_CONTENT
}

async fn thaw(State(sandbox): State<Sandbox>, Path(account): Path<u32>) -> StatusCode {
    sandbox.freeze(account, false);
    StatusCode::NO_CONTENT
}

/// Delivers a message from the account's first contact.
async fn receive(
    State(sandbox): State<Sandbox>,
    Path(account): Path<u32>,
    Json(message): Json<TextRequest>,
) -> StatusCode {
    let handle = sandbox.account(&sandbox.phone(account));
    let from = handle.as_ref().and_then(|handle| handle.contacts().first().copied());
    if let (Some(handle), Some(from)) = (&handle, from) {
        handle.receive(from, Peer::User(handle.user()), &message.text);
    }
    found(from.is_some())
}

async fn push(
    State(sandbox): State<Sandbox>,
    Path(account): Path<u32>,
    Json(push): Json<PushRequest>,
) -> StatusCode {
    match STANDARD.decode(&push.updates) {
        Ok(updates) if sandbox.push(account, &updates) => StatusCode::NO_CONTENT,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

async fn stream(
    State(sandbox): State<Sandbox>,
    Path(account): Path<u32>,
    Json(stream): Json<StreamRequest>,
) -> Json<SentMessages> {
    let lasts = Duration::from_millis(stream.lasts_ms);
    Json(SentMessages { sent: sandbox.stream_messages(account, stream.per_second, lasts).await })
}

/// Ends all sessions of an account that a client holds.
async fn revoke(State(sandbox): State<Sandbox>, Path(account): Path<u32>) -> StatusCode {
    let Some(handle) = sandbox.account(&sandbox.phone(account)) else {
        return StatusCode::NOT_FOUND;
    };
    for session in handle.sessions().into_iter().filter(|session| session.is_client) {
        handle.revoke(session.hash);
    }
    StatusCode::NO_CONTENT
}

fn found(found: bool) -> StatusCode {
    if found { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}
