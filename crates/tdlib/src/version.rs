/// The version of TDLib whose types tdlib-rs provides; no other is accepted.
pub const REQUIRED_VERSION: &str = "1.8.61";
