//! Commands for people who develop tdfleet or a backend for it.

#[cfg(feature = "sandbox")]
pub(crate) mod demo;
pub(crate) mod documents;
#[cfg(feature = "sandbox")]
pub(crate) mod sandbox;
