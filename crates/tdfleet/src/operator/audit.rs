//! `tdfleet audit`: exports who had which command run.

use std::collections::HashMap;
use std::process::ExitCode;

use contracts::AuditEntry;
use jiff::Timestamp;
use publisher::{AuditReader, AuditRecord};
use serde::Serialize;
use settings::Settings;

use crate::cli::AuditArgs;
use crate::installation;
use crate::output::{json_escaped, print_line};

/// A line of the export.
#[derive(Serialize)]
struct AuditLine<'a> {
    at: String,
    /// As the settings have it now.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(flatten)]
    entry: &'a AuditEntry<'static>,
}

pub(crate) async fn run(settings: Settings, args: AuditArgs) -> anyhow::Result<ExitCode> {
    let names = installation::names(&settings);
    let since_ms = args.since.map_or(0, Timestamp::as_millisecond);
    let tenant =
        |caller: &settings::CallerSettings| Some((caller.user.clone(), caller.tenant.clone()?));
    let tenants: HashMap<_, _> = settings.callers.iter().filter_map(tenant).collect();
    let mut reader = AuditReader::connect(&settings.publisher, &names, since_ms).await?;
    loop {
        let page = reader.next_page().await?;
        if page.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        for AuditRecord { at_ms, entry } in page.iter().filter(|record| selects(&args, record)) {
            let caller = entry.caller.as_deref();
            let tenant = caller.and_then(|caller| tenants.get(caller)).map(String::as_str);
            let at = Timestamp::from_millisecond(*at_ms).unwrap_or(Timestamp::MAX);
            let line = AuditLine { at: format!("{at:.3}"), tenant, entry };
            print_line(json_escaped(&serde_json::to_string(&line)?))?;
        }
    }
}

fn selects(args: &AuditArgs, AuditRecord { entry, .. }: &AuditRecord) -> bool {
    let account = args.account.is_none_or(|account| account.get() == entry.account);
    account && args.caller.as_deref().is_none_or(|caller| entry.caller.as_deref() == Some(caller))
}
