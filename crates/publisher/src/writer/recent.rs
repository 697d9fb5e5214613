//! The newest events that were stored, for a store that loses its tail.

use std::collections::{HashMap, VecDeque};

use contracts::{AccountId, EventId};

use crate::stored::Stored;

/// What is kept, in bytes of JSON over all accounts: a second and more of the busiest worker (AOF
/// `everysec` can lose one), and much longer for a quiet one.
const KEPT_BYTES: usize = 16 << 20;

/// Events in the order they were stored, all accounts together.
#[derive(Default)]
pub(super) struct Recent {
    events: VecDeque<Stored>,
    bytes: usize,
}

impl Recent {
    pub(super) fn push(&mut self, event: Stored) {
        self.bytes += event.json.len();
        self.events.push_back(event);
        while KEPT_BYTES < self.bytes
            && let Some(oldest) = self.events.pop_front()
        {
            self.bytes -= oldest.json.len();
        }
    }

    /// For each of `accounts` the kept events after the given one, in order.
    pub(super) fn after(
        &self,
        accounts: &HashMap<AccountId, Option<EventId>>,
    ) -> HashMap<AccountId, Vec<Stored>> {
        let mut missing: HashMap<_, Vec<_>> = HashMap::new();
        for event in &self.events {
            if accounts.get(&event.account).is_some_and(|last| *last < Some(event.id)) {
                missing.entry(event.account).or_default().push(event.clone());
            }
        }
        missing
    }
}
