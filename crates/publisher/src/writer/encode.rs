//! Events to the bytes of a batch: one buffer for all of it.

use std::ops::Range;

use bytes::Bytes;
use contracts::{AccountId, Epoch, EventId};

use crate::store::{Act, Block, Call, Entry};
use crate::stored::Stored;
use crate::writer::account::Run;
use crate::writer::flight::{Flight, Task};

/// The batch under way.
#[derive(Default)]
pub(super) struct Encoder {
    buffer: Vec<u8>,
    drafts: Vec<Draft>,
}

/// One account's appends, encoded but for the buffer being whole.
struct Draft {
    account: AccountId,
    run: Run,
    drop_before: Option<i64>,
    spans: Vec<(EventId, Range<usize>)>,
}

impl Encoder {
    /// Numbers and encodes one account's events after the last one; the tasks are all appends.
    pub(super) fn add(&mut self, account: AccountId, run: Run, drop_before: Option<i64>) {
        let mut last = run.last;
        let mut spans = Vec::with_capacity(run.tasks.len());
        for task in &run.tasks {
            let Task::Append(append) = task else { continue };
            let id = following(last, run.epoch);
            let start = self.buffer.len();
            append.event.encode(id, last, &mut self.buffer);
            spans.push((id, start..self.buffer.len()));
            last = Some(id);
        }
        self.drafts.push(Draft { account, run, drop_before, spans });
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
        let Self { account, run, drop_before, spans } = self;
        let Run { epoch, served, last, tasks } = run;
        let mut before = last;
        let entries = spans.into_iter().zip(&tasks).filter_map(|((id, span), task)| {
            let Task::Append(append) = task else { return None };
            let prev = before.replace(id);
            Some(Entry {
                event: Stored { account, id, prev, json: buffer.slice(span) },
                at: append.event.meta.occurred_at.as_millisecond(),
                completion: append.completion.clone(),
            })
        });
        let block = Block { drop_before, ..Block::new(entries.collect()) };
        Flight { call: Call { account, epoch, served, last, act: Act::Append(block) }, tasks }
    }
}
