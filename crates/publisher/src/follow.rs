//! Following logs: live, gapless, each event once.

use std::collections::{HashMap, VecDeque};

use contracts::{AccountId, EventId};
use runtime::{OnFailure, Stage};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::backend::{Backend, Live};
use crate::error::ReadError;
use crate::store::retry_backoff;
use crate::stored::Stored;

/// Events read from the log at once.
const CHUNK: usize = 128;
/// Events that wait for the follower's reader.
const OUTBOX: usize = 256;

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the next event that is stored.
    Now,
    /// With the one that follows this.
    After(EventId),
    /// With the oldest that is kept.
    Beginning,
}

/// What a follower is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// The next event of its account.
    Event(Stored),
    /// Events between `after` and `next` are no longer in the log (trimmed, expired, or lost by
    /// Redis); `next` is the one that comes now.
    Gap {
        /// The account.
        account: AccountId,
        /// The last event before the gap.
        after: EventId,
        /// The first one behind it.
        next: EventId,
    },
}

/// Events of the followed accounts, as they come. Following ends when this is dropped.
#[derive(Debug)]
pub struct Follower {
    inbox: mpsc::Receiver<Followed>,
}

impl Follower {
    /// The next event or gap; `None` when the log's stage has stopped.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is lost.
    pub async fn next(&mut self) -> Option<Followed> {
        self.inbox.recv().await
    }
}

pub(crate) fn start(
    stage: &Stage,
    backend: Backend,
    accounts: impl IntoIterator<Item = (AccountId, Start)>,
) -> Follower {
    let (outbox, inbox) = mpsc::channel(OUTBOX);
    let cursors = accounts.into_iter().map(|(account, start)| (account, Cursor::new(start)));
    let task = Task { backend, outbox, cursors: cursors.collect(), behind: VecDeque::new() };
    let stop = stage.stopping();
    stage.spawn("follow", OnFailure::Log, async move {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = task.run() => {}
        }
        Ok(())
    });
    Follower { inbox }
}

struct Task {
    backend: Backend,
    outbox: mpsc::Sender<Followed>,
    cursors: HashMap<AccountId, Cursor>,
    /// Accounts whose next events are to be read from the log.
    behind: VecDeque<AccountId>,
}

struct Cursor {
    /// The last event that was given out, or that the reader has.
    last: Option<EventId>,
    start: Start,
    /// Stands in [`Task::behind`].
    behind: bool,
}

/// Why a round of following ended.
enum End {
    /// The reader is gone.
    Unwanted,
    /// The live subscription is.
    Lost,
    Read(ReadError),
}

impl Cursor {
    fn new(start: Start) -> Self {
        let last = match start {
            Start::After(id) => Some(id),
            Start::Now | Start::Beginning => None,
        };
        Self { last, start, behind: false }
    }

    /// Whether `event` comes right after the last one. An older `prev` means that Redis lost the
    /// tail of the log, which this follower has already seen.
    fn is_next(&self, event: &Stored) -> bool {
        match (event.prev, self.last) {
            (None, None) => true,
            (Some(prev), Some(last)) => prev <= last,
            _ => false,
        }
    }
}

impl Task {
    async fn run(mut self) {
        let mut backoff = retry_backoff();
        let mut reported = false;
        loop {
            let end = match self.attach().await {
                Ok(mut live) => {
                    backoff.reset();
                    if std::mem::take(&mut reported) {
                        info!(redis = self.backend.place(), "following again");
                    }
                    self.follow(&mut live).await
                }
                Err(error) => End::Read(error),
            };
            let error = match &end {
                End::Unwanted => return,
                End::Lost => "the subscription was closed".to_owned(),
                End::Read(error) => runtime::error_chain(error),
            };
            if !std::mem::replace(&mut reported, true) {
                warn!(redis = self.backend.place(), error, "cannot follow; trying again");
            }
            tokio::select! {
                () = self.outbox.closed() => return,
                () = sleep(backoff.next_delay()) => {}
            }
        }
    }

    /// Subscribes, and then marks every account to be read up to the present.
    async fn attach(&mut self) -> Result<Live, ReadError> {
        let accounts: Vec<_> = self.cursors.keys().copied().collect();
        let live = self.backend.subscribe(&accounts).await?;
        for account in accounts {
            let Some(cursor) = self.cursors.get_mut(&account) else { continue };
            if cursor.start == Start::Now {
                cursor.last = self.backend.newest(account).await?;
                cursor.start = cursor.last.map_or(Start::Beginning, Start::After);
            } else {
                self.fall_behind(account);
            }
        }
        Ok(live)
    }

    async fn follow(&mut self, live: &mut Live) -> End {
        loop {
            if let Some(account) = self.behind.pop_front() {
                if let Err(end) = self.catch_up(account, live).await {
                    return end;
                }
                continue;
            }
            let event = tokio::select! {
                biased;
                () = self.outbox.closed() => return End::Unwanted,
                event = live.next() => event,
            };
            let Some(event) = event else { return End::Lost };
            self.hear(event);
        }
    }

    /// Passes a live event on if it is the next one and the reader keeps up; else the log has it.
    fn hear(&mut self, event: Stored) {
        let account = event.account;
        let Some(cursor) = self.cursors.get_mut(&account) else { return };
        if Some(event.id) <= cursor.last {
            return;
        }
        let id = event.id;
        if !cursor.behind
            && cursor.is_next(&event)
            && self.outbox.try_send(Followed::Event(event)).is_ok()
        {
            cursor.last = Some(id);
        } else {
            self.fall_behind(account);
        }
    }

    fn fall_behind(&mut self, account: AccountId) {
        if let Some(cursor) = self.cursors.get_mut(&account)
            && !std::mem::replace(&mut cursor.behind, true)
        {
            self.behind.push_back(account);
        }
    }

    /// Gives out one chunk of the account's log; what comes meanwhile is heard after it.
    async fn catch_up(&mut self, account: AccountId, live: &mut Live) -> Result<(), End> {
        let Some(cursor) = self.cursors.get_mut(&account) else { return Ok(()) };
        cursor.behind = false;
        let from = cursor.last;
        let events = self.backend.read(account, from, CHUNK).await.map_err(End::Read)?;
        if events.len() == CHUNK {
            self.fall_behind(account);
        }
        for event in events {
            self.give(event, live).await?;
        }
        Ok(())
    }

    async fn give(&mut self, event: Stored, live: &mut Live) -> Result<(), End> {
        let (account, id) = (event.account, event.id);
        let Some(cursor) = self.cursors.get(&account) else { return Ok(()) };
        if let Some(after) = cursor.last
            && !cursor.is_next(&event)
        {
            let prev = event.prev;
            self.send(Followed::Gap { account, after, next: id }, live).await?;
            self.moved(account, prev);
        }
        self.send(Followed::Event(event), live).await?;
        self.moved(account, Some(id));
        Ok(())
    }

    fn moved(&mut self, account: AccountId, last: Option<EventId>) {
        if let Some(cursor) = self.cursors.get_mut(&account) {
            cursor.last = last;
        }
    }

    /// Waits for the reader. Live events that come meanwhile are let go: the log has them.
    async fn send(&mut self, item: Followed, live: &mut Live) -> Result<(), End> {
        let outbox = self.outbox.clone();
        loop {
            let event = tokio::select! {
                biased;
                permit = outbox.reserve() => {
                    permit.map_err(|_| End::Unwanted)?.send(item);
                    return Ok(());
                }
                event = live.next() => event,
            };
            self.fall_behind(event.ok_or(End::Lost)?.account);
        }
    }
}
