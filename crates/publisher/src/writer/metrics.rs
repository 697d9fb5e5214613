//! The writer's counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Shared by the writer and the handles.
#[derive(Clone, Debug, Default)]
pub(crate) struct WriterMetrics(Arc<MetricCells>);

#[derive(Debug, Default)]
struct MetricCells {
    queued: AtomicUsize,
    stored: AtomicU64,
    unheard: AtomicU64,
    restored: AtomicU64,
    foreign: AtomicU64,
}

impl WriterMetrics {
    pub(crate) fn queue_one(&self) {
        self.0.queued.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unqueue_one(&self) {
        self.0.queued.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn add_stored(&self, events: usize, unheard: u64) {
        self.0.stored.fetch_add(events as u64, Ordering::Relaxed);
        self.0.unheard.fetch_add(unheard, Ordering::Relaxed);
    }

    pub(crate) fn add_restored(&self, events: usize) {
        self.0.restored.fetch_add(events as u64, Ordering::Relaxed);
    }

    pub(crate) fn add_foreign(&self, entries: usize) {
        self.0.foreign.fetch_add(entries as u64, Ordering::Relaxed);
    }

    pub(crate) fn queued(&self) -> usize {
        self.0.queued.load(Ordering::Relaxed)
    }

    pub(crate) fn stored(&self) -> u64 {
        self.0.stored.load(Ordering::Relaxed)
    }

    pub(crate) fn unheard(&self) -> u64 {
        self.0.unheard.load(Ordering::Relaxed)
    }

    pub(crate) fn restored(&self) -> u64 {
        self.0.restored.load(Ordering::Relaxed)
    }

    pub(crate) fn foreign(&self) -> u64 {
        self.0.foreign.load(Ordering::Relaxed)
    }
}
