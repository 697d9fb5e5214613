//! What a method of Telegram's API is made of: its context, its handler, its error.

use std::borrow::Cow;
use std::fmt::Debug;
use std::net::IpAddr;

use grammers_tl_types::{
    Cursor, Deserializable, Identifiable, RemoteCall, Serializable, enums, types,
};

use super::describe::WorldView;
use crate::keys::KeyId;
use crate::model::{Account, PushTarget, UserId, World};

/// Offset of a test data centre's number.
const TEST_DC: u16 = 10_000;

/// An error of a call, with Telegram's code and message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RpcError {
    pub(crate) code: i32,
    pub(crate) message: Cow<'static, str>,
}

impl RpcError {
    /// 400: the arguments are invalid.
    pub(crate) const fn bad_request(message: &'static str) -> Self {
        Self { code: 400, message: Cow::Borrowed(message) }
    }

    /// 403: not allowed for this account.
    pub(crate) const fn forbidden(message: Cow<'static, str>) -> Self {
        Self { code: 403, message }
    }

    /// 406: an error that the client must not display.
    pub(crate) const fn not_acceptable(message: &'static str) -> Self {
        Self { code: 406, message: Cow::Borrowed(message) }
    }

    /// 401: the key is not logged in.
    pub(crate) const fn unauthorized(message: &'static str) -> Self {
        Self { code: 401, message: Cow::Borrowed(message) }
    }

    /// The error as the body of an answer.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let error =
            types::RpcError { error_code: self.code, error_message: self.message.to_string() };
        enums::RpcError::Error(error).to_bytes()
    }
}

/// The client information of `initConnection`.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientInfo {
    pub(crate) api_id: i32,
    pub(crate) device_model: String,
    pub(crate) system_version: String,
    pub(crate) app_version: String,
}

/// The client that calls.
pub(crate) struct Caller {
    pub(crate) key: KeyId,
    /// The data centre that the client addresses.
    pub(crate) dc: i16,
    pub(crate) address: IpAddr,
    pub(crate) client: ClientInfo,
}

impl Caller {
    /// The number of the data centre, 1 to 5, for test and media servers too.
    pub(crate) fn data_centre(&self) -> i32 {
        i32::from(self.dc.unsigned_abs() % TEST_DC)
    }

    /// Whether the client addresses a test data centre.
    pub(crate) fn is_test(&self) -> bool {
        self.dc.unsigned_abs() > TEST_DC
    }
}

/// Updates to push to clients.
pub(crate) struct UpdatePush {
    pub(crate) to: PushTarget,
    pub(crate) updates: enums::Updates,
}

/// The context of a method call.
pub(crate) struct CallContext<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) caller: &'a Caller,
    /// Unix seconds.
    pub(crate) now: i32,
    /// Sent after the answer.
    pub(crate) pushes: Vec<UpdatePush>,
}

impl CallContext<'_> {
    /// The caller's own account.
    pub(crate) fn account(&mut self) -> Result<&mut Account, RpcError> {
        let key = self.caller.key;
        self.world.account_of(key).ok_or(RpcError::unauthorized("AUTH_KEY_UNREGISTERED"))
    }

    /// The caller's own user.
    pub(super) fn me(&mut self) -> Result<UserId, RpcError> {
        Ok(self.account()?.user)
    }

    /// The world from the caller's view.
    pub(super) fn view(&mut self) -> Result<WorldView<'_>, RpcError> {
        let viewer = self.me()?;
        Ok(WorldView { world: self.world, viewer })
    }
}

/// A method that the sandbox implements.
pub(crate) trait MethodHandler: RemoteCall + Deserializable + Identifiable + Debug {
    /// Whether the method requires a login.
    const NEEDS_LOGIN: bool = true;

    /// Runs the method and returns its answer.
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError>;
}

/// One method in a table.
pub(crate) struct MethodEntry {
    id: u32,
    needs_login: bool,
    run: fn(&mut CallContext<'_>, &[u8]) -> Result<Vec<u8>, RpcError>,
    describe: fn(&[u8]) -> String,
}

impl MethodEntry {
    pub(super) const fn of<M: MethodHandler>() -> Self
    where
        M::Return: Serializable,
    {
        Self {
            id: M::CONSTRUCTOR_ID,
            needs_login: M::NEEDS_LOGIN,
            run: run::<M>,
            describe: describe::<M>,
        }
    }

    /// The arguments in `body`, in Rust's debug format.
    pub(crate) fn describe(&self, body: &[u8]) -> String {
        (self.describe)(body)
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn needs_login(&self) -> bool {
        self.needs_login
    }

    /// Decodes the call in `body`, runs it, encodes the answer.
    pub(crate) fn run(&self, ctx: &mut CallContext<'_>, body: &[u8]) -> Result<Vec<u8>, RpcError> {
        (self.run)(ctx, body)
    }
}

fn run<M: MethodHandler>(ctx: &mut CallContext<'_>, body: &[u8]) -> Result<Vec<u8>, RpcError>
where
    M::Return: Serializable,
{
    let method: M = decode(body).ok_or(RpcError::bad_request("INPUT_REQUEST_INVALID"))?;
    Ok(method.handle(ctx)?.to_bytes())
}

fn describe<M: MethodHandler>(body: &[u8]) -> String {
    decode::<M>(body).map_or_else(String::new, |method| format!("{method:?}"))
}

fn decode<M: Deserializable>(body: &[u8]) -> Option<M> {
    M::deserialize(&mut Cursor::from_slice(body.get(4..)?)).ok()
}
