//! `tdfleet doctor`: whether everything is as a worker needs it.

mod store;

use std::process::ExitCode;

use anyhow::Context;
use broker::{Inspection, inspect};
use contracts::{Names, ShardCount};
use publisher::RedisFacts;
use serde::Serialize;
use settings::{QueueType, Settings};
use tdlib::{Library, REQUIRED_VERSION};

use crate::cli::DoctorArgs;
use crate::events::print;
use crate::table::print_json;

/// The oldest Redis that has what the scripts use.
const REDIS: u32 = 7;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warning,
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Check {
    part: &'static str,
    state: State,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Check {
    fn ok(part: &'static str, found: impl Into<String>) -> Self {
        Self { part, state: State::Ok, found: found.into(), remedy: None }
    }

    fn warning(part: &'static str, found: impl Into<String>, remedy: &str) -> Self {
        let remedy = Some(remedy.to_owned());
        Self { part, state: State::Warning, found: found.into(), remedy }
    }

    fn wrong(part: &'static str, found: impl Into<String>, remedy: &str) -> Self {
        Self { state: State::Wrong, ..Self::warning(part, found, remedy) }
    }

    /// Sound, or else wrong.
    fn that(sound: bool, part: &'static str, found: impl Into<String>, remedy: &str) -> Self {
        if sound { Self::ok(part, found) } else { Self::wrong(part, found, remedy) }
    }

    fn line(&self) -> String {
        let Self { part, state, found, remedy } = self;
        let state = match state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Wrong => "WRONG",
        };
        let remedy = remedy.as_ref().map(|remedy| format!(": {remedy}")).unwrap_or_default();
        format!("{state:8} {part:9} {found}{remedy}")
    }
}

pub(crate) async fn run(settings: Settings, args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let count = ShardCount::new(settings.shard_count).context("shard_count is out of range")?;
    let mut checks = vec![telegram(&settings), library(&settings)];
    checks.extend(store::check(&settings.worker.data_dir));
    let (redis, rabbitmq) = tokio::join!(redis(&settings), rabbitmq(&settings, count));
    checks.extend(redis);
    checks.extend(rabbitmq);
    if args.json {
        print_json(&checks)?;
    } else {
        for check in &checks {
            print(check.line().as_bytes());
        }
    }
    let wrong = checks.iter().any(|check| check.state == State::Wrong);
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn telegram(settings: &Settings) -> Check {
    let accounts = settings.worker.accounts.iter().count();
    match settings.telegram.credentials() {
        Err(faults) => {
            let names: Vec<_> = faults.iter().map(|fault| &*fault.setting).collect();
            Check::wrong("telegram", format!("not set: {}", names.join(", ")), "set them")
        }
        Ok(_) if accounts == 0 => Check::warning(
            "telegram",
            "no accounts",
            "set worker.accounts, the same on every worker",
        ),
        Ok(_) => Check::ok("telegram", format!("credentials are set, {accounts} accounts")),
    }
}

fn library(settings: &Settings) -> Check {
    let crashes = settings.worker.data_dir.join("crashes");
    match Library::load(&settings.tdlib.library, settings.tdlib.log_level, &crashes) {
        Ok(_) => Check::ok("tdlib", format!("libtdjson {REQUIRED_VERSION} loads")),
        Err(error) => Check::wrong("tdlib", runtime::error_chain(&error), "see docs/tdlib.md"),
    }
}

async fn redis(settings: &Settings) -> Vec<Check> {
    match RedisFacts::ask(&settings.publisher).await {
        Ok(facts) => redis_facts(&facts),
        Err(error) => {
            let remedy = "start Redis, or correct publisher.uri";
            vec![Check::wrong("redis", runtime::error_chain(&error), remedy)]
        }
    }
}

fn redis_facts(facts: &RedisFacts) -> Vec<Check> {
    let RedisFacts { version, primary, append_only, eviction } = facts;
    let major = version.split('.').next().and_then(|major| major.parse().ok());
    vec![
        Check::that(
            major >= Some(REDIS),
            "redis",
            format!("version {version}"),
            "version 7 or newer is needed",
        ),
        Check::that(
            *primary,
            "redis",
            if *primary { "takes writes" } else { "is a replica" },
            "publisher.uri must lead to the primary",
        ),
        Check::that(
            *append_only,
            "redis",
            format!("appendonly {}", if *append_only { "yes" } else { "no" }),
            "set `appendonly yes`: a restart forgets the events, the ledger and who owns what otherwise",
        ),
        Check::that(
            eviction == "noeviction",
            "redis",
            format!("maxmemory-policy {eviction}"),
            "set `maxmemory-policy noeviction`: anything else throws events and leases away",
        ),
    ]
}

async fn rabbitmq(settings: &Settings, count: ShardCount) -> Vec<Check> {
    let names = Names::new(&settings.namespace);
    let found = match inspect(&settings.broker, names, count).await {
        Ok(found) => found,
        Err(error) => {
            let remedy = "start RabbitMQ, or correct broker.uri";
            return vec![Check::wrong("rabbitmq", runtime::error_chain(&error), remedy)];
        }
    };
    let mut checks = vec![Check::ok("rabbitmq", "answers"), topology(found, count)];
    checks.push(match settings.broker.queue_type {
        QueueType::Quorum => Check::ok(
            "rabbitmq",
            "queues of type quorum; on a single node a kill within 3 s of the first declare loses them, three nodes keep what was confirmed",
        ),
        QueueType::Classic => Check::warning(
            "rabbitmq",
            "queues of type classic: each is on one node alone",
            "quorum queues on three nodes for production",
        ),
    });
    checks
}

fn topology(found: Inspection, count: ShardCount) -> Check {
    let part = "rabbitmq";
    match found {
        Inspection::Fresh => Check::ok(part, "nothing is declared yet: the first worker does it"),
        Inspection::Sound { dead_letters: 0 } => {
            Check::ok(part, format!("everything is declared, for {} shards", count.get()))
        }
        Inspection::Sound { dead_letters } => Check::warning(
            part,
            format!("everything is declared; {dead_letters} dead letters"),
            "look at them with `tdfleet dead-letters list`",
        ),
        Inspection::Missing(missing) => Check::warning(
            part,
            format!("{} queues or exchanges are missing, such as {}", missing.len(), missing[0]),
            "a worker declares them as it connects; who deleted them?",
        ),
        Inspection::Other(error) => {
            Check::wrong(part, error.to_string(), "correct the setting, see docs/operations.md")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_that_may_forget_is_wrong() {
        let sound = RedisFacts {
            version: "7.0.15".to_owned(),
            primary: true,
            append_only: true,
            eviction: "noeviction".to_owned(),
        };
        let states = |facts: &RedisFacts| {
            redis_facts(facts).iter().map(|check| check.state).collect::<Vec<_>>()
        };
        assert_eq!(states(&sound), [State::Ok; 4]);
        let old = RedisFacts {
            version: "6.2.0".to_owned(),
            primary: false,
            append_only: false,
            eviction: "allkeys-lru".to_owned(),
        };
        assert_eq!(states(&old), [State::Wrong; 4]);
        let odd = RedisFacts { version: String::new(), ..sound };
        assert_eq!(states(&odd)[0], State::Wrong);
    }

    #[test]
    fn a_line_says_what_to_do() {
        let check = Check::wrong("redis", "appendonly no", "set it");
        assert_eq!(check.line(), "WRONG    redis     appendonly no: set it");
        assert_eq!(Check::ok("tdlib", "loads").line(), "ok       tdlib     loads");
    }
}
