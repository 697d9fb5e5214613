use std::collections::{HashMap, VecDeque};

use contracts::{AccountId, EventId};

use crate::store::EventEntry;

/// Bytes of JSON kept for all accounts together: more than a second of the busiest worker's events
/// (AOF `everysec` can lose one second), and much more of a quiet one's.
const KEPT_BYTES: usize = 16 << 20;

/// The newest stored events of all accounts, in the order they were stored, with the commands they
/// completed: for a store that loses the end of a log.
#[derive(Default)]
pub(in crate::writer) struct RecentEvents {
    entries: VecDeque<EventEntry>,
    bytes: usize,
}

impl RecentEvents {
    pub(in crate::writer) fn push(&mut self, entry: EventEntry) {
        self.bytes += entry.event.json.len();
        self.entries.push_back(entry);
        while KEPT_BYTES < self.bytes
            && let Some(oldest) = self.entries.pop_front()
        {
            self.bytes -= oldest.event.json.len();
        }
    }

    /// The kept events after the given id of each account, in order.
    pub(in crate::writer) fn after(
        &self,
        accounts: &HashMap<AccountId, Option<EventId>>,
    ) -> HashMap<AccountId, Vec<EventEntry>> {
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
    use crate::stored::StoredEvent;

    fn event(account: AccountId, n: u64, bytes: usize) -> EventEntry {
        let id = EventId { epoch: Epoch(7), n };
        let event = StoredEvent { account, id, prev: None, json: Bytes::from(vec![b' '; bytes]) };
        EventEntry { event, at: 0, completion: None, audit: None }
    }

    #[test]
    fn the_oldest_events_are_dropped_when_the_space_is_used_up() {
        let [one, two] = [1, 2].map(|id| AccountId::new(id).unwrap());
        let mut recent = RecentEvents::default();
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
