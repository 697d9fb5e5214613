//! A Redis user that may not do all that the log needs: nothing is stored by halves, and everything
//! is once the permission is there.

use std::time::Duration;

use contracts::Flow;
use log_port::{AccountLog, AdmissionVerdict, HeadField};
use publisher::EventLog;
use testkit::log_rules::steps::{
    ONCE, SOON, account, admit, all, append_all, claim_head, completion, id, owner, pending,
    position, push,
};
use tokio::time::timeout;

use crate::redis::{Cli, HEAD, LOG};
use crate::support::{LogFixture, answer, check_chain, numbers, read_all, until_connected, writer};

/// A log as the user `app`, which `rules` describe, and a client that may do everything.
async fn log_of_user(rules: &str) -> (LogFixture, EventLog, Cli) {
    let mut fixture = LogFixture::on_redis();
    let mut cli = Cli::to(fixture.server()).await;
    cli.send(&format!("ACL SETUSER app on >secret {rules}")).await;
    let uri = format!("redis://app:secret@127.0.0.1:{}/0", fixture.server().port());
    fixture.settings.uri = uri.into();
    let log = fixture.open();
    until_connected(&log, true).await;
    (fixture, log, cli)
}

#[tokio::test]
async fn a_user_without_channels_stores_nothing_until_it_has_them() {
    let (_fixture, log, mut cli) = log_of_user("~* +@all").await;
    let writer = writer(&log, account(1), 7).await;
    let waiting = append_all(&writer, 0..10);
    until_connected(&log, false).await;
    assert_eq!(cli.ask::<usize>(&format!("XLEN {LOG}")).await, 0);
    cli.send("ACL SETUSER app &*").await;
    assert!(all(waiting).await.iter().all(Result::is_ok));
    let kept = read_all(&log, account(1)).await;
    assert_eq!(numbers(&kept), (0..10).collect::<Vec<_>>());
    assert_eq!(kept[0].id, id("7-1"));
    check_chain(&kept);
}

/// Every command that the scripts call, or may call after they have written something.
const COMMANDS: [&str; 16] = [
    "del",
    "exists",
    "expire",
    "get",
    "hget",
    "hmget",
    "hset",
    "publish",
    "set",
    "ttl",
    "xadd",
    "xdel",
    "xinfo",
    "xrange",
    "xrevrange",
    "evalsha",
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_user_may_not_do_takes_effect_once_when_it_may() {
    for forbidden in COMMANDS {
        let (_fixture, log, mut cli) = log_of_user("~* &* +@all").await;
        let token = owner(account(1), 7);
        let writer = writer(&log, account(1), 7).await;
        let [a, b] = [position(Flow::Hi, "7-1"), position(Flow::Hi, "7-2")];
        push(&writer, vec![pending("a", a)]).await.unwrap();
        cli.send(&format!("XADD {LOG} 7-18446744073709551615 e x")).await;
        cli.send("XADD tdfleet:{1}:pending:cmd_hi 7-18446744073709551615 x y").await;
        cli.send(&format!("ACL SETUSER app -{forbidden}")).await;
        let work = async {
            assert_eq!(admit(&writer, "a", ONCE).await, Ok(AdmissionVerdict::Proceed));
            answer(&writer, 0, completion("a", Some(a))).await.unwrap();
            push(&writer, vec![pending("b", b)]).await.unwrap();
            writer.set_head_field(HeadField::LoggedIn(true));
            assert_eq!(admit(&writer, "b", ONCE).await, Ok(AdmissionVerdict::Proceed));
            answer(&writer, 1, completion("c", None)).await.unwrap();
        };
        let grant = async {
            // Long enough for the first refusal; what is refused later only waits longer.
            timeout(Duration::from_millis(200), until_connected(&log, false)).await.ok();
            cli.send(&format!("ACL SETUSER app +{forbidden}")).await;
        };
        let both = async { tokio::join!(work, grant) };
        timeout(SOON, both).await.unwrap_or_else(|_| panic!("everything without {forbidden}"));
        let kept = read_all(&log, account(1)).await;
        assert_eq!(numbers(&kept), [0, 1], "without {forbidden}");
        check_chain(&kept);
        let head = claim_head(&log, token).await;
        let waiting: Vec<_> = head.pending.iter().map(|command| command.command.as_str()).collect();
        assert_eq!((waiting, head.logged_in), (vec!["b"], true), "without {forbidden}");
        assert_eq!(head.last, kept.last().map(|event| event.id), "without {forbidden}");
        let stored: usize = cli.ask(&format!("XLEN {LOG}")).await;
        assert_eq!(stored, 3, "without {forbidden}, with the foreign entry");
        assert_eq!(cli.ask::<usize>(&format!("HEXISTS {HEAD} last")).await, 1);
    }
}
