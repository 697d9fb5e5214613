//! The operator's commands: they inspect and control a fleet from the outside.

pub(crate) mod audit;
pub(crate) mod check_config;
pub(crate) mod dead_letters;
pub(crate) mod doctor;
pub(crate) mod events;
mod fleet;
pub(crate) mod keygen;
pub(crate) mod send;
pub(crate) mod shards;
pub(crate) mod workers;
