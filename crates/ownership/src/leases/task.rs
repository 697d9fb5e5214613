//! The task: one beat after another.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use contracts::Shard;
use deadpool_redis::redis::RedisError;
use runtime::{CancellationToken, Clock};
use settings::OwnershipSettings;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use crate::boot_time::BootTime;
use crate::error::Error;
use crate::files::{Files, Locked};
use crate::leases::held::Held;
use crate::leases::plan::Planner;
use crate::leases::sight::{Namesake, Sight};
use crate::leases::{Facts, Identity, Job};
use crate::record::{WorkerRecord, json};
use crate::redis::{Answer, Ask, Link};
use crate::rules::Times;

/// How soon to look again when something is about to come, and after Redis was lost.
const SOON: Duration = Duration::from_millis(100);
/// A move that is stuck for so long does not keep others from moving.
const LONGEST_MOVE: Duration = Duration::from_mins(1);

pub(crate) struct Task {
    pub(crate) me: Identity,
    pub(crate) settings: OwnershipSettings,
    pub(crate) times: Times,
    pub(crate) files: Files,
    /// The lock on the worker's name, once it has it.
    pub(crate) name: Option<Locked>,
    pub(crate) link: Link,
    pub(crate) sight: Sight,
    pub(crate) planner: Planner,
    pub(crate) held: Held,
    pub(crate) jobs: mpsc::UnboundedReceiver<Job>,
    pub(crate) facts: Arc<Facts>,
    pub(crate) clock: Clock,
    pub(crate) state: State,
}

/// What the task remembers from one beat to the next.
pub(crate) struct State {
    beat: u64,
    /// Redis's time when it last answered; 0 before.
    redis_time: u64,
    pub(super) next: Instant,
    pub(super) leaving: bool,
    pub(super) stopping: bool,
    /// The others can see this worker.
    pub(super) announced: bool,
    /// RabbitMQ cannot be reached since then.
    bus_away: Option<BootTime>,
    /// Tries in a row that Redis did not answer.
    failures: u32,
    /// A move to be asked for.
    pub(super) moving: Option<(Shard, String)>,
    waiting: Vec<oneshot::Sender<()>>,
    pub(super) told: Told,
}

/// What was logged once and need not be again.
#[derive(Default)]
pub(super) struct Told {
    name: bool,
    pub(super) unknown: bool,
    pub(super) frozen: BTreeSet<String>,
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            beat: 0,
            redis_time: 0,
            next: Instant::now(),
            leaving: false,
            stopping: false,
            announced: false,
            bus_away: None,
            failures: 0,
            moving: None,
            waiting: Vec::new(),
            told: Told::default(),
        }
    }
}

impl Task {
    /// Goes on until `stop` is cancelled and every shard is released.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            let loss = self.held.next_loss();
            tokio::select! {
                biased;
                () = stop.cancelled(), if !self.state.stopping => self.state.stopping = true,
                job = self.jobs.recv() => match job {
                    Some(job) => self.accept(job),
                    None if self.held.len() == 0 => self.state.stopping = true,
                    // The daemon is gone without releasing anything. The locks are kept; the leases
                    // run out, and the watchdog ends what is left of the process.
                    None => std::future::pending().await,
                },
                () = at(loss) => {
                    self.held.lose_late(BootTime::now());
                    continue;
                }
                () = sleep_until(self.state.next) => {
                    if let Err(error) = self.beat().await {
                        // What is held stays held, and locked, until the daemon has closed it.
                        self.state.leaving = true;
                        self.held.fail(error);
                    }
                }
            }
            if self.state.stopping && self.held.len() == 0 {
                self.say_goodbye().await;
                return;
            }
        }
    }

    fn accept(&mut self, job: Job) {
        match job {
            Job::Release(shard, clean) => self.held.close(shard, clean),
            Job::Leave(told) => {
                self.state.leaving = true;
                self.state.waiting.push(told);
            }
        }
        if self.state.failures == 0 {
            self.state.next = Instant::now();
        } else {
            self.held.unlock_closed();
            self.state.waiting.clear();
        }
    }

    async fn beat(&mut self) -> Result<(), Error> {
        if self.name.is_none() {
            self.name = self.files.lock_name(&self.me.name)?;
        }
        let now = BootTime::now();
        self.held.lose_late(now);
        let ask = self.ask(now);
        let sent = BootTime::now();
        let answer = watching(&mut self.held, self.link.beat(&ask)).await;
        self.state.next = Instant::now() + self.times.look();
        match answer {
            Err(error) => self.note_away(&error),
            Ok(answer) => {
                self.note_back();
                self.state.redis_time = answer.time;
                if answer.late {
                    self.state.next = Instant::now();
                    return Ok(());
                }
                self.learn(&ask, &answer, sent);
                self.act().await?;
            }
        }
        self.state.waiting.clear();
        Ok(())
    }

    /// What to ask Redis for.
    fn ask(&mut self, now: BootTime) -> Ask {
        self.state.beat += 1;
        // What is still on its way when this lease is over must not be carried out any more.
        let lease = u64::try_from(self.times.lease.as_millis()).unwrap_or(u64::MAX);
        let mut ask = Ask {
            by: if self.state.redis_time == 0 { 0 } else { self.state.redis_time + lease },
            name: self.me.name.clone(),
            incarnation: self.me.incarnation.clone(),
            renew: self.held.renewals(now),
            free: self.held.frees(),
            forget: self.sight.forgotten(now),
            ..Ask::default()
        };
        if let Some((shard, to)) = &self.state.moving {
            ask.moving = format!("{shard} {to}");
            let longest = LONGEST_MOVE.max(self.times.lease * 4);
            ask.move_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        }
        let Some(name) = &self.name else {
            self.tell_of_name();
            return ask;
        };
        let lock = name.identity().to_owned();
        match self.sight.namesake(&self.me, &lock, now) {
            Namesake::None => {}
            Namesake::Dead(record) => ask.over = record,
            Namesake::Unsure => return ask,
            Namesake::Alive => {
                self.tell_of_name();
                return ask;
            }
        }
        ask.record = json(&self.worker_record(lock, now));
        ask
    }

    fn worker_record(&mut self, lock: String, now: BootTime) -> WorkerRecord {
        let reaching = self.facts.bus.load(Ordering::Relaxed);
        let away = if reaching { None } else { Some(self.state.bus_away.unwrap_or(now)) };
        self.state.bus_away = away;
        WorkerRecord {
            incarnation: self.me.incarnation.clone(),
            beat: self.state.beat,
            store: self.me.store.clone(),
            lock,
            bus: away.is_none_or(|since| now.since(since) < self.settings.join_delay()),
            leaving: self.state.leaving || self.state.stopping,
            load: self.facts.load.load(Ordering::Relaxed),
            shards: self.held.len(),
        }
    }

    fn tell_of_name(&mut self) {
        if !std::mem::replace(&mut self.state.told.name, true) {
            let name = &self.me.name;
            warn!(name, "another worker has this worker's name; waiting until it is gone");
        }
    }

    fn learn(&mut self, ask: &Ask, answer: &Answer, sent: BootTime) {
        self.held.renewed(&ask.renew, &answer.lost, sent);
        self.held.freed();
        self.state.announced = answer.announced;
        if answer.announced {
            self.state.told.name = false;
        }
        if let Some((shard, to)) = self.state.moving.take().filter(|_| answer.moving) {
            self.held.ask(shard, &to);
        }
        let now = BootTime::now();
        self.sight.look(answer, self.link.generation(), now);
        self.sight.probe(&self.files, &self.me, now);
    }

    /// One last beat, to free what is closed and to take the worker's own record away.
    async fn say_goodbye(&mut self) {
        let ask = Ask {
            name: self.me.name.clone(),
            incarnation: self.me.incarnation.clone(),
            goodbye: true,
            free: self.held.frees(),
            ..Ask::default()
        };
        // Nothing depends on it: the others wait for the lease's time if it does not get there.
        if let Err(error) = self.link.beat(&ask).await {
            info!(%error, "the other workers could not be told that this one is gone");
        }
    }

    pub(super) fn soon(&mut self) {
        self.state.next = self.state.next.min(Instant::now() + SOON);
    }

    pub(super) fn note_away(&mut self, error: &RedisError) {
        if self.state.failures == 0 {
            let redis = self.link.place();
            warn!(redis, %error, "Redis is away: the leases are not renewed");
        }
        let delay = SOON * (1 << self.state.failures.min(4));
        self.state.failures = self.state.failures.saturating_add(1);
        self.state.next = Instant::now() + delay.min(self.times.look());
        self.held.unlock_closed();
    }

    fn note_back(&mut self) {
        if std::mem::take(&mut self.state.failures) > 0 {
            info!(redis = self.link.place(), "Redis is back: the leases are renewed");
        }
    }
}

/// Waits for an answer, and meanwhile tells of the leases that run out.
pub(super) async fn watching<T>(held: &mut Held, call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    loop {
        let loss = held.next_loss();
        tokio::select! {
            biased;
            answer = &mut call => return answer,
            () = at(loss) => held.lose_late(BootTime::now()),
        }
    }
}

async fn at(moment: Option<BootTime>) {
    match moment {
        Some(moment) => sleep(moment.since(BootTime::now())).await,
        None => std::future::pending().await,
    }
}
