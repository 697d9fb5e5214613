use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A fact about a client that TDLib reports in its log only.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LogRemark<'a> {
    /// TDLib is delaying a request because of Telegram's flood limits or errors.
    Delay(Duration),
    /// The session has ended; the reason.
    LostAuthorization(&'a str),
}

impl<'a> LogRemark<'a> {
    /// Reads a remark and its client id from a line such as
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

/// The remarks collected for one client.
#[derive(Default)]
pub(crate) struct ClientRemarks {
    delays: AtomicU64,
    delayed_ms: AtomicU64,
    lost_authorization: OnceLock<String>,
}

impl ClientRemarks {
    pub(crate) fn record(&self, remark: &LogRemark<'_>) {
        match remark {
            LogRemark::Delay(time) => {
                let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                self.delays.fetch_add(1, Ordering::Relaxed);
                self.delayed_ms.fetch_add(ms, Ordering::Relaxed);
            }
            LogRemark::LostAuthorization(reason) => {
                self.lost_authorization.get_or_init(|| (*reason).to_owned());
            }
        }
    }

    pub(crate) fn hidden_waits(&self) -> HiddenWaits {
        HiddenWaits {
            count: self.delays.load(Ordering::Relaxed),
            total: Duration::from_millis(self.delayed_ms.load(Ordering::Relaxed)),
        }
    }

    pub(crate) fn lost_authorization(&self) -> Option<&str> {
        self.lost_authorization.get().map(String::as_str)
    }
}

/// How often, and for how long, TDLib has delayed one client's requests without reporting it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HiddenWaits {
    /// Number of waits, for flood limits and repeated server errors alike.
    pub count: u64,
    /// Their sum.
    pub total: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_and_a_lost_session_name_their_client() {
        let head =
            "[ 2][t 4][1795299537.757779121][NetQueryDelayer.cpp:111][#12][!NetQueryDelayer]\t";
        let query = "[Query:[id:281474976710656][tl:0xe320c158]]";
        let rest = "because of [Error : 420 : FLOOD_WAIT_31] from Session:1:main::Connect";
        let line = format!("{head}Delay: {query} [timeout:31][total_timeout:33] {rest}\n");
        assert_eq!(LogRemark::read(&line), Some((12, LogRemark::Delay(Duration::from_secs(31)))));
        let line = format!("{head}Lost authorization because of USER_DEACTIVATED_BAN\n");
        let lost = LogRemark::LostAuthorization("USER_DEACTIVATED_BAN");
        assert_eq!(LogRemark::read(&line), Some((12, lost)));
    }

    #[test]
    fn other_lines_are_not_remarks() {
        for line in [
            "",
            "Delay: [timeout:1.0]",
            "[ 2][t 4][#1]\tDelay: soon",
            "[ 2][t 4][#1]\tDelay: [timeout:-1]",
            "[ 2][t 4][#x]\tLost authorization because of X",
            "[ 1][t 0][Logging.cpp:160][&client]\tLost authorization because of X",
        ] {
            assert_eq!(LogRemark::read(line), None, "{line}");
        }
    }
}
