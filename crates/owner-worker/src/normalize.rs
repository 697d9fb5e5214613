//! From TDLib's types to the wire's. No I/O; nothing that TDLib says makes one of these fail.

pub(crate) mod sessions;
