use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use runtime::CancellationToken;
use tracing::error;

use crate::log;
use crate::route_table::RouteTable;
use crate::tdjson::Tdjson;

/// Longest time that stopping takes while TDLib sends nothing.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(500);

/// Handle of the reader thread.
pub(crate) struct ReaderThread {
    pub(crate) routes: Arc<RouteTable>,
    pub(crate) stop: CancellationToken,
    pub(crate) ended: CancellationToken,
}

impl ReaderThread {
    /// Starts the thread; `failed` is cancelled if it panics.
    pub(crate) fn start(
        library: Arc<dyn Tdjson>,
        failed: CancellationToken,
    ) -> io::Result<Arc<Self>> {
        let reader = Arc::new(Self {
            routes: Arc::new(RouteTable::new()),
            stop: CancellationToken::new(),
            ended: CancellationToken::new(),
        });
        let routes = Arc::clone(&reader.routes);
        library.set_log_message_callback(
            log::MAX_LEVEL.into(),
            Arc::new(move |level, line| routes.log(level, line)),
        );
        let this = Arc::clone(&reader);
        thread::Builder::new().name("tdlib-reader".to_owned()).spawn(move || {
            let panicked = catch_unwind(AssertUnwindSafe(|| this.read(&*library))).is_err();
            this.routes.close_all();
            if panicked {
                error!("the tdlib reader has panicked");
                failed.cancel();
            }
            this.ended.cancel();
        })?;
        Ok(reader)
    }

    fn read(&self, library: &dyn Tdjson) {
        while !self.stop.is_cancelled() {
            if let Some(bytes) = library.receive(RECEIVE_TIMEOUT) {
                self.routes.deliver(bytes);
            }
        }
    }
}
