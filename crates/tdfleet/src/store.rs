//! The store as a whole: who can reach it, and by which master key its accounts are encrypted.

pub(crate) mod access;
pub(crate) mod key_check;
