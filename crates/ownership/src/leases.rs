//! Leases kept in Redis: the handle of the task that takes, renews and releases them.

mod held;
mod plan;
mod sight;
mod take;
mod task;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use contracts::Shard;
use runtime::{OnFailure, Stage};
use rustix::system::uname;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use uuid::Uuid;

use crate::error::Error;
use crate::files::{Files, Locked};
use crate::guard::Tenures;
use crate::leases::held::Held;
use crate::leases::plan::Planner;
use crate::leases::sight::Sight;
use crate::leases::task::{State, Task};
use crate::record::{Record, json};
use crate::redis::{Link, Write};
use crate::rules::Times;
use crate::{Change, LeaseConfig};

/// Longest wait until the others know that this worker leaves.
const LEAVING: Duration = Duration::from_secs(1);

/// What the daemon asks of the task.
pub(crate) enum Job {
    Release(Shard, bool),
    /// Answered once the others can know, or when it cannot be told.
    Leave(oneshot::Sender<()>),
}

/// What the daemon tells of itself now and then.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) bus: AtomicBool,
    pub(crate) load: AtomicUsize,
}

/// Who this worker is to the others.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) name: String,
    /// Another one for every start.
    pub(crate) incarnation: String,
    /// The id of its store.
    pub(crate) store: String,
}

impl Identity {
    /// What it is called in the shards' records.
    pub(crate) fn owner(&self) -> String {
        format!("{}/{}", self.name, self.incarnation)
    }

    /// A record that this worker may write as long as the lease is its own.
    pub(crate) fn write(&self, shard: Shard, record: &Record) -> Write {
        Write {
            shard: shard.to_string(),
            owner: self.owner(),
            epoch: record.epoch,
            record: json(record),
        }
    }
}

pub(crate) struct Leases {
    name: String,
    jobs: mpsc::UnboundedSender<Job>,
    changes: mpsc::UnboundedReceiver<Result<Change, Error>>,
    facts: Arc<Facts>,
}

impl Leases {
    pub(crate) fn start(
        stage: &Stage,
        config: LeaseConfig,
        tenures: Arc<Tenures>,
    ) -> Result<Self, Error> {
        let LeaseConfig { settings, uri, timeout, names, count, data_dir, clock } = config;
        let times = Times { lease: settings.lease() };
        let link = Link::new(&uri, timeout.min(times.patience()), names, settings.replicas)?;
        let files = Files::new(&data_dir)?;
        let (name, locked) = name(&files, settings.name.as_deref())?;
        let incarnation = Uuid::new_v4().simple().to_string();
        let me = Identity { name: name.clone(), incarnation, store: files.store_id()? };
        let (jobs, queue) = mpsc::unbounded_channel();
        let (sender, changes) = mpsc::unbounded_channel();
        let facts = Arc::new(Facts { bus: AtomicBool::new(true), load: AtomicUsize::new(0) });
        let task = Task {
            held: Held::new(me.clone(), times, tenures, sender),
            sight: Sight::new(times, count),
            planner: Planner::default(),
            jobs: queue,
            facts: Arc::clone(&facts),
            name: locked,
            state: State::new(),
            me,
            settings,
            times,
            files,
            link,
            clock,
        };
        let stop = stage.stopping();
        stage.spawn("leases", OnFailure::Stop, async move {
            task.run(stop).await;
            Ok(())
        });
        Ok(Self { name, jobs, changes, facts })
    }

    pub(crate) async fn next(&mut self) -> Result<Change, Error> {
        match self.changes.recv().await {
            Some(change) => change,
            // The task has ended, which the stage tells.
            None => std::future::pending().await,
        }
    }

    pub(crate) fn release(&self, shard: Shard, clean: bool) {
        // Without the task its lock is free already.
        self.jobs.send(Job::Release(shard, clean)).ok();
    }

    pub(crate) async fn leave(&self) {
        let (told, telling) = oneshot::channel();
        if self.jobs.send(Job::Leave(told)).is_ok() {
            // Whether told or not, the daemon goes on.
            timeout(LEAVING, telling).await.ok();
        }
    }

    pub(crate) fn set_bus(&self, reachable: bool) {
        self.facts.bus.store(reachable, Ordering::Relaxed);
    }

    pub(crate) fn set_load(&self, accounts: usize) {
        self.facts.load.store(accounts, Ordering::Relaxed);
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// The worker's name and its lock. A name that the settings give is waited for later; the host's
/// gets a number where several workers share the store.
fn name(files: &Files, set: Option<&str>) -> Result<(String, Option<Locked>), Error> {
    if let Some(name) = set {
        return Ok((name.to_owned(), files.lock_name(name)?));
    }
    let host = uname().nodename().to_string_lossy().replace(['/', '\0'], "-");
    let host = if host.is_empty() { "worker".to_owned() } else { host };
    let mut number = 1;
    loop {
        let name = if number == 1 { host.clone() } else { format!("{host}-{number}") };
        if let Some(locked) = files.lock_name(&name)? {
            return Ok((name, Some(locked)));
        }
        number += 1;
    }
}
