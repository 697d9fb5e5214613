use std::collections::VecDeque;

/// Which deliveries of one channel may be acknowledged.
///
/// Tags count from 1 within a channel. What is done from the front on without a gap is acknowledged
/// at once by its last tag; what is done behind a gap waits for the gap to close, until half the
/// prefetch waits: then each is acknowledged singly, so that one slow delivery does not hold up the
/// queue.
pub(crate) struct Window {
    /// Tag of the first entry of `states`.
    first: u64,
    states: VecDeque<State>,
    /// Entries that are done and not acknowledged.
    waiting: usize,
    /// So many of them are acknowledged singly.
    patience: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Done,
    Acknowledged,
}

/// What is to be acknowledged now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Acks {
    /// Everything up to this tag that is not acknowledged. The tag itself never is: RabbitMQ closes
    /// the channel on one that it does not know any more.
    pub(crate) up_to: Option<u64>,
    /// Each of these, alone.
    pub(crate) single: Vec<u64>,
}

impl Window {
    pub(crate) fn new(prefetch: u16) -> Self {
        let patience = usize::from(prefetch).div_ceil(2);
        Self { first: 1, states: VecDeque::new(), waiting: 0, patience }
    }

    /// The delivery is settled.
    pub(crate) fn done(&mut self, tag: u64) {
        let Some(index) = tag.checked_sub(self.first).and_then(|index| usize::try_from(index).ok())
        else {
            return;
        };
        if self.states.len() <= index {
            self.states.resize(index + 1, State::Open);
        }
        if self.states[index] == State::Open {
            self.states[index] = State::Done;
            self.waiting += 1;
        }
    }

    /// What is to be acknowledged after all that was done; it counts as acknowledged from now on.
    pub(crate) fn take(&mut self) -> Acks {
        let mut acks = Acks::default();
        while let Some(state) = self.states.pop_front_if(|state| *state != State::Open) {
            if state == State::Done {
                acks.up_to = Some(self.first);
                self.waiting -= 1;
            }
            self.first += 1;
        }
        if self.patience <= self.waiting {
            for (tag, state) in (self.first..).zip(&mut self.states) {
                if *state == State::Done {
                    *state = State::Acknowledged;
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

    fn window(prefetch: u16, done: &[u64]) -> (Window, Acks) {
        let mut window = Window::new(prefetch);
        for tag in done {
            window.done(*tag);
        }
        let acks = window.take();
        (window, acks)
    }

    #[test]
    fn the_prefix_without_a_gap_is_one_acknowledgement() {
        let (mut window, acks) = window(256, &[2, 1, 3, 5]);
        assert_eq!(acks, Acks { up_to: Some(3), single: vec![] });
        window.done(4);
        assert_eq!(window.take(), Acks { up_to: Some(5), single: vec![] });
        assert_eq!(window.take(), Acks::default());
    }

    #[test]
    fn half_the_prefetch_behind_one_delivery_is_acknowledged_singly() {
        let (mut window, acks) = window(4, &[2, 4]);
        assert_eq!(acks, Acks { up_to: None, single: vec![2, 4] });
        window.done(3);
        window.done(1);
        assert_eq!(window.take(), Acks { up_to: Some(3), single: vec![] });
    }

    #[test]
    fn a_tag_that_was_acknowledged_singly_is_never_named_again() {
        let (mut window, _) = window(2, &[2]);
        window.done(1);
        assert_eq!(window.take(), Acks { up_to: Some(1), single: vec![] });
        window.done(3);
        assert_eq!(window.take(), Acks { up_to: Some(3), single: vec![] });
    }

    proptest! {
        /// Against RabbitMQ's own book-keeping: whatever the order and the batches, every settled
        /// delivery is acknowledged once, nothing unsettled ever is, and no tag is named that
        /// RabbitMQ does not know any more.
        #[test]
        fn rabbitmq_would_accept_every_acknowledgement(
            prefetch in 1_u16..40,
            order in Just((1_u64..=60).collect::<Vec<_>>()).prop_shuffle(),
            batches in prop::collection::vec(1_usize..9, 60),
        ) {
            let mut window = Window::new(prefetch);
            let mut unacked: BTreeSet<u64> = (1..=60).collect();
            let mut settled = BTreeSet::new();
            let mut tags = order.into_iter();
            for batch in batches {
                for tag in tags.by_ref().take(batch) {
                    window.done(tag);
                    settled.insert(tag);
                }
                let acks = window.take();
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
