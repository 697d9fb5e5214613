//! The newest events that were stored, and what they settled, for a store that loses its tail.

use std::collections::{HashMap, VecDeque};

use contracts::{AccountId, EventId};

use crate::store::Entry;

/// What is kept, in bytes of JSON over all accounts: a second and more of the busiest worker (AOF
/// `everysec` can lose one), and much longer for a quiet one.
const KEPT_BYTES: usize = 16 << 20;

/// Events in the order they were stored, all accounts together.
#[derive(Default)]
pub(super) struct Recent {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Recent {
    pub(super) fn push(&mut self, entry: Entry) {
        self.bytes += entry.event.json.len();
        self.entries.push_back(entry);
        while KEPT_BYTES < self.bytes
            && let Some(oldest) = self.entries.pop_front()
        {
            self.bytes -= oldest.event.json.len();
        }
    }

    /// For each of `accounts` the kept events after the given one, in order.
    pub(super) fn after(
        &self,
        accounts: &HashMap<AccountId, Option<EventId>>,
    ) -> HashMap<AccountId, Vec<Entry>> {
        let mut missing: HashMap<_, Vec<_>> = HashMap::new();
        for entry in &self.entries {
            let event = &entry.event;
            if accounts.get(&event.account).is_some_and(|last| *last < Some(event.id)) {
                missing.entry(event.account).or_default().push(entry.clone());
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
    use crate::stored::Stored;

    fn event(account: AccountId, n: u64, bytes: usize) -> Entry {
        let id = EventId { epoch: Epoch(7), n };
        let event = Stored { account, id, prev: None, json: Bytes::from(vec![b' '; bytes]) };
        Entry { event, at: 0, completion: None }
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
        assert_eq!(
            missing[&one].iter().map(|entry| entry.event.id.n).collect::<Vec<_>>(),
            [19, 20]
        );
        let all = recent.after(&HashMap::from([(one, None), (two, None)]));
        assert_eq!((all[&one].len(), all[&two].len()), (15, 1));
    }
}
