//! What goes wrong in a run. Each fault is put right again before it returns.

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

use super::random::Random;
use super::record::{Ms, now};
use super::stage::{rabbit_address, redis_address};
use super::{Scene, load, lock};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
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
}

impl Kind {
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
        }
    }
}

/// A fault that was done.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) kind: Kind,
    pub(crate) from: Ms,
    /// When it was put right.
    pub(crate) to: Ms,
    /// Accounts that it was meant for.
    pub(crate) accounts: Vec<u32>,
}

/// Longest wait for a process to end.
const END: Duration = Duration::from_secs(30);
/// How long floods are watched, and the calm before them.
const FLOOD: Duration = Duration::from_secs(15);

/// Does it, waits, and puts it right.
pub(crate) async fn strike(scene: &Scene, kind: Kind, random: &mut Random) -> Mark {
    let begun = now();
    let worker = usize::try_from(random.among(0..scene.stage.workers() as u64)).unwrap_or(0);
    let mut accounts = Vec::new();
    match kind {
        Kind::KillWorker => kill_worker(scene, worker).await,
        Kind::FreezeWorker => freeze_worker(scene, worker).await,
        Kind::Poison => accounts.extend(poison(scene, random).await),
        Kind::CorruptDatabase => accounts.extend(corrupt(scene, random).await),
        Kind::KillRabbit => kill_rabbit(scene, random).await,
        Kind::KillRedis => kill_redis(scene, random).await,
        Kind::WipeRedis => wipe_redis(scene),
        Kind::FreezeRedis => freeze_redis(scene, random).await,
        Kind::CutFromRedis => {
            scene.timeline.note(format!("w{} is cut from Redis", worker + 1));
            cut(redis_address(worker), scene.leases(4)).await;
        }
        Kind::CutFromRabbit => {
            scene.timeline.note(format!("w{} is cut from RabbitMQ", worker + 1));
            cut(rabbit_address(worker), scene.leases(3)).await;
        }
        Kind::FillSpool => accounts = fill_spool(scene, random).await,
        Kind::Floods => accounts = floods(scene, random).await,
        Kind::RollingRestart => rolling_restart(scene).await,
    }
    let from = if kind == Kind::Floods {
        begun + u64::try_from(FLOOD.as_millis()).unwrap_or(0)
    } else {
        begun
    };
    Mark { kind, from, to: now(), accounts }
}

async fn kill_worker(scene: &Scene, worker: usize) {
    scene.timeline.note(format!("w{} is killed", worker + 1));
    scene.stage.rest(worker, scene.leases(2));
    scene.stage.signal(worker, Signal::KILL);
    sleep(scene.leases(2)).await;
}

/// For so long that who does not respect the locks has taken the accounts over, and has waited the
/// ten seconds in which TDLib itself tries for its database's lock.
async fn freeze_worker(scene: &Scene, worker: usize) {
    scene.timeline.note(format!("w{} is frozen", worker + 1));
    scene.stage.signal(worker, Signal::STOP);
    sleep(scene.leases(5)).await;
    scene.timeline.note(format!("w{} goes on", worker + 1));
    scene.stage.signal(worker, Signal::CONT);
}

async fn poison(scene: &Scene, random: &mut Random) -> Option<u32> {
    let account = healthy(scene, random, 1).pop()?;
    scene.timeline.note(format!("account {account} gets a command that ends TDLib"));
    let id = load::poison(scene, account).await;
    let answer = timeout(END, scene.follower.wait_for(&id)).await;
    let told = answer.map_or_else(|_| "nothing".to_owned(), |answer| format!("{:?}", answer.code));
    scene.timeline.note(format!("it is answered {told}"));
    Some(account)
}

/// Destroys an account's databases while its owner cannot write to them, and kills the owner.
async fn corrupt(scene: &Scene, random: &mut Random) -> Option<u32> {
    let account = healthy(scene, random, 1).pop()?;
    let worker = scene.stage.owner_of(account).await?;
    scene.timeline.note(format!("account {account} of w{} gets a corrupt database", worker + 1));
    lock(&scene.destroyed).insert(account);
    scene.stage.signal(worker, Signal::STOP);
    for entry in fs::read_dir(scene.stage.directory(account).join("db")).unwrap().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let mut bytes = fs::read(entry.path()).unwrap();
            bytes.iter_mut().skip(16).for_each(|byte| *byte = !*byte);
            fs::write(entry.path(), bytes).unwrap();
        }
    }
    scene.stage.rest(worker, scene.leases(2));
    scene.stage.signal(worker, Signal::KILL);
    sleep(scene.leases(2)).await;
    Some(account)
}

async fn kill_rabbit(scene: &Scene, random: &mut Random) {
    let away = Duration::from_millis(random.among(500..8_000));
    scene.timeline.note(format!("RabbitMQ is killed, for {away:.1?}"));
    scene.stage.rabbit(RabbitServer::kill9);
    sleep(away).await;
    scene.stage.rabbit(RabbitServer::restart);
    scene.timeline.note("RabbitMQ is back");
}

async fn kill_redis(scene: &Scene, random: &mut Random) {
    // Shorter and longer than a lease.
    let away = Duration::from_millis(random.among(200..scene.options.lease_s * 2_500));
    scene.timeline.note(format!("Redis is killed, for {away:.1?}"));
    scene.stage.redis(RedisServer::kill9);
    sleep(away).await;
    scene.stage.redis(RedisServer::restart);
    scene.timeline.note("Redis is back");
}

/// Redis answers nothing, about as long as a lease is held without it; again, a moment later.
async fn freeze_redis(scene: &Scene, random: &mut Random) {
    for _ in 0..2 {
        let frozen = Duration::from_millis(random.among(500..1_500) * scene.options.lease_s);
        scene.timeline.note(format!("Redis is frozen, for {frozen:.1?}"));
        scene.stage.redis(|redis| redis.pause());
        sleep(frozen).await;
        scene.stage.redis(|redis| redis.resume());
        sleep(scene.leases(1)).await;
    }
}

fn wipe_redis(scene: &Scene) {
    let from = now();
    scene.timeline.note("Redis is killed and loses all it has");
    scene.stage.redis(RedisServer::restart_empty);
    lock(&scene.wipes).push((from, now()));
}

/// Nothing gets through to or from an address of loopback; connections stay, and are silent.
async fn cut(address: Ipv4Addr, lasts: Duration) {
    route("add", address);
    sleep(lasts).await;
    route("del", address);
}

fn route(action: &str, address: Ipv4Addr) {
    let route = format!("route {action} blackhole {address}/32 table local");
    let status = Command::new("ip").args(route.split(' ')).status().unwrap();
    assert!(status.success(), "ip {route}: {status}");
}

/// Redis is away while a tenth of the accounts have no room for what happens meanwhile.
async fn fill_spool(scene: &Scene, random: &mut Random) -> Vec<u32> {
    let tenth = healthy(scene, random, scene.options.accounts.div_ceil(10));
    scene.timeline.note(format!("no room is left for the spools of {tenth:?}; Redis is killed"));
    let spool = |account: &u32| scene.stage.directory(*account).join("spool");
    for path in tenth.iter().map(spool) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error}"),
            _ => symlink("/dev/full", &path).unwrap(),
        }
    }
    let from = now();
    scene.stage.redis(RedisServer::kill9);
    // Not so long that the accounts are closed: what happens meanwhile has to go somewhere.
    sleep(scene.leases(1) / 2).await;
    scene.stage.redis(RedisServer::restart);
    scene.timeline.note("Redis is back");
    timeout(END, scene.all_answer_but(&[])).await.ok();
    for path in tenth.iter().map(spool) {
        // The worker may have put a file of its own there.
        if fs::read_link(&path).is_ok() {
            fs::remove_file(&path).unwrap();
        }
    }
    let told = tenth.iter().filter(|account| scene.follower.has_seen(**account, "resync", from));
    scene.timeline.note(format!("{} of them have told that events are lost", told.count()));
    tenth
}

/// A tenth of the accounts are asked to wait.
async fn floods(scene: &Scene, random: &mut Random) -> Vec<u32> {
    // Before them, for comparison.
    sleep(FLOOD).await;
    let tenth = healthy(scene, random, scene.options.accounts.div_ceil(10));
    scene.timeline.note(format!("floods for {tenth:?}"));
    for account in &tenth {
        let seconds = u32::try_from(random.among(5..91)).unwrap_or(5);
        let flood = Fault::flood_wait(seconds).account(*account).times(1);
        scene.stage.sandbox.inject(flood.method("account.updateProfile"));
    }
    sleep(FLOOD).await;
    tenth
}

/// Every worker is asked to end, one after the other, and comes back.
async fn rolling_restart(scene: &Scene) {
    for worker in 0..scene.stage.workers() {
        scene.timeline.note(format!("w{} is asked to end", worker + 1));
        let before = scene.stage.pid(worker);
        scene.stage.signal(worker, Signal::TERM);
        let back = async {
            while scene.stage.pid(worker).is_none_or(|pid| Some(pid) == before) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        if timeout(END, back).await.is_err() {
            scene.timeline.note(format!("w{} does not end", worker + 1));
        }
        timeout(END, scene.all_answer_but(&[])).await.ok();
    }
}

impl Scene {
    /// So many times a lease.
    fn leases(&self, times: u64) -> Duration {
        Duration::from_secs(self.options.lease_s * times)
    }
}

/// So many accounts whose database is whole.
fn healthy(scene: &Scene, random: &mut Random, number: u32) -> Vec<u32> {
    let destroyed = lock(&scene.destroyed);
    let all = 1..=scene.options.accounts;
    let mut accounts: Vec<u32> = all.filter(|account| !destroyed.contains(account)).collect();
    random.shuffle(&mut accounts);
    accounts.truncate(number as usize);
    accounts
}
