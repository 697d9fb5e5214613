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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use contracts::Epoch;

    use super::*;

    fn event(account: AccountId, n: u64, bytes: usize) -> Stored {
        let id = EventId { epoch: Epoch(7), n };
        Stored { account, id, prev: None, json: Bytes::from(vec![b' '; bytes]) }
    }

    #[test]
    fn the_oldest_go_when_the_space_is_used_up() {
        let [one, two] = [1, 2].map(|id| AccountId::new(id).unwrap());
        let mut recent = Recent::default();
        for n in 1..=20 {
            recent.push(event(one, n, 1 << 20));
        }
        recent.push(event(two, 1, 1));
        let last = Some(EventId { epoch: Epoch(7), n: 18 });
        let missing = recent.after(&HashMap::from([(one, last)]));
        assert_eq!(missing.keys().collect::<Vec<_>>(), [&one]);
        assert_eq!(missing[&one].iter().map(|event| event.id.n).collect::<Vec<_>>(), [19, 20]);
        let all = recent.after(&HashMap::from([(one, None), (two, None)]));
        assert_eq!((all[&one].len(), all[&two].len()), (15, 1));
    }
}
