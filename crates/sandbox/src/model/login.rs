//! Logins in progress: codes that were sent, QR codes that are shown.

use std::collections::HashMap;

use super::UserId;
use crate::crypto::random;
use crate::keys::KeyId;

/// Lifetime of a code in seconds.
const CODE_LIFE: i32 = 300;
/// Lifetime of a QR code in seconds.
const TOKEN_LIFE: i32 = 30;

/// How a code is sent; each way is used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeDelivery {
    App,
    Sms,
    Call,
}

impl CodeDelivery {
    pub(crate) fn next(self) -> Option<Self> {
        match self {
            Self::App => Some(Self::Sms),
            Self::Sms => Some(Self::Call),
            Self::Call => None,
        }
    }
}

/// A login code that was sent to a phone number.
#[derive(Clone, Debug)]
pub(crate) struct SentCode {
    /// The `phone_code_hash`.
    pub(crate) hash: String,
    pub(crate) delivery: CodeDelivery,
    expires: i32,
    /// Whether the code was entered, so that the number can be registered.
    pub(crate) verified: bool,
}

impl SentCode {
    pub(crate) fn new(delivery: CodeDelivery, now: i32) -> Self {
        let hash = format!("{:016x}", u64::from_le_bytes(random()));
        Self { hash, delivery, expires: now.saturating_add(CODE_LIFE), verified: false }
    }

    pub(crate) fn is_good(&self, hash: &str, now: i32) -> bool {
        self.hash == hash && now < self.expires
    }

    /// Sends the code the next way; `false` when none is left.
    pub(crate) fn send_again(&mut self, now: i32) -> bool {
        let next = self.delivery.next();
        if let Some(delivery) = next {
            (self.delivery, self.expires) = (delivery, now.saturating_add(CODE_LIFE));
        }
        next.is_some()
    }

    pub(crate) fn expire(&mut self) {
        self.expires = 0;
    }
}

/// A QR code that a client shows.
#[derive(Clone, Debug)]
pub(crate) struct LoginToken {
    pub(crate) key: KeyId,
    pub(crate) expires: i32,
    /// The user who scanned it.
    pub(crate) accepted: Option<UserId>,
}

/// The QR codes that clients show.
#[derive(Debug, Default)]
pub(crate) struct LoginTokens(HashMap<Vec<u8>, LoginToken>);

impl LoginTokens {
    /// A new QR code for `key`, replacing its old one.
    pub(crate) fn issue(&mut self, key: KeyId, now: i32) -> (Vec<u8>, i32) {
        self.0.retain(|_, token| token.key != key && now < token.expires);
        let (name, expires) = (random::<32>().to_vec(), now.saturating_add(TOKEN_LIFE));
        self.0.insert(name.clone(), LoginToken { key, expires, accepted: None });
        (name, expires)
    }

    /// The user who has scanned the QR code of `key`; returned once.
    pub(crate) fn take_accepted(&mut self, key: KeyId) -> Option<UserId> {
        let mut taken = self.0.extract_if(|_, token| token.key == key && token.accepted.is_some());
        taken.next().and_then(|(_, token)| token.accepted)
    }

    /// Records that `user` scans a QR code; returns the key of the client that shows it, `None`
    /// when it has expired.
    pub(crate) fn accept(&mut self, name: &[u8], user: UserId, now: i32) -> Option<KeyId> {
        let token = self.0.get_mut(name).filter(|token| now < token.expires)?;
        token.accepted = Some(user);
        Some(token.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qr_code_is_accepted_before_it_expires_and_reported_once() {
        let mut tokens = LoginTokens::default();
        let (old, _) = tokens.issue(KeyId(1), 0);
        let (name, expires) = tokens.issue(KeyId(1), 10);
        assert_eq!(tokens.accept(&old, UserId(5), 11), None);
        assert_eq!(tokens.accept(&name, UserId(5), expires), None);
        assert_eq!(tokens.take_accepted(KeyId(1)), None);
        assert_eq!(tokens.accept(&name, UserId(5), 11), Some(KeyId(1)));
        assert_eq!(tokens.take_accepted(KeyId(1)), Some(UserId(5)));
        assert_eq!(tokens.take_accepted(KeyId(1)), None);
    }

    #[test]
    fn a_code_is_valid_for_its_request_until_it_expires() {
        let mut code = SentCode::new(CodeDelivery::App, 0);
        let hash = code.hash.clone();
        assert!(code.is_good(&hash, CODE_LIFE - 1) && !code.is_good(&hash, CODE_LIFE));
        assert!(!code.is_good("other", 0));
        code.expire();
        assert!(!code.is_good(&hash, 0));
    }
}
