//! Messages on their way, and what Redis does with them.

use super::config::{BrokenRule, ModelConfig, TIMES};
use super::state::{CompactRecord, ModelMessage, ModelRequest, ModelState, ProcessPhase, moment};
use crate::rules::may_renew;

/// A message gets one hop further. One that never does is lost.
pub(super) fn advance(state: &ModelState, at: usize, config: ModelConfig) -> ModelState {
    let mut state = state.clone();
    let message = state.messages.remove(at);
    if let Some(accepted) = message.answer {
        receive(&mut state, message, accepted, config);
    } else {
        let accepted = message.expires_in > 0 && apply(&mut state, message.request, config);
        if message.awaited {
            state.messages.push(ModelMessage { answer: Some(accepted), ..message });
        }
    }
    state
}

/// What the scripts do. Returns whether the request was accepted.
fn apply(state: &mut ModelState, request: ModelRequest, config: ModelConfig) -> bool {
    let known = state.record.map(CompactRecord::expand);
    let written = match request {
        ModelRequest::Acquire { expected, record } => {
            let same = expected == state.record;
            (same || config.breaks(BrokenRule::AcquireDoesNotCompare)).then_some(record)
        }
        ModelRequest::Renew { record } => {
            let owner = record.owner.to_string();
            may_renew(known.as_ref(), &owner, record.epoch.into()).then_some(record)
        }
        ModelRequest::Free { owner, epoch } => state
            .record
            .filter(|known| known.owner == owner && known.epoch == epoch)
            .map(|known| CompactRecord { owner: 0, heartbeat: known.heartbeat + 1, ..known }),
    };
    if let Some(record) = written {
        keep_distinct(state, record);
        state.record = Some(record);
    }
    written.is_some()
}

/// Real heartbeat numbers start with the time, so that no two records are equal, although they may
/// be here. A process that has seen an equal record before must not mistake this one for it.
fn keep_distinct(state: &mut ModelState, record: CompactRecord) {
    for process in &mut state.processes {
        process.seen = process.seen.filter(|(seen, _)| *seen != Some(record));
    }
    for message in &mut state.messages {
        if let ModelRequest::Acquire { expected, .. } = message.request
            && expected == Some(record)
        {
            message.expires_in = 0;
        }
    }
}

fn receive(state: &mut ModelState, message: ModelMessage, accepted: bool, config: ModelConfig) {
    let process = &mut state.processes[message.from];
    let from_answer = config.breaks(BrokenRule::OwnerCountsFromAnswer);
    let age = if from_answer { 0 } else { message.age };
    match (message.request, process.phase) {
        (ModelRequest::Acquire { record, .. }, ProcessPhase::Acquiring) if accepted => {
            // An answer that arrives when the lease is about to end opens nothing.
            if moment(age) >= TIMES.closes_at(moment(0)) {
                process.phase = ProcessPhase::Idle;
                return;
            }
            process.phase = ProcessPhase::Open { epoch: record.epoch, heartbeat: 0, age };
            state.file = record.epoch;
            state.openings += 1;
            if record.epoch <= state.epoch {
                state.violation = Some("the epoch does not grow");
            }
            state.epoch = record.epoch;
        }
        (ModelRequest::Acquire { .. }, ProcessPhase::Acquiring) => {
            process.phase = ProcessPhase::Idle;
        }
        (ModelRequest::Renew { .. }, ProcessPhase::Open { epoch, heartbeat, .. }) if accepted => {
            process.phase = ProcessPhase::Open { epoch, heartbeat, age };
        }
        _ => {}
    }
}
