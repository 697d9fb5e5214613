//! A sandbox, a library patched for it, and clients that log in.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sandbox::{PatchedLibrary, Sandbox, SandboxOptions};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tdlib::{
    CallError, CancellationToken, Client, Library, LibraryFile, Tdlib, Update, UpdateReceiver,
};
use tempfile::TempDir;

/// Timeout of each step.
const DEADLINE: Duration = Duration::from_mins(1);

/// A sandbox and a TDLib that trusts it.
pub(crate) struct Rig {
    pub(crate) sandbox: Sandbox,
    tdlib: Tdlib,
    directory: TempDir,
    _library: PatchedLibrary,
}

impl Rig {
    pub(crate) async fn start(options: SandboxOptions) -> Self {
        let subscriber = tracing_subscriber::fmt().with_env_filter("warn,sandbox=debug");
        // Another test of this process may have installed it already.
        subscriber.with_test_writer().try_init().ok();
        let sandbox = sandbox::start(options).await.unwrap();
        let patched = sandbox.patch_library(&stock_library()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = LibraryFile::verify(patched.path(), Some(patched.sha256())).unwrap();
        let library = Library::load(&file, 2, directory.path()).unwrap();
        let tdlib = Tdlib::start(Arc::new(library), CancellationToken::new()).unwrap();
        Self { sandbox, tdlib, directory, _library: patched }
    }

    /// Stops the reader and the sandbox; call it when all clients are closed.
    pub(crate) async fn stop(self) {
        self.tdlib.stop().await;
        self.sandbox.stop().await;
    }

    /// A client with the database `name`; the same name opens the same database.
    pub(crate) async fn client(&self, name: &str) -> User {
        let kind = json!({"@type": "proxyTypeMtproto", "secret": self.sandbox.secret()});
        self.client_through(name, self.sandbox.address(), kind).await
    }

    /// A client with its own proxy.
    pub(crate) async fn client_through(
        &self,
        name: &str,
        address: SocketAddr,
        kind: Value,
    ) -> User {
        let (client, updates) = self.tdlib.client();
        let user = User { client, updates, seen: Vec::new() };
        let proxy = json!({
            "server": address.ip().to_string(), "port": address.port(), "type": kind
        });
        let parameters = parameters(&self.directory.path().join(name));
        // Both in flight together: no connection may bypass the proxy.
        let (added, set) = tokio::join!(
            user.call("addProxy", json!({"proxy": proxy, "enable": true})),
            user.call("setTdlibParameters", parameters),
        );
        added.unwrap();
        set.unwrap();
        user
    }

    /// Copies a closed client's database, which must never be done in practice.
    pub(crate) fn copy(&self, name: &str, copy: &str) {
        let (from, to) = (self.directory.path().join(name), self.directory.path().join(copy));
        std::fs::create_dir(&to).unwrap();
        for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
    }

    /// A client that is logged in to a default account.
    pub(crate) async fn log_in(&self, account: u32) -> User {
        let mut user = self.client(&format!("account-{account}")).await;
        user.log_in(&self.sandbox, account).await;
        user
    }
}

/// One TDLib client.
pub(crate) struct User {
    client: Client,
    updates: UpdateReceiver,
    seen: Vec<Update>,
}

impl User {
    /// Calls a method; an error is its code and message.
    pub(crate) async fn call(&self, method: &str, fields: Value) -> Result<Value, (i32, String)> {
        match self.client.raw(method, &raw(&fields), DEADLINE).await {
            Ok(answer) => Ok(serde_json::from_str(answer.get()).unwrap()),
            Err(CallError::Td(error)) => Err((error.code, error.message)),
            Err(error) => panic!("{method}: {error}"),
        }
    }

    pub(crate) async fn log_in(&mut self, sandbox: &Sandbox, account: u32) {
        self.state("authorizationStateWaitPhoneNumber").await;
        let phone = json!({"phone_number": sandbox.phone(account)});
        self.call("setAuthenticationPhoneNumber", phone).await.unwrap();
        self.state("authorizationStateWaitCode").await;
        let code = json!({"code": sandbox.code(account)});
        self.call("checkAuthenticationCode", code).await.unwrap();
        self.state("authorizationStateReady").await;
    }

    /// Waits for an authorization state.
    pub(crate) async fn state(&mut self, wanted: &str) {
        self.update(|update| {
            update["@type"] == "updateAuthorizationState"
                && update["authorization_state"]["@type"] == wanted
        })
        .await;
    }

    /// Waits for an update that `wanted` accepts, and returns it; earlier updates are dropped.
    pub(crate) async fn update(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let waiting = async {
            loop {
                for update in self.seen.drain(..) {
                    let update: Value = serde_json::from_str(update.json()).unwrap();
                    if wanted(&update) {
                        return update;
                    }
                }
                assert_ne!(self.updates.recv_many(&mut self.seen, 1).await, 0, "client closed");
            }
        };
        tokio::time::timeout(DEADLINE, waiting).await.expect("an update in time")
    }

    /// Closes the client and waits until its database is free.
    pub(crate) async fn close(mut self) {
        self.call("close", json!({})).await.unwrap();
        self.state("authorizationStateClosed").await;
    }
}

fn raw(fields: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(fields).unwrap()
}

fn parameters(directory: &Path) -> Value {
    json!({
        "use_test_dc": false,
        "database_directory": directory,
        "files_directory": directory.join("files"),
        "database_encryption_key": "",
        "use_file_database": true,
        "use_chat_info_database": true,
        "use_message_database": true,
        "use_secret_chats": false,
        "api_id": 1,
        "api_hash": "0123456789abcdef0123456789abcdef",
        "system_language_code": "en",
        "device_model": "Sandbox Test",
        "system_version": "6.1",
        "application_version": "7.8.9",
    })
}

fn stock_library() -> PathBuf {
    let path = std::env::var_os("TDFLEET_TDLIB_LIBRARY");
    path.expect("TDFLEET_TDLIB_LIBRARY is the path of libtdjson: run `make tdlib`").into()
}
