//! Who is logged in, to be kept between two runs.

use super::{LoginSession, UserId, World};

impl World {
    /// All sessions that a client holds.
    pub(crate) fn logins(&self) -> impl Iterator<Item = (UserId, &LoginSession)> {
        self.accounts.iter().flat_map(|(user, account)| {
            let held = account.sessions.iter().filter(|session| session.key.is_some());
            held.map(|session| (*user, session))
        })
    }

    /// Puts a session back; nothing happens when there is no such account now.
    pub(crate) fn restore_login(&mut self, user: UserId, session: LoginSession) {
        if let (Some(account), Some(key)) = (self.accounts.get_mut(&user), session.key) {
            if !session.password_pending {
                self.members.insert(key, user);
            }
            account.sessions.push(session);
        }
    }
}
