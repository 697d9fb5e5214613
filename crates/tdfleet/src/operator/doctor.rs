//! `tdfleet doctor`: checks everything that a worker needs.

mod check;
mod rabbitmq;
mod redis;
mod store;

use std::process::ExitCode;

use settings::Settings;
use tdlib::{Library, LibraryFile, REQUIRED_VERSION};

use crate::cli::DoctorArgs;
use crate::daemon::preflight::guard_proxy;
use crate::exit::success_if;
use crate::installation;
use crate::output::{print_json, print_line};
use crate::process::OpenFileLimit;
use check::{CheckState, DoctorCheck};

pub(crate) async fn run(settings: Settings, args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let (names, count) = (installation::names(&settings), installation::shard_count(&settings)?);
    let mut checks = vec![check_telegram(&settings), check_library(&settings)];
    checks.push(check_open_files(&settings));
    checks.extend(store::check(&settings));
    let (redis, rabbitmq) = tokio::join!(
        redis::check(&settings.publisher),
        rabbitmq::check(&settings.broker, names, count)
    );
    checks.extend(redis);
    checks.extend(rabbitmq);
    if args.json {
        print_json(&checks)?;
    } else {
        for check in &checks {
            print_line(check.line())?;
        }
    }
    Ok(success_if(checks.iter().all(|check| check.state != CheckState::Wrong)))
}

fn check_telegram(settings: &Settings) -> DoctorCheck {
    const PART: &str = "telegram";
    let accounts = settings.worker.accounts.iter().count();
    match settings.telegram.credentials() {
        Err(faults) => {
            let names: Vec<_> = faults.iter().map(|fault| &*fault.setting).collect();
            let found = format!("missing settings: {}", names.join(", "));
            DoctorCheck::wrong(PART, found, "set them")
        }
        Ok(_) if accounts == 0 => DoctorCheck::warning(
            PART,
            "no accounts are configured",
            "set worker.accounts, to the same value on every worker",
        ),
        Ok(_) => DoctorCheck::ok(PART, format!("credentials are set; {accounts} accounts")),
    }
}

/// The worker raises its limit to the hard one, which is this process's as well if both are started
/// alike.
fn check_open_files(settings: &Settings) -> DoctorCheck {
    let limit =
        OpenFileLimit::of_worker(settings.worker.accounts.iter().count(), settings.shard_count);
    DoctorCheck::ok_if(
        !limit.is_too_low(),
        "process",
        limit.describe(),
        "raise the hard limit of open files (ulimit -Hn, LimitNOFILE), or configure fewer accounts",
    )
}

fn check_library(settings: &Settings) -> DoctorCheck {
    const PART: &str = "tdlib";
    let crash_records = settings.worker.data_dir.join("crashes");
    let loaded = LibraryFile::verify(&settings.tdlib.library, settings.tdlib.sha256.as_deref())
        .and_then(|file| Library::load(&file, settings.tdlib.log_level, &crash_records));
    match loaded {
        Err(error) => DoctorCheck::wrong(PART, runtime::error_chain(&error), "see docs/tdlib.md"),
        Ok(library) => match guard_proxy(settings, &library) {
            Err(error) => {
                let found = format!("TDLib cannot be kept to telegram.proxy: {error}");
                let remedy = "use the library that `make tdlib` downloads; no account opens";
                DoctorCheck::wrong(PART, found, remedy)
            }
            Ok(()) if settings.telegram.proxy.is_some() => {
                let found = format!(
                    "libtdjson {REQUIRED_VERSION} has the expected checksum, loads, and is kept to the proxy"
                );
                DoctorCheck::ok(PART, found)
            }
            Ok(()) => DoctorCheck::ok(
                PART,
                format!("libtdjson {REQUIRED_VERSION} has the expected checksum and loads"),
            ),
        },
    }
}
