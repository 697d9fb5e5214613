use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;
use std::{io, process};

use runtime::Clock;
use serde::Serialize;
use tracing::{debug, error, warn};

use crate::tdjson::REQUIRED_VERSION;

/// Where the record of a fatal error goes. A static, since C gives the log callback no context.
static CRASH_RECORDS: OnceLock<PathBuf> = OnceLock::new();

/// The chattiest level that is let through: from 3 on TDLib writes whole requests, secrets included.
pub(crate) const MAX_LEVEL: u8 = 2;

/// Digits in a row from which a number may be a phone number, a user or a code.
const TELLING_DIGITS: usize = 5;

/// What is left behind when TDLib ends the process.
#[derive(Serialize)]
struct CrashRecord {
    time: String,
    process_id: u32,
    tdlib_version: &'static str,
    message: String,
}

/// Names the directory for crash records; the first call of the process counts.
pub(crate) fn keep_crash_records(directory: &Path) {
    CRASH_RECORDS.get_or_init(|| directory.to_owned());
}

/// Takes one line of TDLib's log; a fatal one is first written to disk.
pub(crate) fn on_line(level: i32, message: &str) {
    let text = redact(message.trim_end());
    match level {
        ..=0 => {
            let written = CRASH_RECORDS.get().map(|directory| write_crash_record(directory, &text));
            let record = matches!(written, Some(Ok(())));
            error!(target: "tdlib", record, text, "tdlib ends the process");
        }
        1 => warn!(target: "tdlib", "{text}"),
        _ => debug!(target: "tdlib", "{text}"),
    }
}

/// Writes `crash-<unix seconds>-<process id>.json` into `directory`, which is made if need be.
fn write_crash_record(directory: &Path, message: &str) -> io::Result<()> {
    let clock = Clock::system();
    let record = CrashRecord {
        time: clock.now().to_string(),
        process_id: process::id(),
        tdlib_version: REQUIRED_VERSION,
        message: message.to_owned(),
    };
    fs::create_dir_all(directory)?;
    let name = format!("crash-{}-{}.json", clock.unix_seconds(), record.process_id);
    let mut file = File::create(directory.join(name))?;
    file.write_all(&serde_json::to_vec(&record)?)?;
    file.sync_all()
}

/// What TDLib tells of a client in its log and nowhere else.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Remark<'a> {
    /// A request is being held back for Telegram's flood limits or errors.
    Delay(Duration),
    /// The session is gone, and why.
    LostAuthorization(&'a str),
}

impl<'a> Remark<'a> {
    /// Finds a remark and its client in a line such as
    /// `[ 2][t 4][1795299537.7][NetQueryDelayer.cpp:111][#3][!NetQueryDelayer]\tDelay: …`.
    ///
    /// Source: TDLib 1.8.61, `NetQueryDelayer::delay`, `AuthManager::on_authorization_lost`.
    pub(crate) fn read(line: &'a str) -> Option<(i32, Self)> {
        let (head, text) = line.split_once('\t')?;
        let (_, client) = head.split_once("[#")?;
        let client = client.split(']').next()?.parse().ok()?;
        if let Some(reason) = text.strip_prefix("Lost authorization because of ") {
            return Some((client, Self::LostAuthorization(reason.trim_end())));
        }
        let (_, seconds) = text.strip_prefix("Delay: ")?.split_once("[timeout:")?;
        let seconds = seconds.split(']').next()?.parse().ok()?;
        Some((client, Self::Delay(Duration::try_from_secs_f64(seconds).ok()?)))
    }
}

/// Takes out of TDLib's words what may tell of a person: what stands in double quotes, and runs of
/// five digits or more (phone numbers, ids, codes).
pub fn redact(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '"' => {
                redacted.push_str("\"…\"");
                after_quoted(&rest[1..])
            }
            '0'..='9' => {
                let (digits, after) =
                    rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count());
                redacted.push_str(if digits.len() < TELLING_DIGITS { digits } else { "#" });
                after
            }
            _ => {
                redacted.push(first);
                &rest[first.len_utf8()..]
            }
        };
    }
    redacted
}

/// What follows the quote that ends `text`'s beginning; nothing when there is none.
fn after_quoted(text: &str) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return &text[at + 1..],
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_and_long_numbers_are_taken_out() {
        let line = r#"[ 1][t 4][NetQuery.cpp:111] "a \"b\" c" of 15551234567: FLOOD_WAIT_31"#;
        assert_eq!(redact(line), r#"[ 1][t 4][NetQuery.cpp:111] "…" of #: FLOOD_WAIT_31"#);
    }

    #[test]
    fn a_quote_that_never_ends_hides_the_rest() {
        assert_eq!(redact(r#"text = "so it goes 12"#), "text = \"…\"");
    }

    #[test]
    fn a_delay_and_a_lost_session_name_their_client() {
        let head =
            "[ 2][t 4][1795299537.757779121][NetQueryDelayer.cpp:111][#12][!NetQueryDelayer]\t";
        let query = "[Query:[id:281474976710656][tl:0xe320c158]]";
        let rest = "because of [Error : 420 : FLOOD_WAIT_31] from Session:1:main::Connect";
        let line = format!("{head}Delay: {query} [timeout:31][total_timeout:33] {rest}\n");
        assert_eq!(Remark::read(&line), Some((12, Remark::Delay(Duration::from_secs(31)))));
        let line = format!("{head}Lost authorization because of USER_DEACTIVATED_BAN\n");
        let lost = Remark::LostAuthorization("USER_DEACTIVATED_BAN");
        assert_eq!(Remark::read(&line), Some((12, lost)));
    }

    #[test]
    fn other_lines_are_no_remarks() {
        for line in [
            "",
            "Delay: [timeout:1.0]",
            "[ 2][t 4][#1]\tDelay: soon",
            "[ 2][t 4][#1]\tDelay: [timeout:-1]",
            "[ 2][t 4][#x]\tLost authorization because of X",
            "[ 1][t 0][Logging.cpp:160][&client]\tLost authorization because of X",
        ] {
            assert_eq!(Remark::read(line), None, "{line}");
        }
    }

    #[test]
    fn a_crash_record_names_process_and_version() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("records");
        write_crash_record(&below, "Check failed").unwrap();
        let file = fs::read_dir(&below).unwrap().next().unwrap().unwrap();
        let record: serde_json::Value =
            serde_json::from_slice(&fs::read(file.path()).unwrap()).unwrap();
        assert_eq!(record["message"], "Check failed");
        assert_eq!(record["process_id"], process::id());
        assert_eq!(record["tdlib_version"], REQUIRED_VERSION);
        assert!(record["time"].as_str().unwrap().ends_with('Z'));
    }
}
