//! Redis: reachable, new enough, writable, and configured to keep its data.

use contracts::Names;
use publisher::RedisFacts;
use settings::PublisherSettings;

use super::check::DoctorCheck;

const PART: &str = "redis";

/// The oldest Redis that the scripts run on.
const MIN_MAJOR_VERSION: u32 = 7;

pub(super) async fn check(settings: &PublisherSettings, names: &Names) -> Vec<DoctorCheck> {
    match RedisFacts::ask(settings, names).await {
        Ok(facts) => check_facts(&facts),
        Err(error) => {
            let remedy = "start Redis, or correct publisher.uri";
            vec![DoctorCheck::wrong(PART, runtime::error_chain(&error), remedy)]
        }
    }
}

fn check_facts(facts: &RedisFacts) -> Vec<DoctorCheck> {
    let RedisFacts { version, primary, append_only, eviction, user, refused, write_error } = facts;
    let major = version.split('.').next().and_then(|major| major.parse().ok());
    vec![
        DoctorCheck::ok_if(
            major >= Some(MIN_MAJOR_VERSION),
            PART,
            format!("version {version}"),
            "upgrade to version 7 or newer",
        ),
        DoctorCheck::ok_if(
            *primary,
            PART,
            if *primary { "accepts writes" } else { "is a replica" },
            "point publisher.uri at the primary",
        ),
        DoctorCheck::ok_if(
            *append_only,
            PART,
            format!("appendonly {}", if *append_only { "yes" } else { "no" }),
            "set `appendonly yes`, or a restart loses the events, the ledger and the leases",
        ),
        DoctorCheck::ok_if(
            eviction == "noeviction",
            PART,
            format!("maxmemory-policy {eviction}"),
            "set `maxmemory-policy noeviction`, or Redis may evict events and leases",
        ),
        DoctorCheck::ok_if(
            refused.is_empty(),
            PART,
            if refused.is_empty() {
                format!("user {user} may do what a worker does")
            } else {
                format!("user {user} may not: {}", refused.join(", "))
            },
            "give the user what docs/permissions.md lists",
        ),
        DoctorCheck::ok_if(
            write_error.is_none(),
            PART,
            write_error.as_ref().map_or_else(
                || "a key was written, and a message published".to_owned(),
                |error| format!("refuses to write or publish: {error}"),
            ),
            "see Redis's log, its memory, its disk and the user's permissions",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::check::CheckState;
    use super::*;

    #[test]
    fn a_redis_that_may_lose_data_is_wrong() {
        let sound = RedisFacts {
            version: "7.0.15".to_owned(),
            primary: true,
            append_only: true,
            eviction: "noeviction".to_owned(),
            user: "default".to_owned(),
            refused: Vec::new(),
            write_error: None,
        };
        let states = |facts: &RedisFacts| {
            check_facts(facts).iter().map(|check| check.state).collect::<Vec<_>>()
        };
        assert_eq!(states(&sound), [CheckState::Ok; 6]);
        let old = RedisFacts {
            version: "6.2.0".to_owned(),
            primary: false,
            append_only: false,
            eviction: "allkeys-lru".to_owned(),
            user: "app".to_owned(),
            refused: vec!["PUBLISH tdfleet:{1}:live x".to_owned()],
            write_error: Some("NOPERM".to_owned()),
        };
        assert_eq!(states(&old), [CheckState::Wrong; 6]);
        let odd = RedisFacts { version: String::new(), ..sound };
        assert_eq!(states(&odd)[0], CheckState::Wrong);
    }
}
