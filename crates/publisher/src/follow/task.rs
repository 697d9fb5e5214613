use std::collections::{HashMap, VecDeque};
use std::mem;

use contracts::{AccountId, EventId};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::error::ReadError;
use crate::follow::item::{FollowedItem, StartPosition};
use crate::reader::{LiveSubscription, LogReader};
use crate::store::retry_backoff;
use crate::stored::StoredEvent;

/// Events read from the log at once.
const CHUNK: usize = 128;

/// Sends the events of the followed accounts to their [`Follower`](crate::Follower).
pub(super) struct FollowTask {
    reader: LogReader,
    items: mpsc::Sender<FollowedItem>,
    cursors: HashMap<AccountId, AccountCursor>,
    /// Accounts whose next events must be read from the log.
    behind: VecDeque<AccountId>,
}

struct AccountCursor {
    /// The last event that was sent, or that the follower has from before.
    last: Option<EventId>,
    start: StartPosition,
    /// It is in [`FollowTask::behind`].
    behind: bool,
}

/// Why a round of following ended.
enum FollowEnd {
    /// The follower was dropped.
    Dropped,
    /// The live subscription was lost.
    SubscriptionLost,
    Read(ReadError),
}

impl AccountCursor {
    fn new(start: StartPosition) -> Self {
        let last = match start {
            StartPosition::After(id) => Some(id),
            StartPosition::Now | StartPosition::Beginning => None,
        };
        Self { last, start, behind: false }
    }

    /// Whether `event` follows the last one directly. An older `prev` means that Redis has lost the
    /// end of the log, which this follower has already seen.
    fn is_next(&self, event: &StoredEvent) -> bool {
        match (event.prev, self.last) {
            (None, None) => true,
            (Some(prev), Some(last)) => prev <= last,
            _ => false,
        }
    }
}

impl FollowTask {
    pub(super) fn new(
        reader: LogReader,
        items: mpsc::Sender<FollowedItem>,
        accounts: impl IntoIterator<Item = (AccountId, StartPosition)>,
    ) -> Self {
        let accounts = accounts.into_iter();
        let cursors = accounts.map(|(account, start)| (account, AccountCursor::new(start)));
        Self { reader, items, cursors: cursors.collect(), behind: VecDeque::new() }
    }

    pub(super) async fn run(mut self) {
        let mut backoff = retry_backoff();
        let mut outage_logged = false;
        loop {
            let end = match self.attach().await {
                Ok(mut live) => {
                    backoff.reset();
                    if mem::take(&mut outage_logged) {
                        info!(redis = self.reader.endpoint(), "following the event log again");
                    }
                    self.follow(&mut live).await
                }
                Err(error) => FollowEnd::Read(error),
            };
            let error = match &end {
                FollowEnd::Dropped => return,
                FollowEnd::SubscriptionLost => "the subscription was closed".to_owned(),
                FollowEnd::Read(error) => runtime::error_chain(error),
            };
            if !mem::replace(&mut outage_logged, true) {
                warn!(
                    redis = self.reader.endpoint(),
                    error, "cannot follow the event log; retrying"
                );
            }
            tokio::select! {
                () = self.items.closed() => return,
                () = sleep(backoff.next_delay()) => {}
            }
        }
    }

    /// Subscribes, and then marks every account as behind, so that its log is read up to now.
    async fn attach(&mut self) -> Result<LiveSubscription, ReadError> {
        let accounts: Vec<_> = self.cursors.keys().copied().collect();
        let live = self.reader.subscribe(&accounts).await?;
        for account in accounts {
            let Some(cursor) = self.cursors.get_mut(&account) else { continue };
            if cursor.start == StartPosition::Now {
                cursor.last = self.reader.newest(account).await?;
                cursor.start = cursor.last.map_or(StartPosition::Beginning, StartPosition::After);
            } else {
                self.mark_behind(account);
            }
        }
        Ok(live)
    }

    async fn follow(&mut self, live: &mut LiveSubscription) -> FollowEnd {
        loop {
            if let Some(account) = self.behind.pop_front() {
                if let Err(end) = self.catch_up(account, live).await {
                    return end;
                }
                continue;
            }
            let event = tokio::select! {
                biased;
                () = self.items.closed() => return FollowEnd::Dropped,
                event = live.next() => event,
            };
            let Some(event) = event else { return FollowEnd::SubscriptionLost };
            self.receive(event);
        }
    }

    /// Forwards a live event if it is the next one and the follower keeps up; otherwise it is read
    /// from the log.
    fn receive(&mut self, event: StoredEvent) {
        let account = event.account;
        let Some(cursor) = self.cursors.get_mut(&account) else { return };
        if Some(event.id) <= cursor.last {
            return;
        }
        let id = event.id;
        if !cursor.behind
            && cursor.is_next(&event)
            && self.items.try_send(FollowedItem::Event(event)).is_ok()
        {
            cursor.last = Some(id);
        } else {
            self.mark_behind(account);
        }
    }

    fn mark_behind(&mut self, account: AccountId) {
        if let Some(cursor) = self.cursors.get_mut(&account)
            && !mem::replace(&mut cursor.behind, true)
        {
            self.behind.push_back(account);
        }
    }

    /// Sends one chunk of the account's log; live events that arrive meanwhile are received after it.
    async fn catch_up(
        &mut self,
        account: AccountId,
        live: &mut LiveSubscription,
    ) -> Result<(), FollowEnd> {
        let Some(cursor) = self.cursors.get_mut(&account) else { return Ok(()) };
        cursor.behind = false;
        let from = cursor.last;
        let events = self.reader.read(account, from, CHUNK).await.map_err(FollowEnd::Read)?;
        if events.len() == CHUNK {
            self.mark_behind(account);
        }
        for event in events {
            self.send_event(event, live).await?;
        }
        Ok(())
    }

    async fn send_event(
        &mut self,
        event: StoredEvent,
        live: &mut LiveSubscription,
    ) -> Result<(), FollowEnd> {
        let (account, id) = (event.account, event.id);
        let Some(cursor) = self.cursors.get(&account) else { return Ok(()) };
        if let Some(after) = cursor.last
            && !cursor.is_next(&event)
        {
            let prev = event.prev;
            self.send(FollowedItem::Gap { account, after, next: id }, live).await?;
            self.advance(account, prev);
        }
        self.send(FollowedItem::Event(event), live).await?;
        self.advance(account, Some(id));
        Ok(())
    }

    fn advance(&mut self, account: AccountId, last: Option<EventId>) {
        if let Some(cursor) = self.cursors.get_mut(&account) {
            cursor.last = last;
        }
    }

    /// Waits until the follower has room. Live events that arrive meanwhile are skipped: the log has
    /// them.
    async fn send(
        &mut self,
        item: FollowedItem,
        live: &mut LiveSubscription,
    ) -> Result<(), FollowEnd> {
        let items = self.items.clone();
        loop {
            let event = tokio::select! {
                biased;
                permit = items.reserve() => {
                    permit.map_err(|_| FollowEnd::Dropped)?.send(item);
                    return Ok(());
                }
                event = live.next() => event,
            };
            self.mark_behind(event.ok_or(FollowEnd::SubscriptionLost)?.account);
        }
    }
}
