//! Following logs: live, without gaps, each event once.

mod item;
mod task;

use contracts::AccountId;
use runtime::{OnFailure, Stage};
use tokio::sync::mpsc;

use crate::reader::LogReader;
use task::FollowTask;

pub use item::{FollowedItem, StartPosition};

/// Items that wait for the follower.
const QUEUED: usize = 256;

/// Yields the events of the followed accounts. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Follower {
    items: mpsc::Receiver<FollowedItem>,
}

impl Follower {
    /// The next event or gap; `None` when the log's stage has stopped.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is lost.
    pub async fn next(&mut self) -> Option<FollowedItem> {
        self.items.recv().await
    }
}

pub(crate) fn start(
    stage: &Stage,
    reader: LogReader,
    accounts: impl IntoIterator<Item = (AccountId, StartPosition)>,
) -> Follower {
    let (sender, items) = mpsc::channel(QUEUED);
    let task = FollowTask::new(reader, sender, accounts);
    let stop = stage.stopping();
    stage.spawn("follow", OnFailure::Log, async move {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = task.run() => {}
        }
        Ok(())
    });
    Follower { items }
}
