use super::{Device, LoginSession, UserId, fleet_code, fleet_phone, fleet_user};

/// How long before the sandbox started the fleet's other session was made, in seconds.
const OLD: i32 = 30 * 86_400;

/// A user who can log in.
pub(crate) struct Account {
    pub(crate) user: UserId,
    /// Digits only, as Telegram returns it.
    pub(crate) phone: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    /// The login code that is right.
    pub(crate) code: String,
    pub(crate) sessions: Vec<LoginSession>,
    /// Days after which a session that is not used ends.
    pub(crate) session_ttl_days: i32,
}

impl Account {
    /// Account `number` of the default fleet, with one session on a phone that is not here.
    pub(crate) fn of_fleet(number: u32, now: i32) -> Self {
        let old_phone = Device {
            model: "Old Phone".to_owned(),
            platform: "Android".to_owned(),
            system_version: "SDK 34".to_owned(),
            api_id: 6,
            app_name: "Telegram Android".to_owned(),
            app_version: "11.4.2".to_owned(),
            ip: "203.0.113.7".to_owned(),
            country: "Iceland".to_owned(),
        };
        Self {
            user: fleet_user(number),
            phone: fleet_phone(number).trim_start_matches('+').to_owned(),
            first_name: "Account".to_owned(),
            last_name: number.to_string(),
            code: fleet_code(number),
            sessions: vec![LoginSession::new(None, old_phone, now - OLD)],
            session_ttl_days: 180,
        }
    }
}
