//! Who may use the control API: programs of this machine, and no web page in its browser.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Required of a request that changes something: a page cannot send it to another site without being
/// allowed to by that site.
const CONTROL_HEADER: &str = "x-sandbox-control";

/// Refuses what a web page could have sent: by its own script, by a form, or by a host name that leads
/// to loopback.
pub(super) async fn refuse_web_pages(request: Request, next: Next) -> Response {
    let (headers, method) = (request.headers(), request.method());
    let problem = if !names_loopback(headers) {
        "the Host header must be localhost or a loopback address"
    } else if headers.contains_key(header::ORIGIN) {
        "requests with an Origin header are refused"
    } else if method != Method::GET && !headers.contains_key(CONTROL_HEADER) {
        "a request that changes something needs the header x-sandbox-control, with any value"
    } else {
        return next.run(request).await;
    };
    (StatusCode::FORBIDDEN, problem).into_response()
}

fn names_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let without_port = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => host,
    };
    let address = without_port.trim_start_matches('[').trim_end_matches(']');
    address.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
