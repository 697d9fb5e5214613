//! `tdfleet demo`: a login, a command and its event in one process, on the real TDLib and the sandbox.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use broker::{CommandClient, CommandRequest};
use contracts::AccountId;
use publisher::{FollowedItem, Follower, StartPosition};
use sandbox::{Sandbox, SandboxOptions};
use settings::{ProxySettings, Settings};
use tempfile::TempDir;

use super::sandbox::patch_library;
use crate::answer::is_failure;
use crate::cli::DemoArgs;
use crate::daemon::Daemon;
use crate::daemon::command_lines::publish_stdin;
use crate::daemon::deployment::Deployment;
use crate::output::{print_line, print_progress};

/// Longest wait for one command; the login is the slowest and normally takes well under a second.
const COMMAND_TIMEOUT: Duration = Duration::from_mins(1);

pub(crate) async fn run(mut settings: Settings, args: DemoArgs) -> anyhow::Result<ExitCode> {
    let account = AccountId::new(1).context("1 is an account id")?;
    log_step("starting a local Telegram data centre");
    let sandbox = sandbox::start(SandboxOptions::default()).await?;
    let library = patch_library(&sandbox, &settings.tdlib.library)?;
    let data = tempfile::tempdir().context("cannot create a directory for the accounts")?;
    library.path().clone_into(&mut settings.tdlib.library);
    settings.tdlib.sha256 = Some(library.sha256().to_owned());
    use_sandbox(&mut settings, &sandbox, &data)?;

    log_step("starting tdfleet: TDLib, the account, the command bus and the event log");
    let (deployment, client) = Deployment::embedded(&settings)?;
    let mut daemon = Daemon::new(deployment);
    let mut follower = daemon.log().follow([(account, StartPosition::Beginning)]);
    let steps = async {
        tokio::select! {
            shown = run_commands(&sandbox, &client, account) => shown?,
            printed = print_events(&mut follower) => {
                printed?;
                bail!("the event log was closed");
            }
        }
        if !args.once {
            log_step(
                "ready for more commands on standard input, one JSON object per line, such as",
            );
            log_step(r#"{"command": "get_active_sessions", "userbot_id": 1}"#);
            log_step("press Ctrl-C to stop");
            let publish_commands = async {
                publish_stdin(&client).await;
                Ok(())
            };
            tokio::try_join!(publish_commands, print_events(&mut follower))?;
        }
        Ok(())
    };
    let outcome = daemon.serve(steps).await;
    let code = daemon.stop().await;
    sandbox.stop().await;
    match outcome {
        Some(Err(error)) => Err(error),
        None if args.once => Ok(ExitCode::FAILURE),
        Some(Ok(())) | None => Ok(code),
    }
}

/// Account 1 in an empty data directory, connected to the sandbox.
fn use_sandbox(settings: &mut Settings, sandbox: &Sandbox, data: &TempDir) -> anyhow::Result<()> {
    settings.worker.accounts = "1".parse()?;
    data.path().clone_into(&mut settings.worker.data_dir);
    settings.telegram.api_id = Some(1);
    settings.telegram.api_hash = Some("sandbox".into());
    settings.telegram.master_key = Some("of the sandbox, no secret".into());
    settings.telegram.proxy = Some(ProxySettings {
        server: sandbox.address().ip().to_string(),
        port: sandbox.address().port(),
        secret: sandbox.secret().into(),
    });
    Ok(())
}

/// Logs the account in and asks for its sessions.
async fn run_commands(
    sandbox: &Sandbox,
    client: &CommandClient,
    account: AccountId,
) -> anyhow::Result<()> {
    log_step("logging account 1 in with its phone number and code (commands start, send_code)");
    let start = CommandRequest::new(account, "start").field("phone", sandbox.phone(1));
    call(client, &start).await?;
    let code = CommandRequest::new(account, "send_code").field("code", sandbox.code(1));
    call(client, &code).await?;
    log_step("requesting its sessions (command get_active_sessions); the event with the answer:");
    let event = call(client, &CommandRequest::new(account, "get_active_sessions")).await?;
    print_line(&event)?;
    Ok(())
}

async fn call(client: &CommandClient, request: &CommandRequest) -> anyhow::Result<Vec<u8>> {
    let event = client
        .call(request, COMMAND_TIMEOUT)
        .await
        .with_context(|| format!("no answer to the command {}", request.command))?;
    if is_failure(&event) {
        print_line(&event)?;
        bail!("the command {} failed", request.command);
    }
    Ok(event.to_vec())
}

async fn print_events(follower: &mut Follower) -> anyhow::Result<()> {
    while let Some(followed) = follower.next().await {
        if let FollowedItem::Event(event) = followed {
            print_line(&event.json)?;
        }
    }
    Ok(())
}

fn log_step(text: &str) {
    print_progress(&format!("demo: {text}"));
}
