//! A fleet under a steady load while its parts are broken on purpose, and the proof that nothing was
//! lost, doubled or out of order. Read in this order: [`run`], `load`, `faults`, `checker`.

mod bus;
pub(crate) mod checker;
mod collect;
mod dossier;
mod faults;
mod figures;
mod follower;
mod load;
mod random;
pub(crate) mod record;
mod stage;
mod timeline;

use std::collections::{BTreeMap, HashSet};
use std::iter;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use bus::Bus;
pub(crate) use faults::Kind;
use follower::Follower;
use random::Random;
use record::{Evidence, Ms, Published, now};
use stage::Stage;
use timeline::{Timeline, say};

/// How a run is set up.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) accounts: u32,
    pub(crate) workers: usize,
    /// Seconds that a lease lasts.
    pub(crate) lease_s: u64,
    /// Commands a second to each account.
    pub(crate) rate: f64,
    /// No fault begins later than so long after the first.
    pub(crate) longest: Duration,
    /// The faults, in their order.
    pub(crate) faults: Vec<Kind>,
    /// The load runs alone for so long, before the first fault and after the last.
    pub(crate) calm: Duration,
}

/// What a run has shown.
pub(crate) struct Verdict {
    /// One line for each broken promise; none, if all were kept.
    pub(crate) violations: Vec<String>,
    /// Where the run's files are, if a promise was broken.
    pub(crate) kept: Option<PathBuf>,
}

/// Longest wait until the fleet is there, and until it has come to rest.
const PATIENCE: Duration = Duration::from_mins(2);
/// RabbitMQ 3.10 loses a queue that is killed sooner after it was declared.
const QUEUES_SETTLE: Duration = Duration::from_secs(4);
/// So many violations are printed; the file has all.
const SHOWN: usize = 40;
/// Longest wait for all accounts to answer again after a fault.
const RECOVERY: Duration = Duration::from_secs(40);

#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Phase {
    Login,
    Load,
    Settle,
    Over,
}

/// A run while it goes on.
pub(crate) struct Scene {
    options: Options,
    stage: Stage,
    bus: Bus,
    follower: Follower,
    timeline: Arc<Timeline>,
    phase: watch::Sender<Phase>,
    published: Mutex<BTreeMap<u32, Vec<Published>>>,
    messages: Mutex<BTreeMap<u32, Vec<(String, Ms)>>>,
    /// Accounts whose database was destroyed.
    destroyed: Mutex<HashSet<u32>>,
    wipes: Mutex<Vec<(Ms, Ms)>>,
}

/// Runs a fleet through its faults, and judges it.
pub(crate) async fn run(options: Options) -> Verdict {
    let timeline = Arc::new(Timeline::begin());
    timeline.note(format!(
        "seed {}: {} workers, {} accounts, {} commands a second each",
        options.seed, options.workers, options.accounts, options.rate
    ));
    let stage = Stage::start(&options, Arc::clone(&timeline)).await;
    let scene = Arc::new(Scene {
        bus: Bus::new(stage.rabbit_uri.clone()),
        follower: Follower::new(&stage.redis_uri, options.accounts),
        stage,
        options,
        timeline,
        phase: watch::Sender::new(Phase::Login),
        published: Mutex::default(),
        messages: Mutex::default(),
        destroyed: Mutex::default(),
        wipes: Mutex::default(),
    });
    let mut background = scene.start_background().await;
    if let Err(failed) = scene.log_in().await {
        let evidence = collect::collect(&scene).await;
        let violations = iter::once(failed).chain(checker::check(&evidence)).collect();
        return scene.conclude(violations, &evidence);
    }
    let mut load = scene.start_load();
    scene.timeline.note("the load begins");
    sleep(scene.options.calm).await;
    let marks = scene.strike_all().await;
    sleep(scene.options.calm).await;
    scene.phase.send_replace(Phase::Settle);
    scene.timeline.note("the load ends");
    timeout(PATIENCE, async { while load.join_next().await.is_some() {} }).await.ok();
    scene.settle().await;
    scene.phase.send_replace(Phase::Over);
    let evidence = collect::collect(&scene).await;
    let mut violations = checker::check(&evidence);
    violations.extend(figures::print(&scene, &evidence, &marks));
    background.shutdown().await;
    scene.conclude(violations, &evidence)
}

impl Scene {
    /// Workers and follower.
    async fn start_background(self: &Arc<Self>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let scene = Arc::clone(self);
        tasks.spawn(async move { scene.follower.listen().await });
        let scene = Arc::clone(self);
        tasks.spawn(async move { scene.follower.sweep().await });
        self.stage.free_shards().await;
        for worker in 0..self.stage.workers() {
            let scene = Arc::clone(self);
            tasks.spawn(async move { scene.stage.run_worker(worker).await });
        }
        tasks
    }

    async fn log_in(self: &Arc<Self>) -> Result<(), String> {
        let begun = Instant::now();
        let declared = timeout(PATIENCE, self.bus.declared()).await;
        declared.map_err(|_| "no worker declares the exchange".to_owned())?;
        let mut logins = JoinSet::new();
        for account in 1..=self.options.accounts {
            let scene = Arc::clone(self);
            logins.spawn(async move { load::log_in(&scene, account).await });
        }
        let all = async {
            while let Some(login) = logins.join_next().await {
                login.unwrap()?;
            }
            Ok::<_, String>(())
        };
        timeout(PATIENCE, all)
            .await
            .map_err(|_| "not all accounts can be logged in".to_owned())??;
        let took = begun.elapsed();
        self.timeline.note(format!("all accounts are logged in after {took:.1?}"));
        sleep(QUEUES_SETTLE.saturating_sub(took)).await;
        Ok(())
    }

    fn start_load(self: &Arc<Self>) -> JoinSet<()> {
        self.phase.send_replace(Phase::Load);
        let mut tasks = JoinSet::new();
        for account in 1..=self.options.accounts {
            let scene = Arc::clone(self);
            tasks.spawn(async move { load::commands(&scene, account).await });
            let scene = Arc::clone(self);
            tasks.spawn(async move { load::messages(&scene, account).await });
        }
        tasks
    }

    /// One fault after the other, each when the fleet has recovered from the one before.
    async fn strike_all(&self) -> Vec<faults::Mark> {
        let begun = Instant::now();
        let mut random = Random::new(self.options.seed, u64::MAX);
        let mut marks = Vec::new();
        for kind in self.options.faults.clone() {
            if self.options.longest < begun.elapsed() {
                self.timeline.note(format!("no time is left for: {}", kind.name()));
                continue;
            }
            let mark = faults::strike(self, kind, &mut random).await;
            let healed = Instant::now();
            let waiting = if kind == Kind::Floods { mark.accounts.as_slice() } else { &[] };
            let recovered = timeout(RECOVERY, self.all_answer_but(waiting)).await.is_ok();
            let (took, name) = (healed.elapsed(), kind.name());
            if recovered {
                self.timeline.note(format!("all accounts answer {took:.1?} after {name}"));
            } else {
                let silent = self.silent(mark.to, waiting);
                self.timeline.note(format!("accounts that do not answer after {name}: {silent:?}"));
                self.timeline.note(collect::queues(self));
            }
            marks.push(mark);
        }
        marks
    }

    /// Waits until every account but `others` has answered a command that was published from now on.
    async fn all_answer_but(&self, others: &[u32]) {
        let from = now();
        while !self.silent(from, others).is_empty() {
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Accounts beside `others` that have answered no command that was published after `from`.
    fn silent(&self, from: Ms, others: &[u32]) -> Vec<u32> {
        let (published, destroyed) = (lock(&self.published), lock(&self.destroyed));
        let answers = |commands: &Vec<Published>| {
            let fresh =
                |command: &&Published| command.attempts.first().is_some_and(|at| from < *at);
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
        self.timeline.note(format!("{} commands are open after {:.1?}", open(), begun.elapsed()));
    }

    fn conclude(&self, violations: Vec<String>, evidence: &Evidence) -> Verdict {
        for violation in violations.iter().take(SHOWN) {
            say(&format!("violation: {violation}"));
        }
        if violations.is_empty() {
            self.timeline
                .note(format!("seed {}: nothing lost, doubled or out of order", self.options.seed));
            return Verdict { violations, kept: None };
        }
        let kept = self.stage.keep();
        let text = self.timeline.text() + &violations.join("\n") + "\n";
        std::fs::write(kept.join("timeline.txt"), text).unwrap();
        let concerned = |account: &u32| {
            let account = format!("account {account}:");
            violations.iter().any(|violation| violation.starts_with(&account))
        };
        for (account, one) in evidence.accounts.iter().filter(|(one, _)| concerned(one)).take(SHOWN)
        {
            let name = format!("account-{account}.txt");
            std::fs::write(kept.join(name), dossier::of(one)).unwrap();
        }
        let (number, seed) = (violations.len(), self.options.seed);
        self.timeline
            .note(format!("seed {seed}: {number} violations; the logs are in {}", kept.display()));
        Verdict { violations, kept: Some(kept) }
    }

    fn is_loading(&self) -> bool {
        *self.phase.borrow() == Phase::Load
    }

    fn is_over(&self) -> bool {
        *self.phase.borrow() == Phase::Over
    }

    /// Notes a command that is about to be published; its place among the account's.
    fn record(&self, account: u32, command: Published) -> usize {
        let mut published = lock(&self.published);
        let commands = published.entry(account).or_default();
        commands.push(command);
        commands.len() - 1
    }

    fn change(&self, account: u32, place: usize, change: impl FnOnce(&mut Published)) {
        let mut published = lock(&self.published);
        if let Some(command) = published.get_mut(&account).and_then(|all| all.get_mut(place)) {
            change(command);
        }
    }

    fn note_message(&self, account: u32, text: &str) {
        lock(&self.messages).entry(account).or_default().push((text.to_owned(), now()));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
