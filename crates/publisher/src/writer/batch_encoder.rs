use std::ops::Range;

use bytes::Bytes;
use contracts::{AccountId, AuditEntry, Epoch, EventId};

use crate::store::{EventBatch, EventEntry, StoreOperation, StoreRequest};
use crate::stored::StoredEvent;
use crate::writer::batch_call::BatchCall;
use crate::writer::task::{AppendTask, WriterTask};
use crate::writer::task_batch::TaskBatch;

/// Numbers and encodes the events of one round trip, all accounts in one buffer.
#[derive(Default)]
pub(super) struct BatchEncoder {
    buffer: Vec<u8>,
    drafts: Vec<DraftBatch>,
}

/// One account's appends; the encoded events are in the encoder's buffer.
struct DraftBatch {
    account: AccountId,
    batch: TaskBatch,
    drop_before: Option<i64>,
    spans: Vec<(EventId, Range<usize>)>,
}

impl BatchEncoder {
    /// Numbers and encodes one account's events after the last one; the tasks are all appends.
    pub(super) fn add(&mut self, account: AccountId, batch: TaskBatch, drop_before: Option<i64>) {
        let (mut last, occupied) = (batch.last, batch.occupied);
        let mut spans = Vec::with_capacity(batch.tasks.len());
        for task in &batch.tasks {
            let WriterTask::Append(append) = task else { continue };
            let id = following(last.max(occupied), batch.epoch);
            let start = self.buffer.len();
            append.event.encode(id, last, &mut self.buffer);
            spans.push((id, start..self.buffer.len()));
            last = Some(id);
        }
        self.drafts.push(DraftBatch { account, batch, drop_before, spans });
    }

    /// One call per account, all slices of one buffer.
    pub(super) fn finish(self) -> impl Iterator<Item = BatchCall> {
        let buffer = Bytes::from(self.buffer);
        self.drafts.into_iter().map(move |draft| draft.finish(&buffer))
    }
}

/// The JSON of an answer's entry in the audit stream.
fn audit_entry(append: &AppendTask, id: EventId) -> Option<Box<str>> {
    let digest = append.completion.as_ref().map(|one| one.fingerprint.to_string());
    let entry = AuditEntry::of(&append.event, id, digest)?;
    serde_json::to_string(&entry).ok().map(String::into_boxed_str)
}

/// `n` counts by one within an epoch, from 1. An id that no worker wrote may have a newer epoch than
/// any owner, which then goes on.
fn following(largest: Option<EventId>, epoch: Epoch) -> EventId {
    match largest {
        Some(largest) if epoch <= largest.epoch => largest.next(),
        _ => EventId::first(epoch),
    }
}

impl DraftBatch {
    fn finish(self, buffer: &Bytes) -> BatchCall {
        let Self { account, batch, drop_before, spans } = self;
        let TaskBatch { epoch, served, last, tasks, .. } = batch;
        let mut before = last;
        let entries = spans.into_iter().zip(&tasks).filter_map(|((id, span), task)| {
            let WriterTask::Append(append) = task else { return None };
            let prev = before.replace(id);
            Some(EventEntry {
                event: StoredEvent { account, id, prev, json: buffer.slice(span) },
                at: append.event.meta.occurred_at.as_millisecond(),
                completion: append.completion.clone(),
                audit: audit_entry(append, id),
            })
        });
        let events = EventBatch { drop_before, ..EventBatch::new(entries.collect()) };
        let operation = StoreOperation::Append(events);
        BatchCall { request: StoreRequest { account, epoch, served, last, operation }, tasks }
    }
}
