use std::collections::VecDeque;

/// Tracks which deliveries of one channel can be acknowledged.
///
/// Tags count from 1 within a channel. Settled deliveries without a gap before them are acknowledged
/// together by the last tag. Those behind a gap wait for it to close, until half the prefetch is
/// waiting: then each is acknowledged alone, so that one slow delivery does not block the queue.
pub(crate) struct AckTracker {
    /// Tag of the first entry of `states`.
    first: u64,
    states: VecDeque<AckState>,
    /// Entries that are settled and not acknowledged.
    waiting: usize,
    /// With this many waiting, each is acknowledged alone.
    max_waiting: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AckState {
    Unsettled,
    Settled,
    Acknowledged,
}

/// What to acknowledge now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct AckBatch {
    /// Everything unacknowledged up to and including this tag. The tag itself is always
    /// unacknowledged: RabbitMQ closes the channel on a tag that it no longer knows.
    pub(crate) up_to: Option<u64>,
    /// Each of these alone.
    pub(crate) single: Vec<u64>,
}

impl AckTracker {
    pub(crate) fn new(prefetch: u16) -> Self {
        let max_waiting = usize::from(prefetch).div_ceil(2);
        Self { first: 1, states: VecDeque::new(), waiting: 0, max_waiting }
    }

    /// Marks a delivery as settled.
    pub(crate) fn settled(&mut self, tag: u64) {
        let Some(index) = tag.checked_sub(self.first).and_then(|index| usize::try_from(index).ok())
        else {
            return;
        };
        if self.states.len() <= index {
            self.states.resize(index + 1, AckState::Unsettled);
        }
        if self.states[index] == AckState::Unsettled {
            self.states[index] = AckState::Settled;
            self.waiting += 1;
        }
    }

    /// What can be acknowledged now; from here on it counts as acknowledged.
    pub(crate) fn take(&mut self) -> AckBatch {
        let mut acks = AckBatch::default();
        while let Some(state) = self.states.pop_front_if(|state| *state != AckState::Unsettled) {
            if state == AckState::Settled {
                acks.up_to = Some(self.first);
                self.waiting -= 1;
            }
            self.first += 1;
        }
        if self.max_waiting <= self.waiting {
            for (tag, state) in (self.first..).zip(&mut self.states) {
                if *state == AckState::Settled {
                    *state = AckState::Acknowledged;
                    acks.single.push(tag);
                }
            }
            self.waiting = 0;
        }
        acks
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn tracker(prefetch: u16, settled: &[u64]) -> (AckTracker, AckBatch) {
        let mut tracker = AckTracker::new(prefetch);
        for tag in settled {
            tracker.settled(*tag);
        }
        let acks = tracker.take();
        (tracker, acks)
    }

    #[test]
    fn a_prefix_without_gaps_is_one_acknowledgement() {
        let (mut tracker, acks) = tracker(256, &[2, 1, 3, 5]);
        assert_eq!(acks, AckBatch { up_to: Some(3), single: vec![] });
        tracker.settled(4);
        assert_eq!(tracker.take(), AckBatch { up_to: Some(5), single: vec![] });
        assert_eq!(tracker.take(), AckBatch::default());
    }

    #[test]
    fn half_the_prefetch_behind_a_gap_is_acknowledged_one_by_one() {
        let (mut tracker, acks) = tracker(4, &[2, 4]);
        assert_eq!(acks, AckBatch { up_to: None, single: vec![2, 4] });
        tracker.settled(3);
        tracker.settled(1);
        assert_eq!(tracker.take(), AckBatch { up_to: Some(3), single: vec![] });
    }

    #[test]
    fn a_tag_acknowledged_alone_is_never_named_again() {
        let (mut tracker, _) = tracker(2, &[2]);
        tracker.settled(1);
        assert_eq!(tracker.take(), AckBatch { up_to: Some(1), single: vec![] });
        tracker.settled(3);
        assert_eq!(tracker.take(), AckBatch { up_to: Some(3), single: vec![] });
    }

    proptest! {
        /// Checked against RabbitMQ's own bookkeeping: whatever the order and the batches, every
        /// settled delivery is acknowledged once, no unsettled one ever is, and no tag is named that
        /// RabbitMQ no longer knows.
        #[test]
        fn rabbitmq_accepts_every_acknowledgement(
            prefetch in 1_u16..40,
            order in Just((1_u64..=60).collect::<Vec<_>>()).prop_shuffle(),
            batches in prop::collection::vec(1_usize..9, 60),
        ) {
            let mut tracker = AckTracker::new(prefetch);
            let mut unacked: BTreeSet<u64> = (1..=60).collect();
            let mut settled = BTreeSet::new();
            let mut tags = order.into_iter();
            for batch in batches {
                for tag in tags.by_ref().take(batch) {
                    tracker.settled(tag);
                    settled.insert(tag);
                }
                let acks = tracker.take();
                if let Some(up_to) = acks.up_to {
                    prop_assert!(unacked.contains(&up_to));
                    let rest = unacked.split_off(&(up_to + 1));
                    prop_assert!(unacked.is_subset(&settled));
                    unacked = rest;
                }
                for tag in acks.single {
                    prop_assert!(unacked.remove(&tag) && settled.contains(&tag));
                }
                let waiting = unacked.intersection(&settled).count();
                prop_assert!(waiting < usize::from(prefetch).div_ceil(2));
            }
            prop_assert!(unacked.is_empty());
        }
    }
}
