//! Every setting: its default, its limits, its meaning.
//!
//! Settings come from the defaults here, then one TOML file, then the environment
//! (`TDFLEET__SECTION__FIELD`), each over the one before. This is the only crate that reads files
//! or the environment for them, once, at start; each part of the daemon is given its own section by
//! value. All faults are reported together, each with the name of its setting.

mod load;
mod ranges;
mod sections;
mod words;

pub use load::{Fault, Faults, Sources};
pub use ranges::Ranges;
pub use secrecy::{ExposeSecret, SecretString};
pub use sections::{
    BrokerSettings, Credentials, LogFormat, LogSettings, OwnershipSettings, ProxySettings,
    PublisherSettings, QueueType, Settings, TdlibSettings, TelegramSettings, WorkerSettings,
};
pub use words::Words;
