use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`; a handler that panicked elsewhere does not take the data centre with it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
