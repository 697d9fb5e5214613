//! What a store that has lost its memory is sent again.

mod dispatches;
mod events;

pub(super) use dispatches::DispatchRecord;
pub(super) use events::RecentEvents;
