use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Locks `mutex`, even after a thread panicked while holding it.
///
/// For data that every critical section leaves consistent at each step: one task's panic then does
/// not spread to the others.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks `rw_lock` for reading; poisoning is ignored, as in [`lock`].
pub fn read_lock<T>(rw_lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    rw_lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Locks `rw_lock` for writing; poisoning is ignored, as in [`lock`].
pub fn write_lock<T>(rw_lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    rw_lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn a_panic_under_the_lock_does_not_lock_others_out() {
        let mutex = Mutex::new(1);
        catch_unwind(AssertUnwindSafe(|| {
            let _guard = lock(&mutex);
            panic!("out of cheese");
        }))
        .unwrap_err();
        assert_eq!(*lock(&mutex), 1);
    }
}
