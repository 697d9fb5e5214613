//! The HTTP control API.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use sandbox::{Fault, Sandbox, SandboxOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn start() -> Sandbox {
    let control = Some("127.0.0.1:0".parse().unwrap());
    sandbox::start(SandboxOptions { accounts: 2, control, ..SandboxOptions::default() })
        .await
        .unwrap()
}

/// Sends one request; returns its status, and its answer if that is JSON.
async fn ask(sandbox: &Sandbox, method: &str, path: &str, body: &Value) -> (u16, Value) {
    ask_with(sandbox, method, path, "host: localhost\r\nx-sandbox-control: 1\r\n", body).await
}

/// The same with these headers.
async fn ask_with(
    sandbox: &Sandbox,
    method: &str,
    path: &str,
    headers: &str,
    body: &Value,
) -> (u16, Value) {
    let mut stream = TcpStream::connect(sandbox.control_address().unwrap()).await.unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = format!(
        "{method} {path} HTTP/1.1\r\n{headers}connection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[tokio::test]
async fn a_fault_is_injected_listed_and_removed() {
    let sandbox = start().await;
    let fault = json!({
        "account": 1, "method": "messages.sendMessage", "times": 1, "effect": {"flood_wait": 31}
    });
    let (status, made) = ask(&sandbox, "POST", "/faults", &fault).await;
    assert_eq!(status, 200);
    let expected = Fault::flood_wait(31).account(1).method("messages.sendMessage").times(1);
    assert_eq!(sandbox.faults()[0].1, expected);
    let (_, listed) = ask(&sandbox, "GET", "/faults", &Value::Null).await;
    assert_eq!(listed, json!([made]));
    let path = format!("/faults/{}", made["id"]);
    assert_eq!(ask(&sandbox, "DELETE", &path, &Value::Null).await.0, 204);
    assert_eq!(ask(&sandbox, "DELETE", &path, &Value::Null).await.0, 404);
    sandbox.stop().await;
}

#[tokio::test]
async fn what_a_web_page_could_send_is_refused() {
    let sandbox = start().await;
    let control = "x-sandbox-control: 1\r\n";
    for host in ["localhost", "localhost:8700", "127.0.0.1:8700", "127.1.2.3", "[::1]:8700"] {
        let headers = format!("host: {host}\r\n{control}");
        let (status, _) = ask_with(&sandbox, "POST", "/faults", &headers, &Value::Null).await;
        assert_ne!(status, 403, "{host}");
        let headers = format!("host: {host}\r\n");
        assert_eq!(ask_with(&sandbox, "GET", "/", &headers, &Value::Null).await.0, 200, "{host}");
    }
    for (method, path) in [("POST", "/accounts/1/ban"), ("DELETE", "/keys"), ("GET", "/accounts")] {
        for headers in [
            format!("host: evil.example:8700\r\n{control}"),
            format!("host: localhost.evil.example\r\n{control}"),
            format!("host: 10.0.0.1\r\n{control}"),
            format!("host: localhost\r\norigin: http://evil.example\r\n{control}"),
            format!("host: localhost\r\norigin: null\r\n{control}"),
        ] {
            let (status, body) = ask_with(&sandbox, method, path, &headers, &Value::Null).await;
            assert_eq!((status, body), (403, Value::Null), "{method} {path} {headers}");
        }
    }
    let without =
        ask_with(&sandbox, "POST", "/accounts/1/ban", "host: localhost\r\n", &Value::Null);
    assert_eq!(without.await.0, 403);
    sandbox.stop().await;
}

#[tokio::test]
async fn an_unknown_fault_is_refused() {
    let sandbox = start().await;
    for fault in [
        json!({"effect": {"flood": 31}}),
        json!({"effect": {"flood_wait": 31}, "acount": 1}),
        json!({"account": 1}),
    ] {
        assert_eq!(ask(&sandbox, "POST", "/faults", &fault).await.0, 422, "{fault}");
    }
    assert!(sandbox.faults().is_empty());
    sandbox.stop().await;
}

#[tokio::test]
async fn the_sandbox_tells_how_to_log_in() {
    let sandbox = start().await;
    let (_, state) = ask(&sandbox, "GET", "/", &Value::Null).await;
    assert_eq!(state["address"], sandbox.address().to_string());
    assert_eq!(state["secret"], sandbox.secret());
    let (_, accounts) = ask(&sandbox, "GET", "/accounts", &Value::Null).await;
    assert_eq!(accounts[1], json!({"account": 2, "phone": "+15550000002", "code": "12346"}));
    sandbox.stop().await;
}

#[tokio::test]
async fn the_port_closes_and_opens() {
    let sandbox = start().await;
    assert_eq!(ask(&sandbox, "POST", "/connections/refuse", &Value::Null).await.0, 204);
    assert!(TcpStream::connect(sandbox.address()).await.is_err());
    assert_eq!(ask(&sandbox, "POST", "/connections/admit", &Value::Null).await.0, 204);
    assert!(TcpStream::connect(sandbox.address()).await.is_ok());
    assert_eq!(ask(&sandbox, "POST", "/restart", &json!({"away_ms": 1})).await.0, 204);
    assert!(TcpStream::connect(sandbox.address()).await.is_ok());
    sandbox.stop().await;
}
