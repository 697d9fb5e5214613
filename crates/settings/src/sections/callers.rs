use serde::Deserialize;

use crate::account_selection::AccountSelection;
use crate::faults::SettingFaults;
use crate::name_set::NameSet;

/// `[callers]`: one entry of `[[callers]]`, who may send which commands. Without any entry everyone
/// may send everything that RabbitMQ lets through.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerSettings {
    /// The AMQP user: `user_id` of the message, which RabbitMQ verifies. 1 to 255 bytes. Required.
    pub user: String,
    /// The accounts that it may use: `*`, or numbers and ranges such as `1-200, 305`. Required.
    pub accounts: AccountSelection,
    /// The commands that it may send: names, or `*` for all. Required.
    pub commands: NameSet,
    /// Commands per second that it may send to each worker, 1 to 100000; ten seconds' worth may come at
    /// once. Default: no limit.
    #[serde(default)]
    pub rate: Option<u32>,
    /// How the queue in its `reply_to` must begin, unless that is RabbitMQ's direct reply-to.
    /// Default: no further limit.
    #[serde(default)]
    pub reply_prefix: Option<String>,
    /// Whose it is, in words, for `tdfleet audit`. Default: none.
    #[serde(default)]
    pub tenant: Option<String>,
}

impl CallerSettings {
    pub(crate) fn check_all(callers: &[Self], faults: &mut SettingFaults) {
        let length = |text: &str, most: usize| (1..=most).contains(&text.len());
        for (at, caller) in callers.iter().enumerate() {
            if !length(&caller.user, 255) {
                faults.add("callers.user", "must have 1 to 255 bytes");
            }
            if callers[..at].iter().any(|earlier| earlier.user == caller.user) {
                faults.add("callers.user", "must not be given twice");
            }
            let named = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if caller.commands.iter().any(|name| name != "*" && !named(name)) {
                faults.add("callers.commands", "must be names of commands, or `*`");
            }
            if caller.rate.is_some_and(|rate| !(1..=100_000).contains(&rate)) {
                faults.add("callers.rate", "must be between 1 and 100000");
            }
            if caller.reply_prefix.as_ref().is_some_and(|prefix| !length(prefix, 200)) {
                faults.add("callers.reply_prefix", "must have 1 to 200 bytes");
            }
            if caller.tenant.as_ref().is_some_and(|tenant| !length(tenant, 64)) {
                faults.add("callers.tenant", "must have 1 to 64 bytes");
            }
        }
    }
}
