//! Runs a fleet under a steady load, breaks its parts on purpose, and proves that nothing was lost,
//! doubled or reordered. Read in this order: [`run`], `load`, `faults`, `checker`.

mod account_history;
pub(crate) mod checker;
mod collect;
mod command_bus;
pub(crate) mod evidence;
mod faults;
mod figures;
mod fleet;
mod follower;
mod hostile;
mod load;
mod random;
mod timeline;

use std::collections::{BTreeMap, HashSet};
use std::iter;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use command_bus::CommandBus;
use evidence::{Evidence, Ms, PublishedCommand, now};
pub(crate) use faults::FaultKind;
use fleet::TestFleet;
use follower::Follower;
use random::SeededRandom;
use timeline::{Timeline, say};

/// The settings of a run.
#[derive(Clone, Debug)]
pub(crate) struct ChaosOptions {
    pub(crate) seed: u64,
    pub(crate) accounts: u32,
    pub(crate) workers: usize,
    /// Lease time, in seconds.
    pub(crate) lease_s: u64,
    /// Commands per second and account.
    pub(crate) rate: f64,
    /// No fault starts later than this after the first.
    pub(crate) longest: Duration,
    /// The faults, in order.
    pub(crate) faults: Vec<FaultKind>,
    /// Time without faults, before the first one and after the last.
    pub(crate) calm: Duration,
    /// How long floods and attacks last, and the time before them for comparison.
    pub(crate) observation: Duration,
}

/// The result of a run.
pub(crate) struct Verdict {
    /// One line for each broken promise.
    pub(crate) violations: Vec<String>,
    /// The directory with the run's files, if a promise was broken.
    pub(crate) kept: Option<PathBuf>,
}

/// Longest wait for the fleet to start, and to settle at the end.
const PATIENCE: Duration = Duration::from_mins(2);
/// RabbitMQ 3.10 loses a queue when it is killed sooner than this after the queue was declared.
const QUEUES_SETTLE: Duration = Duration::from_secs(4);
/// Most violations that are printed; the file has all of them.
const MAX_PRINTED: usize = 40;
/// Longest wait for all accounts to answer again after a fault.
const RECOVERY: Duration = Duration::from_secs(40);

#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum RunPhase {
    Login,
    Load,
    Settling,
    Finished,
}

/// A run in progress.
pub(crate) struct ChaosRun {
    options: ChaosOptions,
    fleet: TestFleet,
    bus: CommandBus,
    follower: Follower,
    timeline: Arc<Timeline>,
    phase: watch::Sender<RunPhase>,
    published: Mutex<BTreeMap<u32, Vec<PublishedCommand>>>,
    messages: Mutex<BTreeMap<u32, Vec<(String, Ms)>>>,
    /// Accounts whose database was destroyed.
    destroyed: Mutex<HashSet<u32>>,
    wipes: Mutex<Vec<(Ms, Ms)>>,
    /// Accounts that a hostile producer may publish for.
    attacked: Mutex<HashSet<u32>>,
    /// Processes that ended although nothing but messages harmed them.
    ended: Mutex<Vec<String>>,
}

/// Runs a fleet through the faults, and checks the promises.
pub(crate) async fn run(options: ChaosOptions) -> Verdict {
    let timeline = Arc::new(Timeline::start());
    timeline.note(format!(
        "seed {}: {} workers, {} accounts, {} commands a second each",
        options.seed, options.workers, options.accounts, options.rate
    ));
    let fleet = TestFleet::start(&options, Arc::clone(&timeline)).await;
    let run = Arc::new(ChaosRun {
        bus: CommandBus::new(fleet.rabbit_uri.clone()),
        follower: Follower::new(&fleet.redis_uri, options.accounts),
        fleet,
        options,
        timeline,
        phase: watch::Sender::new(RunPhase::Login),
        published: Mutex::default(),
        messages: Mutex::default(),
        destroyed: Mutex::default(),
        wipes: Mutex::default(),
        attacked: Mutex::default(),
        ended: Mutex::default(),
    });
    let mut background = run.start_background().await;
    if let Err(failed) = run.log_in().await {
        let evidence = collect::collect(&run).await;
        let violations = iter::once(failed).chain(checker::check(&evidence)).collect();
        return run.conclude(violations, &evidence);
    }
    let mut load = run.start_load();
    run.timeline.note("the load starts");
    sleep(run.options.calm).await;
    let marks = run.inject_all().await;
    sleep(run.options.calm).await;
    run.phase.send_replace(RunPhase::Settling);
    run.timeline.note("the load ends");
    timeout(PATIENCE, async { while load.join_next().await.is_some() {} }).await.ok();
    run.settle().await;
    run.phase.send_replace(RunPhase::Finished);
    let evidence = collect::collect(&run).await;
    let mut violations = checker::check(&evidence);
    violations.extend(figures::print(&run, &evidence, &marks));
    background.shutdown().await;
    run.conclude(violations, &evidence)
}

impl ChaosRun {
    /// Starts the workers and the follower.
    async fn start_background(self: &Arc<Self>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let run = Arc::clone(self);
        tasks.spawn(async move { run.follower.listen().await });
        let run = Arc::clone(self);
        tasks.spawn(async move { run.follower.sweep().await });
        self.fleet.free_shards().await;
        for worker in 0..self.fleet.workers() {
            let run = Arc::clone(self);
            tasks.spawn(async move { run.fleet.run_worker(worker).await });
        }
        tasks
    }

    async fn log_in(self: &Arc<Self>) -> Result<(), String> {
        let begun = Instant::now();
        let declared = timeout(PATIENCE, self.bus.wait_until_declared()).await;
        declared.map_err(|_| "no worker has declared the exchange".to_owned())?;
        let mut logins = JoinSet::new();
        for account in 1..=self.options.accounts {
            let run = Arc::clone(self);
            logins.spawn(async move { load::log_in(&run, account).await });
        }
        let all = async {
            while let Some(login) = logins.join_next().await {
                login.unwrap()?;
            }
            Ok::<_, String>(())
        };
        timeout(PATIENCE, all).await.map_err(|_| "not all accounts could log in".to_owned())??;
        let took = begun.elapsed();
        self.timeline.note(format!("all accounts are logged in after {took:.1?}"));
        sleep(QUEUES_SETTLE.saturating_sub(took)).await;
        Ok(())
    }

    fn start_load(self: &Arc<Self>) -> JoinSet<()> {
        self.phase.send_replace(RunPhase::Load);
        let mut tasks = JoinSet::new();
        for account in 1..=self.options.accounts {
            let run = Arc::clone(self);
            tasks.spawn(async move { load::commands(&run, account).await });
            let run = Arc::clone(self);
            tasks.spawn(async move { load::messages(&run, account).await });
        }
        tasks
    }

    /// Injects the faults one after the other, each once the fleet has recovered from the last.
    async fn inject_all(&self) -> Vec<faults::InjectedFault> {
        let begun = Instant::now();
        let mut random = SeededRandom::new(self.options.seed, u64::MAX);
        let mut marks = Vec::new();
        for kind in self.options.faults.clone() {
            if self.options.longest < begun.elapsed() {
                self.timeline.note(format!("no time left for {}", kind.name()));
                continue;
            }
            let mark = faults::inject(self, kind, &mut random).await;
            let healed = Instant::now();
            let waiting = if kind.is_observed() { mark.accounts.as_slice() } else { &[] };
            let recovered = timeout(RECOVERY, self.wait_for_answers_except(waiting)).await.is_ok();
            let (took, name) = (healed.elapsed(), kind.name());
            if recovered {
                self.timeline.note(format!("all accounts answer {took:.1?} after {name}"));
            } else {
                let silent = self.unresponsive(mark.to, waiting);
                self.timeline
                    .note(format!("accounts that still do not answer after {name}: {silent:?}"));
                self.timeline.note(collect::queues(self));
            }
            if kind == FaultKind::Hostile {
                lock(&self.ended).extend(self.fleet.endings_since(mark.from));
            }
            marks.push(mark);
        }
        marks
    }

    /// Waits until every account except `others` has answered a command published after this call.
    async fn wait_for_answers_except(&self, others: &[u32]) {
        let from = now();
        while !self.unresponsive(from, others).is_empty() {
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Accounts except `others` that have not answered any command published after `from`.
    fn unresponsive(&self, from: Ms, others: &[u32]) -> Vec<u32> {
        let (published, destroyed) = (lock(&self.published), lock(&self.destroyed));
        let answers = |commands: &Vec<PublishedCommand>| {
            let fresh =
                |command: &&PublishedCommand| command.attempts.first().is_some_and(|at| from < *at);
            let fresh = commands.iter().rev().take_while(fresh);
            fresh.into_iter().any(|command| self.follower.answer(&command.id).is_some())
        };
        let silent = published.iter().filter(|(_, commands)| !answers(commands));
        silent
            .map(|(account, _)| *account)
            .filter(|one| !destroyed.contains(one) && !others.contains(one))
            .collect()
    }

    /// Waits until every confirmed command is answered.
    async fn settle(&self) {
        let begun = Instant::now();
        let open = || {
            let published = lock(&self.published);
            let confirmed = published.values().flatten().filter(|one| one.confirmed.is_some());
            confirmed.filter(|one| self.follower.answer(&one.id).is_none()).count()
        };
        let settled = async {
            while 0 < open() {
                sleep(Duration::from_millis(500)).await;
            }
        };
        timeout(PATIENCE, settled).await.ok();
        self.timeline.note(format!(
            "{} commands are unanswered after {:.1?}",
            open(),
            begun.elapsed()
        ));
    }

    fn conclude(&self, violations: Vec<String>, evidence: &Evidence) -> Verdict {
        for violation in violations.iter().take(MAX_PRINTED) {
            say(&format!("violation: {violation}"));
        }
        if violations.is_empty() {
            self.timeline
                .note(format!("seed {}: nothing lost, doubled or reordered", self.options.seed));
            return Verdict { violations, kept: None };
        }
        let kept = self.fleet.keep_files();
        let text = self.timeline.text() + &violations.join("\n") + "\n";
        std::fs::write(kept.join("timeline.txt"), text).unwrap();
        let concerned = |account: &u32| {
            let account = format!("account {account}:");
            violations.iter().any(|violation| violation.starts_with(&account))
        };
        for (account, one) in
            evidence.accounts.iter().filter(|(one, _)| concerned(one)).take(MAX_PRINTED)
        {
            let name = format!("account-{account}.txt");
            std::fs::write(kept.join(name), account_history::describe(one)).unwrap();
        }
        let (number, seed) = (violations.len(), self.options.seed);
        self.timeline
            .note(format!("seed {seed}: {number} violations; the logs are in {}", kept.display()));
        Verdict { violations, kept: Some(kept) }
    }

    /// The lease time, multiplied.
    fn leases(&self, times: u64) -> Duration {
        Duration::from_secs(self.options.lease_s * times)
    }

    fn is_loading(&self) -> bool {
        *self.phase.borrow() == RunPhase::Load
    }

    fn is_finished(&self) -> bool {
        *self.phase.borrow() == RunPhase::Finished
    }

    /// Records a command that is about to be published; its index among the account's.
    fn record(&self, account: u32, command: PublishedCommand) -> usize {
        let mut published = lock(&self.published);
        let commands = published.entry(account).or_default();
        commands.push(command);
        commands.len() - 1
    }

    fn change(&self, account: u32, place: usize, change: impl FnOnce(&mut PublishedCommand)) {
        let mut published = lock(&self.published);
        if let Some(command) = published.get_mut(&account).and_then(|all| all.get_mut(place)) {
            change(command);
        }
    }

    fn record_message(&self, account: u32, text: &str) {
        lock(&self.messages).entry(account).or_default().push((text.to_owned(), now()));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
