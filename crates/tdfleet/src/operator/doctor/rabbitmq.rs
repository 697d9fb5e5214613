//! RabbitMQ: reachable, its topology, and the type of its queues.

use broker::{BrokerReport, Inspection, inspect};
use contracts::{Names, ShardCount};
use settings::{BrokerSettings, QueueType};

use super::check::DoctorCheck;

const PART: &str = "rabbitmq";

pub(super) async fn check(
    settings: &BrokerSettings,
    names: Names,
    count: ShardCount,
) -> Vec<DoctorCheck> {
    match inspect(settings, names, count).await {
        Ok(BrokerReport { version, topology, refusals }) => vec![
            check_version(version),
            check_topology(topology, count),
            check_permissions(&refusals),
            check_queue_type(settings.queue_type),
        ],
        Err(error) => {
            let remedy = "start RabbitMQ, or correct broker.uri";
            vec![DoctorCheck::wrong(PART, runtime::error_chain(&error), remedy)]
        }
    }
}

fn check_version(version: Option<String>) -> DoctorCheck {
    let version =
        version.map_or_else(|| "responds".to_owned(), |version| format!("version {version}"));
    DoctorCheck::ok(PART, version)
}

fn check_permissions(refusals: &[String]) -> DoctorCheck {
    DoctorCheck::ok_if(
        refusals.is_empty(),
        PART,
        if refusals.is_empty() {
            "the user may do what a worker does".to_owned()
        } else {
            refusals.join("; ")
        },
        "give the user what docs/permissions.md lists",
    )
}

fn check_topology(inspection: Inspection, count: ShardCount) -> DoctorCheck {
    match inspection {
        Inspection::Fresh => {
            DoctorCheck::ok(PART, "nothing is declared yet; the first worker declares everything")
        }
        Inspection::Sound { dead_letters: 0 } => {
            DoctorCheck::ok(PART, format!("everything is declared, for {} shards", count.get()))
        }
        Inspection::Sound { dead_letters } => DoctorCheck::warning(
            PART,
            format!("everything is declared; {dead_letters} dead letters"),
            "inspect them with `tdfleet dead-letters list`",
        ),
        Inspection::Missing(missing) => DoctorCheck::warning(
            PART,
            format!("{} queues or exchanges are missing, such as {}", missing.len(), missing[0]),
            "a worker declares them again within broker.topology_check_s; find out who deleted them",
        ),
        Inspection::Other(error) => DoctorCheck::wrong(
            PART,
            error.to_string(),
            "correct the setting, see docs/operations.md",
        ),
    }
}

fn check_queue_type(queue_type: QueueType) -> DoctorCheck {
    match queue_type {
        QueueType::Quorum => DoctorCheck::ok(
            PART,
            "quorum queues; three nodes keep every confirmed message, a single node that is killed within 3 s of the first declare loses its queues",
        ),
        QueueType::Classic => DoctorCheck::warning(
            PART,
            "classic queues: each is on one node only",
            "use quorum queues on three nodes in production",
        ),
    }
}
