//! Events to the bytes of a batch: one buffer for all of it.

use std::ops::Range;

use bytes::Bytes;
use contracts::{AccountId, Epoch, EventId};

use crate::store::{Act, Block, Call};
use crate::stored::Stored;
use crate::writer::flight::{Append, Cargo, Flight};

/// The batch under way.
#[derive(Default)]
pub(super) struct Encoder {
    buffer: Vec<u8>,
    drafts: Vec<Draft>,
}

/// One account's appends, encoded but for the buffer being whole.
struct Draft {
    account: AccountId,
    epoch: Epoch,
    known: bool,
    prev: Option<EventId>,
    appends: Vec<Append>,
    spans: Vec<(EventId, Range<usize>)>,
}

impl Encoder {
    /// Numbers and encodes one account's events after `prev`; they are all of `epoch`.
    pub(super) fn add(
        &mut self,
        account: AccountId,
        epoch: Epoch,
        prev: Option<EventId>,
        appends: Vec<Append>,
    ) {
        let known = appends.iter().any(|append| append.known);
        let mut last = prev;
        let mut spans = Vec::with_capacity(appends.len());
        for append in &appends {
            let id = following(last, epoch);
            let start = self.buffer.len();
            append.event.encode(id, last, &mut self.buffer);
            spans.push((id, start..self.buffer.len()));
            last = Some(id);
        }
        self.drafts.push(Draft { account, epoch, known, prev, appends, spans });
    }

    /// One call per account, all slices of one buffer.
    pub(super) fn finish(self) -> impl Iterator<Item = Flight> {
        let buffer = Bytes::from(self.buffer);
        self.drafts.into_iter().map(move |draft| draft.finish(&buffer))
    }
}

/// `n` counts by one within an epoch, from 1.
fn following(last: Option<EventId>, epoch: Epoch) -> EventId {
    match last {
        Some(last) if last.epoch == epoch => last.next(),
        _ => EventId::first(epoch),
    }
}

impl Draft {
    fn finish(self, buffer: &Bytes) -> Flight {
        let Self { account, epoch, known, prev, appends, spans } = self;
        let mut before = prev;
        let events = spans.into_iter().map(|(id, span)| {
            let prev = before.replace(id);
            Stored { account, id, prev, json: buffer.slice(span) }
        });
        let block = Block::new(prev, events.collect());
        let call = Call { account, epoch, known, act: Act::Append(block) };
        Flight { call, cargo: Cargo::Appends(appends) }
    }
}
