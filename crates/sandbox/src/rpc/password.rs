//! Two-step verification.

use grammers_tl_types::{enums, functions, types};

use super::{CallContext, MethodEntry, MethodHandler, RpcError, login};
use crate::crypto::{PRIME_GENERATOR, prime_bytes, random};
use crate::model::{Account, PasswordError};

pub(super) const METHODS: &[MethodEntry] = &[
    MethodEntry::of::<functions::account::GetPassword>(),
    MethodEntry::of::<functions::auth::CheckPassword>(),
];

impl MethodHandler for functions::account::GetPassword {
    /// Also for a client that still needs the password.
    const NEEDS_LOGIN: bool = false;

    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let password = subject(ctx)?.password.as_mut();
        let challenge = password.map(|password| (password.challenge(), password.clone()));
        let (id, b, password) = match challenge {
            Some(((id, b), password)) => (Some(id), Some(b), Some(password)),
            None => (None, None, None),
        };
        Ok(enums::account::Password::Password(types::account::Password {
            has_recovery: false,
            has_secure_values: false,
            has_password: password.is_some(),
            current_algo: password.as_ref().map(|p| algorithm(p.salt1.clone(), p.salt2.clone())),
            srp_b: b,
            srp_id: id,
            hint: password.map(|password| password.hint),
            email_unconfirmed_pattern: None,
            // For a new password; the client extends the first salt.
            new_algo: algorithm(random::<8>().to_vec(), random::<16>().to_vec()),
            new_secure_algo: enums::SecurePasswordKdfAlgo::Pbkdf2Hmacsha512iter100000(
                types::SecurePasswordKdfAlgoPbkdf2Hmacsha512iter100000 {
                    salt: random::<8>().to_vec(),
                },
            ),
            secure_random: random::<256>().to_vec(),
            pending_reset_date: None,
            login_email_pattern: None,
        }))
    }
}

impl MethodHandler for functions::auth::CheckPassword {
    const NEEDS_LOGIN: bool = false;

    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let key = ctx.caller.key;
        let account = ctx.world.awaiting_password(key);
        let account = account.ok_or(RpcError::unauthorized("AUTH_KEY_UNREGISTERED"))?;
        let user = account.user;
        let enums::InputCheckPasswordSrp::Srp(proof) = self.password else {
            return Err(RpcError::bad_request("PASSWORD_HASH_INVALID"));
        };
        let checked = match &account.password {
            Some(password) => password.check(proof.srp_id, &proof.a, &proof.m1),
            None => Ok(()),
        };
        checked.map_err(|error| match error {
            PasswordError::StaleChallenge => RpcError::bad_request("SRP_ID_INVALID"),
            PasswordError::Wrong => RpcError::bad_request("PASSWORD_HASH_INVALID"),
        })?;
        login::log_in(ctx, user)
    }
}

/// The account whose password is requested: the caller's own, or the one it is logging in to.
fn subject<'a>(ctx: &'a mut CallContext<'_>) -> Result<&'a mut Account, RpcError> {
    let key = ctx.caller.key;
    if ctx.world.awaiting_password(key).is_some() {
        let account = ctx.world.awaiting_password(key);
        return account.ok_or(RpcError::unauthorized("AUTH_KEY_UNREGISTERED"));
    }
    ctx.account()
}

fn algorithm(salt1: Vec<u8>, salt2: Vec<u8>) -> enums::PasswordKdfAlgo {
    use types::PasswordKdfAlgoSha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow as Algorithm;
    let (g, p) = (PRIME_GENERATOR, prime_bytes());
    enums::PasswordKdfAlgo::Sha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow(Algorithm {
        salt1,
        salt2,
        g,
        p,
    })
}
