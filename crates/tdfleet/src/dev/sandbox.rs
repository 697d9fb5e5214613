//! `tdfleet sandbox`: a local Telegram data centre, and the settings that connect a worker to it.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use runtime::Signals;
use sandbox::{PatchedLibrary, Sandbox, SandboxOptions};
use settings::Settings;
use tempfile::NamedTempFile;

use crate::cli::SandboxArgs;
use crate::output::print_line;

pub(crate) async fn run(settings: Settings, args: SandboxArgs) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let options = SandboxOptions {
        listen: args.listen,
        accounts: args.accounts,
        control: args.control,
        state: args.state,
        seed: args.seed,
        ..SandboxOptions::default()
    };
    let sandbox = sandbox::start(options).await?;
    let library = patch_library(&sandbox, &settings.tdlib.library)?;
    let text = worker_settings(&sandbox, &library, args.accounts)?;
    match args.settings {
        Some(path) => write_private(&path, &text)
            .with_context(|| format!("cannot write `{}`", path.display()))?,
        None => print_line(text)?,
    }
    let signal = signals.next().await;
    tracing::info!(signal, "shutting down");
    sandbox.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// A copy of the library that trusts this sandbox and nothing else. Dropping it deletes the file.
pub(super) fn patch_library(sandbox: &Sandbox, library: &Path) -> anyhow::Result<PatchedLibrary> {
    sandbox.patch_library(library).with_context(|| {
        format!(
            "cannot create the sandbox's copy of `{}`: run `make tdlib`, or set tdlib.library",
            library.display()
        )
    })
}

fn worker_settings(
    sandbox: &Sandbox,
    library: &PatchedLibrary,
    accounts: u32,
) -> anyhow::Result<String> {
    let (address, secret) = (sandbox.address(), sandbox.secret());
    let mut text = String::new();
    writeln!(text, "# Settings of a worker for this sandbox; they work as long as it runs.")?;
    writeln!(text, "# The phone number and code of each account are listed at the end.")?;
    writeln!(text, "[worker]\naccounts = \"1-{accounts}\"\n")?;
    writeln!(text, "[tdlib]\nlibrary = {:?}", library.path().display().to_string())?;
    writeln!(text, "sha256 = \"{}\"\n", library.sha256())?;
    writeln!(text, "[telegram]\napi_id = 1\napi_hash = \"sandbox\"")?;
    writeln!(text, "master_key = \"of the sandbox, no secret\"\n")?;
    writeln!(text, "[telegram.proxy]\nserver = \"{}\"\nport = {}", address.ip(), address.port())?;
    writeln!(text, "secret = \"{secret}\"\n")?;
    for account in 1..=accounts.min(20) {
        let (phone, code) = (sandbox.phone(account), sandbox.code(account));
        writeln!(text, "# account {account}: phone {phone}, code {code}")?;
    }
    Ok(text)
}

/// Writes a file that only this user can read, all of it or nothing. It is never written into a file
/// that somebody else has put there.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().filter(|path| !path.as_os_str().is_empty());
    let mut file = NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_settings_file_is_private_whatever_was_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sandbox.toml");
        for name in ["sandbox.toml", "sandbox.part"] {
            fs::write(directory.path().join(name), "of somebody else").unwrap();
            fs::set_permissions(directory.path().join(name), Permissions::from_mode(0o666))
                .unwrap();
        }
        write_private(&path, "secret").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "secret");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let part = fs::read_to_string(directory.path().join("sandbox.part")).unwrap();
        assert_eq!(part, "of somebody else");
    }
}
