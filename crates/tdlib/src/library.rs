//! libtdjson's C functions.
#![expect(unsafe_code, reason = "libtdjson is called through its C interface")]

use std::ffi::{CStr, CString, c_char, c_double, c_int};
use std::mem::ManuallyDrop;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::{Mutex, RwLock};
use std::time::Duration;

use crate::error::LoadError;
use crate::guard::{GuardError, ProxyGuard};
use crate::library_file::LibraryFile;
use crate::tdjson::{LogCallback, Tdjson, check_version};
use crate::{crash_record, log};

/// TDLib aborts the process when two threads receive at once, from any handle.
static RECEIVING: Mutex<()> = Mutex::new(());

/// The callback that [`on_log_message`] calls. A static, since C passes it no context.
static LOG_CALLBACK: RwLock<Option<LogCallback>> = RwLock::new(None);

type LogMessageFn = extern "C" fn(c_int, *const c_char);

/// The real libtdjson, loaded at run time.
pub struct Library {
    create_client_id: unsafe extern "C" fn() -> c_int,
    send: unsafe extern "C" fn(c_int, *const c_char),
    receive: unsafe extern "C" fn(c_double) -> *const c_char,
    execute: unsafe extern "C" fn(*const c_char) -> *const c_char,
    set_log_message_callback: unsafe extern "C" fn(c_int, Option<LogMessageFn>),
    /// Never unloaded: TDLib's threads run in it until the process ends.
    _handle: ManuallyDrop<libloading::Library>,
}

impl Library {
    /// Loads libtdjson, checks its version and redirects its log away from standard error.
    ///
    /// `log_level` is TDLib's: 0 fatal, 1 errors, 2 warnings. Higher levels count as 2: from 3 on
    /// TDLib logs whole requests, with codes and keys. Below 2 [`crate::Client::hidden_waits`]
    /// and [`crate::Client::lost_authorization`] stay empty. `crash_records` is the directory
    /// where `crash-<unix seconds>-<process id>.json` is written before a fatal error ends the
    /// process.
    ///
    /// # Errors
    ///
    /// A file that is not libtdjson, or a version other than
    /// [`crate::REQUIRED_VERSION`].
    pub fn load(
        file: &LibraryFile,
        log_level: u8,
        crash_records: &Path,
    ) -> Result<Self, LoadError> {
        let library = Self::open(file.path())?;
        check_version(&library)?;
        crash_record::set_directory(crash_records);
        library.configure(r#"{"@type":"setLogStream","log_stream":{"@type":"logStreamEmpty"}}"#);
        library.configure(&format!(
            r#"{{"@type":"setLogVerbosityLevel","new_verbosity_level":{}}}"#,
            log_level.min(log::MAX_LEVEL)
        ));
        Ok(library)
    }

    /// Keeps TDLib to proxies: from now on all clients of this process can reach only what the
    /// returned guard is told to [allow](ProxyGuard::allow).
    ///
    /// # Errors
    ///
    /// It is not certain that the library's network calls are guarded.
    pub fn guard(&self) -> Result<ProxyGuard, GuardError> {
        ProxyGuard::bind(self.create_client_id as *const ())
    }

    fn open(path: &Path) -> Result<Self, LoadError> {
        // SAFETY: loading runs the library's constructors; the operator vouches for the file by its
        // checksum, and libtdjson's constructors have no preconditions.
        let library = unsafe { libloading::Library::new(path) };
        let library =
            library.map_err(|source| LoadError::Open { path: path.to_owned(), source })?;
        let find = SymbolTable { library: &library, path };
        // SAFETY: the types are those that td_json_client.h of TDLib 1.8.61 declares.
        unsafe {
            Ok(Self {
                create_client_id: find.function("td_create_client_id")?,
                send: find.function("td_send")?,
                receive: find.function("td_receive")?,
                execute: find.function("td_execute")?,
                set_log_message_callback: find.function("td_set_log_message_callback")?,
                _handle: ManuallyDrop::new(library),
            })
        }
    }

    /// Runs a log setting request; it fails only if the library is not what it claims to be.
    fn configure(&self, request: &str) {
        let answer = CString::new(request).ok().and_then(|request| self.execute(&request));
        if answer.as_deref() != Some(r#"{"@type":"ok"}"#) {
            tracing::warn!("tdlib did not take a log setting");
        }
    }
}

/// Looks up functions of a loaded library.
struct SymbolTable<'a> {
    library: &'a libloading::Library,
    path: &'a Path,
}

impl SymbolTable<'_> {
    /// # Safety
    ///
    /// `F` must be the type of the function that `name` names.
    unsafe fn function<F: Copy>(&self, name: &'static str) -> Result<F, LoadError> {
        // SAFETY: the caller vouches for the type; the pointer outlives the borrowed symbol
        // because the library is never unloaded.
        let symbol = unsafe { self.library.get::<F>(name) };
        symbol
            .map(|symbol| *symbol)
            .map_err(|_| LoadError::NotTdlib { path: self.path.to_owned(), symbol: name })
    }
}

impl Tdjson for Library {
    fn create_client_id(&self) -> i32 {
        // SAFETY: the function has no preconditions.
        unsafe { (self.create_client_id)() }
    }

    fn send(&self, client_id: i32, request: &CStr) {
        // SAFETY: the request is NUL-terminated and copied before the call returns; any client id
        // may be given, an unknown one is answered with an error.
        unsafe { (self.send)(client_id, request.as_ptr()) }
    }

    fn receive(&self, timeout: Duration) -> Option<Vec<u8>> {
        let _alone = runtime::lock(&RECEIVING);
        // SAFETY: the lock excludes every other thread, and the text that the previous call
        // returned was copied while the lock was held.
        let text = unsafe { (self.receive)(timeout.as_secs_f64()) };
        // SAFETY: TDLib returns null or a NUL-terminated string that lives until this thread's
        // next call of a TDLib function; none comes before the copy.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes().to_vec())
    }

    fn execute(&self, request: &CStr) -> Option<String> {
        // SAFETY: the request is NUL-terminated and copied before the call returns.
        let text = unsafe { (self.execute)(request.as_ptr()) };
        // SAFETY: as in `receive`: null, or a string that lives until this thread's next call.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
    }

    fn set_log_message_callback(&self, max_level: i32, callback: LogCallback) {
        *runtime::write_lock(&LOG_CALLBACK) = Some(callback);
        // SAFETY: the callback is a function of this program, never unloaded, and calls no TDLib.
        unsafe { (self.set_log_message_callback)(max_level, Some(on_log_message)) }
    }
}

/// Runs on TDLib's threads, inside its logger; a panic must not cross into C.
extern "C" fn on_log_message(level: c_int, message: *const c_char) {
    let outcome = catch_unwind(|| {
        if message.is_null() {
            return;
        }
        // SAFETY: TDLib passes a NUL-terminated string that lives until this function returns.
        let message = unsafe { CStr::from_ptr(message) }.to_string_lossy();
        if let Some(callback) = &*runtime::read_lock(&LOG_CALLBACK) {
            callback(level, &message);
        }
    });
    // A panic cannot be reported: it happened in the logger itself.
    drop(outcome);
}
