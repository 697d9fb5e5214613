//! RabbitMQ: reachable, its topology, and the type of its queues.

use broker::{Inspection, inspect};
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
        Ok(inspection) => vec![
            DoctorCheck::ok(PART, "responds"),
            check_topology(inspection, count),
            check_queue_type(settings.queue_type),
        ],
        Err(error) => {
            let remedy = "start RabbitMQ, or correct broker.uri";
            vec![DoctorCheck::wrong(PART, runtime::error_chain(&error), remedy)]
        }
    }
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
            "workers declare them again when they connect; find out who deleted them",
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
