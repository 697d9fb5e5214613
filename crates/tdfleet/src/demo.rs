//! `tdfleet demo`: the whole way of a command in one process, on the real TDLib and the sandbox.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use broker::{CommandClient, CommandRequest};
use contracts::AccountId;
use publisher::{FollowedItem, Follower, StartPosition};
use sandbox::{Sandbox, SandboxOptions};
use settings::{ProxySettings, Settings};

use crate::cli::DemoArgs;
use crate::daemon::{Daemon, Place};
use crate::embedded::read_commands;
use crate::events::print;
use crate::sandbox::patch;
use crate::send::failed;

/// How long one step may take; the first login is the longest, well under a second as a rule.
const STEP: Duration = Duration::from_mins(1);

pub(crate) async fn run(mut settings: Settings, args: DemoArgs) -> anyhow::Result<ExitCode> {
    let account = AccountId::new(1).context("1 is an account id")?;
    say("starting a Telegram data centre on this machine");
    let sandbox = sandbox::start(SandboxOptions::default()).await?;
    let library = patch(&sandbox, &settings.tdlib.library)?;
    let data = tempfile::tempdir().context("cannot make a directory for the accounts")?;

    settings.worker.accounts = "1".parse()?;
    settings.worker.data_dir = data.path().to_owned();
    library.path().clone_into(&mut settings.tdlib.library);
    settings.telegram.api_id = Some(1);
    settings.telegram.api_hash = Some("sandbox".into());
    settings.telegram.master_key = Some("of the sandbox, no secret".into());
    settings.telegram.proxy = Some(ProxySettings {
        server: sandbox.address().ip().to_string(),
        port: sandbox.address().port(),
        secret: sandbox.secret().into(),
    });

    say("starting tdfleet: TDLib, the accounts, the command bus and the event log");
    let (mut daemon, publisher) = Daemon::start(settings, Place::Embedded)?;
    let publisher = publisher.context("the embedded bus has no publisher")?;
    let mut follower = daemon.log.follow([(account, StartPosition::Beginning)]);
    let steps = async {
        tokio::select! {
            shown = show(&sandbox, &publisher, account) => shown?,
            () = print_events(&mut follower) => bail!("the event log has ended"),
        }
        if !args.once {
            say(
                "still up: type commands such as {\"command\": \"get_active_sessions\", \"userbot_id\": 1}; Ctrl-C ends it",
            );
            tokio::join!(read_commands(&publisher), print_events(&mut follower));
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

/// Logs account 1 in and asks for its sessions.
async fn show(
    sandbox: &Sandbox,
    publisher: &CommandClient,
    account: AccountId,
) -> anyhow::Result<()> {
    say("logging account 1 in: phone number, then code (commands start and send_code)");
    let start = CommandRequest::new(account, "start").field("phone", sandbox.phone(1));
    call(publisher, &start).await?;
    let code = CommandRequest::new(account, "send_code").field("code", sandbox.code(1));
    call(publisher, &code).await?;
    say(
        "asking for its sessions (command get_active_sessions); the answer as it arrives on Redis:",
    );
    let event = call(publisher, &CommandRequest::new(account, "get_active_sessions")).await?;
    print(&event);
    Ok(())
}

async fn call(publisher: &CommandClient, outgoing: &CommandRequest) -> anyhow::Result<Vec<u8>> {
    let event = publisher
        .call(outgoing, STEP)
        .await
        .with_context(|| format!("the command {} has no answer", outgoing.command))?;
    if failed(&event) {
        print(&event);
        bail!("the command {} failed", outgoing.command);
    }
    Ok(event.to_vec())
}

async fn print_events(follower: &mut Follower) {
    while let Some(followed) = follower.next().await {
        if let FollowedItem::Event(event) = followed {
            print(&event.json);
        }
    }
}

#[expect(clippy::print_stderr, reason = "progress, beside the events on standard output")]
fn say(what: &str) {
    eprintln!("demo: {what}");
}
