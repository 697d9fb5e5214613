use std::sync::{Arc, Mutex, PoisonError};

/// A value that its sender can withdraw until its receiver takes it: exactly one of them gets it.
///
/// The publish task takes messages to send them; a caller that times out or is dropped withdraws
/// them, and then knows that nothing was sent.
pub(super) struct Withdrawable<T>(Arc<Mutex<Option<T>>>);

/// The sender's end; withdraws the value when dropped.
pub(super) struct Withdrawal<T>(Arc<Mutex<Option<T>>>);

impl<T> Withdrawable<T> {
    pub(super) fn new(value: T) -> (Self, Withdrawal<T>) {
        let shared = Arc::new(Mutex::new(Some(value)));
        (Self(Arc::clone(&shared)), Withdrawal(shared))
    }

    /// The value; `None` if it was withdrawn.
    pub(super) fn take(self) -> Option<T> {
        take(&self.0)
    }
}

impl<T> Withdrawal<T> {
    /// Whether the value had not been taken; it never will be now.
    pub(super) fn withdraw(&self) -> bool {
        take(&self.0).is_some()
    }
}

impl<T> Drop for Withdrawal<T> {
    fn drop(&mut self) {
        self.withdraw();
    }
}

fn take<T>(shared: &Mutex<Option<T>>) -> Option<T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner).take()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_value_cannot_be_withdrawn() {
        let (value, withdrawal) = Withdrawable::new(7);
        assert_eq!(value.take(), Some(7));
        assert!(!withdrawal.withdraw());
    }

    #[test]
    fn a_withdrawn_value_cannot_be_taken() {
        let (value, withdrawal) = Withdrawable::new(7);
        assert!(withdrawal.withdraw());
        assert!(!withdrawal.withdraw());
        assert_eq!(value.take(), None);
    }

    #[test]
    fn a_dropped_withdrawal_withdraws() {
        let (value, withdrawal) = Withdrawable::new(7);
        drop(withdrawal);
        assert_eq!(value.take(), None);
    }
}
