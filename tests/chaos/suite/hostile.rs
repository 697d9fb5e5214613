//! A producer that RabbitMQ lets publish for one account, and that sends whatever could harm others.

mod attacks;

use std::time::Duration;

use contracts::{AccountId, Flow};
use test_servers::raw_amqp::RawPublisher;
use tokio::time::{Instant, sleep};

use super::ChaosRun;
use super::evidence::now;
use super::fleet::TestFleet;
use attacks::{Attack, AttackTarget};

/// Accounts that no installation has; the producer may publish for them as well.
const NOBODY: u32 = 9_000_000;
/// Identical reads in a row.
const READS: usize = 1_000;
/// Connections that send them.
const FLOODERS: usize = 4;
/// Large reads in a row, while they wait for one another.
const LARGE_READS: usize = 200;
/// Pause between two rounds, so that RabbitMQ itself keeps up.
const PAUSE: Duration = Duration::from_secs(1);

/// A queue of another tenant, which must stay empty.
pub(crate) const INBOX: &str = "another.inbox";

/// Sends every attack, round after round, for at least this long.
pub(crate) async fn attack(run: &ChaosRun, account: u32, lasts: Duration) {
    let target = AttackTarget {
        account,
        others: (1..=run.options.accounts).filter(|other| *other != account).collect(),
        nobody: NOBODY,
        file: run.fleet.write_private_file(),
    };
    run.bus.declare(INBOX).await;
    let uri = authorise(&run.fleet, &target);
    let begun = Instant::now();
    for round in 0.. {
        let (uri, target) = (uri.clone(), target.clone());
        let sent = tokio::task::spawn_blocking(move || send_round(&uri, &target, round));
        let sent = sent.await.expect("RabbitMQ passes every attack");
        run.timeline.note(format!("{sent} hostile messages were sent"));
        if lasts <= begun.elapsed() {
            return;
        }
        sleep(PAUSE).await;
    }
}

/// Creates a user that may publish to the commands' exchange, with keys of these accounts only;
/// returns its URI.
fn authorise(fleet: &TestFleet, target: &AttackTarget) -> String {
    let user = format!("hostile-{}", now());
    let keys = format!(
        r"^cmd_(hi|lo)\.({}\.acc\.{}|s[0-9]+\.acc\.{NOBODY})\.",
        TestFleet::shard_of(target.account),
        target.account
    );
    fleet.rabbit(|rabbit| {
        rabbit.ctl(["add_user", &user, "hush"]);
        rabbit.ctl(["set_permissions", &user, "^$", r"^tdfleet\.commands$", "^$"]);
        rabbit.ctl(["set_topic_permissions", &user, "tdfleet.commands", &keys, "^$"]);
    });
    fleet.rabbit_uri.replace("guest:guest@", &format!("{user}:hush@"))
}

/// Sends each attack once, and the floods, all side by side; returns the number of messages. Blocks.
fn send_round(uri: &str, target: &AttackTarget, round: u32) -> usize {
    std::thread::scope(|scope| {
        let mut senders = Vec::new();
        for flow in Flow::ALL {
            let attacks = move || attacks::every(target, flow, round).into_iter();
            senders.push(scope.spawn(move || send_all(uri, attacks())));
        }
        let large = (0..LARGE_READS).map(|_| attacks::large_read(target));
        senders.push(scope.spawn(move || send_all(uri, large)));
        for _ in 0..FLOODERS {
            let reads = (0..READS / FLOODERS).map(|_| attacks::read(target));
            senders.push(scope.spawn(move || send_all(uri, reads)));
        }
        senders.into_iter().map(|sender| sender.join().expect("RabbitMQ passes the attack")).sum()
    })
}

fn send_all(uri: &str, attacks: impl Iterator<Item = Attack>) -> usize {
    let mut publisher = RawPublisher::connect(uri);
    let send = |attack: Attack| {
        publisher.publish("tdfleet.commands", &attack.key, attack.properties, &attack.body);
    };
    attacks.map(send).count()
}

fn routing_key(flow: Flow, account: u32, rest: &str) -> Vec<u8> {
    let shard = TestFleet::shard_of(account);
    let account = AccountId::new(account.into()).expect("counted from 1");
    format!("{flow}.{shard}.acc.{account}.{rest}").into_bytes()
}
