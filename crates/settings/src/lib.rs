//! All settings, with their defaults and limits.
//!
//! Settings come from the defaults, then one TOML file, then the environment
//! (`TDFLEET__SECTION__FIELD`); each source overrides the ones before. Only this crate reads them,
//! once, at startup; each part of the daemon receives its own section by value. All faults are
//! reported together, each with the name of its setting.

mod account_selection;
mod environment;
mod faults;
mod leaf;
mod load;
mod name_set;
mod number_ranges;
mod proxy_secret;
mod sections;
mod uri;

pub use account_selection::AccountSelection;
pub use faults::{SettingFault, SettingFaults};
pub use load::{SettingSources, load};
pub use name_set::NameSet;
pub use number_ranges::NumberRanges;
pub use secrecy::{ExposeSecret, SecretString};
pub use sections::{
    BrokerSettings, CallerSettings, LimitSettings, LogSettings, OwnershipSettings, PacingSettings,
    ProxySettings, PublisherSettings, QueueType, Settings, TdlibSettings, TelegramCredentials,
    TelegramSettings, WorkerSettings,
};
