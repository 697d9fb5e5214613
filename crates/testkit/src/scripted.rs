mod reply;

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::CStr;
use std::fmt::Write as _;
use std::fs::File;
use std::panic::panic_any;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tdlib::{LogCallback, REQUIRED_VERSION, Tdjson};
use tokio::sync::watch;
use tokio::time::timeout;

pub use reply::{Reply, Request};

/// Timeout of [`Scripted::seen`].
const TIMEOUT: Duration = Duration::from_secs(30);

type Handler = Box<dyn FnMut(&Request) -> Reply + Send>;

/// A scripted libtdjson for [`tdlib::Tdlib::start`]: the test defines its answers.
///
/// A method without a scripted answer is answered with an error that names it. As in TDLib, `close`
/// leads to `authorizationStateClosed`, and `setTdlibParameters` creates `td.binlog`. All objects have
/// the exact form of TDLib's output.
///
/// Its answers pass through the reader, an OS thread: with tokio's paused time a deadline passes
/// before they arrive, so use real time.
pub struct Scripted {
    state: Mutex<ScriptState>,
    arrived: Condvar,
    requests: watch::Sender<usize>,
}

struct ScriptState {
    version: String,
    next_client: i32,
    handlers: HashMap<String, Handler>,
    requests: Vec<Request>,
    seen: HashSet<usize>,
    held: Vec<(Request, Reply)>,
    outbox: VecDeque<Vec<u8>>,
    dead: bool,
    panics: bool,
    log: Option<LogCallback>,
}

impl Scripted {
    /// One that reports the required version and knows only the method `close`.
    pub fn new() -> Arc<Self> {
        let state = ScriptState {
            version: REQUIRED_VERSION.to_owned(),
            next_client: 1,
            handlers: HashMap::new(),
            requests: Vec::new(),
            seen: HashSet::new(),
            held: Vec::new(),
            outbox: VecDeque::new(),
            dead: false,
            panics: false,
            log: None,
        };
        let scripted = Self {
            state: Mutex::new(state),
            arrived: Condvar::new(),
            requests: watch::Sender::new(0),
        };
        scripted
            .on("close", |_| Reply::ok().then_update(authorization("authorizationStateClosed")));
        Arc::new(scripted)
    }

    /// Sets the version that it reports.
    pub fn set_version(&self, version: &str) {
        version.clone_into(&mut self.lock().version);
    }

    /// Answers every `method` with the reply of `handler`; replaces an earlier handler.
    ///
    /// The handler must not call this object; it can only return a reply.
    pub fn on(&self, method: &str, handler: impl FnMut(&Request) -> Reply + Send + 'static) {
        self.lock().handlers.insert(method.to_owned(), Box::new(handler));
    }

    /// Answers every `method` with the same reply.
    pub fn answer(&self, method: &str, reply: Reply) {
        self.on(method, move |_| reply.clone());
    }

    /// Answers the first `method` with the first reply, and so on; the last reply repeats.
    pub fn answers(&self, method: &str, replies: Vec<Reply>) {
        let mut replies = VecDeque::from(replies);
        self.on(method, move |_| match replies.len() {
            0 => Reply::silent(),
            1 => replies.front().cloned().unwrap_or_else(Reply::silent),
            _ => replies.pop_front().unwrap_or_else(Reply::silent),
        });
    }

    /// Sends the held answers to `method`; returns their number.
    pub fn release(&self, method: &str) -> usize {
        let mut state = self.lock();
        let (now, later) =
            state.held.drain(..).partition::<Vec<_>, _>(|(request, _)| request.method == method);
        state.held = later;
        for (request, reply) in &now {
            state.write_reply(request, reply);
        }
        self.arrived.notify_all();
        now.len()
    }

    /// Sends an update to a client.
    pub fn update(&self, client_id: i32, update: &Value) {
        self.lock().write(client_id, None, update);
        self.arrived.notify_all();
    }

    /// Sends these bytes unchanged, even if invalid.
    pub fn send_bytes(&self, bytes: &[u8]) {
        self.lock().outbox.push_back(bytes.to_vec());
        self.arrived.notify_all();
    }

    /// Sends nothing from now on.
    pub fn die(&self) {
        self.lock().dead = true;
    }

    /// Makes the next `receive` panic, as a broken library would.
    pub fn panic_in_receive(&self) {
        self.lock().panics = true;
        self.arrived.notify_all();
    }

    /// Writes a line into TDLib's log.
    pub fn log(&self, level: i32, message: &str) {
        let callback = self.lock().log.clone();
        if let Some(callback) = callback {
            callback(level, message);
        }
    }

    /// All requests so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    /// Waits for the next request of this method that no earlier call has returned.
    ///
    /// # Panics
    ///
    /// No request arrives within thirty seconds.
    pub async fn seen(&self, method: &str) -> Request {
        let mut count = self.requests.subscribe();
        let next = async {
            loop {
                if let Some(request) = self.take_unseen(method) {
                    return request;
                }
                if count.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let Ok(request) = timeout(TIMEOUT, next).await else {
            panic!("no {method} was received within {TIMEOUT:?}");
        };
        request
    }

    fn take_unseen(&self, method: &str) -> Option<Request> {
        let mut state = self.lock();
        let next = (0..state.requests.len())
            .find(|at| state.requests[*at].method == method && !state.seen.contains(at))?;
        state.seen.insert(next);
        state.requests.get(next).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, ScriptState> {
        runtime::lock(&self.state)
    }
}

impl ScriptState {
    fn handle(&mut self, request: Request) {
        let reply = match self.handlers.get_mut(&request.method) {
            Some(handler) => handler(&request),
            None => Reply::error(400, &format!("the test has no answer for {}", request.method)),
        };
        if request.method == "setTdlibParameters" {
            create_database(&request);
        }
        if reply.held {
            self.held.push((request.clone(), reply));
        } else {
            self.write_reply(&request, &reply);
        }
        self.requests.push(request);
    }

    fn write_reply(&mut self, request: &Request, reply: &Reply) {
        for update in &reply.before {
            self.write(request.client_id, None, update);
        }
        if let Some(object) = &reply.object {
            self.write(request.client_id, Some(&request.extra), object);
        }
        for update in &reply.after {
            self.write(request.client_id, None, update);
        }
    }

    /// Writes an object as TDLib does: type first, then fields, request number and client.
    fn write(&mut self, client_id: i32, extra: Option<&Value>, object: &Value) {
        let mut text = format!("{{\"@type\":{}", object["@type"]);
        for (key, value) in object.as_object().into_iter().flatten() {
            if key != "@type" {
                let _infallible = write!(text, ",{}:{value}", json!(key));
            }
        }
        if let Some(extra) = extra {
            let _infallible = write!(text, ",\"@extra\":{extra}");
        }
        let _infallible = write!(text, ",\"@client_id\":{client_id}}}");
        self.outbox.push_back(text.into_bytes());
    }
}

impl Tdjson for Scripted {
    fn create_client_id(&self) -> i32 {
        let mut state = self.lock();
        let id = state.next_client;
        state.next_client += 1;
        id
    }

    fn send(&self, client_id: i32, request: &CStr) {
        let mut fields: Value = serde_json::from_slice(request.to_bytes()).unwrap_or_default();
        let mut take = |key| fields.as_object_mut().and_then(|fields| fields.remove(key));
        let method = take("@type").and_then(|name| name.as_str().map(ToOwned::to_owned));
        let extra = take("@extra").unwrap_or_default();
        let method = method.unwrap_or_default();
        self.lock().handle(Request { client_id, method, fields, extra });
        self.arrived.notify_all();
        self.requests.send_modify(|count| *count += 1);
    }

    fn receive(&self, timeout: Duration) -> Option<Vec<u8>> {
        let nothing =
            |state: &mut ScriptState| (state.outbox.is_empty() || state.dead) && !state.panics;
        let waited = self.arrived.wait_timeout_while(self.lock(), timeout, nothing);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.panics {
            drop(state);
            panic_any("scripted");
        }
        if state.dead { None } else { state.outbox.pop_front() }
    }

    fn execute(&self, request: &CStr) -> Option<String> {
        let request: Value = serde_json::from_slice(request.to_bytes()).unwrap_or_default();
        let answer = if request["@type"] == "getOption" && request["name"] == "version" {
            json!({"@type": "optionValueString", "value": self.lock().version})
        } else {
            json!({"@type": "ok"})
        };
        Some(answer.to_string())
    }

    fn set_log_message_callback(&self, _max_level: i32, callback: LogCallback) {
        self.lock().log = Some(callback);
    }
}

/// Creates the file that holds TDLib's session. Its directory exists if the test needs the file.
fn create_database(request: &Request) {
    let directory = request.fields["database_directory"].as_str().map(Path::new);
    if let Some(directory) = directory.filter(|directory| directory.is_dir())
        && let Err(error) = File::create(directory.join("td.binlog"))
    {
        panic!("no database in {}: {error}", directory.display());
    }
}

fn authorization(state: &str) -> Value {
    json!({"@type": "updateAuthorizationState", "authorization_state": {"@type": state}})
}
