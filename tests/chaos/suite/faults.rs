//! The faults of a run. Each one is repaired before its function returns.

use std::fs;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use sandbox::Fault;
use test_servers::rabbitmq::RabbitServer;
use test_servers::redis::RedisServer;
use tokio::time::{sleep, timeout};

use super::evidence::{Ms, now};
use super::fleet::{rabbit_address, redis_address};
use super::random::SeededRandom;
use super::{ChaosRun, hostile, load, lock};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    KillWorker,
    FreezeWorker,
    Poison,
    CorruptDatabase,
    KillRabbit,
    KillRedis,
    WipeRedis,
    FreezeRedis,
    CutFromRedis,
    CutFromRabbit,
    FillSpool,
    Floods,
    RollingRestart,
    Hostile,
}

impl FaultKind {
    pub(crate) const ALL: [Self; 13] = [
        Self::KillWorker,
        Self::KillRedis,
        Self::CutFromRabbit,
        Self::Floods,
        Self::FreezeRedis,
        Self::FreezeWorker,
        Self::Poison,
        Self::RollingRestart,
        Self::KillRabbit,
        Self::CutFromRedis,
        Self::FillSpool,
        Self::WipeRedis,
        Self::CorruptDatabase,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::KillWorker => "kill-worker",
            Self::FreezeWorker => "freeze-worker",
            Self::Poison => "poison",
            Self::CorruptDatabase => "corrupt-database",
            Self::KillRabbit => "kill-rabbitmq",
            Self::KillRedis => "kill-redis",
            Self::WipeRedis => "wipe-redis",
            Self::FreezeRedis => "freeze-redis",
            Self::CutFromRedis => "cut-from-redis",
            Self::CutFromRabbit => "cut-from-rabbitmq",
            Self::FillSpool => "fill-spool",
            Self::Floods => "floods",
            Self::RollingRestart => "rolling-restart",
            Self::Hostile => "hostile",
        }
    }

    /// Whether the other accounts' answers are measured, before it and during it.
    pub(crate) fn is_observed(self) -> bool {
        matches!(self, Self::Floods | Self::Hostile)
    }
}

/// A fault that was injected.
#[derive(Clone, Debug)]
pub(crate) struct InjectedFault {
    pub(crate) kind: FaultKind,
    pub(crate) from: Ms,
    /// When it was repaired.
    pub(crate) to: Ms,
    /// The accounts it was aimed at.
    pub(crate) accounts: Vec<u32>,
}

/// Longest wait for a process to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);

/// Injects a fault, waits, and repairs it.
pub(crate) async fn inject(
    run: &ChaosRun,
    kind: FaultKind,
    random: &mut SeededRandom,
) -> InjectedFault {
    let begun = now();
    let worker = usize::try_from(random.in_range(0..run.fleet.workers() as u64)).unwrap_or(0);
    let mut accounts = Vec::new();
    match kind {
        FaultKind::KillWorker => kill_worker(run, worker).await,
        FaultKind::FreezeWorker => freeze_worker(run, worker).await,
        FaultKind::Poison => accounts.extend(poison(run, random).await),
        FaultKind::CorruptDatabase => accounts.extend(corrupt_database(run, random).await),
        FaultKind::KillRabbit => kill_rabbit(run, random).await,
        FaultKind::KillRedis => kill_redis(run, random).await,
        FaultKind::WipeRedis => wipe_redis(run),
        FaultKind::FreezeRedis => freeze_redis(run, random).await,
        FaultKind::CutFromRedis => {
            run.timeline.note(format!("w{} is partitioned from Redis", worker + 1));
            partition(redis_address(worker), run.leases(4)).await;
        }
        FaultKind::CutFromRabbit => {
            run.timeline.note(format!("w{} is partitioned from RabbitMQ", worker + 1));
            partition(rabbit_address(worker), run.leases(3)).await;
        }
        FaultKind::FillSpool => accounts = fill_spool(run, random).await,
        FaultKind::Floods => accounts = floods(run, random).await,
        FaultKind::RollingRestart => rolling_restart(run).await,
        FaultKind::Hostile => accounts.extend(hostile_producer(run, random).await),
    }
    let from = if kind.is_observed() {
        begun + u64::try_from(run.options.observation.as_millis()).unwrap_or(0)
    } else {
        begun
    };
    InjectedFault { kind, from, to: now(), accounts }
}

async fn kill_worker(run: &ChaosRun, worker: usize) {
    run.timeline.note(format!("w{} is killed", worker + 1));
    run.fleet.delay_restart(worker, run.leases(2));
    run.fleet.signal(worker, Signal::KILL);
    sleep(run.leases(2)).await;
}

/// Long enough that a worker which ignored the locks would have taken the accounts over, including
/// the ten seconds during which TDLib waits for its database's lock.
async fn freeze_worker(run: &ChaosRun, worker: usize) {
    run.timeline.note(format!("w{} is frozen", worker + 1));
    run.fleet.signal(worker, Signal::STOP);
    sleep(run.leases(5)).await;
    run.timeline.note(format!("w{} is resumed", worker + 1));
    run.fleet.signal(worker, Signal::CONT);
}

async fn poison(run: &ChaosRun, random: &mut SeededRandom) -> Option<u32> {
    let account = healthy(run, random, 1).pop()?;
    run.timeline.note(format!("account {account} gets a command that crashes TDLib"));
    let id = load::poison(run, account).await;
    let answer = timeout(SHUTDOWN_TIMEOUT, run.follower.wait_for(&id)).await;
    let code = answer.map_or_else(|_| "nothing".to_owned(), |answer| format!("{:?}", answer.code));
    run.timeline.note(format!("its answer: {code}"));
    Some(account)
}

/// Corrupts an account's databases while its owner is stopped, then kills the owner.
async fn corrupt_database(run: &ChaosRun, random: &mut SeededRandom) -> Option<u32> {
    let account = healthy(run, random, 1).pop()?;
    let worker = run.fleet.owner_of(account).await?;
    run.timeline.note(format!("account {account} of w{} gets a corrupt database", worker + 1));
    lock(&run.destroyed).insert(account);
    run.fleet.signal(worker, Signal::STOP);
    for entry in fs::read_dir(run.fleet.directory(account).join("db")).unwrap().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let mut bytes = fs::read(entry.path()).unwrap();
            bytes.iter_mut().skip(16).for_each(|byte| *byte = !*byte);
            fs::write(entry.path(), bytes).unwrap();
        }
    }
    run.fleet.delay_restart(worker, run.leases(2));
    run.fleet.signal(worker, Signal::KILL);
    sleep(run.leases(2)).await;
    Some(account)
}

async fn kill_rabbit(run: &ChaosRun, random: &mut SeededRandom) {
    let downtime = Duration::from_millis(random.in_range(500..8_000));
    run.timeline.note(format!("RabbitMQ is killed, for {downtime:.1?}"));
    run.fleet.rabbit(RabbitServer::kill9);
    sleep(downtime).await;
    run.fleet.rabbit(RabbitServer::restart);
    run.timeline.note("RabbitMQ is back");
}

async fn kill_redis(run: &ChaosRun, random: &mut SeededRandom) {
    // Shorter and longer than a lease.
    let downtime = Duration::from_millis(random.in_range(200..run.options.lease_s * 2_500));
    run.timeline.note(format!("Redis is killed, for {downtime:.1?}"));
    run.fleet.redis(RedisServer::kill9);
    sleep(downtime).await;
    run.fleet.redis(RedisServer::restart);
    run.timeline.note("Redis is back");
}

/// Stops Redis for about as long as leases survive without it, twice.
async fn freeze_redis(run: &ChaosRun, random: &mut SeededRandom) {
    for _ in 0..2 {
        let frozen = Duration::from_millis(random.in_range(500..1_500) * run.options.lease_s);
        run.timeline.note(format!("Redis is frozen, for {frozen:.1?}"));
        run.fleet.redis(|redis| redis.pause());
        sleep(frozen).await;
        run.fleet.redis(|redis| redis.resume());
        sleep(run.leases(1)).await;
    }
}

fn wipe_redis(run: &ChaosRun) {
    let from = now();
    run.timeline.note("Redis is killed and loses its data");
    run.fleet.redis(RedisServer::restart_empty);
    lock(&run.wipes).push((from, now()));
}

/// Drops all packets to and from a loopback address: connections stay open and are silent.
async fn partition(address: Ipv4Addr, lasts: Duration) {
    route("add", address);
    sleep(lasts).await;
    route("del", address);
}

fn route(action: &str, address: Ipv4Addr) {
    let route = format!("route {action} blackhole {address}/32 table local");
    let status = Command::new("ip").args(route.split(' ')).status().unwrap();
    assert!(status.success(), "ip {route}: {status}");
}

/// Redis is down while a tenth of the accounts have no space left for their spools.
async fn fill_spool(run: &ChaosRun, random: &mut SeededRandom) -> Vec<u32> {
    let tenth = healthy(run, random, run.options.accounts.div_ceil(10));
    run.timeline.note(format!("no space is left for the spools of {tenth:?}; Redis is killed"));
    let spool = |account: &u32| run.fleet.directory(*account).join("spool");
    for path in tenth.iter().map(spool) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error}"),
            _ => symlink("/dev/full", &path).unwrap(),
        }
    }
    let from = now();
    run.fleet.redis(RedisServer::kill9);
    // Short enough that the accounts stay open, so that their events need the spool.
    sleep(run.leases(1) / 2).await;
    run.fleet.redis(RedisServer::restart);
    run.timeline.note("Redis is back");
    timeout(SHUTDOWN_TIMEOUT, run.wait_for_answers_except(&[])).await.ok();
    for path in tenth.iter().map(spool) {
        // The worker may have replaced it with a real spool.
        if fs::read_link(&path).is_ok() {
            fs::remove_file(&path).unwrap();
        }
    }
    let resynced = tenth.iter().filter(|account| run.follower.has_seen(**account, "resync", from));
    run.timeline.note(format!("{} of them have reported lost events", resynced.count()));
    tenth
}

/// A tenth of the accounts get a flood wait.
async fn floods(run: &ChaosRun, random: &mut SeededRandom) -> Vec<u32> {
    // The time before the floods, for comparison.
    sleep(run.options.observation).await;
    let tenth = healthy(run, random, run.options.accounts.div_ceil(10));
    run.timeline.note(format!("floods for {tenth:?}"));
    for account in &tenth {
        let seconds = u32::try_from(random.in_range(5..91)).unwrap_or(5);
        let flood = Fault::flood_wait(seconds).account(*account).times(1);
        run.fleet.sandbox.inject(flood.method("account.updateProfile"));
    }
    sleep(run.options.observation).await;
    tenth
}

/// A producer that is limited to one account sends all that could harm the fleet.
async fn hostile_producer(run: &ChaosRun, random: &mut SeededRandom) -> Option<u32> {
    // The time before the attacks, for comparison.
    sleep(run.options.observation).await;
    let account = healthy(run, random, 1).pop()?;
    lock(&run.attacked).insert(account);
    run.timeline.note(format!("a hostile producer that may publish for account {account}"));
    hostile::attack(run, account, run.options.observation).await;
    Some(account)
}

/// Shuts down and restarts the workers, one after the other.
async fn rolling_restart(run: &ChaosRun) {
    for worker in 0..run.fleet.workers() {
        run.timeline.note(format!("w{} is shutting down", worker + 1));
        let before = run.fleet.pid(worker);
        run.fleet.signal(worker, Signal::TERM);
        let back = async {
            while run.fleet.pid(worker).is_none_or(|pid| Some(pid) == before) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        if timeout(SHUTDOWN_TIMEOUT, back).await.is_err() {
            run.timeline.note(format!("w{} does not shut down", worker + 1));
        }
        timeout(SHUTDOWN_TIMEOUT, run.wait_for_answers_except(&[])).await.ok();
    }
}

/// A random choice of accounts whose database is intact.
fn healthy(run: &ChaosRun, random: &mut SeededRandom, number: u32) -> Vec<u32> {
    let destroyed = lock(&run.destroyed);
    let all = 1..=run.options.accounts;
    let mut accounts: Vec<u32> = all.filter(|account| !destroyed.contains(account)).collect();
    random.shuffle(&mut accounts);
    accounts.truncate(number as usize);
    accounts
}
